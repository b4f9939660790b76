"""The account: language, PIN, and whether wins go to M-PESA by themselves."""

from collections.abc import Mapping
from typing import Any

from core import codes, customers
from core.codes import Purpose
from core.effects import Recalled
from core.say import languages, say
from ussd.screens import joining, secrets
from ussd.visit import Ask, Choice, End, Link, Menu, Visit, effect, link, screen


@screen
def menu(visit: Visit) -> Menu:
    """Who the house thinks the caller is, and what can be changed about it."""
    facts = {"name": visit.known.name or "", "phone": visit.phone.replace("+254", "0", 1)}
    state = "ussd.auto_is_on" if visit.known.auto_cashout else "ussd.auto_is_off"
    return Menu(
        visit.say("ussd.account_of", **facts),
        [
            Choice(visit.say("ussd.language"), link(language)),
            Choice(visit.say("ussd.pin"), link(pin)),
            Choice(visit.say(state), link(auto)),
        ],
        idle=True,
    )


@screen
def language(visit: Visit) -> Menu:
    """English or Kiswahili, each in its own words."""
    names = [(say("ussd.language_name", lang), lang) for lang in languages]
    choices = [Choice(name, link(speak, lang=lang)) for name, lang in names]
    return Menu(visit.say("ussd.language"), choices)


@effect("set_language")
def speak(visit: Visit) -> Mapping[str, Any]:
    """Speak it from the next screen on."""
    customers.set_language(visit.tx, visit.known, visit.args["lang"])
    return {}


@screen
def pin(visit: Visit) -> Menu:
    """Change a PIN that is known, or replace one that is forgotten."""
    return Menu(
        visit.say("ussd.pin"),
        [
            Choice(visit.say("ussd.change_pin"), link(old_pin)),
            Choice(visit.say("ussd.forgot_pin"), link(forgotten)),
        ],
    )


@screen
def old_pin(visit: Visit) -> Ask:
    """The PIN that is to be changed."""
    then = Link(next_pin, {})
    prompt = visit.say("ussd.ask_old_pin")
    return Ask(prompt, then, read=secrets.right_pin, keep="pin", secret=True)


@screen
def next_pin(visit: Visit) -> Ask:
    """The new one."""
    then = link(next_pin_again, **visit.args)
    prompt = visit.say("ussd.ask_new_pin")
    return Ask(prompt, then, read=secrets.new_pin, keep="imprint", secret=True)


@screen
def next_pin_again(visit: Visit) -> Ask:
    """The new one once more."""
    return Ask(
        visit.say("ussd.ask_pin_again"),
        then=link(change_pin, pin=visit.args["pin"]),
        read=secrets.same_pin,
        given=visit.args,
        secret=True,
    )


def _changed(verdict: Recalled) -> Link | None:
    return link(pin_changed) if verdict.verdict == "done" else None


@effect("change_pin", then=_changed)
def change_pin(visit: Visit) -> Mapping[str, Any]:
    """Put the new PIN in the place of the old."""
    assert visit.args["pin"], "nobody changes a PIN without the old one"
    customers.set_pin(visit.tx, visit.known, visit.proof, now=visit.now)
    return {}


@screen
def pin_changed(visit: Visit) -> Menu:
    """It is the new one from now on."""
    return Menu(visit.say("ussd.pin_changed"), [], idle=True)


@screen
def forgotten(visit: Visit) -> Menu:
    """Two ways in, since many phones close the call when the SMS with the code is read."""
    return Menu(
        visit.say("ussd.forgotten"),
        [
            Choice(visit.say("ussd.send_code"), link(send_reset_code)),
            Choice(visit.say("ussd.have_code"), link(reset_name)),
        ],
    )


def _code_sent(verdict: Recalled) -> Link | None:
    return link(reset_name) if verdict.verdict == "done" else None


@effect("send_reset_code", then=_code_sent)
def send_reset_code(visit: Visit) -> Mapping[str, Any]:
    """Send a code that is good for this and nothing else."""
    codes.send(visit.tx, customer=visit.known, purpose=Purpose.PIN_RESET, now=visit.now)
    return {}


@screen
def reset_name(visit: Visit) -> Ask:
    """The name is asked with the code: a stolen SIM card does not know it."""
    then = Link(reset_pin, {})
    return Ask(visit.say("ussd.ask_name"), then, read=joining.full_name, keep="name", free=True)


@screen
def reset_pin(visit: Visit) -> Ask:
    """The PIN to come."""
    then = link(reset_pin_again, **visit.args)
    prompt = visit.say("ussd.ask_new_pin")
    return Ask(prompt, then, read=secrets.new_pin, keep="imprint", secret=True)


@screen
def reset_pin_again(visit: Visit) -> Ask:
    """The same once more; what the next screen gets of it is what Postgres would keep."""
    return Ask(
        visit.say("ussd.ask_pin_again"),
        then=link(reset_code, name=visit.args["name"]),
        read=secrets.same_pin,
        keep="pin_hash",
        given=visit.args,
        secret=True,
    )


@screen
def reset_code(visit: Visit) -> Ask:
    """The code from the SMS, which makes the new PIN good."""
    return Ask(
        visit.say("ussd.ask_code"),
        then=Link(was_reset, {}),
        read=secrets.reset_code,
        given=visit.args,
        secret=True,
    )


@screen
def was_reset(visit: Visit) -> End:
    """The new PIN works, and for a day nothing can be withdrawn with it."""
    return End(visit.say("customers.pin_reset"))


@screen
def auto(visit: Visit) -> Menu:
    """What auto cash-out does, and the other way to have it."""
    on = visit.known.auto_cashout
    turn = Choice(visit.say("ussd.turn_off" if on else "ussd.turn_on"), link(auto_pin, on=not on))
    return Menu(visit.say("ussd.auto_on" if on else "ussd.auto_off"), [turn])


@screen
def auto_pin(visit: Visit) -> Ask:
    """Where wins go is a matter of money, so the PIN is asked."""
    then = link(set_auto, **visit.args)
    return Ask(visit.say("ussd.ask_pin"), then, read=secrets.right_pin, keep="pin", secret=True)


def _set(verdict: Recalled) -> Link | None:
    return link(menu) if verdict.verdict == "done" else None


@effect("set_auto_cashout", then=_set)
def set_auto(visit: Visit) -> Mapping[str, Any]:
    """Send wins to M-PESA, or leave them in the wallet."""
    assert visit.args["pin"], "not without the PIN"
    customers.set_auto_cashout(visit.tx, visit.known, on=visit.args["on"])
    return {}
