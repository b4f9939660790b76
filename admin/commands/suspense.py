"""`flask suspense`: money without an owner, claims that M-PESA left open, and what is decided."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Shillings, acting, as_json, by, done, opened, show, when
from core import money, phone
from core import suspense as rules
from core.ledger import AccountKind
from core.proposals import Proposal
from core.receipts import ClaimState, MpesaReceipt, ReceiptClaim

# What a second person has to see of a proposal in the list.
WISHES = ("to", "method", "reversal")

note = click.option("--note", required=True, help="Why.")


@click.group()
def suspense() -> None:
    """Payments that two people decide on."""


@suspense.command("list")
@as_json
def listed(as_json: bool) -> None:
    """Show money without an owner, what is due back, claims in doubt, and what is proposed."""
    show(done(opened(), _listed), as_json, lambda one: "  ".join(map(str, _cells(one))))


@suspense.command("attach")
@click.argument("receipt")
@click.argument("number", metavar="PHONE")
@note
@by
def attach(receipt: str, number: str, note: str, name: str) -> None:
    """Propose that RECEIPT's money is that of the customer with PHONE."""
    _propose(receipt, "attach", name, note, to=number)


@suspense.command("refund")
@click.argument("receipt")
@click.option("--method", type=click.Choice(sorted(rules.METHODS)), default="reversal")
@click.option("--phone", "number", help="Whom b2c pays; it has to fit the payer's number.")
@note
@by
def refund(receipt: str, method: str, number: str | None, note: str, name: str) -> None:
    """Propose to send RECEIPT's money back to who paid it."""
    _propose(receipt, "refund", name, note, method=method, to=number)


@suspense.command("keep")
@click.argument("receipt")
@note
@by
def keep(receipt: str, note: str, name: str) -> None:
    """Propose to keep RECEIPT's money, which has cents and cannot be sent back."""
    _propose(receipt, "keep", name, note)


@suspense.command("real")
@click.argument("receipt")
@click.option("--claim", type=int, help="Which claim, where there are several.")
@click.option("--amount", type=Shillings(), help="What came, where the claim says otherwise.")
@note
@by
def real(receipt: str, claim: int | None, amount: int | None, note: str, name: str) -> None:
    """Propose that RECEIPT is a payment to us: it is in M-PESA's own books."""
    _propose(receipt, "real", name, note, claim=claim, amount=amount)


@suspense.command("never")
@click.argument("receipt")
@note
@by
def never(receipt: str, note: str, name: str) -> None:
    """Propose that RECEIPT is no payment to us; what was booked on it is taken back."""
    _propose(receipt, "never", name, note)


@suspense.command("reversed")
@click.argument("receipt")
@click.option("--reversal", help="The receipt of the reversal itself.")
@note
@by
def reversed_by_mpesa(receipt: str, reversal: str | None, note: str, name: str) -> None:
    """Propose that M-PESA took RECEIPT back, as its portal or statement says."""
    _propose(receipt, "reversed", name, note, reversal=reversal)


@suspense.command("approve")
@click.argument("receipt")
@click.argument("seen_hash")
@by
def approve(receipt: str, seen_hash: str, name: str) -> None:
    """Give the second yes to what is proposed for RECEIPT."""
    rt = opened()
    verdict = done(
        rt,
        lambda tx: rules.approve(
            tx, receipt, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config,
        ),
    )  # fmt: skip
    click.echo(verdict)


@suspense.command("refuse")
@click.argument("receipt")
@by
def refuse(receipt: str, name: str) -> None:
    """Say no to what is proposed for RECEIPT."""
    rt = opened()
    done(rt, lambda tx: rules.refuse(tx, receipt, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


def _propose(receipt: str, act: str, name: str, note: str, **wishes: Any) -> None:
    rt = opened()
    proposal = done(
        rt,
        lambda tx: rules.propose(
            tx, receipt, act, note=note, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config, **wishes,
        ),
    )  # fmt: skip
    for fact, value in _seen(proposal).items():
        click.echo(f"{fact:10} {value}")
    click.echo(f"proposed: {proposal.content_hash}")


def _seen(proposal: Proposal) -> dict[str, Any]:
    """What is proposed and of which payment, without what nobody wished or knows."""
    kept, wishes = proposal.content["kept"], proposal.content["wishes"]
    facts = {
        "act": proposal.content["act"],
        "receipt": proposal.content["receipt"],
        **kept,
        **{name: wish for name, wish in wishes.items() if wish is not None},
        "note": proposal.note,
    }
    if "amount" in facts:
        facts["amount"] = f"KES {money.show(facts['amount'])}"
    if facts.get("payer"):
        facts["payer"] = _shown(facts["payer"])
    return {name: _word(fact) for name, fact in facts.items() if fact not in (None, "")}


def _word(fact: Any) -> Any:
    return ("yes" if fact else "no") if isinstance(fact, bool) else fact


def _listed(tx: Session) -> list[dict[str, Any]]:
    waits = [
        {
            "what": "proposed",
            "receipt": one.content["receipt"],
            "act": one.content["act"],
            **{name: one.content["wishes"][name] for name in WISHES if one.content["wishes"][name]},
            "note": one.note,
            "hash": one.content_hash,
        }
        for one in rules.waiting(tx)
    ]
    return [
        *(_kept("suspense", one) for one in rules.lying(tx)),
        *(_kept("refund due", one) for one in rules.lying(tx, AccountKind.REFUND_DUE)),
        *map(_claimed, rules.doubtful(tx)),
        *waits,
    ]


def _kept(what: str, one: MpesaReceipt) -> dict[str, Any]:
    return {
        "what": what,
        "receipt": one.receipt,
        "amount": money.show(one.amount),
        "payer": _shown(one.payer),
        "account": _typed(one.bill_ref),
        "state": "confirmed" if one.confirmed_at else "unconfirmed",
        "at": when(one.event_at),
    }


def _claimed(one: ReceiptClaim) -> dict[str, Any]:
    return {
        "what": "claim",
        "receipt": one.receipt,
        "amount": money.show(one.amount),
        "payer": _shown(one.phone),
        "account": _typed(one.bill_ref),
        "state": ClaimState(one.state).name.lower(),
        "at": when(one.event_at),
        "claim": one.id,
    }


def _shown(payer: str | None) -> str:
    """Enough of a number to compare it."""
    if payer is None:
        return ""
    return payer if "*" in payer else phone.mask(payer)


def _cells(one: Mapping[str, Any]) -> list[Any]:
    """The facts of a line; a dash where there is none."""
    return ["-" if fact in (None, "") else fact for fact in one.values()]


def _typed(bill_ref: str | None) -> str:
    """What was typed; a phone number in it is masked like any other."""
    digits = "".join(filter(str.isdigit, bill_ref or ""))
    return phone.mask(digits) if len(digits) >= phone.NATIONAL else (bill_ref or "")
