"""The control API over one phone: what its owner does, and what its owner sees."""

from typing import Any

from flask import Blueprint, Response, jsonify

from simulator.aggregator import sms, ussd
from simulator.control import LONGEST_WAIT, phone_shown, told, with_lock, world
from simulator.daraja import c2b, stk
from simulator.handsets import HABITS, Handset
from simulator.world import World

bp = Blueprint("phones", __name__, url_prefix="/phones")


def _phone(number: str) -> tuple[World, Handset]:
    with world().lock:
        return world(), world().handset(number)


def _shown(number: str) -> Response:
    with world().lock:
        return jsonify(phone_shown(world(), number))


@bp.get("")
@with_lock
def phones() -> Response:
    return jsonify([phone_shown(world(), number) for number in list(world().handsets)])


@bp.get("/<number>")
def state(number: str) -> Response:
    return _shown(number)


@bp.patch("/<number>")
@with_lock
def change(number: str) -> Response:
    """Any of balance, pin, name, registered, reachable, habit, network_code, unlock."""
    body = told()
    here, phone = _phone(number)
    person = here.person(number)
    if body.get("habit", "asks") not in HABITS:
        raise ValueError(f"a habit is one of {', '.join(HABITS)}")
    for name in ("reachable", "habit", "network_code"):
        if name in body:
            setattr(phone, name, body[name])
    for name in ("pin", "name", "registered"):
        if name in body:
            setattr(person, name, body[name])
    if "balance" in body:
        here.books.set_balance(person.phone, int(body["balance"]))
    if body.get("unlock"):
        person.wrong_pins = 0
    here.stir()
    return _shown(number)


# -- USSD


@bp.post("/<number>/dial")
def dial(number: str) -> Response:
    """`code` (else the house's), `copies` of the session's start."""
    body = told()
    here, phone = _phone(number)
    code = str(body.get("code") or here.settings.codes[0])
    ussd.dial(here, phone, code, copies=int(body.get("copies", 1)))
    return _shown(number)


@bp.post("/<number>/press")
def press(number: str) -> Response:
    """`input`, or several `inputs` one after the other."""
    body = told()
    here, phone = _phone(number)
    for typed in body.get("inputs", [body.get("input", "")]):
        ussd.press(here, phone, str(typed))
    return _shown(number)


@bp.post("/<number>/hangup")
def hang_up(number: str) -> Response:
    ussd.hang_up(*_phone(number))
    return _shown(number)


@bp.post("/<number>/repeat_hop")
def repeat_hop(number: str) -> Response:
    """`copies` of the last hop at the same instant, or of the one `back` before it."""
    body = told()
    here, phone = _phone(number)
    replies = ussd.repeat_hop(
        here, phone, copies=int(body.get("copies", 1)), back=int(body.get("back", 0))
    )
    return jsonify(replies)


# -- texts


@bp.post("/<number>/text")
def text(number: str) -> Response:
    """`text`, and at will `to`, `id`, `link_id`, `copies`."""
    body = told()
    here, phone = _phone(number)
    message_id = sms.text(
        here, phone, str(body.get("text", "")), to=str(body.get("to", "")),
        message_id=str(body.get("id", "")), link_id=str(body.get("link_id", "")),
        copies=int(body.get("copies", 1)),
    )  # fmt: skip
    return jsonify(id=message_id)


@bp.post("/<number>/repeat_text")
def repeat_text(number: str) -> Response:
    body = told()
    here, phone = _phone(number)
    message_id = sms.repeat_text(
        here, phone, message_id=str(body.get("id", "")), copies=int(body.get("copies", 1))
    )
    return jsonify(id=message_id)


@bp.post("/<number>/optout")
def opt_out(number: str) -> Response:
    here, phone = _phone(number)
    sms.opt_out(here, phone, str(told().get("sender", "")))
    return _shown(number)


# -- M-PESA


@bp.post("/<number>/stk")
def answer_stk(number: str) -> Response:
    """`pin`, or `cancel`, or `ignore` (its time is up)."""
    body = told()
    here, phone = _phone(number)
    if body.get("cancel"):
        stk.cancel(here, phone)
    elif body.get("ignore"):
        stk.ignore(here, phone)
    else:
        stk.enter_pin(here, phone, str(body.get("pin", "")))
    return _shown(number)


@bp.post("/<number>/pay")
def pay(number: str) -> Response:
    """Pays a paybill or till by hand: `account`, `amount`, `shortcode` (else the house's paybill).

    `deliver` false: the confirmation is never sent.
    """
    body = told()
    here, phone = _phone(number)
    line = c2b.pay_by_hand(
        here, phone.number, shortcode=str(body.get("shortcode") or here.settings.shortcode),
        account=str(body.get("account", "")), amount=int(body["amount"]),
        deliver=bool(body.get("deliver", True)),
    )  # fmt: skip
    return jsonify(line.shown())


# -- waiting


@bp.post("/<number>/await_stk")
def await_stk(number: str) -> tuple[Response, int]:
    """Waits for a prompt; 408 with what is there instead."""
    here, phone = _phone(number)
    found = here.wait_until(lambda: phone.prompt is not None, _patience(told()))
    return _shown(number), 200 if found else 408


@bp.post("/<number>/await_sms")
def await_sms(number: str) -> tuple[Response, int]:
    """The oldest text with all of `containing`, from `sender`, that is not among the `seen`."""
    body = told()
    words = body.get("containing", [])
    words = [words] if isinstance(words, str) else words
    seen, sender = set(body.get("seen", [])), body.get("sender")
    here = world()

    def arrived() -> dict[str, Any] | None:
        for text in phone_shown(here, number)["inbox"]:
            wanted = text["sender"] == sender if sender else text["sender"] != "MPESA"
            if wanted and text["id"] not in seen and all(word in text["text"] for word in words):
                found: dict[str, Any] = text
                return found
        return None

    found = here.wait_until(arrived, _patience(body))
    if found is None:
        return _shown(number), 408
    return jsonify(found), 200


def _patience(body: dict[str, Any]) -> float:
    return min(float(body.get("timeout", 5)), LONGEST_WAIT)
