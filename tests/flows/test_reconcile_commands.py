"""Reconciliation by the command line: a morning of finance, from the file to the last open line."""

import json
import re
from datetime import timedelta

import pytest

from core.say import NAIROBI
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import mpesa
from tests.finance import keep
from tests.portal import CHARGED, SENT, Move, statement


@pytest.fixture
def sheet(rt, amina, tmp_path):
    """A statement of a day, of which our books have half."""
    today = rt.now().astimezone(NAIROBI).replace(hour=12, minute=0, second=0, microsecond=0)
    noon = today - timedelta(days=2)
    keep(rt, "SKG0000001", 500_00, noon)
    keep(rt, "SKG0000002", -300_00, noon + timedelta(minutes=1))
    keep(rt, "SKG0000009", 80_00, noon + timedelta(minutes=1))
    moves = [
        Move("SKG0000001", 500_00, noon),
        Move("SKG0000002", -300_00, noon + timedelta(minutes=1), SENT),
        Move("SKG0000002", -9_00, noon + timedelta(minutes=1), CHARGED),
        Move("SKG0000003", 40_00, noon + timedelta(minutes=2), "Pay Bill", account="rent"),
        Move("SKG0000004", -90_00, noon + timedelta(minutes=3), "Withdraw Funds to Bank"),
    ]
    path = tmp_path / "statement.csv"
    path.write_bytes(statement(moves, opening=1_000_00))
    return path


def test_a_morning_of_finance(flask, rt, sheet, tmp_path):
    assert "role" in flask(f"mpesa import {sheet} --as salma", code=1)
    told = flask(f"mpesa import {sheet} --as fatuma")
    assert "1,000 + 540 - 399 = 1,141" in told
    assert "New: 2 matched, 1 charge, 1 treasury, 0 reversal, 1 suspense. Open: 2." in told
    assert "nothing has changed" in flask(f"mpesa import {sheet} --as otieno")

    gaps = flask("mpesa gaps")
    assert re.search(r"theirs .* SKG0000003 +40  suspense: unknown  line \d+", gaps)
    assert re.search(r"theirs .* SKG0000004 +-90  treasury: unposted  line \d+", gaps)
    assert re.search(r"ours .* SKG0000009 +80  receipt: not on it", gaps)
    day = flask("mpesa statement")
    assert "M-PESA moved 141, our books 280: difference -139" in day
    assert f"covered  {PAYBILL}" in day

    number = {one["receipt"]: one["line"] for one in json.loads(flask("mpesa gaps --json"))}
    seen = flask(f"mpesa close {number['SKG0000004']} --note 'to the bank' --as fatuma")
    hash = re.search(r"[0-9a-f]{64}", seen)[0]
    flask(f"mpesa approve {number['SKG0000004']} {hash} --as fatuma", code=1)
    assert "closed: SKG0000004 -90" in flask(
        f"mpesa approve {number['SKG0000004']} {hash} --as otieno"
    )
    flask(f"mpesa close {number['SKG0000003']} --note 'a test' --as fatuma")
    assert flask(f"mpesa refuse {number['SKG0000003']} --as otieno") == "refused\n"
    assert "SKG0000004" not in flask("mpesa gaps")


def test_a_broken_file_is_named_by_its_line(flask, sheet, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_bytes(sheet.read_bytes().replace(b"40.00", b"41.00", 1))
    told = flask(f"mpesa import {broken} --as fatuma", code=1)
    assert re.search(r"Line \d+: the balance does not follow", told)
    assert flask("mpesa statement") == "There are none.\n"
    assert "one side only" in flask("mpesa gaps")
    assert "Invalid value" in flask(f"mpesa import {broken} --account savings --as fatuma", code=2)


def test_balances_and_pulls(flask, rt):
    mpesa.Daraja(rt)
    assert "asked about 2" in flask("mpesa balance --ask")
    assert f"{B2C_SHORTCODE}  waiting" in flask("mpesa balance")
    assert "no date" in flask("mpesa balance")
    assert f"{PAYBILL}  open" in flask("mpesa pull --now")
    assert len(json.loads(flask("mpesa pull --json"))) == 1
