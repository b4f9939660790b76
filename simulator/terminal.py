"""A feature phone in a terminal: `python -m simulator.terminal 0712000001`."""

import argparse
import os
import sys
import textwrap
import threading
from http.client import HTTPException
from typing import TextIO

from simulator.driver import Network, Phone, StkPrompt, Trouble

WIDTH = 34

HELP = """\
  *384*7#        dial (Enter alone dials the house)
  1, 100, ...    type into the open session
  h              hang up
  t BAL          send a text          i   read the inbox
  p 1234         M-PESA PIN           c   cancel the M-PESA prompt
  b              M-PESA balance       q   put the phone away
  l 500 REF      pay 500 to the house's paybill by hand, account REF
"""


class Terminal:
    """One phone's keys and screen, a line at a time."""

    def __init__(self, phone: Phone, out: TextIO) -> None:
        self.phone = phone
        self.out = out

    def obey(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        orders = {
            "h": self._hang_up,
            "t": self._text,
            "i": self._read_inbox,
            "p": self._pay,
            "c": self._cancel,
            "b": self._balance,
            "l": self._lipa,
            "?": self._help,
        }
        try:
            if word in orders:
                orders[word](rest)
            else:
                self._type(line.strip())
        except Trouble as trouble:
            self._say(f"  ! {str(trouble).rpartition(': ')[2]}")

    def _type(self, words: str) -> None:
        if not words or (words.startswith("*") and words.endswith("#")):
            self._show(self.phone.dial(words or None))
        elif self.phone.state()["session"]:
            self._show(self.phone.press(words))
        else:
            self._say(f"  ! {words} is not a phone's word here; ? shows them all")

    def _hang_up(self, _: str) -> None:
        self.phone.hang_up()
        self._say("  (hung up)")

    def _text(self, words: str) -> None:
        self.phone.text(words)
        self._say("  (sent)")

    def _pay(self, pin: str) -> None:
        self.phone.enter_mpesa_pin(pin)
        self._say(f"  {self.phone.state()['note'] or '(PIN entered)'}")

    def _cancel(self, _: str) -> None:
        self.phone.cancel_stk()
        self._say("  (cancelled)")

    def _lipa(self, words: str) -> None:
        amount, _, account = words.partition(" ")
        if not amount.isdecimal():
            self._say("  ! l and an amount, then the account: l 500 AB12CD")
            return
        self._say(f"  {self.phone.pay_paybill(int(amount), account=account.strip())} confirmed")

    def _balance(self, _: str) -> None:
        self._say(f"  M-PESA balance Ksh{self.phone.balance():,}")

    def _help(self, _: str) -> None:
        self._say(HELP)

    def tell(self, words: str) -> None:
        """Something came in by itself."""
        self.out.write(f"\n{words}\n> ")
        self.out.flush()

    def _show(self, phone: Phone) -> None:
        frame = "─" * WIDTH
        lines = [line for text in phone.screen.splitlines() for line in _folded(text)]
        body = "\n".join(f"  │{line:<{WIDTH}}│" for line in lines)
        self._say(f"  ┌{frame}┐\n{body}\n  └{frame}┘")
        if not phone.in_session:
            self._say("  (session over)")

    def _read_inbox(self, _: str) -> None:
        texts = [*self.phone.inbox(), *self.phone.mpesa_texts()]
        for text in sorted(texts, key=lambda text: text.id):
            parts = "1 SMS" if text.segments == 1 else f"{text.segments} SMS"
            self._say(f"  {text.at} {text.sender} ({parts})\n    {text.text}")
        if not texts:
            self._say("  (no texts)")

    def _say(self, words: str) -> None:
        self.out.write(f"{words}\n")
        self.out.flush()


class Ear(threading.Thread):
    """Listens for what comes in by itself: texts, and M-PESA's prompt."""

    def __init__(self, terminal: Terminal, number: str, base_url: str) -> None:
        super().__init__(daemon=True)
        self.terminal = terminal
        self.phone, self.network = Phone(number, base_url), Network(base_url)
        self.known = {text["id"] for text in self.phone.state()["inbox"]}
        self.prompted = ""

    def run(self) -> None:
        version = -1
        while True:
            try:
                told = self.network.get(f"/watch?version={version}&phones={self.phone.number}")
            except (OSError, HTTPException, Trouble):
                self.terminal.tell("  (no network)")
                return
            version = told["version"]
            self._hear(told["phones"][0])

    def _hear(self, state: dict[str, object]) -> None:
        inbox, stk = state["inbox"], state["stk"]
        assert isinstance(inbox, list)
        for text in inbox:
            if text["id"] not in self.known:
                self.known.add(text["id"])
                self.terminal.tell(f"  ✉ {text['sender']}: {text['text']}")
        if isinstance(stk, dict) and stk["checkout_id"] != self.prompted:
            prompt = StkPrompt(**stk)
            self.prompted = prompt.checkout_id
            self.terminal.tell(f"  M-PESA  {prompt.words}  (p <PIN>, or c)")


def _folded(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH) or [""]


def main() -> None:
    base = os.environ.get("SIM_BASE", f"http://127.0.0.1:{os.environ.get('SIM_PORT', '8001')}")
    parser = argparse.ArgumentParser(prog="python -m simulator.terminal", description=__doc__)
    parser.add_argument("number", nargs="?", default="0712000001")
    parser.add_argument("--base", default=base, help=f"the simulated world (else {base})")
    asked = parser.parse_args()
    terminal = Terminal(Phone(asked.number, asked.base), sys.stdout)
    try:
        Ear(terminal, asked.number, asked.base).start()
    except OSError:
        sys.exit(f"nobody answers at {asked.base}: is the demo running?")
    sys.stdout.write(f"Phone {asked.number}\n{HELP}")
    while True:
        try:
            line = input("> ")
        except (EOFError, KeyboardInterrupt):
            line = "q"
        if line.strip() == "q":
            terminal.phone.hang_up()
            return
        terminal.obey(line)


if __name__ == "__main__":
    main()
