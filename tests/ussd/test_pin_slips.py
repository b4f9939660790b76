"""A PIN typed where an amount is asked: it is refused, and no transcript keeps it."""

import re

import pytest
from sqlalchemy import select

from core.customers import Customer
from core.hops import UssdEnd
from core.markets import Market
from core.runtime import Runtime
from tests import people
from tests.people import PIN
from tests.ussd.handset import Handset, transcript
from ussd import ended, transcripts
from ussd.ended import Notice

PIN_LIKE = re.compile(r"(?<!\d)4,?826(?!\d)")
LEFT = re.compile(r"(?<!\d)3,?826(?!\d)")  # what would be missing, which is as good as the PIN


def seen(rt: Runtime) -> str:
    return str(transcript(rt))


@pytest.mark.parametrize("path", ["4", "3"])
def test_at_the_question_for_an_amount(phone: Handset, rt: Runtime, amina: Customer, path) -> None:
    phone.dial(path).press(PIN if path == "4" else f"{PIN}000")
    assert phone.more
    assert not PIN_LIKE.search(seen(rt)), seen(rt)
    assert "****" in seen(rt)


def test_at_the_question_for_a_stake(phone: Handset, rt: Runtime, derby: Market) -> None:
    phone.dial().press("1", "3", str(derby.code), "1", PIN).sees("KES 3,826 more to bet KES 4,826")
    phone.press("0", "100").sees("Place the bet")
    assert not PIN_LIKE.search(seen(rt))
    assert not LEFT.search(seen(rt))


def test_a_call_that_is_rebuilt_there_keeps_none_either(
    phone: Handset, rt: Runtime, derby: Market
) -> None:
    phone.dial().press("1", "3", str(derby.code), "1")
    rt.redis.flushdb()
    phone.press(PIN)
    assert not PIN_LIKE.search(seen(rt))


def test_the_notice_of_the_end_keeps_none(phone: Handset, rt: Runtime) -> None:
    phone.dial("4").press(PIN).sees("You asked for KES 4,826")
    call = phone.board.sessions.peek(phone.session)
    told = Notice(phone.session, phone.phone, "*384*2468#", "63902", {})
    with rt.transaction() as tx:
        ended.keep(tx, told, call, now=rt.now())
    with rt.transaction() as tx:
        kept = tx.scalars(select(UssdEnd)).one()
    assert not PIN_LIKE.search(f"{kept.shown} {kept.typed}")


def test_an_amount_that_is_taken_stays_readable(phone: Handset, rt: Runtime, amina) -> None:
    people.fund(rt, amina, 10_000_00)
    phone.dial("4").press("4500").sees("Type your PIN")
    last = transcript(rt)[-1]
    assert last["typed"] == "4500"
    assert "KES 4,500" in last["shown"]


def test_a_small_amount_that_is_refused_stays_readable(phone: Handset, rt: Runtime) -> None:
    phone.dial("4").press("5").sees("smallest withdrawal is KES 10")
    assert "smallest withdrawal is KES 10" in transcript(rt)[-1]["shown"]
    assert transcripts.LONG_NUMBER.search("KES 1,000")
    assert not transcripts.LONG_NUMBER.search("KES 100")
