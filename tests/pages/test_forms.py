"""Bad forms: whatever is typed, the answer is a clear one, and nothing is half done."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import audit
from core.staff import Role
from tests.counts import chosen
from tests.pages import browser, stage
from tests.pages.test_matrix import rows, rules

FINE = {200, 303, 404, 409, 422}
ODD = (
    "", " ", "\x00", "a\x00b", "-1", "0", "1e9", "9" * 30, "½", "\uff11\uff12", "None",
    "' OR 1=1 --",
    "<script>alert(1)</script>", "{{99*999}}", "\u202etxt", "\ud7ff", "é" * 300, "2026-13-45T99:99",
    "0001-01-01T00:00", "9999-12-31T23:59", "2026-11-21T18:00+99:99", "NaN", "P1", "+254712000001",
)  # fmt: skip
NAMES = (
    "winners", "source", "effective_close", "void", "drop", "outcome", "hash", "reason", "note",
    "end", "receipt", "name", "role", "phone", "question", "outcomes", "category", "opens_at",
    "closes_at", "min_stake", "max_stake", "line", "by", "before", "list", "customer", "q", "from",
    "next", "code", "old", "new", "again", "action", "subject", "invitation", "password",
)  # fmt: skip
# What ends the session, or costs a password's hash each time.
DEAR = {"desk.door_sign_out", "desk.account_password", "desk.door_sign_in_now"}


@pytest.fixture
def admin(rt, at, amina, brian):
    stage.furnish(rt, amina, brian)
    return at("ada", Role.ADMIN)


def forms():
    values = st.one_of(st.sampled_from(ODD), st.text(max_size=40))
    return st.dictionaries(st.sampled_from(NAMES), st.lists(values, max_size=2), max_size=8)


@pytest.mark.timeout(900)
def test_no_form_breaks_a_page(rt, app, admin):
    routes = [(rule, path) for rule, path in rules(app) if rule.endpoint not in DEAR]
    token = admin.open("/admin/").csrf()

    @settings(
        max_examples=6 * chosen().cases, deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(route=st.sampled_from(routes), typed=forms())
    def send(route, typed):
        rule, path = route
        if "POST" in rule.methods:
            answer = admin.client.post(path, data={"csrf_token": token, **typed})
        else:
            answer = admin.client.get(path, query_string=typed)
        assert answer.status_code in FINE or answer.status_code == 429, (path, typed)
        if answer.status_code in (409, 422):
            assert "message" in answer.get_data(as_text=True) or answer.status_code == 409
        if answer.status_code == 404 and rule.endpoint == "desk.layout_static_file":
            raise AssertionError("the file is there")

    send()


def test_what_is_typed_is_never_part_of_a_page(at):
    ada = at("ada", Role.ADMIN)
    for odd in ODD:
        for path in ("/admin/search?q=", "/admin/audit?action=", "/admin/audit?subject="):
            page = ada._take(ada.client.get(path + browser.urlencode({"": odd})[1:]))
            assert page.status == 200
            assert "<script>alert" not in page.html
            assert " 98901 " not in page.text or odd != "{{99*999}}"


@pytest.mark.parametrize("odd", ["%00", "a%00b", "%ff", "%ed%a0%80", "0712000001"])
def test_an_odd_address_that_is_refused_is_a_line_of_the_audit(rt, admin, odd):
    admin.open("/admin/account")
    assert admin.post(f"/admin/account/keys/{odd}/end").status_code == 303
    with rt.transaction() as tx:
        assert audit.lines(tx)[0].action == "page refused"
        assert "0712000001" not in audit.lines(tx)[0].body


def test_no_line_breaks_the_page_of_the_audit(rt, admin):
    """Commands take any moment that a calendar has; some are in no year of Nairobi's."""
    moments = {"closes_at": "0001-01-01", "opens_at": "9999-12-31T23:59:59-12:00"}
    with rt.transaction() as tx:
        audit.note(tx, "command market create", by=None, now=rt.now(), facts=moments)
    admin.open("/admin/audit").sees("command market create", "9999-12-31")


def test_a_refused_form_changes_nothing_but_the_audit(rt, admin):
    admin.open("/admin/markets/3")
    before = rows(rt)
    for path, values in (
        ("/admin/markets/3/suspension", {"reason": " "}),
        ("/admin/markets/3/closing-time", {"closes_at": "soon", "reason": "x"}),
        ("/admin/markets/2/result", {"winners": "9", "source": "x"}),
        ("/admin/staff/new", {"name": "x", "role": "king", "phone": "1", "note": "x"}),
        ("/admin/payouts/1/hold", {"reason": "too late"}),
        ("/admin/payouts/1/end", {"end": "paid", "receipt": "SKP1", "note": "x"}),
        ("/admin/incidents/1/end", {"end": "correct", "note": "x"}),
        ("/admin/audit/verification", {"line": "1", "hash": "x"}),
    ):
        answer = admin.post(path, referer="/admin/markets/3", **values)
        assert answer.status_code == 303, path
        page = admin.open(answer.location)
        assert page.messages, path
    after = rows(rt)
    changed = {table for table, held in after.items() if held != before[table]}
    assert changed == {"audit_line", "audit_head"}
