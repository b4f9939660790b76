"""What M-PESA tells: JSON to the house, a text to the customer."""

import json
from typing import Any

from simulator import gsm7, ids
from simulator.books import Subscriber, Transaction
from simulator.clock import nairobi_now
from simulator.daraja import results
from simulator.faults import NOTHING, Plan
from simulator.handsets import Text
from simulator.wire import safe_json
from simulator.world import Parcel, World

SENDER = "MPESA"


def post_json(
    world: World, kind: str, url: str, payload: dict[str, Any], plan: Plan = NOTHING
) -> None:
    """Now, or late if the plan says so."""
    posted = parcel(kind, url, payload)
    if plan.has("lateCallback"):
        seconds = float(plan.param("lateCallback", "seconds", 5))
        world.courier.later(seconds, lambda: world.post(posted, plan))
    else:
        world.post(posted, plan)


def parcel(kind: str, url: str, payload: dict[str, Any]) -> Parcel:
    """What goes to the house."""
    body = json.dumps(payload).encode()
    return Parcel(kind, "daraja", url, body, "application/json", shown=safe_json(payload))


def after_push(world: World, phone: str, paid: Transaction | None, code: str) -> None:
    """What the customer reads on the phone when a push has ended. Call with the lock held."""
    person = world.person(phone)
    if paid is None:
        world.handset(phone).note = f"M-PESA: {results.described(code)}"
    else:
        text_paid(world, person, paid)
    world.stir()


def text_paid(world: World, person: Subscriber, line: Transaction) -> None:
    _text(
        world,
        person,
        f"{line.receipt} Confirmed. Ksh{line.amount:,}.00 sent to"
        f" {world.settings.organisation} for account {line.account or line.shortcode} on"
        f" {line.at:%d/%m/%y} at {line.at:%I:%M %p}."
        f" New M-PESA balance is Ksh{person.balance:,}.00.",
    )


def text_received(world: World, person: Subscriber, line: Transaction) -> None:
    _text(
        world,
        person,
        f"{line.receipt} Confirmed. You have received Ksh{line.amount:,}.00 from"
        f" {line.shortcode} - {world.settings.organisation} on {line.at:%d/%m/%y} at"
        f" {line.at:%I:%M %p}. New M-PESA balance is Ksh{person.balance:,}.00.",
    )


def text_taken_back(world: World, person: Subscriber, line: Transaction, back: Transaction) -> None:
    _text(
        world,
        person,
        f"{back.receipt} Confirmed. Your transaction {line.receipt} of Ksh{line.amount:,}.00 to"
        f" {world.settings.organisation} was reversed on {back.at:%d/%m/%y} at"
        f" {back.at:%I:%M %p}. New M-PESA balance is Ksh{person.balance:,}.00.",
    )


def _text(world: World, person: Subscriber, words: str) -> None:
    world.handset(person.phone).inbox.append(
        Text(SENDER, words, f"{nairobi_now():%H:%M}", ids.message(), gsm7.segments(words))
    )
    world.stir()
