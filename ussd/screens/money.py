"""Money in and out: a deposit that M-PESA asks the PIN for, and a withdrawal for which we do."""

from collections.abc import Mapping
from typing import Any

from core import (
    by_hand,
    claims,
    customers,
    deposits,
    effects,
    ledger,
    levies,
    orders,
    payout_acts,
    payouts,
    recent,
)
from core import money as amounts
from core.by_hand import account_of
from core.code_claims import read_code
from core.deposits import DepositLine
from core.effects import Channel, Recalled, Refused
from core.errors import Refusal
from core.levies import Levy
from core.recent import PayoutLine
from ussd.screens import ordering, secrets, verdicts
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


@screen
def deposit(visit: Visit) -> Ask:
    """How much. `01` is no amount, so it can lead to the last payment, and its like elsewhere."""
    customers.refuse_play(visit.known, now=visit.now)
    config, last = visit.config, deposits.last(visit.tx, visit.known.id)
    limits = {"min": config.deposit_min, "max": config.deposit_max}
    before = [] if last is None else [_last_choice(visit, last)]
    return Ask(
        visit.say("ussd.ask_deposit", **limits),
        then=Link(sure, {}),
        read=deposit_amount,
        keep="amount",
        sum=True,
        keys=[
            *before,
            Choice(visit.say("ussd.by_hand"), link(paybill), digit="02"),
            Choice(visit.say("ussd.claim"), link(claim), digit="03"),
        ],
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
    facts = {"amount": amount, "phone": account_of(visit.phone)}
    tax = levies.excise(amount, levies.rate(visit.tx, Levy.EXCISE, at=visit.now))
    asking = visit.say("ussd.confirm_deposit", **facts)
    if tax:
        asking = visit.say("ussd.confirm_deposit_levy", tax=tax, lands=amount - tax, **facts)
    return Menu(asking, [Choice(visit.say("ussd.deposit_yes"), link(ask_mpesa, amount=amount))])


def asked(verdict: Recalled) -> Link:
    """Where asking M-PESA leads; `order` says that a bet waits for the money."""
    if verdict.verdict == "done":
        facts = {name: verdict.facts[name] for name in ("amount", "ref")}
        return link(prompted, order=bool(verdict.facts.get("order")), **facts)
    return verdicts.no(verdict)


@effect("deposit", then=asked, kept=True)
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
    facts = {"amount": visit.args["amount"], "ref": visit.args["ref"]}
    waits = visit.args.get("order")
    return End(visit.say("ussd.mpesa_will_ask_order" if waits else "ussd.mpesa_will_ask", **facts))


@screen
def last_payment(visit: Visit) -> Menu:
    """How the last deposit stands; one that failed can be tried again, or paid by hand."""
    last = deposits.last(visit.tx, visit.known.id)
    if last is None:
        raise Refusal("ussd.no_payment")
    facts = {"amount": last.amount, "at": last.at, "ref": last.ref}
    claiming = Choice(visit.say("ussd.i_paid"), link(claim))
    if last.state == "paid":
        paid = visit.say("ussd.last_paid", receipt=last.receipt or "-", **facts)
        return Menu(paid, [], idle=True)
    if last.state != "failed":
        return Menu(visit.say(f"ussd.last_{last.state}", **facts), [claiming], idle=True)
    why = visit.say(last.reason) if last.reason else ""
    by_paybill = link(paybill, account=last.ref, amount=last.amount)
    return Menu(
        visit.say("ussd.last_failed", why=why, **facts),
        [
            Choice(visit.say("ussd.try_again"), _again(visit, last)),
            Choice(visit.say("ussd.by_hand"), by_paybill),
            claiming,
        ],
        idle=True,
    )


@screen
def paybill(visit: Visit) -> Menu:
    """What to enter in the M-PESA menu: for one payment that failed, or for any."""
    account = visit.args.get("account") or account_of(visit.phone)
    how = by_hand.how(visit.config, account, visit.lang)
    if "amount" in visit.args:
        asking = visit.say("money.pay_by_hand_amount", how=how, amount=visit.args["amount"])
    else:
        asking = visit.say("money.pay_by_hand", how=how)
    return Menu(asking, [], idle=True)


@screen
def claim(visit: Visit) -> Ask:
    """A payment that is not in the wallet, by its M-PESA code."""
    return Ask(visit.say("ussd.ask_mpesa_code"), then=Link(look, {}), read=mpesa_code, keep="code")


@reader
def mpesa_code(answer: Answer) -> str:
    """An M-PESA code, in whatever letters."""
    return read_code(answer.text)


def _looked(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        return link(claimed, **verdict.facts)
    return verdicts.no(verdict)


@effect("claim", then=_looked)
def look(visit: Visit) -> Mapping[str, Any] | Refused:
    """Look for the payment, and have M-PESA asked."""
    answer = claims.claim(
        visit.tx,
        key=visit.decision,
        customer=visit.known,
        code=visit.args["code"],
        channel=Channel.USSD,
        session=visit.session,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(answer, Refused):
        return answer
    return {"sentence": answer.sentence, "facts": effects.written(answer.facts)}


@screen
def claimed(visit: Visit) -> Menu:
    """What is known of it by now."""
    return Menu(visit.say(visit.args["sentence"], **visit.args["facts"]), [], idle=True)


@screen
def withdraw(visit: Visit) -> Ask:
    """How much; it only ever goes to the caller's own M-PESA."""
    opens_at = customers.withdrawals_open_at(visit.known)
    if opens_at is not None and opens_at > visit.now:
        raise Refusal("money.withdraw_after_reset", until=opens_at)
    last = recent.payout(visit.tx, visit.known.id)
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
        sum=True,
        keys=[] if last is None else [_last_payout(visit, last)],
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
    facts = {"amount": amount, "phone": account_of(visit.phone)}
    total = levies.gross(amount, levies.rate(visit.tx, Levy.WITHHOLDING, at=visit.now))
    asking = visit.say("ussd.confirm_withdraw", **facts)
    if total > amount:
        asking = visit.say("ussd.confirm_withdraw_levy", tax=total - amount, total=total, **facts)
    return Menu(asking, [Choice(visit.say("ussd.withdraw_yes"), link(send, **visit.args))])


def _sent(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        facts = {name: verdict.facts[name] for name in ("amount", "balance")}
        return link(on_its_way, parts=len(verdict.facts.get("payouts", ())), **facts)
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
    return {"amount": answer.amount, "balance": answer.balance, "payouts": answer.payout_ids}


@screen
def on_its_way(visit: Visit) -> End:
    """The money is on its way, in several parts above M-PESA's limit; SMS will tell of each."""
    facts = dict(visit.args)
    if facts.pop("parts", 1) > 1:
        return End(visit.say("ussd.on_its_way_parts", parts=visit.args["parts"], **facts))
    return End(visit.say("ussd.on_its_way", **facts))


@screen
def last_payout(visit: Visit) -> Menu:
    """How the last withdrawal or cash-out stands."""
    last = recent.payout(visit.tx, visit.known.id)
    if last is None:
        raise Refusal("ussd.no_payout")
    facts = {"amount": last.amount, "at": last.at}
    if last.state == "paid":
        facts["receipt"] = last.receipt or "-"
    if last.state in ("failed", "partly"):
        facts["why"] = visit.say(last.reason) if last.reason else ""
    if last.state == "partly":
        facts["arrived"] = last.arrived
    ways: list[Choice] = []
    if last.payout_id in {one.id for one in payout_acts.cancellable(visit.tx, visit.known.id)}:
        back = link(take_back, payout=last.payout_id)
        ways = [Choice(visit.say("ussd.take_back"), back)]
    return Menu(visit.say(f"money.withdrawal_{last.state}", **facts), ways, idle=True)


def _taken_back(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        amount = verdict.facts["amount"] + verdict.facts.get("tax", 0)
        return link(back_again, amount=amount, balance=verdict.facts["balance"])
    return verdicts.no(verdict)


@effect("cancel", then=_taken_back, kept=True)
def take_back(visit: Visit) -> Mapping[str, Any] | Refused:
    """Take back what has surely not left."""
    answer = payout_acts.cancel(
        visit.tx,
        key=visit.decision,
        customer=visit.known,
        payout_id=visit.args["payout"],
        channel=Channel.USSD,
        session=visit.session,
        now=visit.now,
    )
    if isinstance(answer, Refused):
        return answer
    return {"amount": answer.amount, "tax": answer.tax, "balance": answer.balance}


@screen
def back_again(visit: Visit) -> Menu:
    """What came back, tax and all."""
    return Menu(visit.say("ussd.taken_back", **visit.args), [], idle=True)


def with_doubt(visit: Visit, words: str) -> str:
    """A screen's words and, below them, what is on its way and in doubt."""
    doubted = recent.in_doubt(visit.tx, visit.known.id)
    return f"{words}\n{visit.say('money.in_doubt', amount=doubted)}" if doubted else words


def _last_choice(visit: Visit, last: DepositLine) -> Choice:
    label = visit.say(f"ussd.before_{last.state}", amount=last.amount)
    return Choice(label, link(last_payment), digit="01")


def _last_payout(visit: Visit, last: PayoutLine) -> Choice:
    label = visit.say(f"ussd.payout_before_{last.state}", amount=last.amount)
    return Choice(label, link(last_payout), digit="01")


def _again(visit: Visit, last: DepositLine) -> Link:
    """The same deposit, with the bet that still waits for it."""
    order = orders.live(visit.tx, visit.known.id, now=visit.now)
    if order is None or order.id != last.order:
        return link(sure, amount=last.amount)
    return link(ordering.sure, market=order.market_id, outcome=order.outcome, stake=order.stake)
