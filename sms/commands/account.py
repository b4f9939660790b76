"""Settings by SMS: language, auto cash-out, news or none."""

from core import codes, customers, messages
from core.codes import Purpose
from sms import meanings as m
from sms.visit import Reply, Visit


def language(visit: Visit, asked: m.Language) -> Reply:
    """`LANG SW`. The answer is in the new language already."""
    customers.set_language(visit.tx, visit.who, asked.lang)
    return Reply("sms.language")


def reset(visit: Visit, asked: m.Reset) -> Reply:
    """`RESET` sends a code; `RESET 123456 5937 Amina Wanjiku` did the rest before we got here."""
    if visit.proven:
        return Reply("sms.pin_changed", secret=True)
    codes.send(visit.tx, customer=visit.who, purpose=Purpose.PIN_RESET, now=visit.now)
    return Reply("sms.reset_sent")


def auto_cashout(visit: Visit, asked: m.AutoCashout) -> Reply:
    """`AUTO OFF 1234`: whether wins go to M-PESA without being asked for."""
    if not visit.proven:
        return Reply("sms.auto_needs_pin", {"word": "ON" if asked.on else "OFF"})
    customers.set_auto_cashout(visit.tx, visit.who, on=asked.on)
    return Reply("sms.auto_on" if asked.on else "sms.auto_off", secret=True)


def stop(visit: Visit, _: m.Stop) -> Reply:
    """`STOP`, from anybody: no news and no offers."""
    messages.opt_out(visit.tx, visit.phone, source="text", now=visit.now)
    return Reply("sms.stopped")


def start(visit: Visit, _: m.Start) -> Reply:
    """`START`: news again; a stranger is welcomed."""
    messages.opt_in(visit.tx, visit.phone)
    if visit.customer is None:
        return Reply("sms.welcome", {"age": visit.config.min_age})
    return Reply("sms.started")
