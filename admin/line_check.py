"""Steps on the line to Daraja, and what each came to: for whoever checks that it knows us."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import select

from core import inbox
from core.config import Config
from core.errors import NotSent, PartnerError, Rejected, Unknown
from core.inbox import Callback
from core.log import scrub
from core.runtime import Runtime, Sender

OK, NOT_TRIED, REFUSED, UNCLEAR = "ok", "not tried", "refused", "unclear"
LOOK_SECONDS = 0.25
OKAY = "0"  # of a result
DETAIL = 120  # characters of a partner's words
REGISTERED = "registered"  # the mpesa edge's word for addresses that M-PESA has already
VERDICTS = {NotSent: "not sent", Rejected: REFUSED, Unknown: UNCLEAR}
DOORS_OF = {"balance": "balance", "status_query": "status", "stk": "stk"}


@dataclass(frozen=True)
class Finding:
    """What one step came to: `ok`, `not sent`, `refused`, `unclear` or `not tried`."""

    step: str
    verdict: str
    said: str

    @property
    def good(self) -> bool:
        """Whether it went well, or was left out."""
        return self.verdict in (OK, NOT_TRIED)


def account(config: Config) -> Finding:
    """Who we say we are, and whether the certificate can be used; an old one often still can."""
    who = f"{config.app_env}, shortcode {config.mpesa_shortcode}, {config.daraja_base_url}"
    try:
        certificate = load_pem_x509_certificate(config.mpesa_certificate.encode())
    except ValueError:
        return Finding("account", REFUSED, f"{who}: MPESA_CERTIFICATE is no certificate")
    return Finding("account", OK, f"{who}; certificate until {certificate.not_valid_after_utc:%F}")


def attempt(
    senders: Mapping[str, Sender], kind: str, request: Mapping[str, Any], said: str
) -> Finding:
    """Ask M-PESA for one thing; `said` are the words for a yes."""
    try:
        senders[kind](request)
    except PartnerError as error:
        if error.code == REGISTERED:
            return Finding(kind, OK, f"they stand already: {error.detail}")
        verdict = next(word for meaning, word in VERDICTS.items() if isinstance(error, meaning))
        return Finding(kind, verdict, f"{error.code}: {error.detail}")
    return Finding(kind, OK, said)


def results(rt: Runtime, asked: Sequence[str], began: datetime, seconds: int) -> Iterator[Finding]:
    """What came to our doors since; a door that stays silent may not be reached from outside."""
    waiting = {kind: DOORS_OF[kind] for kind in asked}
    ends = time.monotonic() + seconds
    while waiting and time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
        came = _came(rt, began)
        for kind, door in list(waiting.items()):
            if told := [answer for at, answer in came if at.startswith(door)]:
                yield _result(kind, waiting.pop(kind), told)
    for kind, door in waiting.items():
        silence = f"nothing came to /{door}; is PUBLIC_URL reachable?"
        yield Finding(f"{kind} result", UNCLEAR, silence)


def line(one: Mapping[str, Any]) -> str:
    """A finding as staff read it."""
    return f"{one['step']:20} {one['verdict']:10} {one['said']}"


def _result(kind: str, door: str, told: Sequence[Mapping[str, Any]]) -> Finding:
    """That it came is what counts, but for the balance: there it also says who we are to M-PESA."""
    refused = [one for one in told if str(one.get("ResultCode", OKAY)) != OKAY]
    if kind != "balance" or not refused:
        return Finding(f"{kind} result", OK, f"came to /{door}")
    code, why = refused[0]["ResultCode"], scrub(str(refused[0].get("ResultDesc") or ""))
    return Finding(f"{kind} result", REFUSED, f"came to /{door}: {code} {why[:DETAIL]}".strip())


def _came(rt: Runtime, since: datetime) -> list[tuple[str, Mapping[str, Any]]]:
    """Doors, and what M-PESA's result said there."""
    with rt.transaction() as tx:
        found = tx.scalars(select(Callback).where(Callback.received_at >= since)).all()
        bodies = [(one.door, inbox.read(one, keys=rt.config.data_keys) or {}) for one in found]
    return [
        (door, result if isinstance(result := body.get("Result"), Mapping) else {})
        for door, body in bodies
    ]
