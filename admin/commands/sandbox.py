"""`flask sandbox`: whether Daraja, as this house is set up, knows us and reaches us."""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click
from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import select

from admin.commands.common import as_json, opened, show
from core import log
from core import phone as phones
from core.config import Config
from core.errors import NotSent, PartnerError, Refusal, Rejected, Unknown
from core.inbox import Callback
from core.runtime import Runtime
from core.say import say

OK, NOT_TRIED, REFUSED, UNCLEAR = "ok", "not tried", "refused", "unclear"
SHILLING = 100  # cents
REFERENCE = "CHECK"  # belongs to no intent: the shilling is kept in suspense
SOME_RECEIPT = "OEI2AK4Q16"  # of Safaricom's documents: any will do to see whether we may ask
DOORS_OF = {"balance": "balance", "status_query": "status", "stk": "stk"}
LOOK_SECONDS = 0.25
REGISTERED = "registered"  # the mpesa edge's word for addresses that M-PESA has already
VERDICTS = {NotSent: "not sent", Rejected: REFUSED, Unknown: UNCLEAR}
SAID = {
    "balance": "asked; the answer goes to our door",
    "status_query": "asked; the answer goes to our door",
    "c2b_register": "the paybill addresses are registered",
    "stk": "KES 1 was asked for; it will lie in suspense",
}


@dataclass(frozen=True)
class Finding:
    """What one step came to: `ok`, `not sent`, `refused`, `unclear` or `not tried`."""

    step: str
    verdict: str
    said: str


@click.group()
def sandbox() -> None:
    """The line to Daraja."""


@sandbox.command("check")
@click.option("--phone", "number", help="Push KES 1 to this phone. On a real line it is real.")
@click.option("--register", is_flag=True, help="Register the paybill addresses (live: once).")
@click.option("--receipt", default=SOME_RECEIPT, show_default=True, help="Ask about this receipt.")
@click.option(
    "--wait", "seconds", type=click.IntRange(0, 300), default=0, help="Seconds to wait for results."
)
@as_json
def check(number: str | None, register: bool, receipt: str, seconds: int, as_json: bool) -> None:
    """Log in, ask for the balance and a payment's status, and print a line about each.

    Against whatever host DARAJA_BASE_URL names. Ends with 1 if a step failed.
    """
    log.configure("WARNING", sys.stderr)  # a person reads this
    rt = opened()
    began = rt.now()
    payer = None if number is None else _phone(number)
    found = [account := _account(rt.config)]
    found += _steps(rt, payer, register, receipt if account.verdict == OK else None)
    if seconds:
        asked = [one.step for one in found if one.verdict == OK and one.step in DOORS_OF]
        found += _results(rt, asked, began, seconds)
    show([asdict(one) for one in found], as_json, _line)
    if any(one.verdict not in (OK, NOT_TRIED) for one in found):
        raise click.exceptions.Exit(1)


def _account(config: Config) -> Finding:
    """Who we say we are, and whether the certificate can be used; an old one often still can."""
    who = f"{config.app_env}, shortcode {config.mpesa_shortcode}, {config.daraja_base_url}"
    try:
        certificate = load_pem_x509_certificate(config.mpesa_certificate.encode())
    except ValueError:
        return Finding("account", REFUSED, f"{who}: MPESA_CERTIFICATE is no certificate")
    return Finding("account", OK, f"{who}; certificate until {certificate.not_valid_after_utc:%F}")


def _steps(
    rt: Runtime, payer: str | None, register: bool, receipt: str | None
) -> Iterator[Finding]:
    """One finding for each step; None for `receipt` where the operator cannot sign anything."""
    login = _try(rt, "oauth", {}, "a token was given")
    yield login
    about = {"receipt": receipt, "shortcode": rt.config.mpesa_shortcode}
    push = {"phone": payer, "amount": SHILLING, "ref": REFERENCE}
    steps: tuple[tuple[str, object, Mapping[str, Any], str], ...] = (
        ("balance", receipt, {}, "no certificate"),
        ("status_query", receipt, about, "no certificate"),
        ("c2b_register", register, {}, "give --register"),
        ("stk", payer, push, "give --phone"),
    )
    for kind, wanted, request, without in steps:
        if login.verdict != OK:
            yield Finding(kind, NOT_TRIED, "no token")
        elif not wanted:
            yield Finding(kind, NOT_TRIED, without)
        else:
            yield _try(rt, kind, request, SAID[kind])


def _try(rt: Runtime, kind: str, request: Mapping[str, Any], said: str) -> Finding:
    try:
        rt.senders[kind](request)
    except PartnerError as error:
        if error.code == REGISTERED:
            return Finding(kind, OK, f"they stand already: {error.detail}")
        verdict = next(word for meaning, word in VERDICTS.items() if isinstance(error, meaning))
        return Finding(kind, verdict, f"{error.code}: {error.detail}")
    return Finding(kind, OK, said)


def _results(rt: Runtime, asked: list[str], began: datetime, seconds: int) -> Iterator[Finding]:
    """What came to our doors since; a door that stays silent may not be reached from outside."""
    waiting = {kind: DOORS_OF[kind] for kind in asked}
    ends = time.monotonic() + seconds
    while waiting and time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
        came = _came(rt, began)
        for kind in [k for k, door in waiting.items() if any(c.startswith(door) for c in came)]:
            yield Finding(f"{kind} result", OK, f"came to /{waiting.pop(kind)}")
    for kind, door in waiting.items():
        silence = f"nothing came to /{door}; is PUBLIC_URL reachable?"
        yield Finding(f"{kind} result", UNCLEAR, silence)


def _came(rt: Runtime, since: datetime) -> list[str]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Callback.door).where(Callback.received_at >= since)))


def _phone(number: str) -> str:
    try:
        return phones.read(number)
    except Refusal as refusal:
        raise click.BadParameter(say(refusal.reason, "en", **refusal.facts)) from None


def _line(one: Mapping[str, Any]) -> str:
    return f"{one['step']:20} {one['verdict']:10} {one['said']}"
