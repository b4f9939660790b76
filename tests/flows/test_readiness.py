"""The readiness checklist: a house that is ready, and each way in which one is not."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy import text

from admin import readiness
from core import balances, outbox, paybill_registrations, payouts, ticks
from core.say import NAIROBI
from core.staff import Role
from tests import mpesa, people, standing
from tests.credentials import owner_says
from tests.daraja import KEY

PUBLIC = "https://bets.example.co.ke"


@pytest.fixture
def ready(rt, network):
    """A house that wants nothing; its workers and its clock are as they were a moment ago."""
    for name in ("asha", "baraka"):
        people.member(rt, name, Role.ADMIN)
    with rt.transaction() as tx:
        balances.ask(tx, rt.now(), rt.config)
    for _ in range(2):  # what is asked, and then what comes back
        mpesa.work(rt)
        network.drain()
    ticks.strike(rt, next(tick for tick in rt.ticks if tick.name == readiness.CLOCK))
    rt.senders["c2b_register"]({})
    today = rt.now().astimezone(NAIROBI).date()
    change(rt, public_url=PUBLIC, mpesa_password_set_on=today)
    note(rt)
    hired = [worker(rt, name) for name in outbox.QUEUES]
    yield rt
    for one in hired:
        one.register_death()


def worker(rt, name):
    queue = Queue(name, connection=rt.redis, serializer=JSONSerializer)
    hired = Worker([queue], connection=rt.redis, serializer=JSONSerializer)
    hired.register_birth()
    return hired


def change(rt, **settings):
    rt.config = rt.config.model_copy(update=settings)


def note(rt):
    with rt.transaction() as tx:
        paybill_registrations.note(tx, rt.config, stood=False, now=rt.now())


def says(rt, statement):
    with rt.transaction() as tx:
        tx.execute(text(statement))


def expired():
    """A certificate that was good until yesterday."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(KEY.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - timedelta(days=9))
    signed = builder.not_valid_after(now - timedelta(days=1)).sign(KEY, SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def move_to(rt, url):
    change(rt, public_url=url)
    note(rt)


def forget_the_token(rt):
    change(rt, mpesa_consumer_secret=SecretStr("demo-another"))
    rt.senders = rt.trial(rt.config)


def owe_for_an_hour(rt):
    with rt.transaction() as tx:
        then = rt.now() - timedelta(hours=1)
        outbox.promise(tx, "sms", {}, key=uuid.uuid4(), now=then)
    says(rt, "UPDATE promise SET due_at = due_at - interval '1 hour' WHERE state = 1")


def pause(rt):
    with rt.transaction() as tx:
        payouts.pause(tx, "1", "no float", now=rt.now())


def old(table, column):
    return f"UPDATE {table} SET {column} = {column} - interval '2 days'"


def lose_a_worker(rt):
    gone = next(
        one for one in Worker.all(connection=rt.redis, serializer=JSONSerializer)
        if one.queue_names() == [outbox.MONEY]
    )  # fmt: skip
    gone.register_death()


def long_ago(rt):
    return rt.now().astimezone(NAIROBI).date() - timedelta(days=90)


BREAKS = (
    ("database", lambda rt: owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'"),
     "stamped sandbox, APP_ENV is test"),
    ("two admins", lambda rt: says(rt, "UPDATE staff SET active = false WHERE name = 'asha'"),
     "1 active"),
    ("credentials", lambda rt: change(rt, mpesa_passkey=SecretStr("")), "MPESA_PASSKEY is missing"),
    ("credentials", lambda rt: change(rt, mpesa_till_number="12"), "MPESA_TILL_NUMBER"),
    ("credentials", lambda rt: setattr(rt, "mpesa_shut", "no key k1"), "no key k1"),
    ("token", forget_the_token, "no token"),
    ("certificate", lambda rt: change(rt, mpesa_certificate=expired()), "until"),
    ("certificate", lambda rt: change(rt, mpesa_certificate="garbage"), "no RSA certificate"),
    ("operator password", lambda rt: change(rt, mpesa_password_set_on=None), "nobody"),
    ("operator password", lambda rt: change(rt, mpesa_password_set_on=long_ago(rt)), "90 of 90"),
    ("callback address", lambda rt: move_to(rt, "http://bets.example.co.ke"), "http://"),
    ("callback address", lambda rt: move_to(rt, "https://mpesa.example.co.ke"), "'mpesa'"),
    ("last callback", lambda rt: says(rt, old("callback", "received_at")), "balance_result"),
    ("last callback", lambda rt: says(rt, "DELETE FROM callback"), "none ever came"),
    ("paybill registered", lambda rt: change(rt, c2b_hook_token=(SecretStr("ab" * 16),)), "not"),
    ("balance read", lambda rt: says(rt, old("balance_reading", "answered_at")), ""),
    ("balance read", lambda rt: says(rt, "DELETE FROM balance_reading"), "never"),
    ("payouts not paused", pause, "paused since"),
    ("clock", lambda rt: says(rt, old("tick", "done_at")), "172"),
    ("clock", lambda rt: says(rt, "DELETE FROM tick"), "never struck"),
    ("workers", lose_a_worker, "money 0"),
    ("backlog", owe_for_an_hour, "1 promises overdue"),
    ("backlog", lambda rt: says(rt, "UPDATE callback SET state = 3, done_at = NULL"), "stuck"),
)  # fmt: skip


def test_a_house_that_wants_nothing_is_ready(ready):
    results = readiness.run(ready)
    assert readiness.failing(results) == [], results
    assert [one.check for one in results] == [check.name for check in readiness.CHECKS]
    assert all(one.evidence for one in results)


@pytest.mark.parametrize(("check", "spoil", "evidence"), BREAKS)
def test_each_want_is_found_and_no_other(ready, check, spoil, evidence):
    spoil(ready)
    results = readiness.run(ready)
    assert readiness.failing(results) == [check], results
    told = next(one.evidence for one in results if one.check == check)
    assert evidence in told


def test_every_check_has_its_want(ready):
    assert {check for check, _, _ in BREAKS} | {"ledger"} == {
        check.name for check in readiness.CHECKS
    }


def test_a_broken_ledger_is_found(ready, amina):
    owner_says(ready, "UPDATE wallet SET balance = balance + 1")
    try:
        results = readiness.run(ready)
    finally:
        owner_says(ready, "UPDATE wallet SET balance = balance - 1")
    assert readiness.failing(results) == ["ledger"]


def test_what_cannot_be_checked_is_not_ready(ready):
    lost = dataclasses.replace(ready, redis=Redis(port=9, retry=Retry(NoBackoff(), 0)))
    results = readiness.run(lost)
    assert readiness.failing(results) == ["workers"]
    assert "could not be run: ConnectionError" in str(results)


def test_the_command_shows_evidence_and_ends_with_its_verdict(ready):
    flask = standing.application(ready).test_cli_runner()
    told = flask.invoke(args=["mpesa", "readiness"])
    assert told.exit_code == 0, told.output
    assert told.output.count("\n") == len(readiness.CHECKS)
    assert all(line.startswith("ok ") for line in told.output.splitlines())
    pause(ready)
    told = flask.invoke(args=["mpesa", "readiness"])
    assert told.exit_code == 1
    assert "NOT  payouts not paused" in told.output
    told = flask.invoke(args=["mpesa", "readiness", "--json"])
    assert told.exit_code == 1
    wants = [one["check"] for one in json.loads(told.stdout) if not one["well"]]
    assert wants == ["payouts not paused"]
    secrets = (ready.config.mpesa_passkey, *ready.config.c2b_hook_token)
    assert not [one for one in secrets if one.get_secret_value() in told.output]
