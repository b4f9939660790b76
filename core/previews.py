"""What a result would do to a market's book, counted for the two people who decide."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, text
from sqlalchemy.orm import Session

from core import ledger, levies, proposals
from core.betting import Bet
from core.errors import Refusal
from core.ledger import AccountKind
from core.levies import Levy
from core.markets import BASIS, Market, Outcome
from core.money import Cents

RULES = "pari-mutuel/2"  # of the arithmetic; part of what the second person approves
LARGEST_SHOWN = 10
# A million bets are counted in a second or two, which is more than a statement usually may take.
PATIENCE = "SET LOCAL statement_timeout = '60s'"


@dataclass(frozen=True)
class Side:
    """What is on one outcome; of the `late` cents on it every one goes back."""

    staked: int
    bets: int
    late: int
    late_bets: int
    last_bet: int


@dataclass(frozen=True)
class Shares:
    """What each winning outcome shares among its bets, and what the house keeps, in cents."""

    nets: Mapping[int, int]
    fee: int
    refunding: bool


@dataclass(frozen=True)
class Preview:
    """What a result would do, for the people who decide. `hash` names exactly this book.

    `pool` is all that was staked, `late` the part of it that goes back because it came too late,
    `gross` what the rest pays out. What follows the ten largest moves by itself and is not in the
    hash: the float of M-PESA now, what it would be if all of the gross left at once, and the
    withholding on that at today's rate.
    """

    content: Mapping[str, Any]
    hash: str
    bets: int
    pool: Cents
    late: Cents
    fee: Cents
    gross: Cents
    refunding: bool
    largest: Sequence[tuple[int, Cents]]  # (bet id, what it gets), the ten largest
    float_before: Cents
    float_after: Cents
    withholding: Cents


def share_out(staked: Mapping[int, int], winners: Collection[int], fee_bp: int) -> Shares:
    """Divide what is staked on each outcome among the winners that have stakes.

    Without such a winner every stake goes back. The fee gives way before a winner's stake is cut;
    tied outcomes share what is left equally, odd cents in their order.
    """
    backed = [number for number in sorted(staked) if number in winners and staked[number]]
    pool, won = sum(staked.values()), sum(staked[number] for number in backed)
    if not backed:
        return Shares(dict(staked), fee=0, refunding=True)
    net = max(won, pool - pool * fee_bp // BASIS)
    each, odd = divmod(net - won, len(backed))
    nets = {number: staked[number] + each + (place < odd) for place, number in enumerate(backed)}
    return Shares(nets, fee=pool - net, refunding=False)


def preview(
    tx: Session,
    market: Market,
    *,
    winners: Sequence[int],
    source: str,
    effective_close: datetime | None = None,
    corrects: int | None = None,
) -> Preview:
    """Count the book and say what the result would pay; without winners it is void.

    The content, and so the hash, holds what must not change between the two yeses: the result, its
    source, the rules, the fee and every bet; not what moves by itself, like the float.
    """
    tx.execute(text(PATIENCE))
    _check(tx, market, winners)
    book = _book(tx, market, effective_close)
    on_time = {number: side.staked - side.late for number, side in book.items()}
    shares = share_out(on_time, winners, market.fee_bp)
    late = sum(side.late for side in book.values())
    content = _content(market, book) | {
        "winners": sorted(set(winners)),
        "source": source,
        "effective_close": effective_close and effective_close.isoformat(),
        "corrects": corrects,
    }
    return Preview(
        content=content,
        hash=proposals.content_hash(content),
        bets=content["bets"],
        pool=Cents(late + sum(on_time.values())),
        late=Cents(late),
        fee=Cents(shares.fee),
        gross=Cents(sum(shares.nets.values())),
        refunding=shares.refunding,
        largest=_largest(tx, market, shares, on_time, effective_close),
        **_outflow(tx, shares),
    )


def _outflow(tx: Session, shares: Shares) -> dict[str, Cents]:
    """What leaves M-PESA if all of it is sent at once, at today's rate of withholding."""
    now = tx.scalars(select(func.app_now())).one()
    rate = 0 if shares.refunding else levies.rate(tx, Levy.WITHHOLDING, at=now)
    gross = sum(shares.nets.values())
    held, tax = ledger.total(tx, AccountKind.MPESA_UTILITY), gross * rate // BASIS
    return {
        "float_before": held,
        "float_after": Cents(held - gross + tax),
        "withholding": Cents(tax),
    }


def again(tx: Session, market: Market, content: Mapping[str, Any]) -> Preview:
    """What was proposed, counted afresh."""
    cut_off = content.get("effective_close")
    return preview(
        tx,
        market,
        winners=content.get("winners", ()),
        source=content["source"],
        effective_close=cut_off and datetime.fromisoformat(cut_off),
        corrects=content.get("corrects"),
    )


def _content(market: Market, book: Mapping[int, Side]) -> dict[str, Any]:
    """What is the book, so that another one is known by its hash."""
    sides = book.values()
    return {
        "market": market.id,
        "rules": RULES,
        "fee_bp": market.fee_bp,
        "bets": sum(side.bets for side in sides),
        "staked": {str(number): side.staked for number, side in book.items()},
        "late": {
            "bets": sum(side.late_bets for side in sides),
            "staked": sum(side.late for side in sides),
        },
        "last_bet": max((side.last_bet for side in sides), default=0),
        "closed_at": market.closed_at and market.closed_at.isoformat(),
    }


def _check(tx: Session, market: Market, winners: Sequence[int]) -> None:
    playing = select(Outcome.number).where(
        Outcome.market_id == market.id, Outcome.withdrawn_at.is_(None)
    )
    if not set(winners) <= set(tx.scalars(playing)):
        raise Refusal("betting.no_such_outcome")


def _book(tx: Session, market: Market, effective_close: datetime | None) -> dict[int, Side]:
    """Each outcome that has bets, but for those that were withdrawn."""
    late = literal(False) if effective_close is None else Bet.placed_at > effective_close
    rows = tx.execute(
        select(
            Bet.outcome,
            func.sum(Bet.stake),
            func.count(),
            func.coalesce(func.sum(Bet.stake).filter(late), 0),
            func.count().filter(late),
            func.max(Bet.id),
        )
        .where(Bet.market_id == market.id, Bet.outcome.not_in(_withdrawn(market)))
        .group_by(Bet.outcome)
        .order_by(Bet.outcome)
    )
    return {
        outcome: Side(int(staked), bets, int(late), late_bets, last)
        for outcome, staked, bets, late, late_bets, last in rows
    }


def _withdrawn(market: Market) -> Any:
    return select(Outcome.number).where(
        Outcome.market_id == market.id, Outcome.withdrawn_at.is_not(None)
    )


def _largest(
    tx: Session,
    market: Market,
    shares: Shares,
    staked: Mapping[int, int],
    effective_close: datetime | None,
) -> list[tuple[int, Cents]]:
    """The ten bets that get the most, to the cent or one less: rounding is by bet order."""
    found: list[tuple[int, Cents]] = []
    for number, net in shares.nets.items():
        stakes = select(Bet.id, Bet.stake).where(Bet.market_id == market.id, Bet.outcome == number)
        if effective_close is not None:
            stakes = stakes.where(Bet.placed_at <= effective_close)
        top = tx.execute(stakes.order_by(Bet.stake.desc(), Bet.id).limit(LARGEST_SHOWN))
        found += [(bet, Cents(stake * net // staked[number])) for bet, stake in top]
    return sorted(found, key=lambda one: (-one[1], one[0]))[:LARGEST_SHOWN]
