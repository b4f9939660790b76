"""`flask payments …` about payouts: what is in doubt, and every act of one person or of two."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from admin.commands.payments import payments, payout_facts
from core import inbox, money, payout_acts, payout_ends, payout_incidents, payout_retries, rights
from core.errors import Refusal
from core.payments import HeldFor, Payout, PayoutState
from core.payout_incidents import IncidentKind
from core.proposals import Proposal
from core.rights import Right
from core.say import say

OPEN = (PayoutState.IN_DOUBT, PayoutState.NEEDS_HUMAN)


class PayoutRef(click.ParamType[int]):
    """A payout as the lists write it: `P12`."""

    name = "payout"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Its number."""
        digits = str(value).strip().upper().removeprefix("P")
        if not digits.isdecimal():
            self.fail("a payout is written P and its number, such as P12", param, ctx)
        return int(digits)


payout_ref = click.argument("payout_id", metavar="PAYOUT", type=PayoutRef())
note = click.option("--note", required=True, help="What was seen, and where.")


@payments.command("doubt")
@as_json
def doubt(as_json: bool) -> None:
    """List payouts in doubt, those that need a person, and those held for one."""
    found = (
        select(Payout)
        .where(
            Payout.state.in_(OPEN)
            | (Payout.held_for.in_((HeldFor.FLOAT, HeldFor.APPROVAL, HeldFor.STAFF)))
        )
        .order_by(Payout.sending_at.nulls_last(), Payout.id)
    )
    lines = done(opened(), lambda tx: [payout_facts(one) for one in tx.scalars(found)])
    show(lines, as_json, _line)


@payments.command("proposed")
@as_json
def proposed(as_json: bool) -> None:
    """List what was proposed about payouts and waits for a second person."""
    rt = opened()
    found = done(rt, lambda tx: [_proposal(one) for one in payout_ends.proposed(tx)])
    show(found, as_json, lambda one: "\n".join(f"{name:10} {fact}" for name, fact in one.items()))


@payments.command("propose-end")
@payout_ref
@click.argument("end", type=click.Choice(payout_ends.ENDS))
@click.option("--receipt", default="", help="M-PESA's, for an end as paid.")
@note
@by
def propose_end(payout_id: int, end: str, receipt: str, note: str, name: str) -> None:
    """Propose how a payout that needs a person ended: paid, dead, or dead and to be sent anew."""
    rt = opened()
    _proposing(
        lambda tx: payout_ends.propose_end(
            tx, payout_id, end, receipt=receipt, note=note, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config,
        )
    )  # fmt: skip


@payments.command("approve-end")
@payout_ref
@click.argument("seen_hash")
@by
def approve_end(payout_id: int, seen_hash: str, name: str) -> None:
    """Give the second yes to the proposed end of PAYOUT."""
    rt = opened()
    ended = done(
        rt,
        lambda tx: payout_ends.approve_end(
            tx, payout_id, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo(f"P{payout_id} is {PayoutState(ended.state).name.lower()}")


@payments.command("propose-release")
@payout_ref
@note
@by
def propose_release(payout_id: int, note: str, name: str) -> None:
    """Propose to let a payout go that is over the limit, with all parts of what was asked for."""
    rt = opened()
    _proposing(
        lambda tx: payout_ends.propose_release(
            tx, payout_id, note=note, by=acting(rt, tx, name), now=rt.now(), config=rt.config
        )
    )


@payments.command("approve-release")
@payout_ref
@click.argument("seen_hash")
@by
def approve_release(payout_id: int, seen_hash: str, name: str) -> None:
    """Give the second yes to the release of PAYOUT."""
    rt = opened()
    parts = done(
        rt,
        lambda tx: payout_ends.approve_release(
            tx, payout_id, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo("queued: " + " ".join(f"P{part.id}" for part in parts))


@payments.command("refuse")
@payout_ref
@click.option("--release", "large", is_flag=True, help="The release of a large one, not an end.")
@by
def refuse(payout_id: int, large: bool, name: str) -> None:
    """Say no to what is proposed about PAYOUT."""
    rt = opened()
    act = payout_ends.refuse_release if large else payout_ends.refuse_end
    done(rt, lambda tx: act(tx, payout_id, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@payments.command("hold")
@payout_ref
@click.option("--reason", required=True, help="Why.")
@by
def hold(payout_id: int, reason: str, name: str) -> None:
    """Keep PAYOUT from leaving, if it has not left."""
    rt = opened()
    done(
        rt,
        lambda tx: payout_acts.hold(
            tx, payout_id, reason=reason, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo(f"P{payout_id} is held")


@payments.command("let-go")
@payout_ref
@by
def let_go(payout_id: int, name: str) -> None:
    """Queue PAYOUT, which staff had held."""
    rt = opened()
    done(rt, lambda tx: payout_acts.let_go(tx, payout_id, by=acting(rt, tx, name), now=rt.now()))
    click.echo(f"P{payout_id} is queued")


@payments.command("retry")
@click.argument("payout_id", metavar="[PAYOUT]", type=PayoutRef(), required=False)
@click.option("--all-failed", is_flag=True, help="Every one of the last seven days.")
@by
def retry(payout_id: int | None, all_failed: bool, name: str) -> None:
    """Pay anew what failed, each once, by its own rules; of what may have arrived only ask."""
    if (payout_id is None) != all_failed:
        raise click.UsageError("Name one payout, or say --all-failed.")
    rt = opened()
    ids = [payout_id]
    if all_failed:
        ids = [*done(rt, lambda tx: payout_retries.untried(tx, now=rt.now()))]
        click.echo(f"{len(ids)} failed and were not tried again since.")
    for one in ids:
        assert one is not None
        number = int(one)

        def again(tx: Session, number: int = number) -> str:
            staff = acting(rt, tx, name)
            tried = payout_retries.again(tx, number, by=staff, now=rt.now(), config=rt.config)
            return " ".join(f"P{new}" for new in tried.payouts) or "M-PESA is asked about it"

        try:
            click.echo(f"P{number}: {rt.attempt(again)}")
        except Refusal as refusal:
            words = say(refusal.reason, "en", **refusal.facts)
            if not all_failed:
                raise click.ClickException(words) from None
            click.echo(f"P{number}: {words}")


@payments.command("incidents")
@as_json
def incidents(as_json: bool) -> None:
    """List payments too many: what M-PESA paid although it had been given back, or paid before."""
    rt = opened()
    found = done(rt, lambda tx: [_incident(one) for one in payout_incidents.waiting(tx)])
    show(found, as_json, lambda one: "  ".join(str(fact) for fact in one.values()))


@payments.command("propose-incident")
@click.argument("incident_id", metavar="INCIDENT", type=int)
@click.argument("end", type=click.Choice(payout_incidents.ENDS))
@note
@by
def propose_incident(incident_id: int, end: str, note: str, name: str) -> None:
    """Propose that M-PESA did pay it (correct) or did not (dismiss)."""
    rt = opened()
    _proposing(
        lambda tx: payout_incidents.propose(
            tx, incident_id, end, note=note, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config,
        )
    )  # fmt: skip


@payments.command("approve-incident")
@click.argument("incident_id", metavar="INCIDENT", type=int)
@click.argument("seen_hash")
@by
def approve_incident(incident_id: int, seen_hash: str, name: str) -> None:
    """Give the second yes to the proposed end of INCIDENT."""
    rt = opened()
    done(
        rt,
        lambda tx: payout_incidents.approve(
            tx, incident_id, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo("posted")


@payments.command("stuck")
@as_json
def stuck(as_json: bool) -> None:
    """List callbacks that failed five times; their bodies stay sealed."""
    found = done(opened(), lambda tx: [_callback(one) for one in inbox.stuck(tx)])
    show(found, as_json, lambda one: "  ".join(str(fact) for fact in one.values()))


@payments.command("retry-stuck")
@click.argument("callback_ids", metavar="CALLBACK...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every one that is stuck.")
@by
def retry_stuck(callback_ids: tuple[int, ...], everything: bool, name: str) -> None:
    """Run stuck callbacks again, once their fault is mended."""
    rt = opened()

    def work(tx: Session) -> list[int]:
        rights.require(acting(rt, tx, name), Right.CALLBACKS_RETRY)
        ids = [one.id for one in inbox.stuck(tx)] if everything else callback_ids
        return [one for one in ids if inbox.again(tx, one, now=rt.now())]

    again = done(rt, work)
    click.echo("running again: " + (" ".join(map(str, again)) or "none, for none of them is stuck"))


def _proposing(work: Callable[[Session], Proposal]) -> None:
    proposal = done(opened(), work)
    for name, fact in _proposal(proposal).items():
        click.echo(f"{name:10} {fact}")


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "act": proposal.act,
        **{name: _shown(name, fact) for name, fact in proposal.content.items()},
        "note": proposal.note,
        "until": when(proposal.expires_at),
        "hash": proposal.content_hash,
    }


def _shown(name: str, fact: Any) -> Any:
    if name == "sent_at" and fact:
        return when(datetime.fromisoformat(fact))
    return f"KES {money.show(fact)}" if name in ("amount", "tax", "frozen", "owed") else fact


def _incident(one: payout_incidents.PayoutIncident) -> dict[str, Any]:
    return {
        "id": one.id,
        "about": one.about,
        "kind": IncidentKind(one.kind).name.lower(),
        "receipt": one.receipt,
        "amount": money.show(one.amount),
        "set_aside": money.show(one.frozen),
        "owed": money.show(one.owed),
        "since": when(one.created_at),
    }


def _callback(one: inbox.Callback) -> dict[str, Any]:
    return {
        "id": one.id,
        "door": one.door,
        "error": one.error,
        "received": when(one.received_at),
    }


def _line(one: Mapping[str, Any]) -> str:
    since = when(one["sending_at"]) if one["sending_at"] else "not sent"
    state = f"{one['state']} {one['held_for'] or ''}".strip()
    return (
        f"{one['ref']:10} {state:18} {money.show(one['amount']):>14} {one['code'] or '':10} {since}"
    )
