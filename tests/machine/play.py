"""Limits and breaks of the machine: set, raised with a second yes, and obeyed."""

import uuid

from hypothesis import strategies as st

from core import exclusion, limits
from core.effects import Channel, Refused
from tests.machine.ground import WHO, Ground, act

KINDS = st.sampled_from(list(limits.Kind))
PERIODS = st.sampled_from(list(limits.Period))
AMOUNTS = st.integers(100_00, 300_00) | st.integers(10_00, 2_000_00)
SAID = {  # by the model's word
    "none": {"money.limit_none", "money.limit_no_rise"},
    "early": {"money.limit_early"},
}


class Play(Ground):
    """People look after themselves."""

    @act()
    def set_limit(self, draw):
        who, kind, period = draw(WHO), draw(KINDS), draw(PERIODS)
        amount = draw(AMOUNTS | AMOUNTS | st.none())
        said = self.house.people[who].limit(kind, period, amount, self.house.now)
        self.agrees(said, limits.set_limit, who, kind, period, amount=amount)

    @act(when=lambda self: self.rises())
    def confirm_limit(self, draw):
        who, kind, period = draw(st.sampled_from(self.rises()))
        said = self.house.people[who].confirm(kind, period, self.house.now)
        self.agrees(said, limits.confirm, who, kind, period)

    @act()
    def takes_a_break(self, draw):
        self.exclude(draw, draw(WHO))

    def exclude(self, draw, who):
        """For a day, mostly: nobody plays any more after a longer one."""
        length = draw(st.sampled_from(["24h", "24h", "24h", "7d"]))
        with self.rt.transaction() as tx:
            exclusion.cool_off(
                tx, key=uuid.uuid4(), customer_id=who, length=length, now=self.rt.now()
            )
        hours = 24 if length == "24h" else 24 * 7
        self.house.people[who].exclude(self.house.now + hours)

    def rises(self):
        return [
            (who, *which)
            for who, person in self.house.people.items()
            for which, limit in person.limits.items()
            if limit.due is not None
        ]

    def agrees(self, said, wish, who, kind, period, **more):
        slip = {"key": uuid.uuid4(), "customer_id": who, "kind": kind, "period": period, **more}
        with self.rt.transaction() as tx:
            came = wish(tx, **slip, channel=Channel.USSD, session="test", now=self.rt.now())
        if isinstance(came, Refused):
            assert came.reason in SAID[said]
        else:
            assert came.verdict == said
