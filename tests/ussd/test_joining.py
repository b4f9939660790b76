"""Signing up from a phone nobody knows."""

from collections.abc import Callable

from sqlalchemy import func, select

from core import customers
from core.customers import Customer, Standing
from core.messages import Message
from core.runtime import Runtime
from tests.people import STRANGER
from tests.ussd.handset import Handset

PIN = "4826"


def person(rt: Runtime) -> Customer | None:
    with rt.transaction() as tx:
        return customers.find(tx, STRANGER)


def known(rt: Runtime) -> Customer:
    found = person(rt)
    assert found is not None
    return found


def texts(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Message)) or 0


def up_to_the_code(handset: Handset) -> Handset:
    handset.dial().press("1", "1", "amina wanjiku", "14021990", PIN, PIN)
    return handset.sees("code of 6 digits")


def test_a_stranger_becomes_a_customer(
    stranger: Handset, rt: Runtime, code_sent: Callable[[str], str]
) -> None:
    stranger.dial().sees("Welcome!", "Karibu!", "1 English", "2 Kiswahili")
    stranger.press("1").sees("18 or older", "terms")
    assert person(rt) is None
    stranger.press("1").sees("full name").press("amina wanjiku").sees("date of birth")
    stranger.press("14021990").sees("PIN of 4 digits").press(PIN).sees("once more")
    stranger.press(PIN).sees("code of 6 digits", "VERIFY", "22384", "01 Send a new code")
    assert known(rt).standing == Standing.JOINING
    assert texts(rt) == 1
    stranger.press(code_sent(STRANGER)).sees("Hi Amina. Balance KES 0.", "1 Bet", "7 Account")
    joined = known(rt)
    assert (joined.name, joined.lang, joined.standing) == (
        "Amina Wanjiku",
        "en",
        Standing.ACTIVE,
    )


def test_in_kiswahili_from_the_first_choice_on(stranger: Handset, rt: Runtime) -> None:
    stranger.dial().press("2").sees("miaka 18", "nakubali").press("1").sees("jina lako kamili")
    assert known(rt).lang == "sw"


def test_no_is_an_answer_and_leaves_nothing_behind(stranger: Handset, rt: Runtime) -> None:
    stranger.dial().press("1", "2").sees("nothing was charged").ended()
    assert person(rt) is None


def test_sign_up_goes_on_where_it_stopped(
    stranger: Handset, rt: Runtime, code_sent: Callable[[str], str]
) -> None:
    stranger.dial().press("2", "1").sees("jina")
    stranger.dial().sees("jina").press("Amina Wanjiku").sees("tarehe")
    stranger.dial().press("14021990").sees("PIN").press(PIN)
    stranger.dial().sees("Chagua PIN").press(PIN, PIN).sees("code")
    stranger.dial().sees("code").press(code_sent(STRANGER)).sees("Habari Amina")


def test_what_is_no_answer_is_asked_again(stranger: Handset, rt: Runtime) -> None:
    stranger.dial().press("1", "1", "Am*na").sees("letters only", "full name")
    for name in ("Amina", "", "4 5", "\N{GRINNING FACE}", "x" * 900):
        stranger.press(name).sees("name")
    assert known(rt).name is None
    stranger.press("Amina Wanjiku")
    for date in ("31021990", "1990", "ten", "14029999", "00000000", "*"):
        stranger.press(date).sees("date of birth")
    assert known(rt).birth is None
    stranger.press("14/02/1990").sees("PIN")
    for pin in ("1234", "1990", "0009", "48261", "four", STRANGER[-4:]):
        stranger.press(pin).sees("Choose a new secret PIN")
    stranger.press(PIN, "9071").sees("not the same", "once more")
    stranger.press("0", "9071", "9071").sees("code of 6 digits")
    assert known(rt).pin_hash is not None


def test_who_is_too_young_is_turned_away(stranger: Handset, rt: Runtime, wait) -> None:
    year = rt.now().year - 17
    stranger.dial().press("1", "1", "Amina Wanjiku", f"0101{year}")
    stranger.sees("must be 18", "try again from").ended()
    stranger.dial().sees("must be 18").ended()  # another year is not asked for at once
    assert known(rt).birth is None
    wait(days=30)
    stranger.dial().sees("date of birth").press("01011990").sees("PIN")


def test_a_wrong_code_is_counted_and_the_third_is_the_last(
    stranger: Handset, rt: Runtime, code_sent: Callable[[str], str], wait
) -> None:
    up_to_the_code(stranger)
    right = code_sent(STRANGER)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    stranger.press("12 ab").sees("6 digits we sent").press(wrong).sees("Tries left: 2")
    stranger.repeat().sees("Tries left: 2")
    stranger.press(wrong, wrong).sees("blocked").press(right).sees("You have no code to use")
    stranger.press("01").sees("wait")
    wait(minutes=3)
    stranger.press("01").sees("code of 6 digits").sees_not("wait")
    assert texts(rt) == 2
    stranger.press(code_sent(STRANGER)).sees("Hi Amina")


def test_a_lost_call_goes_on_at_the_code_and_not_at_a_guess(stranger: Handset, rt: Runtime) -> None:
    up_to_the_code(stranger)
    rt.redis.flushdb()
    stranger.repeat().sees("code of 6 digits")
    rt.redis.flushdb()
    stranger.press("123456").sees("code of 6 digits").sees_not("Tries left")
    assert texts(rt) == 1


def test_a_number_that_was_begun_by_text_goes_on_here(stranger: Handset, rt: Runtime) -> None:
    with rt.transaction() as tx:
        customers.join(tx, STRANGER, lang="sw", now=rt.now())
    stranger.dial().sees("Lazima uwe na miaka 18").press("1").sees("jina")


def test_a_direct_dial_of_a_stranger_joins_nobody(stranger: Handset, rt: Runtime) -> None:
    stranger.dial("1*1*Amina Wanjiku").sees("18 or older")
    assert person(rt) is None
