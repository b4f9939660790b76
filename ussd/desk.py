"""One hop at work: it moves a call from screen to screen and shows where it came to rest."""

import copy
import uuid
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.orm import Session

from core import customers, effects
from core.customers import Customer
from core.effects import Channel, Recalled, Refused
from core.errors import Refusal
from core.runtime import Runtime
from core.say import say
from ussd import transcripts
from ussd.calls import Call, Hop, Place, Shown, continued, decision, digest, placed, target
from ussd.moves import Again, Back, Go, Home, Leaf, Meant, meant
from ussd.pages import paged, question
from ussd.transcripts import TYPED_LONGEST
from ussd.visit import (
    EFFECTS,
    STEPS,
    Answer,
    Ask,
    Choice,
    Effect,
    End,
    Link,
    Menu,
    Page,
    Reader,
    Screen,
    Visit,
    link,
    name_of,
    revived,
)

FOLLOWED = 5  # links in a row; more would be screens that send callers round in a circle


class Desk:
    """A hop and the copy of the call it works on; what fails leaves the call as it was."""

    def __init__(self, rt: Runtime, entry: Screen, hop: Hop, call: Call) -> None:
        self.rt, self.entry, self.hop = rt, entry, hop
        self.now = rt.now()
        self.call = copy.copy(call)
        self.call.stack = list(call.stack)
        self.remark = ""  # what staff should know of this hop
        self.refusing = False  # whether the page on display says no to what was typed
        self.call.veiled = False

    def meant(self, typed: str) -> Meant:
        """What the caller wants."""
        return meant(self.call, typed, key=self._key(None), read=self._read)

    def turn(self, move: Leaf | Again) -> None:
        """The same screen: another page of it, or what was wrong with the answer above it."""
        shown = copy.copy(self.call.shown)
        if isinstance(move, Leaf):
            shown.page = move.page
        else:
            shown.note, shown.page = self._say(move.reason, **move.facts), 0
            self.refusing = True
        self.call.shown = shown
        # Every hop is a decision of its own, also when it offers the same again.
        shown.targets = {
            digit: [name, args, key and str(self._key(digit))]
            for digit, (name, args, key) in shown.targets.items()
        }

    def move(self, tx: Session, move: Go | Back | Home) -> Again | None:
        """To another screen, or to the same again if the rules do not let the caller through.

        A screen that refuses has written nothing, since screens never do; what an effect refuses
        undoes the transaction, and is the switchboard's to tell.
        """
        stack, guard = list(self.call.stack), self.call.guard
        try:
            return self._move(tx, move)
        except Refusal as refusal:
            if isinstance(move, Go) and isinstance(STEPS[move.place[0]], Effect):
                raise
            self.call.stack, self.call.guard = stack, guard
            return Again(refusal.reason, refusal.facts)

    def run(
        self,
        tx: Session,
        to: Link,
        *,
        key: uuid.UUID | None = None,
        proof: Any = None,
        root: bool = False,
    ) -> Again | None:
        """Follow a link, through an effect if there is one, to the screen it ends at.

        A `root` is where the call begins, so there is nothing to go back to; so is what the entry
        points to.
        """
        customer = customers.find(tx, self.hop.phone)
        for _ in range(FOLLOWED):
            root = root or to.to is self.entry
            visit = self._visit(tx, to, customer, key=key, proof=proof)
            if isinstance(to.to, Effect):
                assert key, f"a screen that leads to an effect by itself: {name_of(to.to)}"
                verdict = self._perform(visit, to.to)
                if not to.to.kept:  # acts on money leave the person as it was
                    customer = customers.find(tx, self.hop.phone)
                after = to.to.then(verdict)
                if after is None and verdict.verdict != "done":
                    return Again(verdict.reason or "", dict(verdict.facts))
                self.call.restart()
                to, key = after or link(self.entry), None
                continue
            self._go(to, root=root)
            page = to.to(visit)
            if not isinstance(page, Link):
                self.show(page)
                return None
            self.call.stack.pop()
            to = page
        raise AssertionError(f"links without end at {name_of(to.to)}")

    def arrive(self, tx: Session, verdict: Recalled) -> bool:
        """Show where a verdict of the past leads; False if it leads nowhere of its own."""
        to = EFFECTS[verdict.verb].then(verdict) if verdict.verb in EFFECTS else None
        if to is None and verdict.verdict != "done":
            return False
        self.call.restart()
        self.run(tx, to or link(self.entry))
        return True

    def show(self, page: Page) -> None:
        """Put a page on display."""
        shown = Shown(head=page.text, ends=isinstance(page, End))
        if isinstance(page, Menu):
            shown.live, shown.idle = page.live, page.idle
            self.refusing = page.refusing
            self._offer(shown, page.choices)
        if isinstance(page, Ask):
            self._offer(shown, page.keys)
            shown.ask = {
                "read": name_of(page.read),
                "then": placed(page.then),
                "keep": page.keep,
                "given": dict(page.given),
                "secret": page.secret,
                "private": page.private,
                "sum": page.sum,
                "free": page.free,
            }
        self.call.shown = shown

    def finish(self, typed: str) -> dict[str, Any]:
        """Write down what the handset will show, and where the text has got to; a transcript of it.

        `typed` is masked.
        """
        call, shown = self.call, self.call.shown
        nav = "" if shown.ends or len(call.stack) < 2 else self._say("ussd.nav")
        pages = self._pages(nav)
        shown.pages, shown.page = len(pages), min(shown.page, len(pages) - 1)
        call.reply = pages[shown.page]
        call.more = not shown.ends or shown.page + 1 < shown.pages
        call.hop += 1
        call.at = self.now.timestamp()
        call.seen = len(self.hop.text)
        call.digest = digest(self.rt.config.key_key, self.hop.session, self.hop.text)
        call.trail = continued(call.trail, typed)[:TYPED_LONGEST] if self.hop.text else ""
        return transcripts.entry(call, self.hop, typed=typed, note=self.remark)

    def _move(self, tx: Session, move: Go | Back | Home) -> Again | None:
        if isinstance(move, Home):
            return self.run(tx, link(self.entry))
        if isinstance(move, Back):
            place = self.call.back()
            return self.run(tx, _linked(place), root=not self.call.stack)
        if move.past and self.call.guard is None:
            self.call.guard = len(self.call.stack) - 1
        return self.run(tx, _linked(move.place), key=move.key, proof=move.proof)

    def _go(self, to: Link, *, root: bool) -> None:
        """Put a screen on top of those the caller can go back through."""
        if root:
            self.call.restart()
        elif to.under is not None:
            self.call.restart()
            self.call.stack = list(to.under)
        if not root and not self.call.stack:
            self.call.stack = [placed(link(self.entry))]
        self.call.push(to)

    def _perform(self, visit: Visit, effect: Effect) -> Recalled:
        """Act, unless this very decision was acted on before; its verdict."""
        if not effect.kept and (known := effects.recall(visit.tx, visit.decision)):
            return known
        done = effect.act(visit)
        if isinstance(done, Refused):
            verdict = Recalled(effect.verb, "refused", done.reason, done.facts)
        else:
            verdict = Recalled(effect.verb, "done", None, done)
        if not effect.kept:
            effects.record(
                visit.tx,
                key=visit.decision,
                channel=Channel.USSD,
                session=visit.session,
                customer_id=visit.customer.id if visit.customer else None,
                verb=verdict.verb,
                verdict=verdict.verdict,
                reason=verdict.reason,
                facts=verdict.facts,
                now=visit.now,
            )
        return verdict

    def _visit(
        self, tx: Session, to: Link, customer: Customer | None, *, key: uuid.UUID | None, proof: Any
    ) -> Visit:
        self.call.customer = customer.id if customer else None
        self.call.lang = customer.lang if customer else to.args.get("lang", self.call.lang)
        return Visit(
            tx=tx,
            config=self.rt.config,
            now=self.now,
            session=self.hop.session,
            phone=self.hop.phone,
            customer=customer,
            lang=self.call.lang,
            args=to.args,
            entry=self.entry,
            key=key if isinstance(to.to, Effect) else None,
            proof=proof,
        )

    def _offer(self, shown: Shown, choices: Sequence[Choice]) -> None:
        for number, choice in enumerate(choices, start=1):
            digit = choice.digit or str(number)
            assert digit not in shown.targets, f"two choices of the digit {digit}"
            shown.targets[digit] = target(choice.link, self._key(digit))
            shown.lines.append(f"{digit} {choice.label}")

    def _pages(self, nav: str) -> list[str]:
        shown = self.call.shown
        if shown.ask is not None:
            return [question(shown.head, shown.lines, note=shown.note, nav=nav)]
        more, back = self._say("ussd.more"), "" if shown.ends else self._say("ussd.back")
        both = "\n".join(filter(None, (shown.note, shown.head)))
        ways = [paged(both, shown.lines, nav=nav, more=more, back=back)]
        if shown.note and not shown.ends:
            # Better without the text than with the choices on another page.
            ways.append(paged(shown.note, shown.lines, nav=nav, more=more, back=back))
        return min(ways, key=len)

    def _read(self, ask: dict[str, Any], typed: str) -> Any:
        read = cast(Reader, STEPS[ask["read"]])
        answer = Answer(
            rt=self.rt,
            now=self.now,
            session=self.hop.session,
            phone=self.hop.phone,
            customer_id=self.call.customer,
            given=ask["given"],
            key=self._key(None),
            text=typed,
        )
        return read(answer)

    def _key(self, digit: str | None) -> uuid.UUID:
        """Of the decision taken with this hop, or with the next one if it is `digit`."""
        text = self.hop.text if digit is None else continued(self.hop.text, digit)
        return decision(self.rt.config.key_key, self.hop.session, text)

    def _say(self, key: str, **facts: Any) -> str:
        return say(key, self.call.lang, **revived(facts))


def _linked(place: Place) -> Link:
    name, args = place
    return Link(cast(Screen | Effect, STEPS[name]), args)
