"""The words in which staff read how a market ends, and what that would do to its book."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from admin.commands.common import when
from core import decisions, money, previews, proposed, withdrawn_outcomes
from core.errors import Refusal
from core.markets import Market
from core.previews import Preview
from core.proposed import Picks, Verdict


def ended(won: Picks) -> str:
    """How a market ends: who won, or that nobody did."""
    return f"Won: {listed(won)}" if won else "Void: every stake goes back"


def listed(picks: Picks) -> str:
    """Picks by number and name."""
    return ", ".join(f"{number} {name}" for number, name in picks)


def facts(seen: Preview, verdict: Verdict) -> dict[str, Any]:
    """A preview with the verdict that it is of."""
    return {
        "hash": seen.hash,
        **vars(verdict),
        "effective_close": seen.content["effective_close"],
        "bets": seen.bets,
        "pool": seen.pool,
        "late": seen.late,
        "fee": seen.fee,
        "gross": seen.gross,
        "refunding": seen.refunding,
        "largest": seen.largest,
        "float_before": seen.float_before,
        "float_after": seen.float_after,
        "withholding": seen.withholding,
    }


def waiting(tx: Session, code: int, now: datetime) -> dict[str, Any]:
    """What waits for its second yes, and what it would do as things are now."""
    market_id, _ = decisions.proposed(tx, code)
    found = proposed.about(tx, market_id)
    if found is None:  # decided a moment ago
        raise Refusal("staff.nothing_proposed", code=code)
    seen = counted(tx, tx.get_one(Market, market_id), found.content)
    return {
        "proposal": found.number,
        "code": code,
        "act": found.act,
        "by": found.by,
        "at": found.at,
        "source": found.source,
        "expires_at": found.expires_at,
        "lapsed": found.expires_at <= now,
        "changed": seen["hash"] != found.hash,
        **seen,
        "hash": found.hash,
    }


def counted(tx: Session, market: Market, content: Mapping[str, Any]) -> dict[str, Any]:
    """What was proposed, decided or not, does to the book; another hash is another book."""
    if "outcome" not in content:  # all but a withdrawal
        return facts(previews.again(tx, market, content), proposed.verdict(tx, content))
    gone = withdrawn_outcomes.counted(tx, market, content)
    return {"hash": gone.hash, "outcome": gone.name, "bets": gone.bets, "staked": gone.staked}


def previewed(one: Mapping[str, Any]) -> str:
    """These facts as people read them."""
    late = f", {money.show(one['late'])} came too late and goes back" if one["late"] else ""
    return "\n".join(
        [
            ended(one["won"]),
            *_corrected(one),
            *_cut_off(one),
            f"{one['bets']} bets, pool {money.show(one['pool'])}, fee"
            f" {money.show(one['fee'])}, to be paid {money.show(one['gross'])}"
            f"{' (all stakes go back)' if one['refunding'] else ''}{late}.",
            f"M-PESA float {money.show(one['float_before'])}, after all of it is sent"
            f" {money.show(one['float_after'])}; withholding {money.show(one['withholding'])}.",
            f"hash {one['hash']}",
        ]
    )


def _corrected(one: Mapping[str, Any]) -> list[str]:
    if one["was"] is None:
        return []
    return [
        f"Instead of: {ended(one['was'])}",
        f"To be taken back first: {money.show(one['to_reverse'])}, of it"
        f" {money.show(one['from_customers'])} from customers.",
    ]


def _cut_off(one: Mapping[str, Any]) -> list[str]:
    cut_off = one["effective_close"]
    return [f"Bets after {when(datetime.fromisoformat(cut_off))} go back."] if cut_off else []
