"""Money by SMS: balance, deposit, withdrawal, and how the last payment stands."""

from core import deposits, ledger, levies, payouts
from core import statement as statements
from core.deposits import DepositLine
from core.effects import Channel, Refused
from core.levies import Levy
from core.say import say
from sms import meanings as m
from sms.visit import Reply, Visit


def balance(visit: Visit, _: m.Balance) -> Reply:
    """`BAL`."""
    return Reply("sms.balance", {"balance": ledger.balance(visit.tx, visit.who.id)})


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
    return Reply("sms.withdrawn_levy" if came.tax else "sms.withdrawn", facts, secret=True)


def status(visit: Visit, asked: m.Status) -> Reply:
    """`STATUS`, `STATUS D0A1B2C`: how the last deposit, or the one of that reference, stands."""
    found = _found(visit, asked.ref)
    if found is None:
        return Reply("sms.status_none")
    facts = {"amount": found.amount, "ref": found.ref, "at": found.at}
    if found.state == "failed":
        why = say(found.reason, visit.lang) if found.reason else ""
        return Reply("sms.status_failed", {**facts, "why": why})
    if found.state == "paid":
        return Reply("sms.status_paid", {**facts, "receipt": found.receipt or found.ref})
    return Reply(f"sms.status_{found.state}", facts)


def statement(visit: Visit, _: m.Statement) -> Reply:
    """`STATEMENT`: the newest moves of the wallet and its balance."""
    facts = statements.short(visit.tx, visit.who.id, visit.lang)
    return Reply("sms.statement_none") if facts is None else Reply("sms.statement", facts)


def _found(visit: Visit, ref: str | None) -> DepositLine | None:
    if ref is None:
        return deposits.last(visit.tx, visit.who.id)
    return deposits.by_ref(visit.tx, visit.who.id, ref)
