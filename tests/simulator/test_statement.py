"""The organisation's statement: a CSV as from the portal, with all that makes it hard to read."""

import csv
import io

import pytest

from simulator.driver import Network, Phone, Trouble
from tests.simulator.merchant import TOLD, Merchant
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")

FLOAT = TOLD.utility_float


def read(text: str) -> list[dict[str, str]]:
    """The lines below the preamble, by the names of their columns."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("Receipt No.,"))
    return list(csv.DictReader(io.StringIO("\n".join(lines[start:]))))


def amounts(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(row["Paid In"], row["Withdrawn"], row["Balance"]) for row in rows]


@pytest.fixture
def day(merchant: Merchant, phone: Phone, house: StubHouse, network: Network) -> dict[str, str]:
    """A payment, a payout, one that failed, a move to the bank, and a payment taken back."""
    network.settings(c2b_confirmation="")
    paid = phone.pay_paybill(1_500, account="0712000001")
    merchant.b2c(285, "paid", PartyA=TOLD.shortcode)
    house.awaits("b2c/result")
    merchant.b2c(9, "failed", PartyA=TOLD.shortcode)
    house.awaits("b2c/result", 2)
    moved = network.treasury("utility to bank", 200, shortcode=TOLD.shortcode)
    back = network.reverse(paid)
    network.drain()
    sent, failed = (one["receipt"] for one in network.payouts())
    return {"paid": paid, "sent": sent, "failed": failed, "moved": moved, "back": back}


def test_newest_first_with_balances_and_a_charge_of_its_own(
    network: Network, day: dict[str, str]
) -> None:
    rows = read(network.statement(TOLD.shortcode))
    names = {receipt: name for name, receipt in day.items()}
    assert [(names[row["Receipt No."]], row["Reason Type"]) for row in rows] == [
        ("back", "Pay Bill Reversal"),
        ("moved", "Withdraw Funds to Bank"),
        ("failed", "Business Payment to Customer via API"),
        ("sent", "Business Payment to Customer via API Charge"),
        ("sent", "Business Payment to Customer via API"),
        ("paid", "Pay Bill"),
    ]
    assert amounts(rows) == [
        ("", "-1,500.00", "999,510.00"),
        ("", "-200.00", "1,001,010.00"),
        ("", "-9.00", "1,001,210.00"),
        ("", "-5.00", "1,001,210.00"),
        ("", "-285.00", "1,001,215.00"),
        ("1,500.00", "", "1,001,500.00"),
    ]
    assert [row["Transaction Status"] for row in rows].count("Failed") == 1
    paid = rows[-1]
    assert paid["A/C No."] == "0712000001"
    assert paid["Other Party Info"].startswith("2547****0001 - ")
    assert rows[0]["Linked Transaction ID"] == day["paid"]


def test_the_preamble_and_quoted_thousands(network: Network, day: dict[str, str]) -> None:
    lines = network.statement(TOLD.shortcode).splitlines()
    assert lines[:3] == [
        f"Organization Name:,{TOLD.organisation}", f"Short Code:,{TOLD.shortcode}",
        "Account:,Organization Account",
    ]  # fmt: skip
    assert lines[3].startswith("Time Period:,From 20")
    assert lines[5].startswith("Receipt No.,Completion Time,Initiation Time,Details,")
    assert '"-1,500.00"' in lines[6]


def test_both_ways_to_write_a_date(network: Network, day: dict[str, str]) -> None:
    iso = read(network.statement(TOLD.shortcode))[0]["Completion Time"]
    dmy = read(network.statement(TOLD.shortcode, dates="dmy"))[0]["Completion Time"]
    year, month, rest = iso[:4], iso[5:7], iso[8:]
    assert dmy == f"{rest[:2]}-{month}-{year} {rest[3:]}"


def test_each_account_has_a_statement(network: Network, day: dict[str, str]) -> None:
    network.treasury("utility to working", 30, shortcode=TOLD.shortcode)
    kept = {
        account: amounts(read(network.statement(TOLD.shortcode, account=account)))
        for account in ("utility", "working", "charges")
    }
    assert kept["utility"][0] == ("", "-30.00", f"{FLOAT - 285 - 200 - 30:,}.00")
    assert len(kept["utility"]) == 6
    assert kept["working"] == [("30.00", "", "30.00")]
    assert kept["charges"] == [("", "-5.00", "-5.00")]


def test_a_period(network: Network, day: dict[str, str]) -> None:
    past = network.statement(TOLD.shortcode, until="2020-01-01T00:00:00")
    assert read(past) == []
    assert "To 2020-01-01 00:00:00" in past
    assert read(network.statement(TOLD.shortcode, since="2099-01-01")) == []
    assert read(network.statement(TOLD.till_number)) == []


def test_what_there_is_no_statement_of(network: Network) -> None:
    for asked in ({"account": "savings"}, {"dates": "american"}, {"since": "noon"}):
        with pytest.raises(Trouble, match="400"):
            network.statement(TOLD.shortcode, **asked)
    with pytest.raises(Trouble, match="404"):
        network.statement("555555")
    with pytest.raises(Trouble, match="not so much"):
        network.treasury("working to bank", 10)
    with pytest.raises(Trouble, match="treasury does one of"):
        network.treasury("to the moon", 10)
