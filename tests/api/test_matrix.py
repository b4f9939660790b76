"""Every route of the API with every role: who may, by the one table; a look changes nothing."""

import pytest
from sqlalchemy import text

from core import rights
from core.staff import Role
from tests import games, standing
from tests.api.programs import API, place

OWN = (
    "api_nonce", "api_key", "audit_line", "audit_head", "staff_access", "staff_again", "staff_door",
    "tick",
)  # fmt: skip
TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


@pytest.fixture
def routes(rt):
    """Method, path and right of each route that is not open."""
    app = standing.application(rt)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    wanted = [(rule, app.view_functions[rule.endpoint].right) for rule in rules]
    return [
        (method, place(rule).removeprefix(API), right)
        for rule, right in wanted
        if right is not None
        for method in sorted(rule.methods)
    ]


@pytest.mark.parametrize("role", Role)
def test_who_may_is_in_the_table_and_nobody_else_gets_past_the_door(
    rt, routes, program, role, amina, kamau
):
    games.derby(rt, kamau.member)
    other, before = program("otieno", role), house(rt)
    assert len(routes) > 10
    for method, path, right in routes:
        totp = other.person.code() if method == "POST" else ""
        body = b"[]" if method == "POST" else b""  # of no form: nothing is done by it
        answer = other.send(other.signed(method, path, body, totp=totp))
        may = rights.may(role, right)
        assert (answer.status_code == 403) == (not may), (method, path, answer.status_code)
        assert answer.status_code in ({200, 400, 404} if may else {403}), (method, path)
    assert house(rt) == before


def house(rt):
    """All that is kept, but what the door itself keeps of who came."""
    with rt.transaction() as tx:
        names = [name for name in tx.scalars(TABLES) if name not in OWN]
        return {n: tx.scalars(text(f"SELECT row_to_json(t)::text FROM {n} t")).all() for n in names}
