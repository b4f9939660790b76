"""Every route, role and method: who comes in is in the table, and a GET changes nothing."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from admin import frame
from admin.guard import right_of
from core import rights
from core.staff import Role
from tests.pages import browser, stage

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
VALUES = {
    "name": "house.css",
    "session_id": 999,
    "key_id": "0" * 16,
    "kind": "result",
    "change": "role",
}
# What is told a single time answers its POST; nothing else does with more than a way on.
TOLD = {
    "desk.account_recovery_codes", "desk.account_make_key", "desk.payouts_phone",
    "desk.approvals_approval_staff",
}  # fmt: skip
WAY_ON = {303, 404, 422}


@pytest.fixture
def house(rt, amina, brian):
    return stage.furnish(rt, amina, brian)


def rules(app) -> Iterator:
    """Every rule of the pages, and an address of each."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("desk."):
            given = {name: VALUES.get(name, 1) for name in rule.arguments}
            yield rule, app.url_map.bind("localhost").build(rule.endpoint, given)


def test_every_route_of_the_staff_declares_what_it_is_for(app):
    named = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin")]
    assert len(named) > 60
    for rule in named:
        right_of(app, rule.endpoint)  # which objects to a route that declares nothing
        assert "OPTIONS" not in rule.methods or rule.endpoint.startswith("api."), rule


def test_few_routes_are_open(app):
    opened = {rule.endpoint for rule, _ in rules(app) if right_of(app, rule.endpoint) is None}
    assert opened == {
        "desk.door_sign_in_form", "desk.door_sign_in_now", "desk.door_enrol_form",
        "desk.door_enrol_begin", "desk.door_enrol_now", "desk.layout_static_file",
    }  # fmt: skip


def test_a_route_that_acts_wants_more_than_to_read(app):
    """But for a phone number, read by a click that the audit keeps, and the verification."""
    reading = {rights.Right.READ_PHONE, rights.Right.AUDIT_VERIFY}
    for rule, _ in rules(app):
        right = right_of(app, rule.endpoint)
        if "POST" in rule.methods and right in rights.READS:
            assert right in reading, rule


def test_nobody_comes_in_without_signing_in(app, house, stranger):
    for rule, path in rules(app):
        if right_of(app, rule.endpoint) is None:
            continue
        for method in rule.methods:
            answer = stranger.client.open(path, method=method)
            assert answer.status_code == 303, (method, path)
            assert answer.location.startswith("/admin/sign-in"), (method, path)


def test_no_route_answers_a_method_that_it_does_not_declare(app, at, house):
    admin = at("ada", Role.ADMIN)
    urls = app.url_map.bind("localhost")
    for path in {path for _, path in rules(app)}:
        for method in set(METHODS) - set(urls.allowed_methods(path)):
            assert admin.client.open(path, method=method).status_code == 405, (method, path)


@pytest.mark.parametrize("role", Role)
def test_what_a_role_may_open_and_do_is_in_the_table(rt, app, at, house, role):
    one = at("ada", role)
    token = one.open("/admin/").csrf()
    for rule, path in rules(app):
        right = right_of(app, rule.endpoint)
        if right is None:
            continue
        allowed = rights.may(role, right)
        for method in rule.methods - {"HEAD"}:
            bare = one.client.open(path, method=method)
            if not allowed:
                assert bare.status_code == 403, (role, method, path)
            elif method == "GET":
                assert bare.status_code in (200, 404) or rule.endpoint == "desk.markets_progress"
            else:
                assert bare.status_code == 400, f"{path} acts without the token of a form"
                answer = one.client.open(path, method=method, data={"csrf_token": token})
                fine = answer.status_code == 200 if rule.endpoint in TOLD else False
                assert fine or answer.status_code in WAY_ON, (method, path, answer.status_code)
            if rule.endpoint == "desk.door_sign_out" and method == "POST":
                browser.enter(rt, one)
                token = one.open("/admin/").csrf()


@pytest.mark.parametrize("role", Role)
def test_no_get_changes_anything(rt, app, at, house, wait, role):
    one = at("ada", role)
    wait(minutes=2)  # so that its session is marked as seen
    before = rows(rt)
    for rule, path in rules(app):
        for method in rule.methods & {"GET", "HEAD"}:
            one.client.open(path, method=method)
    for path in WITH_QUESTIONS:
        one.open(path)
    assert rows(rt) == before


def test_whatever_a_page_reads_it_cannot_write(rt):
    write = text("UPDATE staff SET name = name")
    with pytest.raises(DBAPIError, match="read-only"):
        frame.read(lambda tx: tx.execute(write))


def test_the_comparison_would_see_a_change(rt, house):
    before = rows(rt)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE market SET question = question WHERE id = 1"))
    assert {table for table, held in rows(rt).items() if held != before[table]} == {"market"}


@pytest.mark.parametrize("role", Role)
def test_what_is_dangerous_wants_a_fresh_factor(rt, app, at, house, wait, role):
    one = at("ada", role)
    wait(minutes=6)
    token = one.open("/admin/").csrf()
    before = rows(rt)
    dangerous = 0
    for rule, path in rules(app):
        right = right_of(app, rule.endpoint)
        if right not in rights.FRESH or not rights.may(role, right):
            continue
        dangerous += 1
        for method in rule.methods - {"HEAD"}:
            answer = one.client.open(path, method=method, data={"csrf_token": token})
            assert answer.status_code == 303, (method, path)
            assert answer.location.startswith("/admin/again?next="), (method, path)
    assert dangerous
    assert rows(rt) == before


WITH_QUESTIONS = (
    "/admin/search?q=Gor", "/admin/search?q=0712000001", "/admin/search?q=P1",
    "/admin/markets?list=ended", "/admin/markets/2/result?winners=1&source=FKF",
    "/admin/markets/2/void?source=FKF", "/admin/markets/1/correction?winners=2&source=FKF",
    "/admin/markets/3/withdrawal?outcome=1&source=FKF", "/admin/payouts?list=failed",
    "/admin/payouts?customer=1", "/admin/payouts/2", "/admin/approvals/2",
    "/admin/audit?action=propose&by=1&before=9",
)  # fmt: skip


def rows(rt):
    """Every row of every table and the transaction that wrote it, but when sessions were seen."""
    with rt.transaction() as tx:
        tables = tx.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ).all()
        held = {}
        for table in tables:
            assert re.fullmatch(r"\w+", table)
            shown = "t.xmin::text || t::text"
            if table == "staff_session":
                shown = "(to_jsonb(t) - 'seen_at')::text"
            held[table] = tx.scalars(text(f"SELECT {shown} FROM {table} t ORDER BY 1")).all()
    return held
