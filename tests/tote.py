"""The arithmetic of a pool in plain Python, from the design and not from the house's code."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slip:
    """A bet as the pool sees it; `out` are those given back before the pool is counted."""

    id: int
    outcome: int
    stake: int
    out: bool = False


@dataclass
class Division:
    """What each bet gets, in cents by its id, and what the house keeps."""

    won: dict[int, int] = field(default_factory=dict)
    back: dict[int, int] = field(default_factory=dict)
    fee: int = 0

    @property
    def given(self) -> dict[int, int]:
        """Both together."""
        return self.won | self.back


def divide(slips: Iterable[Slip], winners: Collection[int], fee_bp: int) -> Division:
    """Share a pool out; no winners means that the market is void."""
    slips = sorted(slips, key=lambda slip: slip.id)
    playing = [slip for slip in slips if not slip.out]
    backed = sorted({slip.outcome for slip in playing} & set(winners))
    if not backed:
        return Division(back={slip.id: slip.stake for slip in slips})
    pool = sum(slip.stake for slip in playing)
    staked = {side: sum(slip.stake for slip in playing if slip.outcome == side) for side in backed}
    on_winners = sum(staked.values())
    net = max(pool - pool * fee_bp // 10_000, on_winners)  # the fee gives way
    done = Division(back={slip.id: slip.stake for slip in slips if slip.out}, fee=pool - net)
    each, odd = divmod(net - on_winners, len(backed))
    for place, side in enumerate(backed):
        purse = staked[side] + each + (place < odd)
        upto = 0
        for slip in playing:
            if slip.outcome == side:
                before = upto * purse // staked[side]
                upto += slip.stake
                done.won[slip.id] = upto * purse // staked[side] - before
    return done
