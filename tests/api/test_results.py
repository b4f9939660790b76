"""A market's end over the API: proposed by one program, approved by another's owner, settled."""

import pytest

from core import audit, settling
from core.markets import Market
from tests import games
from tests.api.programs import refused

HASH = "0" * 64


@pytest.fixture
def derby(rt, amina, brian, wanjiku):
    """A closed market with KES 100 on either side."""
    market = games.derby(rt, wanjiku.member)
    for outcome, customer in enumerate((amina, brian), 1):
        games.placed(rt, customer, market, outcome, 100)
    games.close(rt, market, wanjiku.member)
    return market


def test_from_a_proposal_to_the_last_shilling(rt, derby, wanjiku, kamau):
    market = f"/markets/{derby.code}"
    refused(kamau.get(f"{market}/proposal"), 404, "staff.nothing_proposed")
    refused(kamau.get(f"{market}/settlement"), 404, "http.no_settlement")

    put = wanjiku.post(f"{market}/proposal", {"winners": [1], "source": "FKF"})

    assert put.status_code == 201
    seen = put.get_json()
    assert (seen["act"], seen["source"], seen["code"]) == ("result", "FKF", derby.code)
    facts = seen["preview"]
    assert facts["winners"] == [{"number": 1, "name": "Yes"}]
    assert (facts["pool"], facts["fee"], facts["gross"]) == (200_00, 10_00, 190_00)
    assert facts["largest"] == [{"bet": 1, "amount": 190_00}]

    waits = kamau.get(f"{market}/proposal").get_json()
    assert waits["preview"] == facts
    assert (waits["by"], waits["lapsed"], waits["changed"]) == ("wanjiku", False, False)
    yes = kamau.post(f"{market}/approval", {"hash": waits["hash"]})
    assert yes.status_code == 201
    with rt.transaction() as tx:
        (due,) = settling.settlement.due(tx, now=rt.now())
    assert due == yes.get_json()["settlement"]
    assert kamau.get(f"{market}/settlement").get_json()["stage"] == "waiting"
    settling.work(rt, due)

    done = kamau.get(f"{market}/settlement").get_json()
    assert (done["state"], done["stage"], done["void"]) == ("settled", "settled", False)
    assert (done["paid"], done["fee"], done["bets_done"]) == (190_00, 10_00, done["bets"])
    refused(kamau.get(f"{market}/proposal"), 404, "staff.nothing_proposed")


def test_a_void_and_an_effective_close_are_proposed_too(rt, derby, wanjiku, kamau):
    market = f"/markets/{derby.code}"
    until = derby.opens_at.isoformat()
    told = {"winners": [2], "effective_close": until, "source": "Photo"}
    late = wanjiku.post(f"{market}/proposal", told).get_json()["preview"]
    assert (late["late"], late["refunding"]) == (200_00, True)

    void = kamau.post(f"{market}/proposal", {"void": True, "source": "Abandoned"}).get_json()

    assert (void["act"], void["preview"]["winners"]) == ("void", [])
    assert wanjiku.get(f"{market}/proposal").get_json()["hash"] == void["hash"]


def test_what_a_rule_forbids_is_refused_and_nothing_is_proposed(rt, derby, wanjiku, amina):
    other = games.derby(rt, wanjiku.member, question="Ingwe v Gor").code
    told = {"winners": [1], "source": "FKF"}
    future = "2099-01-01T00:00:00Z"
    for path, body, status, reason in (
        (f"/markets/{other}/proposal", told, 409, "staff.market_not_closed"),
        ("/markets/999999999/proposal", told, 404, "staff.no_such_market"),
        (f"/markets/{derby.code}/proposal", told | {"winners": [7]}, 409,
         "betting.no_such_outcome"),
        (f"/markets/{derby.code}/proposal", told | {"effective_close": future}, 409,
         "staff.effective_close"),
        (f"/markets/{other}/approval", {"hash": HASH}, 404, "staff.nothing_proposed"),
    ):  # fmt: skip
        refused(wanjiku.post(path, body), status, reason)
    with rt.transaction() as tx:
        assert tx.get_one(Market, derby.id).status == derby.status + 2


BODIES = {
    "no JSON": b"winners=1",
    "a list": b"[]",
    "nothing": b"",
    "no source": b'{"winners": [1]}',
    "no winners": b'{"winners": [], "source": "FKF"}',
    "a blank source": b'{"winners": [1], "source": " \\t "}',
    "a source with a zero byte": b'{"winners": [1], "source": "F\\u0000KF"}',
    "half a character": b'{"winners": [1], "source": "\\ud800"}',
    "a long source": b'{"winners": [1], "source": "%s"}' % (b"x" * 201),
    "a winner in words": b'{"winners": ["1"], "source": "FKF"}',
    "a winner twice": b'{"winners": [1, 1], "source": "FKF"}',
    "a winner beyond all": b'{"winners": [9], "source": "FKF"}',
    "a true winner": b'{"winners": [true], "source": "FKF"}',
    "a void that is none": b'{"void": false, "source": "FKF"}',
    "a void with winners": b'{"void": true, "winners": [1], "source": "FKF"}',
    "what nobody asked for": b'{"winners": [1], "source": "FKF", "fee": 0}',
    "a moment without its zone":
        b'{"winners": [1], "source": "FKF", "effective_close": "2026-11-21T18:00:00"}',
    "a moment that never was":
        b'{"winners": [1], "source": "FKF", "effective_close": "2026-02-30T18:00:00Z"}',
    "bytes that are no text": b'{"winners": [1], "source": "\xff"}',
    "brackets without end": b"[" * 10_000,
}  # fmt: skip


def test_a_body_that_is_not_of_its_form_is_refused_by_place(derby, wanjiku):
    path = f"/markets/{derby.code}/proposal"
    for body in BODIES.values():
        sent = wanjiku.signed("POST", path, body, totp=wanjiku.person.code())
        refused(wanjiku.send(sent), 400, "http.body")
    assert "source" in wanjiku.post(path, {"winners": [1]}).get_json()["detail"]


def test_a_body_is_json_and_not_long(derby, wanjiku):
    path = f"/markets/{derby.code}/proposal"
    text = wanjiku.signed("POST", path, b"{}", totp=wanjiku.person.code())
    text["headers"]["Content-Type"] = "text/plain"
    refused(wanjiku.send(text), 415, "http.unsupported_media_type")
    long = wanjiku.signed("POST", path, b" " * 17_000, totp=wanjiku.person.code())
    refused(wanjiku.send(long), 413, "http.request_entity_too_large")


def test_where_there_is_nothing_the_answer_is_a_problem_too(client, wanjiku):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/markets/0/settlement", 404),
        ("GET", "/markets/1000000000/proposal", 404),
        ("GET", "/markets/0101/proposal", 404),
        ("POST", "/payouts/1000000000000000000/retry", 404),
        ("OPTIONS", "/payouts/1/retry", 405),
        ("GET", "/markets/99999999999999999999/settlement", 404),
        ("GET", "/markets/abc/settlement", 404),
        ("GET", "/markets//settlement", 404),
        ("DELETE", "/payouts/1/retry", 405),
        ("GET", "/payouts/retry-failed", 405),
    ):
        answer = client.open(f"/admin/api{path}", method=method)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert status != 405 or "POST" in answer.headers["Allow"]


def test_each_act_and_each_refused_one_is_a_line_of_the_audit(rt, derby, wanjiku, kamau):
    market = f"/markets/{derby.code}"
    seen = wanjiku.post(f"{market}/proposal", {"winners": [1], "source": "FKF"}).get_json()
    wanjiku.post(f"{market}/approval", {"hash": seen["hash"]})
    kamau.post(f"{market}/approval", {"hash": HASH})
    kamau.post(f"{market}/approval", {"hash": seen["hash"]})

    lines = [line for line in told(rt) if line.action not in ("second factor", "staff enrol")]
    assert [(line.action, line.staff_id, line.facts.get("reason")) for line in lines] == [
        ("propose market.result", wanjiku.member.id, None),
        ("market propose", wanjiku.member.id, None),
        ("api refused", wanjiku.member.id, "staff.own_proposal"),
        ("api refused", kamau.member.id, "staff.content_changed"),
        ("approve market.result", kamau.member.id, None),
        ("market approve", kamau.member.id, None),
    ]
    mine = [line for line in lines if not line.action.endswith("market.result")]
    assert [line.facts["key"] for line in mine] == [
        wanjiku.key_id, wanjiku.key_id, kamau.key_id, kamau.key_id,
    ]  # fmt: skip
    with rt.transaction() as tx:
        assert audit.verify(tx).ok


def told(rt):
    """The lines that the API wrote, the oldest first."""
    with rt.transaction() as tx:
        return [line for line in reversed(audit.lines(tx, limit=500)) if line.channel == "api"]
