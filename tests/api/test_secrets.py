"""Nothing that a program shows, and nothing that was shown to it once, is ever written down."""

import io
import json

import pytest
from sqlalchemy import text

from core import log
from core.staff import Role
from tests import cashier, games, mpesa

TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


@pytest.fixture
def written():
    """What the house logs meanwhile, down to its chatter."""
    stream = io.StringIO()
    log.configure("DEBUG", stream)
    return stream


def test_no_secret_no_code_and_no_signature_is_in_logs_or_tables(rt, written, wanjiku, kamau):
    market = games.derby(rt, wanjiku.member)
    games.close(rt, market, wanjiku.member)
    path, shown = f"/markets/{market.code}/proposal", []
    for program in (wanjiku, kamau):
        shown += [program.secret, program.person.secret, *program.person.recovery]
        for body in (b'{"winners":[1],"source":"FKF"}', b'{"hash":"0"}', b"{"):
            code = program.person.code()
            request = program.signed("POST", path, body, totp=code)
            program.send(request)
            program.send(request)
            program.send(request | {"data": b"[]"})
            shown += [code, request["headers"]["X-Signature"]]
    wrong = wanjiku.signed("GET", path, secret=wanjiku.secret[::-1])
    wanjiku.send(wrong)
    shown += [wrong["headers"]["X-Signature"], wanjiku.secret[::-1]]

    logged = "\n".join(map(told, written.getvalue().splitlines()))
    assert logged.count('"event":"request"') == 19
    assert logged.count('"event":"turned away"') == 13
    kept = dump(rt)
    assert market.question in kept
    assert wanjiku.key_id in kept
    for secret in shown:
        plain = secret.replace("-", "")
        assert secret not in logged
        assert plain not in logged
        if len(secret) > 6:  # six digits may be part of anything in a whole database
            assert secret not in kept
            assert plain not in kept


def test_reasons_are_for_the_log_alone(rt, written, wanjiku):
    path = "/markets/101/proposal"
    wanjiku.send(wanjiku.signed("GET", path, timestamp="0"))
    (line,) = [line for line in written.getvalue().splitlines() if "turned away" in line]
    facts = json.loads(line)
    assert (facts["reason"], facts["door"], facts["status"]) == ("time", "api", 401)


def test_no_phone_is_in_an_answer_whole(rt, amina, program):
    akinyi, daraja = program("akinyi", Role.FINANCE), mpesa.Daraja(rt)
    number = cashier.sent(rt, amina, 300)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[-1], 2040))
    answers = [
        akinyi.get("/payments"),
        akinyi.post(f"/payouts/{number}/retry"),
        akinyi.post("/payouts/retry-failed"),
        akinyi.get(f"/payments?phone={amina.phone.removeprefix('+')}"),
    ]
    for answer in answers:
        assert amina.phone.removeprefix("+") not in answer.get_data(as_text=True)


def told(line):
    """What a line of the log says, without the digits that time and chance put there."""
    chance = ("timestamp", "trace", "span", "seconds")
    facts = {name: fact for name, fact in json.loads(line).items() if name not in chance}
    return json.dumps(facts, separators=(",", ":"))


def dump(rt):
    """Every row of every table, as text."""
    with rt.transaction() as tx:
        names = list(tx.scalars(TABLES))
        rows = [tx.scalars(text(f"SELECT row_to_json(t)::text FROM {n} t")).all() for n in names]
    return "\n".join(row for some in rows for row in some)
