"""A sandbox becomes production in place: empty, ready, by two admins, as the database's owner."""

import os
import subprocess
import sys
import uuid

import pytest

import wsgi
from admin.commands.environment import owner
from core import ledger, mpesa_settings, promotion, stamp
from core.errors import Refusal
from core.ledger import AccountKind, TransferKind
from core.mpesa_watch import Watch
from core.staff import Role
from demo.settings import NOWHERE, PAYBILL
from tests import mpesa, people, standing, teller
from tests.core.test_config import SANDBOX
from tests.credentials import NEW, admins, agree, owner_says
from tests.finance import keep
from tests.ground import config_for
from tests.house import tree


@pytest.fixture
def config(urls):
    return config_for(urls, MPESA_SETTINGS_LOOK="0")


@pytest.fixture
def staff(rt):
    return admins(rt)


@pytest.fixture
def sandbox(rt, staff):
    """The house as a sandbox, in which nothing has happened yet."""
    owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'")
    rt.config = rt.config.model_copy(update={"app_env": "sandbox"})
    return rt


def propose(rt, who, failing=(), note="live from Monday"):
    with rt.transaction() as tx:
        proposal = promotion.propose(
            tx, failing=failing, note=note, by=who, now=rt.now(), config=rt.config
        )
        return proposal.content_hash


def approve(rt, who, seen, failing=()):
    with owner(rt) as owning, owning.transaction() as tx:
        promotion.approve(
            tx, seen_hash=seen, failing=failing, by=who, now=rt.now(), config=rt.config
        )


def stamped(rt):
    with rt.transaction() as tx:
        return stamp.environment(tx)


def test_two_admins_make_it_production_and_no_sandbox_starts_any_more(sandbox, staff, urls):
    asha, baraka, _ = staff
    seen = propose(sandbox, asha)
    assert stamped(sandbox) == "sandbox"

    approve(sandbox, baraka, seen)

    assert stamped(sandbox) == "production"
    with sandbox.transaction() as tx, pytest.raises(stamp.WrongDatabase, match="production"):
        stamp.check(tx, "sandbox")
    with pytest.raises(stamp.WrongDatabase, match="APP_ENV is sandbox"):
        sandbox.refresh()  # and one that runs ends its service
    result = standing.application(sandbox).test_cli_runner().invoke(args=["clock"])
    assert result.exit_code == 1
    assert "APP_ENV is sandbox, but this database is stamped production" in result.output
    with pytest.raises(Refusal, match=r"staff\.promote_not_sandbox"):
        propose(sandbox, asha)


def test_processes_of_the_sandbox_start_before_it_and_not_after_it(sandbox, staff, urls):
    partners = {"DARAJA_BASE_URL": NOWHERE, "AT_BASE_URL": NOWHERE}
    env = {**os.environ, **SANDBOX, **urls.environment(), **partners}

    def started(*command):
        return subprocess.run(
            [sys.executable, *command], cwd=tree.ROOT, env=env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    web = ("-c", "import wsgi; wsgi.app")
    worker = ("-m", "flask", "--app", "wsgi", "worker", "messages", "--burst")
    acts = ("-m", "flask", "--app", "wsgi", "environment", "promote", "--note", "x", "--as", "asha")
    before = started(*web)
    assert before.returncode == 0, before.stderr
    assert "Code of asha" in started(*acts).stderr, "by name alone nobody acts in a sandbox"

    approve(sandbox, staff[1], propose(sandbox, staff[0]))

    for command in (web, worker):
        after = started(*command)
        assert after.returncode == 1
        assert "APP_ENV is sandbox, but this database is stamped production" in after.stderr


def test_only_admins_and_never_one_alone(sandbox, staff):
    asha, baraka, fatuma = staff
    with pytest.raises(Refusal, match=r"staff\.not_your_role"):
        propose(sandbox, fatuma)
    seen = propose(sandbox, asha)
    for who, hash, reason in (
        (asha, seen, "own_proposal"),
        (fatuma, seen, "not_your_role"),
        (baraka, "0" * 64, "content_changed"),
    ):
        with pytest.raises(Refusal, match=rf"staff\.{reason}"):
            approve(sandbox, who, hash)
    with sandbox.transaction() as tx:
        promotion.refuse(tx, by=asha, now=sandbox.now())
    with pytest.raises(Refusal, match=r"staff\.promote_none_proposed"):
        approve(sandbox, baraka, seen)
    with pytest.raises(Refusal, match=r"staff\.reason_missing"):
        propose(sandbox, asha, note=" ")
    assert stamped(sandbox) == "sandbox"


def test_a_check_that_is_not_green_stops_either_yes(sandbox, staff):
    with pytest.raises(Refusal, match=r"staff\.promote_not_ready") as told:
        propose(sandbox, staff[0], failing=["token", "clock"])
    assert told.value.facts == {"checks": "token, clock"}
    seen = propose(sandbox, staff[0])
    with pytest.raises(Refusal, match=r"staff\.promote_not_ready"):
        approve(sandbox, staff[1], seen, failing=["clock"])
    assert stamped(sandbox) == "sandbox"


def test_money_that_comes_in_between_stops_it(sandbox, staff):
    seen = propose(sandbox, staff[0])
    people.customer(sandbox, people.AMINA, "Amina Wanjiru", money=1_00)
    with pytest.raises(Refusal, match=r"staff\.promote_money") as told:
        approve(sandbox, staff[1], seen)
    assert told.value.facts == {"where": "wallet"}
    with pytest.raises(Refusal, match=r"staff\.promote_money"):
        propose(sandbox, people.member(sandbox, "neema", Role.ADMIN))
    assert stamped(sandbox) == "sandbox"


def test_a_shilling_in_suspense_or_a_float_is_money(sandbox, staff):
    keep(sandbox, "SKG0000001", 1_00, sandbox.now())
    with pytest.raises(Refusal, match=r"staff\.promote_money") as told:
        propose(sandbox, staff[0])
    assert told.value.facts == {"where": "mpesa utility, suspense"}


def test_what_one_account_lacks_does_not_hide_what_another_holds(sandbox, staff):
    with sandbox.transaction() as tx:
        ledger.move(
            tx, key=uuid.uuid4(), kind=TransferKind.ADJUSTMENT, amount=100_00, at=sandbox.now(),
            debit=ledger.account(tx, AccountKind.MPESA_UTILITY, shortcode=PAYBILL),
            credit=ledger.account(tx, AccountKind.MPESA_UTILITY, shortcode="600111"),
        )  # fmt: skip
        assert ledger.total(tx, AccountKind.MPESA_UTILITY) == 0
        assert promotion.money(tx) == {"mpesa_utility": 200_00}


def test_a_payment_under_way_stops_it(sandbox, staff):
    amina = people.customer(sandbox, people.AMINA, "Amina Wanjiru")
    mpesa.Daraja(sandbox)
    teller.ask(sandbox, amina, 100)
    with pytest.raises(Refusal, match=r"staff\.promote_under_way"):
        propose(sandbox, staff[0])


def test_only_the_owner_of_the_database_stamps_it(sandbox, staff):
    seen = propose(sandbox, staff[0])
    with pytest.raises(Refusal, match=r"staff\.promote_owner"), sandbox.transaction() as tx:
        promotion.approve(
            tx, seen_hash=seen, failing=(), by=staff[1], now=sandbox.now(), config=sandbox.config
        )
    assert stamped(sandbox) == "sandbox"


def test_credentials_changed_in_between_are_another_thing(sandbox, staff):
    seen = propose(sandbox, staff[0])
    sandbox.config = sandbox.config.model_copy(update={"mpesa_shortcode": "600333"})
    with pytest.raises(Refusal, match=r"staff\.content_changed"):
        approve(sandbox, staff[1], seen)


@pytest.mark.parametrize("environment", ["demo", "test", "production"])
def test_nothing_but_a_sandbox_is_promoted(rt, staff, environment):
    owner_says(rt, f"UPDATE house_stamp SET environment = '{environment}'")
    with pytest.raises(Refusal, match=r"staff\.promote_not_sandbox"):
        propose(rt, staff[0])


def test_the_sandboxs_credentials_are_not_productions(rt, staff, urls):
    """Set before the stamp: after it the environment's count again, until two people set others."""
    agree(rt, staff[0], staff[1], NEW)  # as the test that this still is
    owner_says(rt, "UPDATE mpesa_setting SET environment = 'sandbox'")
    owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'")
    rt.config = rt.config.model_copy(update={"app_env": "sandbox"})
    approve(rt, staff[1], propose(rt, staff[0]))

    live = wsgi.build(config_for(urls))
    live.config = live.config.model_copy(
        update={"app_env": "production", "mpesa_settings_look": rt.config.mpesa_settings_look}
    )
    before = live.config.mpesa_consumer_key
    live.refresh()
    assert isinstance(live.watch, Watch)
    assert live.config.mpesa_consumer_key == before
    with live.transaction() as tx:
        assert mpesa_settings.version(tx, "production") == 0
    live.engine.dispose()


def test_the_command_shows_proposes_and_refuses_clearly(rt, staff):
    rt.senders = rt.trial(rt.config)  # M-PESA is where nobody answers
    flask = standing.application(rt).test_cli_runner()

    def said(*typed):
        result = flask.invoke(args=["environment", *typed])
        assert "Traceback" not in result.output
        return result.exit_code, result.output

    assert said("show") == (
        0, "stamped test\nmoney in the ledger: none of customers, none at M-PESA\n",
    )  # fmt: skip
    code, told = said("promote", "--note", "live", "--as", "asha")
    assert (code, "Only a sandbox becomes production" in told) == (1, True)
    code, told = said("promote", "--as", "asha")
    assert (code, "--note to propose, or --hash to approve" in told) == (2, True)
    code, told = said("promote", "--hash", "0" * 64, "--as", "baraka")
    assert (code, "No promotion of this sandbox waits" in told) == (1, True)
    code, told = said("refuse", "--as", "asha")
    assert code == 1

    bare = rt.config
    rt.config = bare.model_copy(update={"migration_database_url": ""})
    code, told = said("promote", "--hash", "0" * 64, "--as", "baraka")
    assert (code, "MIGRATION_DATABASE_URL: missing" in told) == (1, True)
