"""After a whole life on USSD, sign-up to withdrawal, no PIN and no code is anywhere."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text

from core import customers
from core.runtime import Runtime
from tests import people
from tests.people import STRANGER
from tests.ussd.handset import Handset
from tests.ussd.test_secrets import redis_holds
from ussd import transcripts

PIN, NEW_PIN, WRONG = "4826", "7305", "9071"


def postgres_holds(rt: Runtime) -> str:
    """Every row of every table, as its owner sees it."""
    owner = create_engine(rt.config.migration_database_url)
    with owner.connect() as tx:
        public = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = tx.scalars(public).all()
        rows = [tx.scalars(text(f"SELECT t::text FROM {table} t")).all() for table in tables]
    owner.dispose()
    return str(rows)


def test_no_secret_is_left_anywhere(
    stranger: Handset,
    rt: Runtime,
    code_sent: Callable[[str], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    stranger.dial().press("1", "1", "Amina Wanjiku", "14021990", PIN, PIN)
    code = code_sent(STRANGER)
    stranger.press(code).sees("Hi Amina")
    with rt.transaction() as tx:
        customer = customers.find(tx, STRANGER)
    assert customer is not None
    people.fund(rt, customer, 500_00)
    stranger.press("4", "100", WRONG, PIN).sees("Send KES 100")
    stranger.dial(f"4*100*{PIN}*1").sees("Type your PIN")
    stranger.dial().press(PIN, "1", PIN, "00")  # the first one into a menu, by mistake
    stranger.press("7", "2", "1", PIN, NEW_PIN, NEW_PIN).sees("PIN is changed")
    stranger.dial("7*3*1").press(NEW_PIN).sees("M-PESA: off")
    stranger.press("00", "4", "100", NEW_PIN, "1").sees("on its way")
    with rt.transaction() as tx:
        transcripts.move(tx, rt.redis, rt.now())

    printed = capfd.readouterr()
    held = "\n".join((redis_holds(rt), postgres_holds(rt), printed.out, printed.err))
    assert STRANGER in held
    for secret in (PIN, NEW_PIN, WRONG, code):
        found = re.search(rf"(?<![\w.]){secret}(?!\w)", held)
        assert not found, held[max(0, found.start() - 200) : found.end() + 100]
