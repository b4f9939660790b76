"""Whatever is to be shown is cut to screens that every phone can show, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from core import gsm7
from ussd.pages import CUT, LIMIT, clip, paged, question

NAV = {"nav": "0 Back 00 Home", "more": "98 More", "back": "0 Back"}
ANYTHING = st.text(max_size=400)
PLAIN = st.text("abcdefghij KLMN019.,", max_size=60)


@given(head=ANYTHING, lines=st.lists(ANYTHING, max_size=30))
def test_every_screen_fits_a_phone(head: str, lines: list[str]) -> None:
    for nav in ("", NAV["nav"]):
        for page in paged(head, lines, **NAV | {"nav": nav}):
            assert gsm7.fits(page, LIMIT)


@given(head=ANYTHING, lines=st.lists(PLAIN, max_size=3), note=ANYTHING)
def test_a_question_is_always_one_screen(head: str, lines: list[str], note: str) -> None:
    assert gsm7.fits(question(head, lines[:1], note=note, nav=NAV["nav"]), LIMIT)


@given(labels=st.lists(PLAIN, min_size=1, max_size=40))
def test_every_choice_is_on_exactly_one_screen_in_its_order(labels: list[str]) -> None:
    lines = [f"{number} {label.strip()}" for number, label in enumerate(labels, start=1)]
    pages = paged("Choose", lines, **NAV)
    shown = [line for page in pages for line in page.split("\n")]
    assert [line for line in shown if line in lines] == lines


def test_one_screen_has_no_way_on_and_the_first_of_many_has() -> None:
    assert paged("Hello", ["1 One"], **NAV) == ["Hello\n1 One\n0 Back 00 Home"]
    pages = paged("x " * 100, [], **NAV)
    assert [page.rpartition("\n")[2] for page in pages] == [
        "98 More 0 Back 00 Home",
        "0 Back 00 Home",
    ]


def test_the_entry_has_no_way_back_but_its_further_screens_have() -> None:
    pages = paged("x " * 100, [], **NAV | {"nav": ""})
    assert [page.rpartition("\n")[2] for page in pages] == ["98 More", "0 Back"]


def test_a_long_text_is_broken_between_words() -> None:
    words = [f"word{number}" for number in range(60)]
    pages = paged(" ".join(words), [], **NAV)
    assert " ".join(page.rpartition("\n")[0] for page in pages).split() == words


def test_what_no_phone_can_show_is_written_otherwise() -> None:
    assert paged("Fenerbahçe \N{EN DASH} Málaga", ["1 Ja\N{GRINNING FACE}"], **NAV) == [
        "Fenerbahce - Malaga\n1 Ja?\n0 Back 00 Home"
    ]


def test_characters_that_cost_two_are_counted_twice() -> None:
    assert [len(page) for page in paged("[" * 80, [], **NAV | {"nav": ""})] == [80]
    assert len(paged("[" * 81, [], **NAV)) == 2


@given(text=PLAIN, room=st.integers(4, 60))
def test_what_is_clipped_says_so(text: str, room: int) -> None:
    cut = clip(text, room)
    assert len(cut) <= room
    assert cut == text or (cut.endswith(CUT) and text.startswith(cut.removesuffix(CUT)))


def test_a_note_gives_way_to_nothing_and_the_question_to_the_note() -> None:
    alone = question("Q" * 140, [], note="N" * 100, nav=NAV["nav"])
    assert alone == "N" * 100 + "\n" + NAV["nav"]
    both = question("Your age?", ["01 Help"], note="No number.", nav=NAV["nav"])
    assert both == "No number.\nYour age?\n01 Help\n0 Back 00 Home"
