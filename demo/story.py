"""The story: two people and two of the staff, from a number nobody knows to the money on M-PESA."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from simulator import exchange
from simulator.driver import Network, Phone

ROOT = Path(__file__).parents[1]
FIRST_NUMBER = 712_000_001
PIN, MPESA_PIN = "4826", "1234"
DEPOSIT, YES, NO, WON, FEE = 500, 100, 200, 285, 15  # shillings: 300 less 5% is 285
QUESTION = "Will Gor beat AFC?"
MARKET = [QUESTION, "--outcome", "Yes", "--outcome", "No", "--closes", "+2h"]
FLOAT = 1_000_000  # shillings that M-PESA holds for payouts at the opening
PATIENCE = 60  # seconds for a text or a prompt; usually five


class Untrue(AssertionError):
    """Something in the story did not come true."""


@dataclass
class Story:
    """What it is played with: the simulated world, staff commands, and a look at the books."""

    network: Network
    flask: Callable[..., str]  # runs a command of the house; what it printed
    books: Callable[[], Mapping[str, int]]  # cents by account, as the ledger says
    tell: Callable[[str], None]

    def play(self) -> tuple[Phone, Phone]:
        """From dial to payout; raises AssertionError at the first thing that is not so."""
        before, agreed = self._money(), self._books_agree()
        amina, baraka = itertools.islice(self._strangers(), 2)
        amina.change(name="AMINA WANJIKU")
        baraka.change(name="BARAKA OTIENO")
        self._sign_up_by_ussd(amina)
        self._deposit_by_ussd(amina)
        self._join_and_deposit_by_sms(baraka)
        market = self._open_market()
        self._bet(amina, baraka, market)
        self._settle(market)
        self._be_paid(amina, baraka)
        self._prove(before)
        if agreed:  # a database of one's own may remember what an earlier simulated world did
            _same("the two books agree, line by line", self._books_agree(), True)
            self.tell("compared: every receipt is in both books")
        return amina, baraka

    def _strangers(self) -> Any:
        """Phones whose numbers the house has never seen, in the middle of their first call."""
        for number in itertools.count(FIRST_NUMBER):
            phone = Phone(f"0{number}", self.network.base_url).dial()
            if "Welcome" in phone.screen:
                self.tell(f"dialled: {phone.number}, a number nobody knows")
                yield phone

    def _sign_up_by_ussd(self, amina: Phone) -> None:
        amina.sees("CON", "Welcome", "1 English").press("1").sees("18", "1 ")
        amina.press("1").sees("full name").press("Amina Wanjiku").sees("date of birth")
        amina.press("25121990").sees("PIN").press(PIN).sees("once more").press(PIN)
        amina.sees("code").press(self._code(amina)).sees("CON", "Hi Amina", "KES 0")
        self.tell("signed up: Amina by USSD, her number verified by a code")

    def _deposit_by_ussd(self, amina: Phone) -> None:
        amina.press("3").sees("How much").press(str(DEPOSIT)).sees(f"KES {DEPOSIT}")
        amina.press("1").sees("END", "M-PESA PIN")
        self._pay(amina)

    def _join_and_deposit_by_sms(self, baraka: Phone) -> None:
        baraka.hang_up()
        for text, reply in (
            ("JIUNGE Baraka Otieno", "KUBALI"),
            ("KUBALI 14021985", "PIN"),
            (f"PIN {PIN} {PIN}", "PIN imehifadhiwa"),
        ):
            baraka.text(text)
            baraka.await_sms(reply, timeout=PATIENCE)
        baraka.text(f"THIBITISHA {self._code(baraka)}")
        baraka.await_sms("WEKA", timeout=PATIENCE)
        self.tell("signed up: Baraka by SMS, in Kiswahili")
        baraka.text(f"WEKA {DEPOSIT}")
        self._pay(baraka)

    def _pay(self, phone: Phone) -> None:
        prompt = phone.await_stk(timeout=PATIENCE)
        _same("the M-PESA prompt asks", prompt.amount, DEPOSIT)
        phone.enter_mpesa_pin(MPESA_PIN)
        phone.await_sms(f"KES {DEPOSIT}", timeout=PATIENCE)
        self.tell(f"deposited: KES {DEPOSIT} by STK push from {phone.number}")

    def _open_market(self) -> str:
        drafted = self.flask("market", "create", *MARKET, "--as", "wanjiku", "--json")
        code = str(json.loads(drafted)["code"])
        self.flask("market", "open", code, "--as", "wanjiku")
        self.tell(f"opened: game {code}, {QUESTION}")
        return code

    def _bet(self, amina: Phone, baraka: Phone, market: str) -> None:
        amina.dial().sees(f"KES {DEPOSIT}").press("1", "3").sees("number").press(market)
        amina.sees(QUESTION, "1 Yes", "2 No").press("1").sees("How much").press(str(YES))
        amina.sees(f"KES {YES} on Yes").press("1").sees("placed", f"KES {DEPOSIT - YES}")
        baraka.text(f"{market}#2#{NO}")
        baraka.await_sms(market, f"KES {DEPOSIT - NO}", timeout=PATIENCE)
        self.tell(f"bet on two handsets: {YES} on Yes by USSD, {NO} on No by SMS")

    def _settle(self, market: str) -> None:
        self.flask("market", "close", market, "--as", "wanjiku")
        result = ["--winner", "1", "--source", "FKF match report", "--as", "wanjiku", "--json"]
        preview = json.loads(self.flask("market", "propose", market, *result))
        _same("the preview pays", preview["gross"], WON * 100)
        self.flask("market", "approve", market, "--hash", preview["hash"], "--as", "kamau")
        self.tell("settled by two staff: wanjiku proposed, kamau approved")

    def _be_paid(self, amina: Phone, baraka: Phone) -> None:
        amina.await_sms("won", f"KES {WON}", timeout=PATIENCE)
        amina.await_sms("sent to your M-PESA", f"KES {WON}", timeout=PATIENCE)
        self.network.drain()
        _same("Amina's M-PESA holds", amina.balance(), self._opening(amina) - DEPOSIT + WON)
        _same("Baraka's M-PESA holds", baraka.balance(), self._opening(baraka) - DEPOSIT)
        amina.dial().sees(f"KES {DEPOSIT - YES}").hang_up()
        self.tell(f"paid out: KES {WON}.00 on Amina's M-PESA by B2C, and a fee of {FEE}.00")

    def _prove(self, before: Mapping[str, int]) -> None:
        self.flask("ledger", "verify")
        self.tell("ledger clean: every invariant holds")
        now, fees = self._money(), "fees"
        _same("the fee is", now[fees] - before[fees], FEE * 100)
        _same("the simulator finds", self.network.books()["discrepancies"], [])
        theirs, ours = (now[books] - before[books] for books in ("theirs", "ours"))
        _same("M-PESA holds, by its books and ours", theirs, ours)
        self.tell("simulator books equal: M-PESA and the ledger agree to the cent")

    def _books_agree(self) -> bool:
        """Whether M-PESA's books and the house's are the same to the last receipt."""
        try:
            self.flask("simulator", "compare")
        except subprocess.CalledProcessError:
            return False
        return True

    def _code(self, phone: Phone) -> str:
        """The six digits of the newest text that has them."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for text in reversed(phone.inbox()):
                if found := re.search(r"\b\d{6}\b", text.text):
                    return found[0]
            time.sleep(0.1)
        raise Untrue(f"{phone.number} got no code of six digits within {PATIENCE} s")

    def _opening(self, phone: Phone) -> int:
        people = self.network.books()["people"]
        number = f"254{phone.number.removeprefix('0')}"
        return next(int(one["opening"]) for one in people if one["phone"] == number)

    def _money(self) -> dict[str, int]:
        """Cents: fees, what M-PESA holds for the house by the ledger, and by M-PESA's own books."""
        ours = self.books()
        theirs = sum(
            one["utility"] - one["opening"] for one in self.network.books()["organisations"]
        )
        return {"fees": ours["fees"], "ours": ours["mpesa"], "theirs": theirs * 100}


def main() -> None:
    """Play it on the house and the world that the environment names."""
    network = Network(os.environ["DARAJA_BASE_URL"])
    seeded = _flask("demo", "seed")  # staff and markets, while the processes start
    _await(f"{network.base_url}/control/health")
    _fill(network, fresh="already" not in seeded)
    _await(f"{os.environ['PUBLIC_URL']}/readyz")
    if "--stay" in sys.argv:
        _tell(f"Watch it on two phones: {network.base_url}/")
        _tell(f"The staff's pages:      {os.environ['PUBLIC_URL']}/admin/")
        _tell(f"  sign in as one of     {_flask('demo', 'door').strip()}")
        _tell('  the code comes from   make flask C="staff code wanjiku"')
    try:
        phones = Story(network, _flask, _books, _tell).play()
    except (AssertionError, subprocess.CalledProcessError) as fault:
        sys.exit(f"NOT SO: {fault}")
    _tell("The whole story came true.")
    if "--stay" in sys.argv:
        numbers = ",".join(phone.number for phone in phones)
        _tell(f"Two phones to play on:  {network.base_url}/?phones={numbers}")
        _tell(f"In a terminal:          make phone N={phones[0].number} PORT={os.environ['PORT']}")
        _tell(f"The staff's pages:      {os.environ['PUBLIC_URL']}/admin/   (Ctrl-C ends it all)")
        signal.pause()


def _fill(network: Network, *, fresh: bool) -> None:
    """Give the payouts' account its float, in both books; an older house has booked it before."""
    if fresh:
        _flask("demo", "float", str(FLOAT), "--ref", network.treasury("top up", FLOAT))
    else:
        network.set_float(FLOAT)


def _flask(*words: str) -> str:
    """A command as staff type it."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _books() -> dict[str, int]:
    """What the ledger says, in the role of the house: 10 is M-PESA, 21 are fees."""
    dsn = os.environ["DATABASE_URL"].replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT kind, sum(ledger_sum(id)) FROM account GROUP BY kind")
        sums = dict(cursor.fetchall())
    return {"mpesa": -int(sums.get(10, 0)), "fees": int(sums.get(21, 0))}


def _await(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if exchange.send("GET", address).status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{address} did not answer within {PATIENCE} s")


def _same(what: str, found: object, due: object) -> None:
    if found != due:
        raise Untrue(f"{what} {found}, not {due}")


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
