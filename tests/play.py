"""What one person may do, in plain Python: the limits they set, breaks, bets without a PIN."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RISE_WAITS, RISE_LAPSES = 24, 24 * 7  # hours
DEPOSIT, STAKE, LOSS = 1, 2, 3
DAY, WEEK, MONTH = 1, 2, 3


@dataclass
class Limit:
    """So many cents in a period, and what it is to become: None for no limit at all."""

    amount: int
    rise: int | None = None
    due: int | None = None  # when a rise may be confirmed; None where none waits


@dataclass
class Play:
    """One customer's. Moments are hours since the house was opened."""

    opened: datetime  # by Nairobi's clock
    cash_out: bool = False
    excluded_until: int = 0
    limits: dict[tuple[int, int], Limit] = field(default_factory=dict)
    no_pin: Counter[object] = field(default_factory=Counter)
    used: dict[int, list[tuple[int, int]]] = field(
        default_factory=lambda: {DEPOSIT: [], STAKE: [], LOSS: []}
    )

    def excluded(self, now: int) -> bool:
        """Whether there is a break."""
        return now < self.excluded_until

    def exclude(self, until: int) -> None:
        """A longer break stays."""
        self.excluded_until = max(self.excluded_until, until)

    def why_not_bet(self, now: int, stake: int, no_pin_limit: int | None) -> set[str]:
        """The reasons that lie with the person."""
        without = self.no_pin[self._period(DAY, now)] + stake
        reasons = {
            "betting.excluded": self.excluded(now),
            "betting.pin_needed": no_pin_limit is not None and without > no_pin_limit,
            "betting.limit_stake": self._breaks(STAKE, now, stake),
            "betting.limit_loss": self._breaks(LOSS, now, stake),
        }
        return {reason for reason, applies in reasons.items() if applies}

    def why_not_deposit(self, now: int, amount: int) -> set[str]:
        """The reasons against asking for one."""
        reasons = {
            "customers.excluded": self.excluded(now),
            "money.limit_deposit": self._breaks(DEPOSIT, now, amount),
        }
        return {reason for reason, applies in reasons.items() if applies}

    def staked(self, now: int, stake: int, *, with_pin: bool) -> None:
        """A bet stands."""
        self.used[STAKE].append((now, stake))
        self.used[LOSS].append((now, stake))
        if not with_pin:
            self.no_pin[self._period(DAY, now)] += stake

    def returned(self, now: int, cents: int) -> None:
        """A bet brought something; below zero where it is taken back."""
        self.used[LOSS].append((now, -cents))

    def deposited(self, now: int, cents: int) -> None:
        """A deposit has come."""
        self.used[DEPOSIT].append((now, cents))

    def limit(self, kind: int, period: int, amount: int | None, now: int) -> str:
        """A wish for a limit, or for none: a cut is at once, and a rise waits."""
        kept = self.limits.get((kind, period))
        if kept is None:
            if amount is None:
                return "none"
            self.limits[kind, period] = Limit(amount)
        elif amount is not None and amount <= kept.amount:
            self.limits[kind, period] = Limit(amount)
        else:
            kept.rise, kept.due = amount, now + RISE_WAITS
            return "waiting"
        return "set"

    def confirm(self, kind: int, period: int, now: int) -> str:
        """The second yes."""
        kept = self.limits.get((kind, period))
        if kept is None or kept.due is None:
            return "none"
        if now < kept.due:
            return "early"
        late = now >= kept.due + RISE_LAPSES  # a moment has passed since
        rise, kept.due = kept.rise, None
        if late:
            return "none"
        if rise is None:
            del self.limits[kind, period]
            return "lifted"
        self.limits[kind, period] = Limit(rise)
        return "set"

    def _breaks(self, kind: int, now: int, more: int) -> bool:
        return any(
            self._sum(kind, period, now) + more > limit.amount
            for (limited, period), limit in self.limits.items()
            if limited == kind
        )

    def _sum(self, kind: int, period: int, now: int) -> int:
        here = self._period(period, now)
        return sum(cents for at, cents in self.used[kind] if self._period(period, at) == here)

    def _period(self, period: int, at: int) -> object:
        """The day, the week from Monday, or the month, by Nairobi's calendar."""
        moment = self.opened + timedelta(hours=at)
        if period == DAY:
            return moment.date()
        return moment.isocalendar()[:2] if period == WEEK else (moment.year, moment.month)
