"""One-time codes by function call: what they open, once, and how few guesses they allow."""

import contextlib
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from core import codes, customers
from core.codes import CodeAttempt, NoCode, OneTimeCode, Purpose, RightCode, WrongCode
from core.customers import Customer, Standing
from core.errors import Refusal
from core.messages import Message
from core.outbox import Promise
from core.say import say
from tests.core.sign_up import (
    AMINA,
    BRIAN,
    NOBODY,
    another,
    at_once,
    begin,
    give_all,
    read,
    sent_code,
    sign_up,
)

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def amina(rt) -> int:
    """Everything given but the code."""
    customer_id = begin(rt, now=NOON)
    give_all(rt, customer_id, now=NOON)
    return customer_id


def check(rt, digits, *, now=NOON, phone=AMINA, once=None):
    return codes.check(rt, phone=phone, purpose=Purpose.KYC, digits=digits, now=now, once=once)


def send(rt, *, now, purpose=Purpose.KYC, phone=AMINA):
    with rt.transaction() as tx:
        customer = customers.find(tx, phone)
        assert customer is not None
        return codes.send(tx, customer=customer, purpose=purpose, now=now).id


def refused(act, *args, **kwargs) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        act(*args, **kwargs)
    return refusal.value


# -- Verifying


def test_the_right_code_verifies_and_makes_active(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    later = NOON + 9 * MINUTE

    assert check(rt, code, now=later) == RightCode(amina, Purpose.KYC)

    customer = read(rt, amina)
    assert (customer.kyc_verified_at, customer.standing) == (later, Standing.ACTIVE)


def test_a_code_is_read_as_people_write_it(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    assert check(rt, f" {code[:3]} {code[3:]} ") == RightCode(amina, Purpose.KYC)


def test_a_code_opens_once(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    check(rt, code)
    assert check(rt, code) == NoCode()


def test_a_code_is_good_for_ten_minutes(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    assert check(rt, code, now=NOON + 600 * SECOND) == NoCode()
    assert check(rt, code, now=NOON + 599 * SECOND) == RightCode(amina, Purpose.KYC)


def test_three_wrong_tries_spend_a_code(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    wrong = another(code)

    assert [check(rt, wrong) for _ in range(3)] == [
        WrongCode(left, Purpose.KYC) for left in (2, 1, 0)
    ]
    assert check(rt, code) == NoCode()
    assert read(rt, amina).kyc_verified_at is None


def test_a_new_code_kills_the_old(rt, amina):
    old = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    new = sent_code(rt, AMINA, Purpose.KYC, now=NOON + MINUTE)

    assert check(rt, old, now=NOON + MINUTE) == WrongCode(2, Purpose.KYC)
    assert check(rt, new, now=NOON + MINUTE) == RightCode(amina, Purpose.KYC)


def test_a_code_is_bound_to_id_phone_and_purpose(rt):
    made = {
        codes.derive(rt.config, code_id, phone, purpose)
        for code_id in (1, 2) for phone in (AMINA, BRIAN) for purpose in Purpose
    }  # fmt: skip
    assert len(made) == 8
    assert codes.derive(rt.config, 1, AMINA, "kyc") == codes.derive(
        rt.config, 1, AMINA, Purpose.KYC
    )


def test_codes_have_six_digits_of_every_kind(rt):
    made = [codes.derive(rt.config, number, AMINA, Purpose.KYC) for number in range(2_000)]
    assert all(len(code) == 6 and code.isdigit() for code in made)
    assert {code[0] for code in made} == set("0123456789")
    assert len(set(made)) > 1_980


def test_a_code_of_brian_opens_nothing_of_amina(rt, amina):
    brian = begin(rt, now=NOON, phone=BRIAN)
    give_all(rt, brian, now=NOON)
    his = sent_code(rt, BRIAN, Purpose.KYC, now=NOON)
    sent_code(rt, AMINA, Purpose.KYC, now=NOON)

    assert check(rt, his) == WrongCode(2, Purpose.KYC)
    assert check(rt, his, phone=BRIAN) == RightCode(brian, Purpose.KYC)


def test_a_code_for_a_reset_does_not_verify(rt):
    sign_up(rt, now=NOON)
    code = sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON)
    assert check(rt, code) == NoCode()


def test_nobody_and_nothing_sent_get_the_same_words(rt, amina):
    assert check(rt, "123456") == check(rt, "123456", phone=NOBODY) == NoCode()


@given(
    st.text()
    | st.sampled_from(
        ["", "12345", "1234567", "1*2345", "\U0001f600", str(10**18), "٠١٢٣٤٥", "-12345"]
    )
)
def test_no_text_breaks_the_code(written):
    with contextlib.suppress(Refusal):
        digits = codes.read(written)
        assert len(digits) == 6
        assert digits.isascii()
        assert digits.isdigit()


def test_what_is_no_code_costs_no_try(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    for written in ("", "abc", "12345", "12*456", str(10**18), "\U0001f600"):
        assert refused(check, rt, written).reason == "customers.code_unreadable"

    assert check(rt, another(code)) == WrongCode(2, Purpose.KYC)


def test_every_verdict_has_its_sentence_in_both_languages():
    verdicts: list[codes.Verdict] = [NoCode()]
    for purpose in Purpose:
        verdicts += [RightCode(1, purpose), WrongCode(2, purpose), WrongCode(0, purpose)]
    for lang in ("en", "sw"):
        said = [say(verdict.reason, lang, **verdict.facts) for verdict in verdicts]
        assert len(set(said)) == len(said)
        assert all(len(sentence) <= 110 for sentence in said)


# -- Sending


def test_a_code_is_promised_by_its_number_only(rt, amina):
    code_id = send(rt, now=NOON)
    with rt.transaction() as tx:
        message = tx.scalars(select(Message)).one()
        promise = tx.scalars(select(Promise)).one()
        digits = codes.derive(rt.config, code_id, AMINA, Purpose.KYC)
        rows = tx.scalars(
            text("""SELECT to_jsonb(m)::text FROM message m
                     UNION ALL SELECT to_jsonb(p)::text FROM promise p
                     UNION ALL SELECT to_jsonb(o)::text FROM one_time_code o""")
        ).all()

    assert (message.phone, message.code_id, message.body) == (AMINA, code_id, None)
    assert promise.kind == "sms"
    assert len(rows) == 3
    assert not [row for row in rows if digits in row]


def test_asking_again_has_to_wait_longer_each_time(rt, amina):
    now = NOON
    send(rt, now=now)
    for wait in (30, 60, 120, 120):
        refusal = refused(send, rt, now=now + timedelta(seconds=wait, microseconds=-1))
        assert (refusal.reason, refusal.facts) == ("customers.code_wait", {"seconds": 1})
        assert refused(send, rt, now=now).facts == {"seconds": wait}
        now += timedelta(seconds=wait)
        send(rt, now=now)


def test_five_codes_a_day_and_it_says_when_the_next(rt, amina):
    for number in range(5):
        send(rt, now=NOON + number * 10 * MINUTE)

    refusal = refused(send, rt, now=NOON + 60 * MINUTE)
    opens_at = NOON + timedelta(hours=24)
    assert (refusal.reason, refusal.facts) == (
        "customers.code_day_limit",
        {"most": 5, "at": opens_at},
    )
    assert refused(send, rt, now=opens_at - SECOND).reason == "customers.code_day_limit"
    send(rt, now=opens_at)


def test_codes_of_all_purposes_count_together(rt):
    sign_up(rt, now=NOON)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET kyc_verified_at = NULL, standing = 1"))
    send(rt, now=NOON)
    refusal = refused(send, rt, now=NOON, purpose=Purpose.PIN_RESET)
    assert refusal.reason == "customers.code_wait"


def test_a_refused_code_promises_nothing(rt, amina):
    send(rt, now=NOON)
    refused(send, rt, now=NOON + SECOND)
    with rt.transaction() as tx:
        assert len(tx.scalars(select(Promise)).all()) == 1
        assert len(tx.scalars(select(OneTimeCode)).all()) == 1


def test_two_asking_at_once_get_one_code(rt, amina):
    verdicts = at_once(8, lambda number: _sent(rt))
    assert sorted(verdicts) == ["customers.code_wait"] * 7 + ["sent"]


def test_who_needs_no_code_gets_none(rt, amina):
    assert refused(send, rt, now=NOON, phone=_joining(rt), purpose=Purpose.PIN_RESET).reason == (
        "customers.sign_up_first"
    )
    check(rt, sent_code(rt, AMINA, Purpose.KYC, now=NOON))
    later = NOON + 5 * MINUTE
    assert refused(send, rt, now=later).reason == "customers.already_verified"
    with rt.transaction() as tx:
        tx.get_one(Customer, amina).standing = Standing.CLOSED
    assert refused(send, rt, now=later).reason == "customers.closed"


def test_a_text_that_comes_too_late_shows_no_digits(rt, amina):
    code_id = send(rt, now=NOON)

    def digits(now):
        with rt.transaction() as tx:
            return codes.digits_to_send(tx, rt.config, code_id, now=now)

    code = codes.derive(rt.config, code_id, AMINA, Purpose.KYC)
    assert digits(NOON + 599 * SECOND) == code
    assert digits(NOON + 600 * SECOND) is None
    send(rt, now=NOON + MINUTE)
    assert digits(NOON + MINUTE) is None


def test_a_spent_code_is_not_sent_any_more(rt, amina):
    code_id = send(rt, now=NOON)
    wrong = another(codes.derive(rt.config, code_id, AMINA, Purpose.KYC))
    for _ in range(3):
        check(rt, wrong)
    with rt.transaction() as tx:
        assert codes.digits_to_send(tx, rt.config, code_id, now=NOON) is None
        assert codes.digits_to_send(tx, rt.config, 99, now=NOON) is None


# -- Many at once, and the same try twice


def test_of_fifty_guesses_at_once_three_are_compared(rt, amina):
    wrong = another(sent_code(rt, AMINA, Purpose.KYC, now=NOON))
    verdicts = at_once(50, lambda number: check(rt, wrong))

    looked_at = [verdict for verdict in verdicts if isinstance(verdict, WrongCode)]
    assert sorted(verdict.left for verdict in looked_at) == [0, 1, 2]
    assert verdicts.count(NoCode()) == 47
    with rt.transaction() as tx:
        assert tx.scalars(select(OneTimeCode.checks)).one() == 3


def test_the_right_code_ten_times_at_once_opens_once(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    verdicts = at_once(10, lambda number: check(rt, code))

    assert verdicts.count(RightCode(amina, Purpose.KYC)) == 1
    assert read(rt, amina).standing == Standing.ACTIVE


def test_copies_at_the_same_instant_are_one_try(rt, amina):
    wrong = another(sent_code(rt, AMINA, Purpose.KYC, now=NOON))
    once = uuid.uuid4()

    assert at_once(8, lambda number: check(rt, wrong, once=once)) == [WrongCode(2, Purpose.KYC)] * 8
    assert check(rt, wrong) == WrongCode(1, Purpose.KYC)


def test_a_copy_of_the_right_code_is_right_again(rt, amina):
    code, once = sent_code(rt, AMINA, Purpose.KYC, now=NOON), uuid.uuid4()

    assert check(rt, code, once=once) == RightCode(amina, Purpose.KYC)
    tomorrow = NOON + timedelta(days=1)
    assert check(rt, code, now=tomorrow, once=once) == RightCode(amina, Purpose.KYC)
    assert read(rt, amina).kyc_verified_at == NOON


def test_a_repeated_key_is_no_way_to_guess_again(rt, amina):
    code, once = sent_code(rt, AMINA, Purpose.KYC, now=NOON), uuid.uuid4()
    assert check(rt, another(code), once=once) == WrongCode(2, Purpose.KYC)
    assert check(rt, code, once=once) == WrongCode(2, Purpose.KYC)
    assert read(rt, amina).kyc_verified_at is None


def test_a_crash_between_counting_and_comparing_forgives_nothing(rt, amina):
    code, config = sent_code(rt, AMINA, Purpose.KYC, now=NOON), rt.config
    rt.config = config.model_copy(update={"code_key": None})  # whoever compares now falls over
    for _ in range(3):
        with pytest.raises((TypeError, AttributeError)):
            check(rt, code)
    rt.config = config

    assert check(rt, code) == NoCode()


def test_no_digits_are_in_any_row(rt, amina):
    code = sent_code(rt, AMINA, Purpose.KYC, now=NOON)
    check(rt, another(code), once=uuid.UUID(int=1))
    check(rt, code, once=uuid.UUID(int=2))
    with rt.transaction() as tx:
        rows = [str(vars(row)) for row in tx.scalars(select(CodeAttempt)).all()]
    assert len(rows) == 2
    assert not [row for row in rows if code in row or another(code) in row]


def _sent(rt) -> str:
    try:
        send(rt, now=NOON)
    except Refusal as refusal:
        return refusal.reason
    return "sent"


def _joining(rt) -> str:
    begin(rt, now=NOON, phone=BRIAN)
    return BRIAN
