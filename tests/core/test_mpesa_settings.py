"""M-PESA settings: by two people, sealed, before the environment, taken without a restart."""

import base64
import io
import json
import secrets
from datetime import timedelta

import pytest
from sqlalchemy import event, select, text

import wsgi
from core import log, mpesa_settings, payouts, stamp
from core.errors import NotSent, Refusal
from core.mpesa_settings import MpesaSetting, MpesaSettingValue, SettingState
from core.proposals import Proposal
from core.say import NAIROBI
from core.staff import Role
from demo.settings import B2C_SHORTCODE, PAYBILL, TILL
from tests import cashier, finance, mpesa, people, teller
from tests.conftest import house
from tests.credentials import (
    KEY,
    NEW,
    PASSKEY,
    PASSWORD,
    PLANTED,
    SECRET,
    admins,
    agree,
    approve,
    found_in_database,
    owner_says,
    pem,
    propose,
)
from tests.ground import config_for


@pytest.fixture
def config(urls):
    return config_for(urls, MPESA_SETTINGS_LOOK="0")


@pytest.fixture
def staff(rt):
    return admins(rt)


def today(rt):
    return rt.now().astimezone(NAIROBI).date()


def sealed(rt):
    """What is kept of each value, in the order it was proposed."""
    with rt.transaction() as tx:
        return tx.scalars(select(MpesaSettingValue.sealed).order_by(MpesaSettingValue.id)).all()


def key_of(rt):
    return rt.config.mpesa_consumer_key.get_secret_value()


def test_two_people_and_the_database_wins(rt, staff):
    asha, _, fatuma = staff
    seen = propose(rt, fatuma, NEW)
    rt.refresh()
    assert key_of(rt) != KEY, "nothing is in force before the second yes"

    assert approve(rt, asha, seen) == sorted(NEW)
    rt.refresh()

    assert key_of(rt) == KEY
    assert rt.config.mpesa_consumer_secret.get_secret_value() == SECRET
    assert rt.config.mpesa_shortcode == PAYBILL, "what was not set stays the environment's"


@pytest.mark.parametrize("role", [Role.TRADER, Role.SUPPORT, Role.AUDITOR, Role.VIEWER])
def test_only_finance_and_admins_propose(rt, role):
    with pytest.raises(Refusal, match=r"staff\.not_your_role"):
        propose(rt, people.member(rt, "juma", role), NEW)


def test_the_second_yes_is_another_admins_to_what_they_saw(rt, staff):
    asha, baraka, fatuma = staff
    seen = propose(rt, asha, NEW)
    for who, hash, reason in (
        (asha, seen, "own_proposal"),
        (fatuma, seen, "not_your_role"),
        (baraka, "0" * 64, "content_changed"),
    ):
        with pytest.raises(Refusal, match=rf"staff\.{reason}"):
            approve(rt, who, hash)
    with pytest.raises(Refusal, match=r"staff\.already_proposed"):
        propose(rt, fatuma, {"mpesa_passkey": PASSKEY})
    approve(rt, baraka, seen)
    with pytest.raises(Refusal, match=r"staff\.mpesa_none_proposed"):
        approve(rt, baraka, seen)


def test_what_is_signed_holds_names_and_keyed_digests_only(rt, staff):
    propose(rt, staff[0], NEW | {"mpesa_till_number": TILL})
    with rt.transaction() as tx:
        content = tx.scalars(select(Proposal.content)).one()
    assert set(content) == {"version", "environment", "changes"}
    assert set(content["changes"]) == {*NEW, "mpesa_till_number"}
    for change in content["changes"].values():
        assert {len(change["to"]), len(change["from"])} == {64}
    assert not [value for value in (KEY, SECRET, TILL) if value in json.dumps(content)]


def test_values_exchanged_under_the_proposal_are_seen(rt, staff):
    asha, baraka, _ = staff
    seen = propose(rt, asha, NEW)
    with rt.transaction() as tx:
        row = tx.scalars(select(MpesaSettingValue).where(MpesaSettingValue.name.like("%key"))).one()
        aad = f"mpesa_setting_value.sealed|{row.id}"
        row.sealed = rt.config.data_keys.seal(b"demo-another", aad=aad)
    with pytest.raises(Refusal, match=r"staff\.content_changed"):
        approve(rt, baraka, seen)


def test_a_value_moved_to_another_row_does_not_open(rt, staff):
    seen = propose(rt, staff[0], NEW)
    with rt.transaction() as tx:
        first, second = tx.scalars(select(MpesaSettingValue)).all()
        first.sealed, second.sealed = second.sealed, first.sealed
    with pytest.raises(Refusal, match=r"staff\.mpesa_settings_unopenable"):
        approve(rt, staff[1], seen)


def test_what_is_refused_expired_or_replaced_is_forgotten(rt, staff, wait):
    asha, baraka, _ = staff
    propose(rt, asha, NEW)
    with rt.transaction() as tx:
        mpesa_settings.refuse(tx, by=asha, now=rt.now(), config=rt.config)
    assert sealed(rt) == [None, None]

    propose(rt, asha, NEW)
    wait(hours=25)
    with rt.transaction() as tx:
        mpesa_settings.sweep(tx, rt.now(), rt.config)
        states = tx.scalars(select(MpesaSetting.state).order_by(MpesaSetting.id)).all()
    assert states == [SettingState.DROPPED, SettingState.DROPPED]
    assert sealed(rt) == [None] * 4

    agree(rt, asha, baraka, NEW)
    agree(rt, asha, baraka, {"mpesa_consumer_key": "demo-third"})
    assert [one is None for one in sealed(rt)] == [True] * 4 + [True, False, False]
    assert key_of(rt) == "demo-third"
    assert rt.config.mpesa_consumer_secret.get_secret_value() == SECRET


def test_another_process_takes_them_without_a_restart(rt, staff):
    other = wsgi.build(rt.config)
    try:
        other.refresh()
        before = other.senders["oauth"]
        agree(rt, staff[0], staff[1], NEW)
        assert key_of(other) != KEY
        other.refresh()
        assert key_of(other) == KEY
        assert other.senders["oauth"] != before
        assert other.senders["oauth"].__self__.config.mpesa_consumer_key.get_secret_value() == KEY
        assert other.senders["sms"], "the other partners stay"
    finally:
        other.engine.dispose()


def test_a_process_looks_at_most_once_in_its_while(rt, staff):
    rt.config = rt.config.model_copy(update={"mpesa_settings_look": timedelta(hours=1)})
    looks = []
    rt.refresh()
    event.listen(rt.engine, "before_cursor_execute", lambda *told: looks.append(told[2]))
    for _ in range(50):
        rt.refresh()
    assert looks == []


def test_a_database_that_is_away_keeps_nobody_from_serving(rt, urls):
    away = config_for(urls, MPESA_SETTINGS_LOOK="0").model_copy(
        update={"database_url": "postgresql+psycopg2://nobody@127.0.0.1:9/nowhere"}
    )
    lost = wsgi.build(away)
    lost.refresh()
    assert key_of(lost) == key_of(rt)


def test_a_shortcode_with_money_under_it_is_kept(rt, staff, amina):
    asha, baraka, fatuma = staff
    otieno = people.member(rt, "otieno", Role.FINANCE)
    two = [fatuma, otieno]
    finance.post(rt, two, "owner in", 1_000, "B1", shortcode="")
    finance.post(rt, two, "top up", 500, "B2", shortcode=B2C_SHORTCODE)
    with pytest.raises(Refusal, match=r"staff\.mpesa_shortcode_holds") as told:
        propose(rt, asha, {"mpesa_b2c_shortcode": "600111"})
    assert told.value.facts == {"shortcode": B2C_SHORTCODE, "holds": 500_00}

    finance.post(rt, two, "utility to working", 500, "B3", shortcode=B2C_SHORTCODE)
    with pytest.raises(Refusal, match=r"staff\.mpesa_shortcode_holds"):
        propose(rt, asha, {"mpesa_b2c_shortcode": "600111"})
    finance.post(rt, two, "working to bank", 500, "B4", shortcode=B2C_SHORTCODE)
    seen = propose(rt, asha, {"mpesa_b2c_shortcode": "600111"})

    finance.post(rt, two, "top up", 100, "B5", shortcode=B2C_SHORTCODE)
    with pytest.raises(Refusal, match=r"staff\.mpesa_shortcode_holds"):
        approve(rt, baraka, seen)  # money came in between
    finance.post(rt, two, "utility to bank", 100, "B6", shortcode=B2C_SHORTCODE)
    approve(rt, baraka, seen)
    rt.refresh()
    assert rt.config.mpesa_b2c_shortcode == "600111"


def test_a_shortcode_with_payments_under_way_is_kept(rt, staff, amina, wait):
    daraja = mpesa.Daraja(rt)
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    for change in ({"mpesa_shortcode": "600222"}, {"mpesa_till_number": TILL}):
        with pytest.raises(Refusal, match=r"staff\.mpesa_shortcode_busy"):
            propose(rt, staff[0], change)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", code=1032))
    propose(rt, staff[0], {"mpesa_till_number": TILL})
    assert daraja.requests("stk")


def test_the_shortcode_that_stays_ours_in_the_other_part_may_hold_money(rt, staff):
    two = [staff[2], people.member(rt, "otieno", Role.FINANCE)]
    finance.post(rt, two, "owner in", 1_000, "B1", shortcode="")
    finance.post(rt, two, "top up", 500, "B2", shortcode=PAYBILL)
    agree(rt, staff[0], staff[1], {"mpesa_b2c_shortcode": PAYBILL})
    assert rt.config.mpesa_b2c_shortcode == PAYBILL


def test_a_till_may_be_given_up(rt, staff):
    agree(rt, staff[0], staff[1], {"mpesa_till_number": TILL})
    assert rt.config.mpesa_till_number == TILL
    agree(rt, staff[0], staff[1], {"mpesa_till_number": ""})
    assert rt.config.mpesa_till_number == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "mpesa_nothing_given"),
        ({"pin_pepper": "x"}, "mpesa_no_such_setting"),
        ({"mpesa_production": "true"}, "mpesa_no_such_setting"),
        ({"mpesa_consumer_key": "  "}, "mpesa_setting_form"),
        ({"mpesa_shortcode": ""}, "mpesa_setting_form"),
        ({"mpesa_passkey": "demo-a\nb"}, "mpesa_setting_form"),
        ({"mpesa_passkey": "d" * 20_000}, "mpesa_setting_form"),
        ({"mpesa_shortcode": "17437x"}, "mpesa_settings_unsafe"),
        ({"mpesa_shortcode": "1234"}, "mpesa_settings_unsafe"),
        ({"mpesa_certificate": "-----BEGIN"}, "mpesa_certificate_form"),
        ({"mpesa_initiator_password": PASSWORD}, "mpesa_password_date"),
        ({"mpesa_password_set_on": "yesterday"}, "mpesa_date_form"),
        ({"mpesa_password_set_on": "2999-01-01"}, "mpesa_date_form"),
    ],
)
def test_what_could_not_be_in_force_is_refused_at_once(rt, staff, values, reason):
    with pytest.raises(Refusal, match=rf"staff\.{reason}") as told:
        propose(rt, staff[0], values)
    assert not [value for value in values.values() if len(value) > 4 and value in str(told.value)]


def test_a_note_holds_no_secret_and_is_there(rt, staff):
    with pytest.raises(Refusal, match=r"staff\.mpesa_note_secret"):
        propose(rt, staff[0], NEW, note=f"now {SECRET}!")
    with pytest.raises(Refusal, match=r"staff\.reason_missing"):
        propose(rt, staff[0], NEW, note="  ")


def test_a_sandbox_takes_no_value_of_a_demo(rt, staff):
    owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'")
    rt.config = rt.config.model_copy(update={"app_env": "sandbox", "mpesa_certificate": pem()})
    with pytest.raises(Refusal, match=r"staff\.mpesa_settings_unsafe") as told:
        propose(rt, staff[0], {"mpesa_consumer_key": KEY})
    assert "MPESA_CONSUMER_KEY: the value of a demo" in told.value.facts["faults"]


def test_what_may_be_told_afterwards(rt, staff):
    values = {**NEW, "mpesa_initiator_name": "newoperator", "mpesa_certificate": pem()}
    agree(rt, staff[2], staff[0], values)
    with rt.transaction() as tx:
        told = {one.name: one for one in mpesa_settings.standing(tx, rt.config)}
    secret = told["mpesa_consumer_secret"]
    assert (secret.source, secret.tail) == ("database", None)
    assert (secret.set_by, secret.approved_by) == ("fatuma", "asha")
    assert secret.set_at
    assert told["mpesa_initiator_name"].tail == "ator"
    assert len(told["mpesa_certificate"].tail) == 4
    passkey, shortcode = told["mpesa_passkey"], told["mpesa_shortcode"]
    assert (passkey.source, passkey.tail) == ("environment", None)
    assert (shortcode.source, shortcode.tail) == ("environment", PAYBILL[-4:])
    assert told["mpesa_password_set_on"].source == "missing"
    assert not [value for value in PLANTED if value in str(told)]


def test_they_are_nowhere_to_be_read(rt, staff):
    written = io.StringIO()
    log.configure("DEBUG", written)
    values = {
        **NEW, "mpesa_passkey": PASSKEY, "mpesa_initiator_password": PASSWORD,
        "mpesa_password_set_on": today(rt).isoformat(),
    }  # fmt: skip
    propose(rt, staff[0], values)
    assert found_in_database(rt, PLANTED) == []
    with rt.transaction() as tx:
        mpesa_settings.refuse(tx, by=staff[0], now=rt.now(), config=rt.config)
    agree(rt, staff[0], staff[1], values)

    assert found_in_database(rt, PLANTED) == []
    assert found_in_database(rt, ["mpesa_passkey"]), "the search does find what is there"
    assert "mpesa settings taken" in written.getvalue()
    assert not [value for value in PLANTED if value in written.getvalue()]
    everything = b"".join(rt.redis.dump(name) or b"" for name in rt.redis.scan_iter())
    assert not [value for value in PLANTED if value.encode() in everything]
    assert not [value for value in PLANTED if value in repr(rt.config)]


def test_a_wrong_ring_shuts_the_line_and_says_why(rt, urls, staff):
    agree(rt, staff[0], staff[1], NEW)
    ring = f"k9:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    written = io.StringIO()
    log.configure("INFO", written)
    with house(config_for(urls, MPESA_SETTINGS_LOOK="0", DATA_KEYS=ring)) as other:
        other.refresh()
        assert "no key k1 in the ring" in other.mpesa_shut
        assert key_of(other) != KEY, "and least of all the environment's values are used"
        for kind in ("oauth", "stk", "b2c", "balance", "reversal"):
            with pytest.raises(NotSent) as told:
                other.senders[kind]({})
            assert told.value.code == "settings"
        flask = wsgi.create_app(other).test_cli_runner()
        for command in ("worker money --burst", "clock"):
            result = flask.invoke(args=command.split())
            assert result.exit_code == 1
            assert "cannot be opened: no key k1 in the ring" in result.output
    assert "mpesa settings cannot be opened" in written.getvalue()


def test_values_set_anew_open_a_shut_line(rt, urls, staff):
    agree(rt, staff[0], staff[1], {"mpesa_consumer_key": KEY})
    ring = f"k9:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with house(config_for(urls, MPESA_SETTINGS_LOOK="0", DATA_KEYS=ring)) as other:
        other.refresh()
        assert other.mpesa_shut
        agree(other, staff[0], staff[1], {"mpesa_consumer_key": KEY})
        assert other.mpesa_shut is None
        assert key_of(other) == KEY


def test_a_pause_of_payouts_stays_as_it_is(rt, staff):
    with rt.transaction() as tx:
        payouts.pause(tx, "8006", "operator locked", now=rt.now())
    agree(rt, staff[0], staff[1], NEW)
    with rt.transaction() as tx:
        assert payouts.paused(tx).reason == "8006"


def test_what_another_environment_was_told_is_not_in_force(rt, staff):
    agree(rt, staff[0], staff[1], NEW)
    with rt.transaction() as tx:
        of_production = rt.config.model_copy(update={"app_env": "production"})
        assert mpesa_settings.version(tx, "production") == 0
        assert mpesa_settings.in_force(tx, of_production) == {}


def test_a_process_ends_its_service_when_the_database_is_another_environments(rt):
    rt.refresh()
    owner_says(rt, "UPDATE house_stamp SET environment = 'production'")
    for _ in range(2):
        with pytest.raises(stamp.WrongDatabase, match="stamped production"):
            rt.refresh()
    client = wsgi.create_app(rt).test_client()
    assert client.get("/livez").status_code == 200
    token = rt.config.daraja_hook_token[0].get_secret_value()
    assert client.post(f"/hooks/{token}/stk", json={}).status_code == 500
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM callback")) == 0


def test_payouts_take_the_new_shortcode(rt, staff, amina):
    daraja = mpesa.Daraja(rt)
    agree(rt, staff[0], staff[1], {"mpesa_b2c_shortcode": "600111"})
    daraja = mpesa.Daraja(rt)
    payout = cashier.withdraw(rt, amina, 100)
    mpesa.work(rt)
    (request,) = daraja.requests("b2c")
    assert request["shortcode"] == "600111"
    assert mpesa.payout(rt, payout).shortcode == "600111"
