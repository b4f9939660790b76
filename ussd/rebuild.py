"""A call that was lost, or dialled with its path: find the way again, and change nothing."""

from sqlalchemy.orm import Session

from core import effects
from ussd.calls import continued, decision
from ussd.desk import Desk
from ussd.moves import Again, Go, Leaf, plain
from ussd.visit import STEPS, Effect, link

STEPS_MOST = 60  # parts of a text: more than three minutes of typing


def walk(desk: Desk, tx: Session) -> None:
    """Lead the call to where its text leads, as far as that is certain.

    It begins behind the last effect that Postgres remembers of this text, else at the entry. It
    stops before an effect, before a secret, at what is refused, at a list that may have moved since
    it was seen, and where a `*` may have been typed rather than put between two answers.
    """
    parts = desk.hop.text.split("*")[:STEPS_MOST]
    known = _last_done(desk, tx, parts)
    if known == 0:
        desk.run(tx, link(desk.entry))
    for at in range(known, len(parts)):
        if not _step(desk, tx, parts[at], last=at + 1 == len(parts)):
            return


def _last_done(desk: Desk, tx: Session, parts: list[str]) -> int:
    """Show where the last remembered effect led; how many parts of the text it takes, or 0."""
    secret, session = desk.rt.config.key_key, desk.hop.session
    for count in range(len(parts), 0, -1):
        before = "*".join(parts[: count - 1])
        # A choice is keyed by its digit, an answer by the text as it was typed.
        for piece in dict.fromkeys((plain(parts[count - 1]), parts[count - 1])):
            verdict = effects.recall(tx, decision(secret, session, continued(before, piece)))
            if verdict and desk.arrive(tx, verdict):
                return count
    return 0


def _step(desk: Desk, tx: Session, part: str, *, last: bool) -> bool:
    """One part of the text on the screen that is on display; False where the walk has to stop."""
    shown = desk.call.shown
    if shown.live or shown.ends or not part:
        return False
    if shown.ask and (shown.ask["secret"] or (shown.ask["free"] and not last)):
        return False
    move = desk.meant(part).move
    if isinstance(move, Go) and isinstance(STEPS[move.place[0]], Effect):
        return False
    came = move if isinstance(move, Leaf | Again) else desk.move(tx, move)
    if came is not None:
        desk.turn(came)
    return not isinstance(came, Again)
