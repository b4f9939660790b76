"""What people mistype gets a clear sentence in their language, and leaves nothing behind."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import gsm7
from tests import games, people, standing
from tests.flows import acts

AMOUNTS = ("abc", "0", "-50", "1000000000000000000", "1.5.2", "\U0001f4b0", "5 5")
LEFT_BEHIND = ("bet", "deposit", "payout", "transfer")


@pytest.fixture
def derby(rt):
    return games.derby(rt, people.member(rt, "wanjiku"))


@pytest.fixture(params=["en", "sw"])
def amina(rt, phone, request):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET lang = :lang"), {"lang": request.param})
    amina = phone(people.AMINA)
    amina.lang = request.param
    return amina


def rows(rt):
    with rt.transaction() as tx:
        return {t: tx.scalar(text(f"SELECT count(*) FROM {t}")) for t in LEFT_BEHIND}


def test_amounts_on_ussd(rt, amina, derby):
    before = rows(rt)
    amina.dial()
    for path in (("1", "3", str(derby.code), "1"), ("3",), ("4",)):
        asked = amina.press(*path).screen
        for amount in set(AMOUNTS) - {"0"}:  # which is the way back
            amina.press(amount).sees("CON")
            assert amina.screen != asked, amount  # the mistake is named
        amina.press("00")
    assert rows(rt) == before


def test_amounts_by_text(rt, amina, derby, work):
    before = rows(rt)
    asked = [
        words
        for amount in AMOUNTS
        for words in (f"DEP {amount}", f"BET {derby.code} 1 {amount}", f"W#{amount}#{people.PIN}")
    ]
    for words in asked:
        amina.text(words)
    work()
    replies = amina.inbox()
    assert len(replies) == len(asked)
    assert all(gsm7.segments(sms.text) == sms.segments <= 2 for sms in replies)
    assert rows(rt) == before


MISTAKES = {
    "999#1#50": ("no such game", "Hakuna mechi"),
    "101#7#50": ("pick", "chaguo 7"),
    "W#100#9071": ("PIN", "PIN"),
    "W#5000#4826": ("KES 1,000", "KES 1,000"),
    "101#1#5": ("KES 20", "KES 20"),
    "BTE 101 1 50": ("BET", "BET"),
}


def test_each_mistake_is_named(rt, amina, derby, work):
    before = rows(rt)
    for words, (english, kiswahili) in MISTAKES.items():
        amina.text(words)
        work()
        amina.await_sms(english if amina.lang == "en" else kiswahili)
    assert rows(rt) == before


def test_a_closed_game_takes_no_bet_on_either_channel(rt, amina, derby, work):
    amina.dial().press("1", "3", str(derby.code), "1", "50")
    with rt.transaction() as tx:
        tx.execute(text("UPDATE market SET status = 4, closed_at = now()"))
    amina.press("1")
    amina.text(f"{derby.code}#1#50")
    work()

    assert rows(rt)["bet"] == 0
    assert len(amina.inbox()) == 1
    assert acts.wallets(rt, amina) == [1_000_00]


def test_a_foreign_number_is_told_so(rt, phone, work):
    visitor = phone("+256772123456")
    visitor.dial().sees("END")
    visitor.text("JOIN Okello Peter")
    work()
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM customer")) == 0


def test_names_that_are_none_are_asked_for_again(rt, phone):
    amina = phone(people.AMINA)
    asked = amina.dial().press("1", "1").screen
    for name in ("A*B", "Amina * Wanjiru", "\U0001f600 Amina", "0712345678", "x" * 99):
        amina.press(name).sees("CON")
        assert amina.screen != asked
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT name FROM customer")) is None


FORMS = st.dictionaries(
    st.sampled_from(
        [
            "sessionId",
            "phoneNumber",
            "serviceCode",
            "networkCode",
            "text",
            "from",
            "to",
            "id",
            "date",
            "linkId",
            "status",
            "input",
            "senderId",
            "failureReason",
        ]
    ),
    st.text(max_size=40)
    | st.text(alphabet=string.digits + "*#+ ", max_size=30)
    | st.sampled_from(["+254712000001", "*384*7#", "ATUid_1", "1*1", "BET 101 1 50", "BAL"]),
)
BODIES = st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Body", "stkCallback", "Result", "ResultCode", "CheckoutRequestID"])
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def test_no_door_answers_5xx_to_any_input(rt, counts, work):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    client = standing.application(rt).test_client()
    aggregator = f"/hooks/{rt.config.aggregator_hook_token[0].get_secret_value()}"
    daraja = f"/hooks/{rt.config.daraja_hook_token[0].get_secret_value()}"
    texts = [
        f"{aggregator}/{end}" for end in ("ussd", "ussd/end", "sms", "sms/delivery", "sms/optout")
    ]
    callbacks = [
        f"{daraja}/{end}"
        for end in ("stk", "b2c/result", "b2c/timeout", "status/result", "status/timeout")
    ]

    @settings(
        max_examples=counts.cases,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(form=FORMS, body=BODIES, method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT"]))
    def knock(form, body, method):
        for door in texts:
            assert client.open(door, method=method, data=form).status_code < 500
        for door in callbacks:
            sent = {"data": body} if isinstance(body, bytes) else {"json": body}
            assert client.open(door, method=method, **sent).status_code < 500
        for page in ("/livez", "/readyz", "/metrics", "/", "/hooks/x/ussd", "/hooks//sms"):
            assert client.open(page, method=method, data=form).status_code < 500

    knock()
    work()
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM transfer")) == 1
