"""A sandbox's database becomes one of production: once, empty of money, and by two people."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import mpesa_settings, proposals, rights, stamp
from core.config import Config
from core.errors import Refusal
from core.ledger import AccountKind
from core.money import Cents
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.staff import Staff

log = structlog.get_logger(__name__)

ACT = SUBJECT = "environment"  # one proposal about it may wait at a time
# What customers have, may get or owe, and what the sandbox pretends that M-PESA holds for them.
EMPTY = (
    AccountKind.WALLET,
    AccountKind.POOL,
    AccountKind.PAYOUTS_PENDING,
    AccountKind.SUSPENSE,
    AccountKind.REFUND_DUE,
    AccountKind.DISPUTED,
    AccountKind.RECEIVABLE,
    AccountKind.MPESA_UTILITY,
    AccountKind.MPESA_WORKING,
)
# Account by account: what lies under one shortcode is not made up for by what another lacks.
HELD = text(
    "SELECT kind, sum(abs(ledger_sum(id))) AS held FROM account WHERE kind = ANY(:kinds)"
    " GROUP BY kind HAVING sum(abs(ledger_sum(id))) > 0 ORDER BY kind"
)
# Money on its way to us or back, of which the ledger knows nothing yet.
UNDER_WAY = text(
    "SELECT (SELECT count(*) FROM deposit WHERE state IN (1, 2, 3, 4, 7, 8))"
    " + (SELECT count(*) FROM payout WHERE state < 8)"
    " + (SELECT count(*) FROM refund WHERE state < 6)"
    " + (SELECT count(*) FROM receipt_claim WHERE state = 1)"
)
# Nobody moves money between the look and the stamp.
STILL = (
    text("SET LOCAL lock_timeout = '5s'"),
    text("LOCK TABLE transfer, deposit, payout, house_stamp IN SHARE ROW EXCLUSIVE MODE"),
)
OWNER = text(
    "SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'house_stamp'::regclass"
)


def money(tx: Session) -> dict[str, Cents]:
    """What lies where nothing may lie, by the name of the account's kind."""
    rows = tx.execute(HELD, {"kinds": [int(kind) for kind in EMPTY]})
    return {AccountKind(row.kind).name.lower(): Cents(int(row.held)) for row in rows}


def propose(
    tx: Session,
    *,
    failing: Sequence[str],
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put the change before a second admin; `failing` are the readiness checks that are not green.

    Raises Refusal unless this is a sandbox that is ready and empty.
    """
    rights.require(by, Right.ENVIRONMENT_PROPOSE)
    if not note.strip():
        raise Refusal("staff.reason_missing")
    _check(tx, failing)
    return proposals.propose(
        tx,
        act=ACT,
        subject=SUBJECT,
        content=_content(tx, config),
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session,
    *,
    seen_hash: str,
    failing: Sequence[str],
    by: Staff,
    now: datetime,
    config: Config,
) -> None:
    """The second yes, and the new stamp with it. `tx` is the database owner's.

    Raises Refusal as a proposal does, and unless it is still a sandbox, ready and empty.
    """
    rights.require(by, Right.ENVIRONMENT_APPROVE)
    if not tx.scalar(OWNER):
        raise Refusal("staff.promote_owner")
    for statement in STILL:
        tx.execute(statement)
    proposal = _pending(tx)
    fresh = _content(tx, config)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    _check(tx, failing)
    tx.flush()
    if not stamp.promote(tx):
        raise Refusal("staff.promote_not_sandbox", environment=stamp.environment(tx))
    log.warning("environment promoted", proposal_id=proposal.id, environment="production")


def refuse(tx: Session, *, by: Staff, now: datetime) -> None:
    """A no, or the proposer taking it back."""
    rights.require(by, Right.ENVIRONMENT_APPROVE)
    proposals.refuse(_pending(tx), by=by.id, now=now)


def waiting(tx: Session, *, now: datetime) -> Proposal | None:
    """The promotion that waits for its second yes."""
    found = select(Proposal).where(
        Proposal.subject == SUBJECT,
        Proposal.state == ProposalState.PENDING,
        Proposal.expires_at > now,
    )
    return tx.scalar(found)


def _check(tx: Session, failing: Sequence[str]) -> None:
    stamped = stamp.environment(tx)
    if stamped != "sandbox":
        raise Refusal("staff.promote_not_sandbox", environment=stamped)
    if held := money(tx):
        where = ", ".join(name.replace("_", " ") for name in held)
        raise Refusal("staff.promote_money", where=where)
    if count := int(tx.scalar(UNDER_WAY) or 0):
        raise Refusal("staff.promote_under_way", count=count)
    if failing:
        raise Refusal("staff.promote_not_ready", checks=", ".join(failing))


def _content(tx: Session, config: Config) -> dict[str, Any]:
    """What both people see, as it is now."""
    return {
        "from": stamp.environment(tx),
        "to": "production",
        "shortcode": config.mpesa_shortcode,
        "b2c_shortcode": config.mpesa_b2c_shortcode,
        "mpesa_settings": mpesa_settings.version(tx, config.app_env),
    }


def _pending(tx: Session) -> Proposal:
    found = proposals.pending(tx, SUBJECT)
    if found is None:
        raise Refusal("staff.promote_none_proposed")
    return found
