"""Replies that fit: one text wherever possible, two where it must be, never cut by the network."""

from collections.abc import Iterable, Sequence

from core import gsm7
from core.say import say
from sms.visit import Reply

TWO_TEXTS = 2 * gsm7.PART


def first_that_fits(
    lang: str, replies: Iterable[Reply], *, limits: Sequence[int] = (gsm7.ONE, TWO_TEXTS)
) -> Reply:
    """Of replies that say ever less: the first of one text, or else of two, or else the last."""
    made = [(reply, septets(reply, lang)) for reply in replies]
    for limit in limits:
        for reply, length in made:
            if length <= limit:
                return reply
    return made[-1][0]


def septets(reply: Reply, lang: str) -> int:
    """How long a reply is."""
    return gsm7.septets(gsm7.fold(say(reply.sentence, lang, **reply.facts)))


def clipped(text: str, longest: int) -> str:
    """As much of the text as `longest` characters hold, with two dots where that is not all."""
    return text if len(text) <= longest else text[: longest - 2].rstrip() + ".."
