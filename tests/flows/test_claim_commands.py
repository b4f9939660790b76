"""What staff see of claimed codes, and what a code of M-PESA's means."""

import json
import uuid

from core import claims
from core.effects import Channel
from tests import standing


def flask(rt, *arguments):
    result = standing.application(rt).test_cli_runner().invoke(args=list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_claims_are_listed_by_what_came_of_them(rt, amina):
    with rt.transaction() as tx:
        claims.claim(
            tx, key=uuid.uuid4(), customer=tx.merge(amina, load=False), code="QWE12RTY34",
            channel=Channel.SMS, session="test", now=rt.now(), config=rt.config,
        )  # fmt: skip
    (row,) = json.loads(flask(rt, "claim", "list", "--json"))
    assert (row["phone"], row["receipt"], row["state"]) == ("2547*****001", "QWE12RTY34", "asking")
    assert "QWE12RTY34" in flask(rt, "claim", "list", "--state", "asking")
    assert flask(rt, "claim", "list", "--state", "credited") == "There are none.\n"


def test_a_code_is_explained_to_staff(rt):
    wrong_pin = flask(rt, "claim", "code", "2001")
    assert "Wrong M-PESA PIN." in wrong_pin  # of a deposit
    assert "all payouts are paused" in wrong_pin  # of a payout
    told = json.loads(flask(rt, "claim", "code", "100000013", "--json"))
    assert [one["of"] for one in told] == ["payout"]
    assert "stays reserved" in told[0]["effect"]
