"""Drafts: markets before anybody may bet on them, how they are checked, numbered and opened."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from core import categories, ledger, market_history, market_words, rights
from core.categories import Category
from core.config import Config
from core.errors import Refusal
from core.markets import Market, Outcome, Status, live
from core.money import Cents
from core.rights import Right
from core.staff import Staff

FIRST_CODE = 101  # three digits are read and typed without a slip
REST_DAYS = 30  # of a code, once its market is paid: people still ask how that one ended
LOCKS = (4, 0)  # the advisory lock of those who give out codes
SHILLING = 100


@dataclass(frozen=True)
class Draft:
    """What a market is to be, as somebody typed it. Stakes in cents; None for the house's own."""

    question: str
    outcomes: Sequence[str]
    category: str
    opens_at: datetime
    closes_at: datetime
    min_stake: int | None = None
    max_stake: int | None = None


def create(
    tx: Session,
    *,
    question: str,
    outcomes: Sequence[str],
    category: str,
    opens_at: datetime,
    closes_at: datetime,
    by: Staff,
    now: datetime,
    config: Config,
    min_stake: int | None = None,
    max_stake: int | None = None,
) -> Market:
    """A new draft with a code of its own. Raises Refusal for what could not be shown or bet on."""
    draft = Draft(question, outcomes, category, opens_at, closes_at, min_stake, max_stake)
    return write(tx, [(None, draft)], by=by, now=now, config=config)[0]


def write(
    tx: Session,
    drafts: Sequence[tuple[uuid.UUID | None, Draft]],
    *,
    by: Staff,
    now: datetime,
    config: Config,
) -> list[Market]:
    """New drafts, all or none, each under the import key that it has. Raises the first Refusal."""
    rights.require(by, Right.MARKETS)
    known = categories.every(tx)
    for _, draft in drafts:
        for fault in faults(draft, known, now=now, config=config):
            raise fault
    return [
        _write(tx, _settled(draft, known, config), code, key, by=by, now=now, config=config)
        for (key, draft), code in zip(drafts, _codes(tx, len(drafts), now=now), strict=True)
    ]


def faults(
    draft: Draft, known: Sequence[Category], *, now: datetime, config: Config
) -> Iterator[Refusal]:
    """Everything against a draft, `known` being the categories there are."""
    yield from market_words.faults(draft.question, draft.outcomes)
    if categories.named(known, draft.category) is None:
        names = ", ".join(category.name for category in known)
        yield Refusal("staff.no_such_category", name=draft.category.strip(), categories=names)
    if draft.closes_at <= max(draft.opens_at, now):
        yield Refusal("staff.closes_too_soon")
    least, most = _stakes(draft, config)
    whole = least % SHILLING == most % SHILLING == 0
    if not (whole and SHILLING <= least <= most <= config.stake_max):
        yield Refusal("staff.stakes", most=config.stake_max)


def edit(
    tx: Session, code: int, *, by: Staff, now: datetime, config: Config, **changes: Any
) -> Market:
    """Change a draft: any of the fields of Draft, with a value that is not None."""
    rights.require(by, Right.MARKETS)
    market = _draft(tx, code)
    was = _as_draft(tx, market)
    wanted = replace(was, **{name: value for name, value in changes.items() if value is not None})
    known = categories.every(tx)
    for fault in faults(wanted, known, now=now, config=config):
        raise fault
    draft = _settled(wanted, known, config)
    if draft == was:
        raise Refusal("staff.nothing_changed", code=code)
    for name in ("question", "category", "opens_at", "closes_at", "min_stake", "max_stake"):
        setattr(market, name, getattr(draft, name))
    if draft.outcomes != was.outcomes:
        tx.execute(delete(Outcome).where(Outcome.market_id == market.id))
        _write_outcomes(tx, market, draft.outcomes)
    before, after = _differences(was, draft)
    market_history.keep(tx, market.id, "edit", by=by.id, before=before, after=after)
    return market


def open_up(tx: Session, code: int, *, by: Staff, now: datetime) -> Market:
    """Let a draft be bet on, from its opening time on."""
    rights.require(by, Right.MARKETS)
    market = _draft(tx, code)
    if market.closes_at <= now:
        raise Refusal("staff.closes_too_soon")
    market.status = Status.OPEN
    market_history.keep(
        tx, market.id, "open", by=by.id, before={"status": "draft"}, after={"status": "open"}
    )
    return market


def _draft(tx: Session, code: int) -> Market:
    market = live(tx, code)
    if market.status != Status.DRAFT:
        raise Refusal("staff.market_not_draft", code=code)
    return market


def _settled(draft: Draft, known: Sequence[Category], config: Config) -> Draft:
    """The draft as it is kept: words tidied, the category's own name, every stake given."""
    category = categories.named(known, draft.category)
    assert category is not None, "a draft with a fault was not refused"
    least, most = _stakes(draft, config)
    return Draft(
        question=market_words.tidy(draft.question),
        outcomes=[market_words.tidy(name) for name in draft.outcomes],
        category=category.name,
        opens_at=draft.opens_at,
        closes_at=draft.closes_at,
        min_stake=least,
        max_stake=most,
    )


def _stakes(draft: Draft, config: Config) -> tuple[Cents, Cents]:
    """The least and the most that may be staked; the house's own where the draft names none."""
    least = config.stake_min if draft.min_stake is None else draft.min_stake
    most = config.stake_max if draft.max_stake is None else draft.max_stake
    return Cents(least), Cents(most)


def _write(
    tx: Session,
    draft: Draft,
    code: int,
    key: uuid.UUID | None,
    *,
    by: Staff,
    now: datetime,
    config: Config,
) -> Market:
    market = Market(
        code=code,
        question=draft.question,
        category=draft.category,
        status=Status.DRAFT,
        opens_at=draft.opens_at,
        closes_at=draft.closes_at,
        fee_bp=config.platform_fee_bp,  # of today: what it is later changes no market made before
        min_stake=draft.min_stake,
        max_stake=draft.max_stake,
        created_by=by.id,
        created_at=now,
        import_key=key,
    )
    market.id = tx.scalars(select(func.nextval("market_id_seq"))).one()
    market.pool_account = ledger.account(tx, ledger.AccountKind.POOL, market_id=market.id)
    tx.add(market)
    tx.flush()
    _write_outcomes(tx, market, draft.outcomes)
    _, made = _differences(None, draft)
    market_history.keep(tx, market.id, "draft", by=by.id, before={}, after={**made, "code": code})
    return market


def _write_outcomes(tx: Session, market: Market, names: Sequence[str]) -> None:
    numbered = enumerate(names, start=1)
    tx.add_all(Outcome(market_id=market.id, number=n, name=name) for n, name in numbered)
    tx.flush()


def _as_draft(tx: Session, market: Market) -> Draft:
    names = select(Outcome.name).where(Outcome.market_id == market.id).order_by(Outcome.number)
    return Draft(
        question=market.question,
        outcomes=list(tx.scalars(names)),
        category=market.category,
        opens_at=market.opens_at,
        closes_at=market.closes_at,
        min_stake=market.min_stake,
        max_stake=market.max_stake,
    )


def _differences(was: Draft | None, draft: Draft) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an edit changed: before, and after."""
    old, new = vars(was) if was else {}, vars(draft)
    changed = [name for name in new if name not in old or old[name] != new[name]]
    return {n: old[n] for n in changed if n in old}, {n: new[n] for n in changed}


def _codes(tx: Session, count: int, *, now: datetime) -> Sequence[int]:
    """The lowest codes that are nobody's, whoever else is asking; held until `tx` ends.

    A code is somebody's while its market lives, and rests after it. Short ones come back in this
    way, so three digits last for nine hundred markets a month.
    """
    tx.execute(select(func.pg_advisory_xact_lock(*LOCKS)))
    free = {"first": FIRST_CODE, "count": count, "now": now, "days": REST_DAYS}
    return tx.scalars(CODES, free).all()


# Of the first `taken + count` numbers at least `count` are free.
CODES = text("""
    WITH taken AS (
      SELECT DISTINCT m.code FROM market m
       WHERE m.status NOT IN (8, 10)
          OR coalesce((SELECT max(s.settled_at) FROM settlement s WHERE s.market_id = m.id),
                      m.closes_at) > :now - make_interval(days => :days)
    )
    SELECT code::bigint
      FROM generate_series(:first, :first + :count + (SELECT count(*) FROM taken)) AS free (code)
     WHERE NOT EXISTS (SELECT FROM taken WHERE taken.code = free.code)
     ORDER BY code LIMIT :count
""")
