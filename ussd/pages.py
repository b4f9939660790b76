"""How a screen is cut to the size of a phone: pages of 160 septets, each with its way on."""

from collections.abc import Iterator, Sequence

from core import gsm7

LIMIT = 160  # septets of one screen; some networks show 182, not every one does
CUT = ".."  # at the end of what had to be shortened


def paged(head: str, lines: Sequence[str], *, nav: str, more: str, back: str) -> list[str]:
    """Cut a text and the lines below it into screens of at most `LIMIT` septets each.

    `nav` stands below the last screen (and alone below a single one), `more` below every other;
    screens after the first have at least `back`. No line is broken over two screens.
    """
    head, lines = _plain(head), [_plain(line) for line in lines]
    whole = _joined([*head.split("\n"), *lines, nav])
    if _width(whole) <= LIMIT:
        return [whole]
    room = LIMIT - _width(f"\n{more} {nav or back}")
    blocks = [*_rows(head, room), *(clip(line, room) for line in lines)]
    pages: list[str] = []
    while True:
        foot = nav if not pages else nav or back
        if _width(_joined([*blocks, foot])) <= LIMIT:
            return [*pages, _joined([*blocks, foot])]
        count = _that_fit(blocks, room)
        pages.append(_joined([*blocks[:count], f"{more} {foot}".rstrip()]))
        blocks = blocks[count:]


def question(head: str, lines: Sequence[str], *, note: str, nav: str) -> str:
    """A question on its one screen: on a second one `98` could be an answer.

    A `note` says what was wrong with the last answer; where both have no room it stands alone.
    """
    foot = _joined([*map(_plain, lines), nav])
    for text in filter(None, (_joined([note, head]), note)):
        page = _joined([_plain(text), foot])
        if _width(page) <= LIMIT:
            return page
    return _joined([clip(_plain(note or head), LIMIT - _width(f"\n{foot}")), foot])


def clip(text: str, room: int) -> str:
    """As much of the text as has room, with two dots if that is not all."""
    if _width(text) <= room:
        return text
    while _width(text) > room - len(CUT):
        text = text[:-1]
    return text.rstrip() + CUT


def _rows(text: str, room: int) -> Iterator[str]:
    """The rows of a text; one that is longer than a screen is broken between words."""
    for row in filter(None, text.split("\n")):
        rest = row
        while _width(rest) > room:
            end = _fitting(rest, room)
            space = rest.rfind(" ", 0, end + 1)
            end = space if space > 0 else end
            yield rest[:end].rstrip()
            rest = rest[end:].lstrip()
        yield rest


def _fitting(text: str, room: int) -> int:
    """How many characters of a text have room."""
    used = 0
    for at, character in enumerate(text):
        used += _width(character)
        if used > room:
            return at
    return len(text)


def _that_fit(blocks: Sequence[str], room: int) -> int:
    """How many blocks have room together; always one, since each was cut to the room."""
    count = 1
    while count < len(blocks) and _width(_joined(blocks[: count + 1])) <= room:
        count += 1
    return count


def _joined(blocks: Sequence[str]) -> str:
    return "\n".join(filter(None, blocks))


def _width(text: str) -> int:
    # Almost every screen is of the basic alphabet, and a set knows that at the speed of C.
    return len(text) if gsm7.BASIC.issuperset(text) else gsm7.septets(text)


def _plain(text: str) -> str:
    return text if gsm7.BASIC.issuperset(text) else gsm7.fold(text)
