"""The probes and the figures, and what the whole application does with requests nobody expects."""

import io
import json
import uuid
from datetime import timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import create_engine, text

import wsgi
from core import inbox, log, outbox, ticks
from core.runtime import Runtime, Tick
from core.ticks import every


@pytest.fixture
def client(rt: Runtime):
    return wsgi.create_app(rt).test_client()


@pytest.fixture
def lines(rt: Runtime):
    """Everything that is logged meanwhile, as it would be on the screen."""
    stream = io.StringIO()
    log.configure("INFO", stream)
    yield stream
    log.configure("INFO")


def scrape(client, rt) -> dict[str, float]:
    token = rt.config.metrics_token.get_secret_value()
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    rows = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (row.rsplit(" ", 1) for row in rows)}


def nowhere() -> Redis:
    return Redis(port=9, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.2)


def test_a_live_process_asks_nobody(rt: Runtime, client):
    rt.engine.dispose()
    rt.engine = create_engine("postgresql+psycopg2://nobody@127.0.0.1:9/nothing")
    rt.__post_init__()
    rt.redis = nowhere()

    assert client.get("/livez").text == "ok\n"


def test_a_house_with_everything_is_ready(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "missing": [], "degraded": []}


def test_without_redis_the_house_is_slower_but_open(rt: Runtime, client):
    rt.redis = nowhere()

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "missing": [], "degraded": ["redis"]}


def test_without_its_database_the_house_is_not_ready(rt: Runtime, client):
    rt.engine.dispose()
    rt.engine = create_engine("postgresql+psycopg2://nobody@127.0.0.1:9/nothing")
    rt.__post_init__()

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json["missing"] == ["database"]


def test_an_older_schema_is_not_ready(rt: Runtime, client):
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    owner.dispose()

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json["missing"] == ["migrations"]


@pytest.mark.parametrize("given", [None, "", "Bearer ", "Bearer wrong", "Basic x", "Bearer \xe9"])
def test_the_figures_want_their_token(client, given):
    headers = {} if given is None else {"Authorization": given}

    answer = client.get("/metrics", headers=headers)

    assert answer.status_code == 401
    assert "outbox" not in answer.text


def test_the_figures_count_what_waits_and_what_is_stuck(rt: Runtime, client):
    with rt.transaction() as tx:
        for _ in range(3):
            outbox.promise(tx, "b2c", {}, key=uuid.uuid4(), now=rt.now())
        outbox.promise(
            tx, "sms", {}, key=uuid.uuid4(), now=rt.now(), due_at=rt.now() - timedelta(minutes=2)
        )
        kept = inbox.keep(tx, "stk", b"{}", keys=rt.config.data_keys, now=rt.now())
        tx.execute(text("UPDATE callback SET state = 3 WHERE id = :id"), {"id": kept})
    ticks.strike(rt, Tick("count", every(timedelta(hours=1)), lambda rt: None))

    figures = scrape(client, rt)

    assert figures['outbox_depth{topic="b2c"}'] == 3
    assert 115 < figures['outbox_oldest_seconds{topic="sms"}'] < 180
    assert figures['callbacks_stuck{door="stk"}'] == 1
    assert 0 <= figures['scheduler_tick_age_seconds{job="count"}'] < 60
    assert figures['rq_jobs{queue="money",status="queued"}'] == 2
    assert figures["redis_up"] == 1


def test_the_figures_are_there_without_redis(rt: Runtime, client):
    rt.redis = nowhere()
    rt.queues = {"money": Queue("money", connection=nowhere(), serializer=JSONSerializer)}

    assert scrape(client, rt)["redis_up"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/hooks", 404),
        ("POST", "/livez", 405),
        ("TRACE", "/metrics", 405),
        ("GET", "/%00%ff", 404),
        ("GET", "/hooks/" + "a" * 5_000, 404),
        ("POST", "/hooks/deadbeef/stk", 404),
        ("GET", "/hooks/deadbeef/stk", 405),
        ("GET", "/static/../wsgi.py", 404),
    ],
)
def test_what_nobody_expects_gets_a_short_answer(client, method, path, status):
    answer = client.open(path, method=method)

    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert len(answer.text) < 200


def test_a_body_that_is_too_long_is_not_read(rt: Runtime, client):
    token = rt.config.daraja_hook_token[0].get_secret_value()

    answer = client.post(f"/hooks/{token}/stk", data=b"x" * 17_000, content_type="application/json")

    assert answer.status_code == 413


def test_a_request_is_one_line_of_log_without_path_or_body(rt: Runtime, client, lines):
    token = rt.config.daraja_hook_token[0].get_secret_value()

    client.post(f"/hooks/{token}/stk?pin=4826", json={"pin": "4826", "phone": "254712000001"})

    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    (request,) = [line for line in written if line["event"] == "request"]
    assert request["route"] == "/hooks/<token>/stk"
    assert request["status"] == 200
    assert len(request["trace"]) == 32
    for secret in (token, "4826", "254712000001"):
        assert secret not in lines.getvalue()


def test_a_bug_is_logged_with_its_trace_and_told_to_nobody(rt: Runtime, lines):
    app = wsgi.create_app(rt)
    nothing: dict[str, str] = {}
    app.add_url_rule("/bug", view_func=lambda: nothing["+254712000001"])

    answer = app.test_client().get("/bug")

    assert answer.status_code == 500
    assert "KeyError" not in answer.text
    (failure,) = [
        json.loads(line) for line in lines.getvalue().splitlines() if "request failed" in line
    ]
    assert failure["exception"][0]["type"] == "KeyError"
    assert failure["trace"]
    assert "254712000001" not in lines.getvalue()


def test_each_request_has_a_trace_of_its_own_and_a_promise_carries_it(rt: Runtime, client):
    token = rt.config.daraja_hook_token[0].get_secret_value()
    for _ in range(2):
        client.post(f"/hooks/{token}/stk", json={})

    with rt.transaction() as tx:
        traces = list(tx.scalars(text("SELECT trace FROM callback")))

    assert len(set(traces)) == 2
    assert all(log.TRACEPARENT.fullmatch(trace) for trace in traces)
