"""The line to Daraja: one request at a time on a connection of its own, within limits, sorted.

Nothing here tries a money request twice, but for the one case where the gateway refused our token
and M-PESA never saw the request.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import requests
import structlog
from redis import Redis
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from core import breakers, rates
from core.config import Config
from core.errors import NotSent, PartnerError
from mpesa import answers
from mpesa.token import SharedToken

log = structlog.get_logger(__name__)

OAUTH_PATH = "/oauth/v1/generate?grant_type=client_credentials"
# How long a worker waits for a turn. A prompt that is not sent now is not sent at all, so a rush
# of deposits is better queued for a moment than refused.
PATIENCE = timedelta(seconds=2)


class Line:
    """The line of one organisation's Daraja app."""

    def __init__(
        self, config: Config, redis: Redis, clock: Callable[[], datetime], *, apart: str = ""
    ) -> None:
        # Settings on trial learn and suffer apart: their failures must open nobody's breaker.
        self.config, self.redis, self.clock, self.apart = config, redis, clock, apart
        self.base_url = config.daraja_base_url.rstrip("/")
        self.timeout = (
            config.connect_timeout.total_seconds(),
            config.daraja_timeout.total_seconds(),
        )
        self.rule = breakers.Rule(config.breaker_failures, config.breaker_open)
        self.token = SharedToken(
            redis,
            config.data_keys,
            account="|".join((self.base_url, *self._auth())),
            margin=config.token_margin,
            mint=self._mint,
        )

    def post(self, product: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One POST, sorted; with a new token, once, where the gateway refused the one we had."""
        token = self.token.current()
        try:
            return self._post_once(product, path, body, token)
        except answers.StaleToken:
            return self._post_once(product, path, body, self.token.current(instead_of=token))

    def _post_once(
        self, product: str, path: str, body: Mapping[str, Any], token: str
    ) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}

        def ask() -> Mapping[str, Any]:
            status, found = self._send("POST", path, product, headers=headers, json=body)
            return answers.read(product, status, found)

        return self._watched(product, ask)

    def _mint(self) -> tuple[str, int]:
        """A new token and its life in seconds. Whatever goes wrong, no money was asked for."""
        auth = self._auth()

        def ask() -> Mapping[str, Any]:
            status, found = self._send("GET", OAUTH_PATH, answers.OAUTH, auth=auth)
            return answers.read(answers.OAUTH, status, found)

        try:
            found = self._watched(answers.OAUTH, ask)
        except PartnerError as error:
            wait = error.retry_after if isinstance(error, NotSent) else None
            detail = f"no token: {error.code} {error.detail}"
            raise NotSent(detail, code="token", retry_after=wait) from error
        # Documented as a number, seen as a string; what is neither is a token for this once.
        seconds = str(found.get("expires_in"))
        return str(found["access_token"]), int(seconds) if seconds.isdecimal() else 0

    def _auth(self) -> tuple[str, str]:
        secret = self.config.mpesa_consumer_secret.get_secret_value()
        return self.config.mpesa_consumer_key.get_secret_value(), secret

    def _watched(self, product: str, ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What `ask` answers, if its product's rate and breaker let it; they learn from it."""
        self._admit(product)
        try:
            answer = ask()
        except PartnerError as error:
            self._learn(product, error)
            raise
        breakers.passed(self.redis, self.apart + product)
        return answer

    def _admit(self, product: str) -> None:
        """Wait for a turn; raises NotSent where it is far off, or the product is left alone."""
        if rate := self.config.daraja_rates.get(product):
            turn = rates.take(
                self.redis, f"daraja:{product}", rate, now=self.clock(), patience=PATIENCE
            )
            if not turn.granted:
                raise NotSent("our own limit", code="rate", retry_after=turn.wait)
            time.sleep(turn.wait.total_seconds())
        lease = timedelta(seconds=sum(self.timeout))
        if wait := breakers.enter(self.redis, self.apart + product, now=self.clock(), lease=lease):
            raise NotSent("left alone after failures", code="breaker", retry_after=wait)

    def _learn(self, product: str, error: PartnerError) -> None:
        if error.code == answers.THROTTLED and (rate := self.config.daraja_rates.get(product)):
            rates.exhaust(self.redis, f"daraja:{product}", rate, now=self.clock())
        if error.code in answers.ILL:
            at_once = error.code in answers.HOPELESS
            name = self.apart + product
            breakers.failed(self.redis, name, self.rule, now=self.clock(), at_once=at_once)
        else:
            breakers.passed(self.redis, self.apart + product)

    def _send(
        self, method: str, path: str, product: str, **request: Any
    ) -> tuple[int, Mapping[str, Any] | None]:
        """One request on a connection of its own, and its answer's status and JSON object.

        A connection from a pool may be half dead: what is written to it can be lost or done twice.
        Redirects are not followed, since that would be a second POST.
        """
        started = time.perf_counter()
        with requests.Session() as line:
            line.trust_env = False  # no proxy, and no .netrc that would replace our token
            line.mount("https://", Handshaking())
            try:
                response = line.request(
                    method,
                    self.base_url + path,
                    timeout=self.timeout,
                    allow_redirects=False,
                    **request,
                )
            except requests.RequestException as error:
                meaning = answers.of_failure(error)
                log.warning("daraja gave no answer", product=product, error_code=meaning.code)
                raise meaning from error
        seconds = round(time.perf_counter() - started, 3)
        log.info("daraja answered", product=product, status=response.status_code, seconds=seconds)
        return response.status_code, _json_object(response)


class Handshake(HTTPSConnection):
    """A TLS connection that fails to come about as one that never did, whatever the reason.

    Otherwise an error of the handshake looks like one in the middle of the answer, and the first
    surely sent nothing while the second may have paid.
    """

    def connect(self) -> None:
        """Open the socket and shake hands; raises NewConnectionError where either fails."""
        try:
            super().connect()
        except NewConnectionError:
            raise
        except (OSError, HTTPError) as error:
            self.close()
            raise NewConnectionError(self, f"no TLS: {type(error).__name__}") from error


class HandshakePool(HTTPSConnectionPool):
    """A pool whose connections are Handshakes."""

    ConnectionCls = Handshake


class Handshaking(HTTPAdapter):
    """Sends over Handshakes, never twice."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As its parent, with our kind of connection."""
        super().init_poolmanager(*args, **kwargs)
        known = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {**known, "https": HandshakePool}


def _json_object(response: requests.Response) -> Mapping[str, Any] | None:
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, Mapping) else None
