"""Programs of staff, as the tests write them: they sign by the rules of docs/api.md alone."""

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any

from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from core import api_keys
from core.runtime import Runtime
from core.staff import Role, Staff
from tests import staff_people
from tests.staff_people import Person

API = "/admin/api"


def place(rule: Rule) -> str:
    """A path under this rule, with something in each of its places that nobody has."""
    told = re.sub(r"<any\((\w+)\):.*?>", r"\1", rule.rule)
    return re.sub(r"<.*?>", "1" * 9, told)


@dataclass
class Program:
    """One key and its owner, whose authenticator is at hand."""

    rt: Runtime
    client: FlaskClient
    person: Person
    key_id: str
    secret: str

    @property
    def member(self) -> Staff:
        """Whose key it is."""
        return self.person.staff

    def get(self, path: str) -> TestResponse:
        """Ask for something, signed."""
        return self.send(self.signed("GET", path))

    def post(self, path: str, body: Any = None, *, totp: str | None = None) -> TestResponse:
        """Have something done, with the second factor's next code unless another is given."""
        raw = b"" if body is None else json.dumps(body).encode()
        code = self.person.code() if totp is None else totp
        return self.send(self.signed("POST", path, raw, totp=code))

    def with_another_key(self) -> "Program":
        """The same person's other program."""
        with self.rt.transaction() as tx:
            key_id, secret = api_keys.make(
                tx, self.member, "phone", now=self.rt.now(), config=self.rt.config
            )
        return replace(self, key_id=key_id, secret=secret)

    def signed(
        self, method: str, path: str, body: bytes = b"", *, totp: str = "", **other: str
    ) -> dict[str, Any]:
        """A request as werkzeug sends it; `other` replaces a part before it is signed."""
        whole = API + path
        headers = self.headers(method, whole, body, totp=totp, **other)
        if body:
            headers["Content-Type"] = "application/json"
        return {"method": method, "path": whole, "data": body, "headers": headers}

    def headers(
        self, method: str, path: str, body: bytes, *, totp: str = "", **other: str
    ) -> dict[str, str]:
        """What makes a request one of this program's."""
        timestamp = other.get("timestamp", str(int(self.rt.now().timestamp())))
        nonce = other.get("nonce", secrets.token_hex(16))
        parts = [method, path, timestamp, nonce, hashlib.sha256(body).hexdigest()]
        message = "|".join(parts + [totp] * bool(totp)).encode()
        key = other.get("secret", self.secret).encode()
        headers = {
            "X-Key": self.key_id,
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Signature": hmac.new(key, message, hashlib.sha256).hexdigest(),
        }
        return headers | ({"X-TOTP": totp} if totp else {})

    def send(self, request: dict[str, Any], **changed: Any) -> TestResponse:
        """Send it as it is, or with something changed since it was signed."""
        return self.client.open(**request | changed)


def program(rt: Runtime, client: FlaskClient, name: str, role: Role) -> Program:
    """Somebody who has enrolled, and the key that they made."""
    person = staff_people.enrolled(rt, name, role)
    with rt.transaction() as tx:
        key_id, secret = api_keys.make(tx, person.staff, "laptop", now=rt.now(), config=rt.config)
    return Program(rt, client, person, key_id, secret)


def refused(answer: TestResponse, status: int, reason: str) -> None:
    """It says no, in the one shape in which the API says no."""
    told = answer.get_json()
    assert (answer.status_code, told["reason"]) == (status, reason), answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json"
    assert set(told) == {"type", "title", "status", "detail", "reason"}
    assert told["status"] == status
    assert told["detail"]
