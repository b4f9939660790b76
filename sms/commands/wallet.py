"""Money by SMS: balance, deposit, withdrawal, how the last payments stand, and a lost one."""

from datetime import timedelta

from core import by_hand, claims, deposits, ledger, levies, payouts, recent
from core import statement as statements
from core.deposits import DepositLine
from core.effects import Channel, Refused
from core.levies import Levy
from core.recent import PayoutLine
from core.say import say
from sms import meanings as m
from sms.lengths import first_that_fits
from sms.visit import Reply, Visit

A_DAY = timedelta(days=1)  # after it a deposit that failed is forgotten


def balance(visit: Visit, _: m.Balance) -> Reply:
    """`BAL`, and what is on its way and in doubt: it is missing from the balance."""
    facts = {"balance": ledger.balance(visit.tx, visit.who.id)}
    if doubted := recent.in_doubt(visit.tx, visit.who.id):
        return Reply("sms.balance_checking", {**facts, "amount": doubted})
    return Reply("sms.balance", facts)


def deposit(visit: Visit, asked: m.Deposit) -> Reply:
    """`DEP 100`: M-PESA prompts the phone that sent the text."""
    came = deposits.ask(
        visit.tx,
        key=visit.key("deposit"),
        customer=visit.who,
        amount=asked.amount,
        channel=Channel.SMS,
        session=visit.message_id,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(came, Refused):
        return Reply(came.reason, came.facts)
    facts = {"amount": came.amount, "ref": came.ref}
    tax = levies.excise(came.amount, levies.rate(visit.tx, Levy.EXCISE, at=visit.now))
    if tax:
        return Reply("sms.deposit_asked_levy", {**facts, "tax": tax})
    return Reply("sms.deposit_asked", facts)


def withdraw(visit: Visit, asked: m.Withdraw) -> Reply:
    """`W 500 1234`: to the number that sent the text, and no other."""
    if not visit.proven:
        return Reply("sms.withdraw_needs_pin")
    came = payouts.withdraw(
        visit.tx,
        key=visit.key("withdrawal"),
        customer=visit.who,
        amount=asked.amount,
        channel=Channel.SMS,
        session=visit.message_id,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(came, Refused):
        return Reply(came.reason, came.facts, secret=True)
    facts = {"amount": came.amount, "balance": came.balance, "tax": came.tax}
    if len(came.payout_ids) > 1 and not came.tax:
        return Reply("sms.withdrawn_parts", {**facts, "parts": len(came.payout_ids)}, secret=True)
    return Reply("sms.withdrawn_levy" if came.tax else "sms.withdrawn", facts, secret=True)


def status(visit: Visit, asked: m.Status) -> Reply:
    """`STATUS`: the last deposit and the last withdrawal; `STATUS D0A1B2C` and `STATUS W`: one."""
    if asked.payout:
        payout = recent.payout(visit.tx, visit.who.id)
        return Reply("sms.status_no_payout") if payout is None else _of_payout(visit, payout)
    if asked.ref is not None:
        named = deposits.by_ref(visit.tx, visit.who.id, asked.ref)
        return Reply("sms.status_none") if named is None else _of_deposit(visit, named)
    return _newest(visit)


def paybill(visit: Visit, _: m.Paybill) -> Reply:
    """`PAYBILL`: how to pay by hand; a deposit that failed under its own reference."""
    last = deposits.last(visit.tx, visit.who.id)
    if last is None or last.state != "failed" or last.at < visit.now - A_DAY:
        how = by_hand.how(visit.config, by_hand.account_of(visit.phone), visit.lang)
        return Reply("money.pay_by_hand", {"how": how})
    how = by_hand.how(visit.config, last.ref, visit.lang)
    return Reply("money.pay_by_hand_amount", {"how": how, "amount": last.amount})


def claim(visit: Visit, asked: m.Claim) -> Reply:
    """`CLAIM QWE12RTY34`: M-PESA is asked about it."""
    came = claims.claim(
        visit.tx,
        key=visit.key("claim"),
        customer=visit.who,
        code=asked.code,
        channel=Channel.SMS,
        session=visit.message_id,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(came, Refused):
        return Reply(came.reason, came.facts)
    return Reply(came.sentence, came.facts)


def statement(visit: Visit, _: m.Statement) -> Reply:
    """`STATEMENT`: the newest moves of the wallet and its balance."""
    facts = statements.short(visit.tx, visit.who.id, visit.lang)
    return Reply("sms.statement_none") if facts is None else Reply("sms.statement", facts)


def _newest(visit: Visit) -> Reply:
    """Both in one text if they fit, else the newer one."""
    deposit = deposits.last(visit.tx, visit.who.id)
    payout = recent.payout(visit.tx, visit.who.id)
    found = [(line.at, _of_deposit(visit, line)) for line in (deposit,) if line]
    found += [(line.at, _of_payout(visit, line)) for line in (payout,) if line]
    found.sort(key=lambda one: one[0], reverse=True)
    if not found:
        return Reply("sms.status_none")
    newer = found[0][1]
    if len(found) == 1:
        return newer
    first, second = (say(reply.sentence, visit.lang, **reply.facts) for _, reply in found)
    both = Reply("sms.status_both", {"first": first, "second": second})
    return first_that_fits(visit.lang, (both, newer))


def _of_deposit(visit: Visit, found: DepositLine) -> Reply:
    facts = {"amount": found.amount, "ref": found.ref, "at": found.at}
    if found.state == "failed":
        why = say(found.reason, visit.lang) if found.reason else ""
        return Reply("sms.status_failed", {**facts, "why": why})
    if found.state == "paid":
        return Reply("sms.status_paid", {**facts, "receipt": found.receipt or found.ref})
    return Reply(f"sms.status_{found.state}", facts)


def _of_payout(visit: Visit, found: PayoutLine) -> Reply:
    facts = {"amount": found.amount, "at": found.at}
    if found.state == "paid":
        facts |= {"receipt": found.receipt or "-"}
    if found.state in ("failed", "partly"):
        facts |= {"why": say(found.reason, visit.lang) if found.reason else ""}
    if found.state == "partly":
        facts |= {"arrived": found.arrived}
    return Reply(f"money.withdrawal_{found.state}", facts)
