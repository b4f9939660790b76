"""The description of the API is true: every route is in it, and no answer is outside it."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks
from werkzeug.test import Client

from admin import second_yes
from admin.api import door
from core import audit, settlement, settling, stamp
from core.rights import FRESH
from core.staff import Role
from tests import cashier, games, mpesa, standing, teller
from tests.api import programs
from tests.api.signing import Signing
from tests.counts import chosen

OPENAPI = f"{programs.API}/openapi.json"
# A rule may say no to what is well asked.
BESIDE = [checks.positive_data_acceptance]
LOOKED_AT = settings(
    max_examples=chosen().cases, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def house(rt, client):
    """A house behind an admin who signs."""
    root = programs.program(rt, client, "root", Role.ADMIN)
    return Signing(rt, standing.application(rt), root)


def described() -> dict[str, Any]:
    """The description, but for what is signed: that is the post office's business."""
    told = json.loads(door.OPENAPI.read_text())
    for ways in told["paths"].values():
        for way in ways.values():
            if isinstance(way, dict):
                way.pop("security", None)
    return {name: part for name, part in told.items() if name != "security"}


schema = schemathesis.openapi.from_dict(described())


@pytest.mark.timeout(1_200)  # with the full counts, on a busy machine
@schema.parametrize()
@LOOKED_AT
def test_whatever_is_asked_is_answered_as_described(house, case):
    answer = case.call(app=house)
    case.validate_response(answer, excluded_checks=BESIDE)
    assert answer.status_code < 500


# Real codes and numbers, and a few of which there are none; what is asked, with which body.
CODES, NUMBERS = st.integers(101, 104), st.integers(1, 9)
PHONES = st.sampled_from(["0712000001", "+254712000002", "254712000009", "123456789"])
MOMENTS = st.sampled_from([None, "2026-11-20T00:00:00Z", "2099-01-01T00:00:00+03:00"])
ENDINGS = st.fixed_dictionaries({"void": st.just(True), "source": st.just("FKF")}) | (
    st.fixed_dictionaries(
        {
            "winners": st.lists(st.integers(1, 3), min_size=1, max_size=2, unique=True),
            "source": st.just("FKF"),
            "effective_close": MOMENTS,
        }
    )
)
REASON = st.just({"reason": "not so"})
OF_FAMILY = "/approvals/{family}/{proposal}"
ACTS = st.one_of(
    st.tuples(st.just("/markets/{code}/proposal"), st.just("POST"), CODES, ENDINGS),
    st.tuples(st.just("/markets/{code}/approval"), st.just("POST"), CODES, st.none()),
    st.tuples(st.just("/markets/{code}/proposal"), st.just("GET"), CODES, st.none()),
    st.tuples(st.just("/markets/{code}/settlement"), st.just("GET"), CODES, st.none()),
    st.tuples(st.just("/markets/{code}/correction"), st.just("POST"), CODES, ENDINGS),
    st.tuples(st.just("/approvals"), st.just("GET"), st.just(0), st.none()),
    st.tuples(st.just("/approvals/{proposal}"), st.just("GET"), NUMBERS, st.none()),
    st.tuples(st.just(f"{OF_FAMILY}/approval"), st.just("POST"), NUMBERS, st.none()),
    st.tuples(st.just(f"{OF_FAMILY}/refusal"), st.just("POST"), NUMBERS, REASON),
    st.tuples(st.just("/payouts/{payout}/retry"), st.just("POST"), NUMBERS, st.just({})),
    st.tuples(st.just("/payouts/retry-failed"), st.just("POST"), st.just(0), st.just({})),
    st.tuples(st.just("/payments"), st.just("GET"), st.just(0), st.none()),
    st.tuples(st.just("/customers/{number}"), st.just("GET"), PHONES, st.none()),
)


@pytest.mark.timeout(1_200)
def test_whatever_two_people_do_with_real_things_is_answered_as_described(
    rt, house, amina, brian, client
):
    """Each example goes on where the last one ended: markets are settled, payouts paid anew."""
    daraja = mpesa.Daraja(rt)
    second = Signing(rt, house.app, programs.program(rt, client, "akinyi", Role.ADMIN))
    desks = [Client(house), Client(second)]
    for name in ("Gor", "Ingwe", "Bandari"):
        market = games.derby(rt, house.program.member, "Yes", "No", "Draw", question=name)
        for outcome, customer in enumerate((amina, brian), 1):
            games.placed(rt, customer, market, outcome, 30)
        games.close(rt, market, house.program.member)
    seen = {}

    @LOOKED_AT
    @given(ACTS, st.integers(0, 1), st.sampled_from(["", "work", "fail", "withdraw"]))
    def act(asked, desk, meanwhile):
        path, method, number, body = asked
        if path.endswith("approval"):
            about = ("proposal", number) if path.startswith(OF_FAMILY) else number
            body = {"hash": seen.get(about, "0" * 64)}
        told = {"code": number, "payout": number, "number": number, "proposal": number}
        where = programs.API + path.format(family="results", **told)
        answer = desks[desk].open(where, method=method, json=body)
        schema[path][method].validate_response(answer)
        if method == "GET" and path.endswith("proposal") and answer.status_code == 200:
            seen[number] = answer.get_json()["hash"]
        if path == "/approvals" and answer.status_code == 200:
            for one in answer.get_json()["approvals"]:
                seen["proposal", one["proposal"]] = one["hash"]
        elsewhere(rt, daraja, amina, meanwhile)

    act()
    with rt.transaction() as tx:
        verdict = audit.verify(tx)
    assert verdict.ok, verdict.fault
    assert teller.clean(rt)


def elsewhere(rt, daraja, customer, what):
    """What goes on in the house meanwhile."""
    if what == "withdraw" and mpesa.balance(rt, customer) >= 10_00:
        cashier.withdrawing(rt, customer, 10_00)
    elif what == "fail" and (sent := daraja.requests("b2c")):
        mpesa.post(rt, "b2c_result", mpesa.payout_result(sent[-1], 2040))
    elif what == "work":
        mpesa.work(rt)
        with rt.transaction() as tx:
            stamp.set_clock(tx, math.ceil((rt.now() - datetime.now(UTC)).total_seconds()))
            due = settlement.due(tx, now=rt.now())
        for run in due:
            settling.work(rt, run)


def test_nothing_is_answered_without_a_signature(client, rt):
    app = standing.application(rt)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi":
            for method in rule.methods:
                answer = client.open(programs.place(rule), method=method)
                assert answer.status_code == 401, rule


def test_the_description_has_every_route_and_no_other(client, rt):
    described = client.get(OPENAPI).get_json()
    told = {
        (path, method.upper())
        for path, ways in described["paths"].items()
        for method in ways
        if method != "parameters"
    }
    app = standing.application(rt)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    there = {(_path(rule), method) for rule in rules for method in rule.methods - {"HEAD"}}
    assert there == told


def test_it_says_which_acts_want_a_second_factor(client, rt):
    described = client.get(OPENAPI).get_json()
    app = standing.application(rt)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            (method,) = rule.methods - {"HEAD"}
            told = described["paths"][_path(rule)][method.lower()]
            (wanted,) = told.get("security", described["security"]) or [{}]
            right = app.view_functions[rule.endpoint].right
            assert ("Totp" in wanted) == (right in FRESH), rule
            assert ("Signature" in wanted) == (right is not None), rule
            assert set(told["responses"]) >= ({"401", "403", "429"} if right else set())


def test_it_names_every_family_of_acts(client):
    described = client.get(OPENAPI).get_json()["components"]
    told = described["schemas"]["AnyProposal"]["properties"]["family"]["enum"]
    assert set(told) == set(second_yes.FAMILIES)
    assert described["parameters"]["Family"]["schema"]["enum"] == told


def _path(rule):
    """`/markets/{code}/proposal`, as OpenAPI writes a route."""
    path = rule.rule.removeprefix(programs.API)
    return re.sub(r"<.*?:(\w+?)(_id)?>", r"{\1}", path)
