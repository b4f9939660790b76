"""The driver: one object for tests, terminal and scripts."""

import io
import re
import threading
import time

import pytest
import requests

from simulator.driver import Network, Phone, Trouble
from simulator.settings import Settings
from simulator.terminal import Terminal
from tests.simulator.stub import StubHouse
from tests.simulator.test_aggregator import send


def test_a_phone_sees_what_is_on_its_screen(phone: Phone, house: StubHouse) -> None:
    house.screen = lambda _: "CON Balance KES 100\n1. Bet"
    phone.dial().sees("CON", "Balance KES 100", "1. Bet").lacks("END", "2. ")
    assert phone.screen == "Balance KES 100\n1. Bet"
    with pytest.raises(Trouble, match=r"does not see \['2. My bets'\](.|\n)*Balance KES 100"):
        phone.sees("2. My bets")
    with pytest.raises(Trouble, match="should not see"):
        phone.lacks("Balance")


@pytest.mark.parametrize(
    ("screen", "complaint"),
    [
        ("x" * 161, "161 septets"),
        ("€" * 81, "162 septets"),
        ("Atletico \N{EN DASH} Malaga", "not GSM-7"),
        ("Pole \N{PENSIVE FACE}", "not GSM-7"),
    ],
)
def test_a_screen_no_phone_can_show_is_a_fault(
    phone: Phone, house: StubHouse, screen: str, complaint: str
) -> None:
    house.screen = lambda _: f"CON {screen}"
    with pytest.raises(Trouble, match=complaint):
        phone.dial().sees("CON")


def test_a_full_screen_is_none(phone: Phone, house: StubHouse) -> None:
    house.screen = lambda _: f"CON {'x' * 158}€"
    phone.dial().sees("CON")


def test_a_text_is_awaited_and_returned_once(phone: Phone, base: str) -> None:
    threading.Timer(0.05, send, (base, "Paid KES 100. Ref A")).start()
    assert phone.await_sms("Paid", "100").text == "Paid KES 100. Ref A"
    with pytest.raises(Trouble, match=r"got no text with(.|\n)*Ref A"):
        phone.await_sms(containing="Paid", timeout=0.05)
    send(base, "Paid KES 100. Ref B")
    assert phone.await_sms(containing="Paid").text.endswith("B")
    assert [sms.text[-1] for sms in phone.inbox()] == ["A", "B"]


def test_mpesas_own_texts_are_kept_apart(phone: Phone, network: Network) -> None:
    phone.pay_paybill(100)
    network.drain()
    assert phone.inbox() == []
    assert phone.mpesa_texts()[0].text.endswith("New M-PESA balance is Ksh4,900.00.")
    with pytest.raises(Trouble, match="got no text"):
        phone.await_sms("Confirmed", timeout=0.05)
    assert "Confirmed" in phone.await_sms("Confirmed", sender="MPESA").text


def test_a_number_has_many_spellings_and_one_phone(phone: Phone, base: str) -> None:
    Phone("0712 000 001", base).change(balance=77)
    assert Phone("254712000001", base).balance() == phone.balance() == 77
    assert Phone("+256772000001", base).state()["number"] == "+256772000001"
    with pytest.raises(Trouble, match="not a phone number"):
        Phone("0712abc", base).state()


def test_what_cannot_be_said_is_refused(phone: Phone, network: Network) -> None:
    with pytest.raises(Trouble, match="no such setting"):
        network.settings(weather="fine")
    with pytest.raises(Trouble, match="a habit is one of"):
        phone.change(habit="sleeps")
    with pytest.raises(Trouble, match="no payout"):
        network.end_payout("nobody")
    with pytest.raises(Trouble, match="no callback"):
        network.replay(999)


def test_the_control_api_is_for_this_site_only(base: str, house: StubHouse) -> None:
    url = f"{base}/control/reset"
    assert (
        requests.post(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=20).status_code == 403
    )
    assert (
        requests.post(url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).status_code == 200
    )


def test_the_watch_answers_when_something_happens(base: str, phone: Phone) -> None:
    version = requests.get(f"{base}/control/watch?timeout=0", timeout=20).json()["version"]
    url = f"{base}/control/watch?version={version}&phones=0712000001"
    started = time.monotonic()
    threading.Timer(0.1, phone.change, kwargs={"balance": 12}).start()
    told = requests.get(url, timeout=20).json()
    assert time.monotonic() - started < 15  # and not only when it gives up
    assert told["version"] > version
    assert told["phones"][0]["balance"] == 12


def test_no_secret_in_the_settings_or_the_books(base: str, phone: Phone) -> None:
    phone.change(pin="8642")
    shown = requests.get(f"{base}/control/settings", timeout=20).json()
    assert "passkey" not in shown
    assert "initiator_password" not in shown
    assert "8642" not in requests.get(f"{base}/control/books", timeout=20).text


def test_settings_come_from_the_environment() -> None:
    told = Settings.from_env(
        {"SIM_PORT": "9001", "SIM_ANSWER_DELAY": "0", "SIM_C2B_COPY": "yes", "SIM_HOST": ""}
    )
    assert (told.port, told.answer_delay, told.c2b_copy, told.host) == (
        9001,
        0.0,
        True,
        "127.0.0.1",
    )


def played(phone: Phone, *lines: str) -> str:
    """What the terminal shows for these lines, typed at its prompt."""
    out = io.StringIO()
    terminal = Terminal(phone, out)
    for line in lines:
        terminal.obey(line)
    return out.getvalue()


def test_the_terminal_dials_and_types(phone: Phone, house: StubHouse) -> None:
    shown = played(phone, "*384*7#", "1", "0")
    assert "You typed nothing" in shown
    assert "You typed 1*0" in shown
    assert "hung up" in played(phone, "h")
    assert house.awaits("end")[0]["status"] == "Incomplete"


def test_the_terminal_texts_and_reads(phone: Phone, house: StubHouse, base: str) -> None:
    assert "sent" in played(phone, "t BET 101 1 50")
    assert house.awaits("sms")[0]["text"] == "BET 101 1 50"
    send(base, "Bet placed", sender="HOUSE")
    assert "Bet placed" in played(phone, "i")


def test_the_terminal_pays(phone: Phone, house: StubHouse, network: Network) -> None:
    assert "no M-PESA prompt" in played(phone, "p 1234")
    assert "5,000" in played(phone, "b")
    assert "h " in played(phone, "?")
    assert "not a phone's word" in played(phone, "*384")
    assert "an amount" in played(phone, "l")
    assert "confirmed" in played(phone, "l 500 7Q2MXA")
    assert house.awaits("c2b")[0]["BillRefNumber"] == "7Q2MXA"


def test_the_page_shows_two_phones_and_loads_only_from_here(base: str, house: StubHouse) -> None:
    answer = requests.get(f"{base}/?phones=0712000003,0712000004", timeout=20)
    assert answer.text.count('class="seat" data-phone="07120000') == 2
    assert "*384*7#" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    parts = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    here = ("/static/", "/control/", "data:")
    assert [part for part in parts if not part.startswith(here)] == []
    for part in parts:
        if not part.startswith("data:"):
            assert requests.get(base + part, timeout=20).status_code == 200
