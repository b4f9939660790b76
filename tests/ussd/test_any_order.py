"""Whatever comes, in whatever order: no decision is acted on twice, and a text has one reply."""

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, text

from core.effects import Effect
from core.runtime import Runtime
from tests.counts import Counts
from tests.ussd import toys
from tests.ussd.handset import Handset
from ussd.calls import Reply
from ussd.engine import Switchboard

STEPS = 30  # of one network; three minutes are not enough for more
STRAY = ["x", "7*1", ""]
ANSWERS = [*"111234568", "0", "00", "98", toys.SECRET, *STRAY]


class Network(RuleBasedStateMachine):
    """One phone, and a network that loses, repeats, delays and forgets."""

    rt: Runtime

    @initialize()
    def begin(self) -> None:
        toys.clear()
        self.rt.redis.flushdb()
        with self.rt.transaction() as tx:
            tx.execute(text("DELETE FROM effect"))
        self.phone = Handset(Switchboard(self.rt, toys.home))
        self.dial()

    @rule()
    def dial(self) -> None:
        """A new session; the old one may still be answered late."""
        self.phone.dial()
        # What was replied to each text of this session, as long as it is not forgotten.
        self.replies = {"": Reply(self.phone.more, self.phone.screen)}

    @precondition(lambda self: self.phone.more)
    @rule(answer=st.sampled_from(ANSWERS))
    def press(self, answer: str) -> None:
        self.phone.press(answer)
        self.replies[self.phone.text] = Reply(self.phone.more, self.phone.screen)

    @precondition(lambda self: self.phone.more)
    @rule(answer=st.sampled_from(ANSWERS))
    def press_and_miss_the_reply(self, answer: str) -> None:
        """The reply is lost, and the gateway sends the hop once more."""
        self.phone.press(answer)
        first = Reply(self.phone.more, self.phone.screen)
        assert self.phone.send() == first
        self.replies[self.phone.text] = first

    @rule(data=st.data())
    def a_late_copy(self, data: st.DataObject) -> None:
        sent = data.draw(st.sampled_from(sorted(self.replies)))
        assert self.phone.send(sent) == self.replies[sent]

    @rule()
    def forget(self) -> None:
        """Redis is flushed. What is sent again afterwards is rebuilt, and may be shorter."""
        self.rt.redis.flushdb()
        self.replies = {}
        self.phone.repeat()
        self.replies[self.phone.text] = Reply(self.phone.more, self.phone.screen)

    @precondition(lambda self: self.phone.more)
    @rule(answer=st.sampled_from(ANSWERS))
    def die_before_the_reply_is_kept(self, answer: str) -> None:
        """What the hop did is committed; that it was answered is known to nobody."""
        with self.an_older_redis():
            self.phone.press(answer)
        acts = dict(toys.acts)
        self.phone.repeat()
        assert toys.acts.keys() == acts.keys(), "the repeat was taken for a new decision"
        self.replies[self.phone.text] = Reply(self.phone.more, self.phone.screen)

    @contextmanager
    def an_older_redis(self) -> Iterator[None]:
        key = f"ussd:call:{self.phone.session}"
        before = self.rt.redis.get(key)
        yield
        self.rt.redis.set(key, before) if before else self.rt.redis.delete(key)

    def teardown(self) -> None:
        """Every decision that was acted on has its row, and none was acted on twice."""
        if not hasattr(self, "phone"):
            return
        assert max(toys.acts.values(), default=0) <= 1, toys.acts
        with self.rt.transaction() as tx:
            kept = tx.scalar(select(func.count()).select_from(Effect))
        assert kept == len(toys.acts)


def test_no_decision_twice_and_one_reply_to_a_text(rt: Runtime, counts: Counts) -> None:
    class Here(Network):
        pass

    Here.rt = rt
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=max(1, counts.steps // STEPS),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
