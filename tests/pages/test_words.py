"""What two people agree on is in words that both read alike, whatever kind of act it is."""

import ast
import importlib
from datetime import timedelta

import pytest

from admin import looks, second_yes
from core import days, levies, proposals, rights, tariffs
from core.levies import Levy
from core.proposals import ProposalState
from core.staff import Role
from tests.house import tree
from tests.pages import browser


def acts():
    """Every act that the core proposes, as its modules name it."""
    for path in tree.house():
        if path.parent.name != "core":
            continue
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("propose"):
                for keyword in node.keywords:
                    if keyword.arg == "act":
                        yield from _value(path.stem, keyword.value)


def _value(module, node):
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Name):
        named = getattr(importlib.import_module(f"core.{module}"), node.id, None)
        if isinstance(named, str):
            yield named


def test_every_act_of_two_people_can_be_decided_on_the_pages():
    found = set(acts())
    assert len(found) >= 8
    assert found <= set(second_yes.ACTS), "give it an entry in admin/second_yes.py"
    assert set(second_yes.ACTS) == set(rights.PROPOSES), "say in core/rights.py who proposes it"


def test_whoever_may_approve_may_by_the_table():
    assert {act.family for act in second_yes.ACTS.values()} == set(second_yes.FAMILIES)
    for right in second_yes.FAMILIES.values():
        assert {right, rights.second(right)} <= rights.FRESH


@pytest.fixture
def finance(at):
    return [at(name, Role.FINANCE) for name in ("akinyi", "wafula")]


def test_levies_are_told_as_percentages_and_decided(rt, finance):
    first, second = finance
    with rt.transaction() as tx:
        put = levies.propose(
            tx, {Levy.WITHHOLDING: 2000}, starts=rt.now() + timedelta(days=1), note="the Act",
            by=first.person.staff, now=rt.now(), config=rt.config,
        )  # fmt: skip
    page = second.open(f"/admin/approvals/{put.id}").sees("Levies", "withholding: 20%", "the Act")
    page.press("Approve").sees("The new rates will begin")
    assert decided(rt, put) == ProposalState.APPROVED


def test_a_tariff_is_told_in_shillings_and_refused(rt, finance):
    first, second = finance
    with rt.transaction() as tx:
        put = tariffs.propose(
            tx, {100_00: 0, 1_000_00: 5_00}, starts=rt.now() + timedelta(days=1),
            note="Safaricom", by=first.person.staff, now=rt.now(), config=rt.config,
        )  # fmt: skip
    page = second.open(f"/admin/approvals/{put.id}").sees("up to KES 1,000.00: KES 5.00")
    page.press("Refuse").sees("Refused.")
    assert decided(rt, put) == ProposalState.REFUSED


def test_the_close_of_a_day_is_told_account_by_account(rt, amina, finance, wait):
    first, second = finance
    yesterday = looks.when(rt.now())[:10]
    wait(days=2)
    with rt.transaction() as tx:
        put = days.propose(
            tx, days.date.fromisoformat(yesterday), by=first.person.staff, now=rt.now(),
            config=rt.config,
        )  # fmt: skip
    browser.enter(rt, second)
    page = second.open(f"/admin/approvals/{put.id}")
    page.sees("Close of a day", yesterday, "wallet: debits KES 0.00, credits KES 1,000.00")
    page.press("Approve").sees(f"The day {yesterday} is closed.")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("amount", 123_456_00, "KES 123,456.00"),
        ("phone", "+254712000001", "2547*****001"),
        ("staked", {"1": 100_00}, "1: KES 100.00"),
        ("payouts", [1, 2], "P1, P2"),
        ("sent_at", "2026-11-21T15:00:00+00:00", "2026-11-21 18:00"),
        ("sent_at", "soon", "soon"),
        ("fee_bp", 500, "5%"),
        ("corrects", None, "-"),
        ("drop", False, "no"),
        ("kind", "AFTER_RELEASE", "after release"),
    ],
)
def test_a_fact_is_told_by_what_its_name_says(name, value, said):
    assert looks.fact(name, value) == said


def decided(rt, put):
    return rt.attempt(lambda tx: ProposalState(tx.get_one(proposals.Proposal, put.id).state))
