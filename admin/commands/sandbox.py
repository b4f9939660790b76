"""`flask sandbox`: whether Daraja, as this house is set up, knows us and reaches us."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from admin.commands.common import as_json, done, opened, show
from admin.line_check import DOORS_OF, NOT_TRIED, OK, Finding, account, attempt, line, results
from core import paybill_registrations
from core import phone as phones
from core.errors import Refusal
from core.runtime import Runtime
from core.say import say

SHILLING = 100  # cents
REFERENCE = "CHECK"  # belongs to no intent: the shilling is kept in suspense
SOME_RECEIPT = "OEI2AK4Q16"  # of Safaricom's documents: any will do to see whether we may ask
SAID = {
    "balance": "asked; the answer goes to our door",
    "status_query": "asked; the answer goes to our door",
    "c2b_register": "the paybill addresses are registered",
    "stk": "KES 1 was asked for; it will lie in suspense",
}


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
    rt = opened("WARNING")
    began = rt.now()
    payer = None if number is None else _phone(number)
    found = [known := account(rt.config)]
    found += _steps(rt, payer, register, receipt if known.verdict == OK else None)
    if seconds:
        asked = [one.step for one in found if one.verdict == OK and one.step in DOORS_OF]
        found += results(rt, asked, began, seconds)
    show([asdict(one) for one in found], as_json, line)
    if not all(one.good for one in found):
        raise click.exceptions.Exit(1)


def _steps(
    rt: Runtime, payer: str | None, register: bool, receipt: str | None
) -> Iterator[Finding]:
    """One finding for each step; None for `receipt` where the operator cannot sign anything."""
    login = attempt(rt.senders, "oauth", {}, "a token was given")
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
            found = attempt(rt.senders, kind, request, SAID[kind])
            if kind == "c2b_register" and found.verdict == OK:
                _note_registration(rt, stood=found.said != SAID[kind])
            yield found


def _phone(number: str) -> str:
    try:
        return phones.read(number)
    except Refusal as refusal:
        raise click.BadParameter(say(refusal.reason, "en", **refusal.facts)) from None


def _note_registration(rt: Runtime, *, stood: bool) -> None:
    """M-PESA cannot be asked which addresses it has."""
    now = rt.now()
    done(rt, lambda tx: paybill_registrations.note(tx, rt.config, stood=stood, now=now))
