"""Callbacks of pushes whose answer was lost: no flood of forged ones hides the one that is true."""

import pytest
from sqlalchemy import select

from core import orphans
from core.errors import Unknown
from core.orphans import Orphan
from core.payments import DepositState
from tests import mpesa, teller


@pytest.fixture
def lost(rt, amina, wait):
    """A push of KES 100 whose answer was lost, and its true callback."""
    daraja = mpesa.Daraja(rt)
    daraja.says["stk"] = Unknown("read timed out", code="no_answer")
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_77")) == "orphan"
    return asked


@pytest.mark.parametrize("forged", [150, 250])
def test_forged_orphans_do_not_hide_an_older_one(rt, amina, lost, wait, forged):
    for number in range(forged):
        mpesa.post(rt, "stk", mpesa.push_result(f"ws_CO_F{number}", receipt=f"SKF{number:07}"))
    with rt.transaction() as tx:  # all of another amount, as a forger would have to guess it
        for orphan in tx.scalars(select(Orphan).where(Orphan.correlation != "ws_CO_77")):
            orphan.notice = orphan.notice | {"amount": 77_00}
            orphan.created_at += rt.config.sending_stuck / 4

    wait(minutes=2)
    mpesa.sweep(rt)

    assert teller.state(rt, lost) == DepositState.CONFIRMING
    assert mpesa.post(rt, "status_result", mpesa.status_result("AG_2")) == "credited"


def test_forged_orphans_before_it_only_make_it_wait_for_the_next_strike(rt, amina, lost, wait):
    with rt.transaction() as tx:
        true = tx.scalars(select(Orphan)).one()
        for number in range(150):
            tx.add(
                Orphan(
                    door=true.door, correlation=f"ws_CO_F{number}",
                    notice=true.notice | {"amount": 77_00}, created_at=true.created_at,
                    try_at=true.created_at,
                )
            )  # fmt: skip
    wait(minutes=2)
    mpesa.sweep(rt)
    assert teller.state(rt, lost) == DepositState.SEND_UNKNOWN

    mpesa.sweep(rt)

    assert teller.state(rt, lost) == DepositState.CONFIRMING


def test_an_orphan_is_looked_at_ever_more_rarely_and_then_a_persons(rt, amina, wait):
    mpesa.Daraja(rt)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_77"))
    looks, minute = [], 0
    for look in (1, 2, 3, 5, 30, 60, 300, 360, 1_400, 1_440, 2_000):
        wait(minutes=look - minute)
        minute = look
        before = tried(rt)
        mpesa.sweep(rt)
        if tried(rt) > before:
            looks.append(look)

    assert looks == [2, 5, 60, 360, 1_440]
    with rt.transaction() as tx:
        kept = tx.scalars(select(Orphan)).one()
    assert (kept.verdict, orphans.last_look(kept)) == ("unmatched", True)


def tried(rt):
    with rt.transaction() as tx:
        return tx.scalars(select(Orphan)).one().tried
