"""Money in and out: a deposit that M-PESA asks the PIN for, and a withdrawal for which we do."""

from collections.abc import Mapping
from typing import Any

from core import customers, deposits, ledger, levies, payouts
from core import money as amounts
from core.config import Config
from core.deposits import DepositLine
from core.effects import Channel, Recalled, Refused
from core.errors import Refusal
from core.levies import Levy
from ussd.screens import secrets, verdicts
from ussd.visit import (
    Answer,
    Ask,
    Choice,
    End,
    Link,
    Menu,
    Visit,
    effect,
    link,
    reader,
    screen,
)

SHILLING = 100


@screen
def deposit(visit: Visit) -> Ask:
    """How much. `01` is no amount, so it can lead to the last payment."""
    customers.refuse_play(visit.known, now=visit.now)
    config, last = visit.config, deposits.last(visit.tx, visit.known.id)
    limits = {"min": config.deposit_min, "max": config.deposit_max}
    before = [] if last is None else [_last_choice(visit, last)]
    return Ask(
        visit.say("ussd.ask_deposit", **limits),
        then=Link(sure, {}),
        read=deposit_amount,
        keep="amount",
        keys=before,
    )


@reader
def deposit_amount(answer: Answer) -> int:
    """An amount within the limits of the house."""
    amount, config = amounts.read(answer.text), answer.rt.config
    if amount < config.deposit_min:
        raise Refusal("money.deposit_low", min=config.deposit_min)
    if amount > config.deposit_max:
        raise Refusal("money.deposit_high", max=config.deposit_max)
    return amount


@screen
def sure(visit: Visit) -> Menu:
    """The amount once more before M-PESA is asked."""
    amount = visit.args["amount"]
    facts = {"amount": amount, "phone": _local(visit.phone)}
    tax = levies.excise(amount, levies.rate(visit.tx, Levy.EXCISE, at=visit.now))
    asking = visit.say("ussd.confirm_deposit", **facts)
    if tax:
        asking = visit.say("ussd.confirm_deposit_levy", tax=tax, lands=amount - tax, **facts)
    return Menu(asking, [Choice(visit.say("ussd.deposit_yes"), link(ask_mpesa, amount=amount))])


def _asked(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        return link(prompted, amount=verdict.facts["amount"], ref=verdict.facts["ref"])
    return verdicts.no(verdict)


@effect("deposit", then=_asked, kept=True)
def ask_mpesa(visit: Visit) -> Mapping[str, Any] | Refused:
    """Have M-PESA prompt the caller, once this call is over and the phone is free for it."""
    answer = deposits.ask(
        visit.tx,
        key=visit.decision,
        customer=visit.known,
        amount=visit.args["amount"],
        channel=Channel.USSD,
        session=visit.session,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(answer, Refused):
        return answer
    return {"amount": answer.amount, "ref": answer.ref}


@screen
def prompted(visit: Visit) -> End:
    """The last word: a phone in a call can show no prompt."""
    return End(visit.say("ussd.mpesa_will_ask", **visit.args))


@screen
def last_payment(visit: Visit) -> Menu:
    """How the last deposit stands; one that failed can be tried again."""
    last = deposits.last(visit.tx, visit.known.id)
    if last is None:
        raise Refusal("ussd.no_payment")
    facts = {"amount": last.amount, "at": last.at, "ref": last.ref}
    if last.state == "paid":
        return Menu(
            visit.say("ussd.last_paid", receipt=last.receipt or "-", **facts), [], idle=True
        )
    if last.state != "failed":
        return Menu(visit.say(f"ussd.last_{last.state}", **facts), [], idle=True)
    why = visit.say(last.reason) if last.reason else ""
    again = Choice(visit.say("ussd.try_again"), link(sure, amount=last.amount))
    return Menu(visit.say("ussd.last_failed", why=why, **facts), [again], idle=True)


@screen
def withdraw(visit: Visit) -> Ask:
    """How much; it only ever goes to the caller's own M-PESA."""
    least, balance = visit.config.payout_min_amount, ledger.balance(visit.tx, visit.known.id)
    rate = levies.rate(visit.tx, Levy.WITHHOLDING, at=visit.now)
    asking = visit.say("ussd.ask_withdraw", min=least, balance=balance)
    if rate:
        most = levies.most_net(balance, rate)
        asking = visit.say("ussd.ask_withdraw_levy", min=least, balance=balance, most=most)
    return Ask(
        asking,
        then=Link(pin, {}),
        read=withdraw_amount,
        keep="amount",
        given={"balance": balance, "rate": rate},
    )


@reader
def withdraw_amount(answer: Answer) -> int:
    """An amount that is there, as far as the screen before knows."""
    amount, balance = amounts.read(answer.text), answer.given["balance"]
    least = answer.rt.config.payout_min_amount
    if amount < least:
        raise Refusal("money.withdraw_low", min=least)
    if amount > balance:
        raise Refusal("money.withdraw_short", amount=amount, balance=balance)
    tax = levies.gross(amount, answer.given["rate"]) - amount
    if amount + tax > balance:
        raise Refusal("money.withdraw_short_levy", amount=amount, tax=tax, balance=balance)
    return amount


@screen
def pin(visit: Visit) -> Ask:
    """The PIN of the house, not of M-PESA."""
    amount = visit.args["amount"]
    return Ask(
        visit.say("ussd.ask_pin_to_withdraw", amount=amount),
        then=link(confirm, amount=amount),
        read=secrets.right_pin,
        keep="pin",
        secret=True,
    )


@screen
def confirm(visit: Visit) -> Menu:
    """The amount and the number once more."""
    amount = visit.args["amount"]
    assert visit.args["pin"], "nobody comes here without the PIN"
    facts = {"amount": amount, "phone": _local(visit.phone)}
    total = levies.gross(amount, levies.rate(visit.tx, Levy.WITHHOLDING, at=visit.now))
    asking = visit.say("ussd.confirm_withdraw", **facts)
    if total > amount:
        asking = visit.say("ussd.confirm_withdraw_levy", tax=total - amount, total=total, **facts)
    return Menu(asking, [Choice(visit.say("ussd.withdraw_yes"), link(send, **visit.args))])


def _sent(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        return link(on_its_way, amount=verdict.facts["amount"], balance=verdict.facts["balance"])
    return verdicts.no(verdict)


@effect("withdraw", then=_sent, kept=True)
def send(visit: Visit) -> Mapping[str, Any] | Refused:
    """Set the money aside and have it sent."""
    assert visit.args["pin"], "nothing is sent without the PIN"
    answer = payouts.withdraw(
        visit.tx,
        key=visit.decision,
        customer=visit.known,
        amount=visit.args["amount"],
        channel=Channel.USSD,
        session=visit.session,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(answer, Refused):
        return answer
    return {"amount": answer.amount, "balance": answer.balance}


@screen
def on_its_way(visit: Visit) -> End:
    """The money is on its way; an SMS will say when it is there."""
    return End(visit.say("ussd.on_its_way", **visit.args))


def enough(config: Config, missing: int) -> int:
    """What to deposit so that `missing` cents are there: whole shillings, and not too few."""
    return max(-(-missing // SHILLING) * SHILLING, config.deposit_min)


def _last_choice(visit: Visit, last: DepositLine) -> Choice:
    label = visit.say(f"ussd.before_{last.state}", amount=last.amount)
    return Choice(label, link(last_payment), digit="01")


def _local(phone: str) -> str:
    """The number as its owner writes it."""
    return phone.replace("+254", "0", 1)
