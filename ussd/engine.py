"""The switchboard: one reply to every hop, the same for the same text, whatever comes twice."""

from dataclasses import replace

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.effects import Recalled
from core.errors import Refusal
from core.runtime import Runtime
from core.say import say
from ussd import rebuild, redial, transcripts
from ussd.calls import Call, Hop, Reply, digest
from ussd.desk import Desk
from ussd.moves import Again, Back, Go, Home, Leaf
from ussd.sessions import Sessions
from ussd.shelves import Held
from ussd.visit import STEPS, Effect, Link, Screen, link

log = structlog.get_logger(__name__)

FIRST_LANGUAGE = "en"  # of whoever has not said which


class Switchboard:
    """Every call of the house; `entry` is the screen it begins with."""

    def __init__(self, rt: Runtime, entry: Screen) -> None:
        self.rt, self.entry = rt, entry
        self.sessions = Sessions(rt)

    def answer(self, hop: Hop) -> Reply:
        """What to show for a hop. Of two copies one works, and the other waits for its reply."""
        held = self.sessions.take(hop)
        if held is None:
            log.warning("hop waited in vain", session=hop.session)
            return Reply(False, say("ussd.busy", FIRST_LANGUAGE))
        try:
            return self._attend(held, hop)
        except BaseException:
            self.sessions.let_go(held)
            raise

    def _attend(self, held: Held, hop: Hop) -> Reply:
        call = held.call
        if call is None:
            return self._begin(held, hop)
        if (call.phone, call.code) != (hop.phone, hop.code):
            return self._hang_up(held, call, hop)
        if digest(self.rt.config.key_key, hop.session, hop.text) == call.digest:
            return self._repeat(held, Reply(call.more, call.reply))
        if call.left:
            return self._repeat(held, Reply(False, say("ussd.left", call.lang)))
        typed = call.typed(hop, self.rt.config.key_key)
        if typed is not None and call.more:
            return self._go_on(held, call, hop, typed)
        if earlier := self._earlier(held, hop):
            return self._repeat(held, earlier)
        log.warning("hop does not extend its call", session=hop.session, hop=call.hop)
        return self._begin(held, hop)

    def _begin(self, held: Held, hop: Hop) -> Reply:
        """A call that is new to us: just dialled, dialled with its path, or lost in between."""
        now = self.rt.now().timestamp()
        hops = hop.text.count("*") + bool(hop.text)  # before this one, as far as anybody can tell
        blank = Call(hop.session, hop.phone, hop.code, started=now, hop=hops)
        start = link(self.entry) if hop.text else self._dropped(held, hop, now) or link(self.entry)

        def work(tx: Session) -> Desk:
            desk = Desk(self.rt, self.entry, hop, blank)
            if hop.text:
                desk.remark = "rebuilt"
                rebuild.walk(desk, tx)
            else:
                desk.run(tx, start, root=True)
            return desk

        try:
            desk = self.rt.attempt(work)
        except Refusal as refusal:  # this caller has no way in at all
            return self._repeat(held, Reply(False, say(refusal.reason, "en", **refusal.facts)))
        desk.call.veiled = desk.refusing
        return self._put(held, desk, transcripts.masked(hop.text))

    def _go_on(self, held: Held, call: Call, hop: Hop, typed: str) -> Reply:
        """The ordinary hop."""
        desk = Desk(self.rt, self.entry, hop, call)
        wanted = desk.meant(typed)
        came: Leaf | Again | None
        if isinstance(wanted.move, Leaf | Again):
            came = wanted.move
        else:
            desk, came = self._moved(hop, call, wanted.move)
        if came is not None:
            desk.turn(came)
        if not desk.refusing:
            return self._put(held, desk, wanted.masked)
        # A page that refuses may be come back to; a note above a question is there only once.
        desk.call.veiled = wanted.doubtful or not isinstance(came, Again)
        return self._put(held, desk, transcripts.masked(wanted.masked))

    def _moved(self, hop: Hop, call: Call, move: Go | Back | Home) -> tuple[Desk, Again | None]:
        """Move in the hop's one transaction; what was wrong, if it led nowhere."""
        if isinstance(move, Go):
            move = replace(move, place=redial.picked_up(self.sessions, hop, move.place))

        def work(tx: Session) -> tuple[Desk, Again | None]:
            desk = Desk(self.rt, self.entry, hop, call)
            return desk, desk.move(tx, move)

        try:
            return self.rt.attempt(work)
        except Refusal as refusal:
            # An effect said no before it wrote a thing, and the transaction is undone with it.
            assert isinstance(move, Go)
            return self._refused(hop, call, move, refusal)

    def _refused(
        self, hop: Hop, call: Call, move: Go, refusal: Refusal
    ) -> tuple[Desk, Again | None]:
        effect = STEPS[move.place[0]]
        assert isinstance(effect, Effect), "only an effect can refuse what it was asked"
        desk = Desk(self.rt, self.entry, hop, call)
        verdict = Recalled(effect.verb, "refused", refusal.reason, refusal.facts)
        if not self.rt.attempt(lambda tx: desk.arrive(tx, verdict)):
            return desk, Again(refusal.reason, refusal.facts)
        return desk, None

    def _dropped(self, held: Held, hop: Hop, now: float) -> Link | None:
        if held.previous is None:
            return None
        since = now - self.rt.config.ussd_resume.total_seconds()
        return redial.dropped(self.sessions, hop, held.previous, since=since)

    def _hang_up(self, held: Held, call: Call, hop: Hop) -> Reply:
        """A session that changes its phone or its code is not the one we began: end it."""
        log.warning("session changed hands", session=hop.session)
        ended = replace(call, left=True, more=False, reply=say("ussd.changed", call.lang))
        note = "phone changed" if call.phone != hop.phone else "code changed"
        return self.sessions.put(held, ended, transcripts.entry(ended, hop, typed="", note=note))

    def _earlier(self, held: Held, hop: Hop) -> Reply | None:
        """The reply to a late copy of a hop that was answered long ago."""
        return self.sessions.earlier(held, digest(self.rt.config.key_key, hop.session, hop.text))

    def _repeat(self, held: Held, reply: Reply) -> Reply:
        self.sessions.let_go(held)
        return reply

    def _put(self, held: Held, desk: Desk, typed: str) -> Reply:
        entry = desk.finish(typed)
        try:
            return self.sessions.put(held, desk.call, entry)
        except SQLAlchemyError as error:
            # What the hop did is committed and must be told; the call is lost, and found again.
            log.error("call not kept", exc_info=error, session=desk.call.id)
            return Reply(desk.call.more, desk.call.reply)
