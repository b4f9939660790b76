"""Daraja's place taken by a server that answers as it is told, and by one that breaks its word."""

import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpesa.daraja import Daraja
from tests.ground import config_for

KEY = rsa.generate_private_key(65537, 2048)
MOMENT = datetime(2026, 11, 20, 22, 30, 5, tzinfo=UTC)  # already the next day in Nairobi
PUSH = {"phone": "+254712000001", "amount": 100_00, "ref": "D5M6XQK"}
PAY = {"phone": "+254712000001", "amount": 285_00, "ocid": "0c1d"}
YES = {
    "ResponseCode": "0",
    "CheckoutRequestID": "ws_CO_1",
    "MerchantRequestID": "m-1",
    "ConversationID": "AG_1",
    "OriginatorConversationID": "o-1",
    "ResultCode": "1032",
    "ResultDesc": "Request cancelled by user",
}


class Server:
    """Daraja's place taken by a list of answers; without one it says yes."""

    def __init__(self):
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.tokens: list[str] = []
        self.answers: list[Any] = []
        self.expires: Any = "3599"
        server = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self):
                if server.expires is None:
                    return self.say(400, b"", "application/json")
                server.tokens.append(f"token-{len(server.tokens) + 1}")
                told = {"access_token": server.tokens[-1], "expires_in": server.expires}
                return self.say(200, json.dumps(told).encode(), "application/json")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, self.headers["Authorization"], body))
                answer = server.answers.pop(0) if server.answers else (200, YES)
                if callable(answer):
                    return answer(self)
                status, told = answer
                raw = told if isinstance(told, bytes) else json.dumps(told).encode()
                return self.say(status, raw, "application/json")

            def say(self, status, raw, kind):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                if status == 307:
                    self.send_header("Location", self.path)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def bodies(self):
        return [body for _, _, body in self.asked]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class TlsServer:
    """Shakes hands, reads a request, and breaks the encryption in the middle of its answer."""

    def __init__(self, folder: Path):
        (folder / "cert.pem").write_bytes(certificate().public_bytes(Encoding.PEM))
        (folder / "key.pem").write_bytes(
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}", self.heard

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            try:
                shaken = self.context.wrap_socket(raw, server_side=True)
                self.heard.append(shaken.recv(65536) + shaken.recv(65536))
                plain = socket.socket(fileno=shaken.detach())
                plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
                plain.close()
            except OSError:
                raw.close()


def certificate():
    """A certificate of one's own, for this machine."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(KEY, SHA256())
    )


def client(ground, server, redis, clock=None, **changes):
    """A house without its database, pointed at the server."""
    pem = certificate().public_bytes(Encoding.PEM).decode()
    env = {"DARAJA_BASE_URL": server.url, "MPESA_CERTIFICATE": pem, "DARAJA_TIMEOUT": "0.5"}
    return Daraja(config_for(ground.urls, **(env | changes)), redis, clock or (lambda: MOMENT))


def error(code, message):
    return {"requestId": "1", "errorCode": code, "errorMessage": message}
