"""What staff type about money without an owner, and money that goes back: two people for each."""

import json
import re

import pytest
from sqlalchemy import text

from tests import mpesa, paybill, standing
from tests.paybill import RECEIPT, REVERSAL

HASH = re.compile(r"proposed: ([0-9a-f]{64})")


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def flask(rt):
    """`flask("suspense", "list")`: the exit code, and what was printed."""
    for name in ("akinyi", "otieno"):
        paybill.finance(rt, name)
    runner = standing.application(rt).test_cli_runner()

    def run(*arguments):
        result = runner.invoke(args=list(arguments))
        return result.exit_code, result.output

    return run


def test_money_is_listed_and_attached_by_two(rt, amina, daraja, flask):
    paybill.confirmed(rt, daraja, "rent 0722123456")
    _, listed = flask("suspense", "list", "--json")
    (one,) = json.loads(listed)
    assert (one["what"], one["receipt"], one["amount"], one["state"]) == (
        "suspense", RECEIPT, "100", "confirmed",
    )  # fmt: skip
    assert "0722123456" not in listed
    assert "254712000001" not in listed

    seen = act(flask, "attach", RECEIPT, "0712000001")
    assert flask("suspense", "approve", RECEIPT, seen, "--as", "akinyi")[0] == 1
    assert flask("suspense", "approve", RECEIPT, seen, "--as", "otieno") == (0, "credited\n")

    assert mpesa.balance(rt, amina) == 1_100_00
    assert flask("suspense", "list") == (0, "There are none.\n")


def test_every_act_can_be_typed(rt, amina, daraja, flask):
    paybill.confirmed(rt, daraja, "rent")
    act(flask, "refund", RECEIPT)
    assert flask("suspense", "refuse", RECEIPT, "--as", "otieno") == (0, "refused\n")
    paybill.pay(rt, "shop", receipt="SKC2B00002")
    real = act(flask, "real", "SKC2B00002")
    assert "proposed" in flask("suspense", "list")[1]
    assert approve(flask, "SKC2B00002", real) == "confirmed"
    paybill.pay(rt, "shop", receipt="SKC2B00003")
    never = act(flask, "never", "SKC2B00003")
    assert approve(flask, "SKC2B00003", never) == "reversed"
    gone = act(flask, "reversed", RECEIPT, "--reversal", REVERSAL)
    assert approve(flask, RECEIPT, gone) == "reversed"
    assert paybill.held(rt) == 100_00

    code, words = flask("suspense", "never", RECEIPT, "--note", "?", "--as", "akinyi")
    assert (code, "not here any more" in words) == (1, True)
    paybill.confirmed(rt, daraja, "flat", receipt="SKC2B00004", amount="9.50")
    assert approve(flask, "SKC2B00004", act(flask, "keep", "SKC2B00004")) == "kept"


def test_a_refund_is_listed_and_ended_by_two(rt, daraja, flask):
    paybill.confirmed(rt, daraja, "rent")
    seen = act(flask, "refund", RECEIPT, "--method", "b2c", "--phone", "0712000001")
    assert flask("suspense", "approve", RECEIPT, seen, "--as", "otieno") == (0, "refunding\n")
    mpesa.work(rt)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE refund SET state = 5, ask_at = NULL"))
    (one,) = json.loads(flask("refunds", "list", "--json")[1])
    assert (one["state"], one["method"], one["to"]) == ("needs_human", "b2c", "2547*****001")
    assert "needs_human" in flask("refunds", "list")[1]

    number = str(one["refund"])
    assert flask("refunds", "end", number, "--note", "?", "--as", "akinyi")[0] == 2
    code, words = flask(
        "refunds", "end", number, "--paid", "SKP0000001", "--note", "portal", "--as", "akinyi"
    )
    assert code == 0
    assert flask("refunds", "refuse", number, "--as", "otieno") == (0, "refused\n")
    _, words = flask(
        "refunds", "end", number, "--paid", "SKP0000001", "--note", "portal", "--as", "akinyi"
    )
    seen = HASH.search(words)[1]
    assert flask("refunds", "approve", number, seen, "--as", "otieno") == (0, "paid\n")
    assert paybill.held(rt) == 0


def approve(flask, receipt, seen):
    """The second yes; the last line is what it came to, after what the log had to say."""
    code, words = flask("suspense", "approve", receipt, seen, "--as", "otieno")
    assert code == 0, words
    return words.splitlines()[-1]


def act(flask, *arguments):
    """Proposed by Akinyi; the hash that a second person has to name."""
    code, words = flask("suspense", *arguments, "--note", "seen in the portal", "--as", "akinyi")
    assert code == 0, words
    return HASH.search(words)[1]
