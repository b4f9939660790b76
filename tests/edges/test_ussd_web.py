"""The USSD doors: the aggregator's dialect, and an answer to whatever comes through it."""

import itertools
import re
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

import ussd.web
from core import gsm7, runtime
from core.customers import Customer
from core.hops import UssdEnd
from core.pins import Found, PinAttempt
from core.runtime import Runtime
from tests.people import AMINA, WRONG_PIN
from ussd.pages import LIMIT

SESSION = "ATUid_0123456789abcdef0123456789abcdef"
HOP = {
    "sessionId": SESSION,
    "serviceCode": "*384*2468#",
    "phoneNumber": AMINA,
    "networkCode": "63902",
    "text": "",
}
NOTICE = {
    "date": "2026-11-20 14:30:00",
    "sessionId": SESSION,
    "serviceCode": "*384*2468#",
    "networkCode": "63902",
    "phoneNumber": AMINA,
    "status": "Incomplete",
    "cost": "KES 0.10",
    "durationInMillis": "20512",
    "hopsCount": "3",
    "input": "4*300*4826",
    "lastAppResponse": "CON Send KES 300?",
}


@pytest.fixture
def client(rt: Runtime) -> FlaskClient:
    """The USSD doors alone."""
    return door(rt)


def door(rt: Runtime) -> FlaskClient:
    """The USSD doors of a house."""
    runtime.install(rt)
    app = Flask("door")
    app.register_blueprint(ussd.web.bp)
    return app.test_client()


def path(rt: Runtime, end: str = "ussd") -> str:
    """The path of a door, token and all."""
    return f"/hooks/{rt.config.aggregator_hook_token[0].get_secret_value()}/{end}"


@pytest.fixture
def post(client: FlaskClient, rt: Runtime):
    """`post(text="1")`: the answer to a hop that differs from the usual one in this."""

    def send(**changes: str | None) -> str:
        form = {name: value for name, value in (HOP | changes).items() if value is not None}
        return shown(client.post(path(rt), data=form))

    return send


def shown(response: TestResponse) -> str:
    """The body of an answer as the aggregator takes it."""
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    body = response.get_data(as_text=True)
    word, _, screen = body.partition(" ")
    assert word in ("CON", "END")
    assert gsm7.fits(screen, LIMIT), screen
    return body


def ends(rt: Runtime) -> list[UssdEnd]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(UssdEnd)))


def test_only_the_aggregator_gets_in(client: FlaskClient, rt: Runtime) -> None:
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    for end in ("ussd", "ussd/end"):
        assert client.post(f"/hooks/{'0' * 64}/{end}", data=HOP).status_code == 404
        refused = client.post(path(rt, end), data=HOP, environ_overrides=elsewhere)
        assert refused.status_code == 403
        assert client.post(path(rt, end), json=HOP).status_code == 415
        assert client.post(path(rt, end), data=HOP | {"text": "1" * 17_000}).status_code == 413
        assert client.get(path(rt, end)).status_code == 405


def test_a_hop_goes_on_with_con_and_ends_with_end(post, amina: Customer) -> None:
    assert post().startswith("CON Hi Amina. Balance KES 1,000.\n1 Bet\n")
    assert post(text="3").startswith("CON How much")
    assert post(text="3*50").startswith("CON Deposit KES 50")
    assert post(text="3*50*1").startswith("END Enter your M-PESA PIN when asked")


@pytest.mark.parametrize("number", [" 254712000001", "254712000001", "0712000001"])
def test_a_number_is_the_same_however_it_arrives(post, amina: Customer, number: str) -> None:
    assert post(phoneNumber=number).startswith("CON Hi Amina")


def test_what_is_not_always_sent_may_be_missing(post, amina: Customer) -> None:
    assert post(networkCode=None, text=None).startswith("CON Hi Amina")
    assert post(sessionId="other", networkCode="99999").startswith("CON Hi Amina")


@pytest.mark.parametrize("gone", ["sessionId", "serviceCode", "phoneNumber"])
def test_what_has_to_be_there_is_missed_politely(post, amina: Customer, gone: str) -> None:
    for nothing in (None, "", " ", "\x00"):
        assert post(**{gone: nothing}).startswith("END ")
    assert post(**{gone: "9" * 500}).startswith("END ")


def test_a_number_that_cannot_play_is_told_why(post) -> None:
    assert "Kenyan numbers only" in post(phoneNumber="+256772000001")
    assert "mobile number" in post(phoneNumber="+254202000111")
    assert "does not look right" in post(phoneNumber="robert'); --")


def test_a_text_longer_than_any_call_is_refused(post, amina: Customer) -> None:
    assert "could not read" in post(text="1*" * 1_500)


def test_nothing_that_can_be_typed_makes_a_hop_fail(
    client: FlaskClient, rt: Runtime, amina: Customer
) -> None:
    sessions = itertools.count()
    digits = st.text("0123456789*#", max_size=40)
    ways = st.lists(st.sampled_from(["0", "00", "98", "1", "2", "3", "4", "7", "01"]), max_size=8)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(max_size=100) | digits | ways.map("*".join), st.text(max_size=20))
    def typed(first: str, second: str) -> None:
        form = HOP | {"sessionId": f"ATUid_{next(sessions)}"}
        for text in ("", first, f"{first}*{second}"):
            body = shown(client.post(path(rt), data=form | {"text": text}))
            assert "went wrong" not in body

    typed()


def test_a_failure_inside_is_a_last_word_with_a_reference(rt: Runtime, amina: Customer) -> None:
    """The database is away."""
    nowhere = create_engine("postgresql+psycopg2://house@127.0.0.1:9/none")
    broken = Runtime(rt.config, nowhere, rt.redis, rt.queues, clock=rt.clock)
    with capture_logs() as logged:
        body = shown(door(broken).post(path(rt), data=HOP | {"text": "4*300*4826"}))
    assert body.startswith("END Sorry, something went wrong. Please dial again. Ref ")
    assert "Samahani" in body
    assert body.split("Ref ")[1][:8].isalnum()
    assert [event["event"] for event in logged if event["log_level"] == "error"] == ["hop failed"]
    assert shown(door(rt).post(path(rt), data=HOP)).startswith("CON Hi Amina")


def test_two_copies_at_the_same_instant_get_one_answer(rt: Runtime, amina: Customer, post) -> None:
    post()
    answers: list[str] = []
    start = threading.Barrier(8)

    def copy() -> None:
        mine = door(rt)
        start.wait()
        answers.append(shown(mine.post(path(rt), data=HOP | {"text": "1"})))

    _together(copy, 8)
    assert len(set(answers)) == 1


@pytest.mark.race
def test_of_fifty_wrong_pins_at_once_no_more_are_looked_at_than_the_lock_allows(
    rt: Runtime, amina: Customer
) -> None:
    numbers = itertools.count()
    start, one_by_one = threading.Barrier(50), threading.Lock()
    bodies: list[str] = []

    def guess() -> None:
        form, mine = HOP | {"sessionId": f"ATUid_guess_{next(numbers)}"}, door(rt)
        with one_by_one:
            shown(mine.post(path(rt), data=form | {"text": "4*300"}))
        start.wait()
        hop = form | {"text": f"4*300*{WRONG_PIN}"}
        bodies.append(shown(mine.post(path(rt), data=hop)))

    with capture_logs():
        _together(guess, 50)
    with rt.transaction() as tx:
        looked_at = tx.scalar(
            select(func.count()).select_from(PinAttempt).where(PinAttempt.state == Found.WRONG)
        )
    assert looked_at == 3
    # A house with fewer connections than callers asks some of them to dial again.
    assert sum("Wrong PIN" in body for body in bodies) <= 3
    assert all(re.search("Wrong PIN|locked until|dial again", body) for body in bodies)


def test_the_end_of_a_call_is_kept_masked_with_its_last_screen(
    client: FlaskClient, rt: Runtime, amina: Customer, post
) -> None:
    for text in ("", "4", "4*300", "4*300*4826"):
        post(text=text)
    for _ in range(2):  # the aggregator repeats what it is not sure of
        assert client.post(path(rt, "ussd/end"), data=NOTICE).status_code == 200
    (end,) = ends(rt)
    assert (end.status, end.screen) == ("Incomplete", "ussd.screens.money.confirm")
    assert (end.typed, end.customer_id) == ("4*300*****", amina.id)
    assert end.shown.startswith("Send KES 300")
    assert (end.hops, end.milliseconds, end.cost) == (3, 20_512, 10)


def test_the_end_of_a_call_nobody_knows_is_masked_by_the_look_of_it(
    client: FlaskClient, rt: Runtime
) -> None:
    form = NOTICE | {"errorMessage": "no answer to 4826", "cost": "0.8", "status": "Odd"}
    assert client.post(path(rt, "ussd/end"), data=form).status_code == 200
    (end,) = ends(rt)
    assert (end.typed, end.error, end.screen) == ("4*300*****", "no answer to ****", None)
    assert (end.cost, end.status, end.customer_id) == (80, "Odd", None)


@pytest.mark.parametrize(
    "form", [{"date": ""}, {"sessionId": "x" * 500}, {"sessionId": "s", "cost": "free"}]
)
def test_an_odd_notice_is_answered_all_the_same(
    client: FlaskClient, rt: Runtime, form: dict[str, str]
) -> None:
    assert client.post(path(rt, "ussd/end"), data=form).status_code == 200
    assert all(end.cost is None for end in ends(rt))


def _together(work, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
