"""When the house itself is in trouble a program is told so, in the same shape, and no more."""

import io

import pytest
from sqlalchemy import create_engine, text

import wsgi
from core import log, runtime
from demo.engines import Urls
from tests.api.programs import API, refused
from tests.ground import config_for

PATH = "/markets/101/proposal"


@pytest.fixture
def written():
    """What the house logs meanwhile."""
    stream = io.StringIO()
    log.configure("INFO", stream)
    return stream


def test_without_its_database_the_house_is_busy(rt, urls, wanjiku, written):
    nowhere = Urls("postgresql://house_app@127.0.0.1:9/house", urls.migration, urls.redis)
    elsewhere = wsgi.build(config_for(nowhere))
    client = wsgi.create_app(elsewhere).test_client()

    answer = client.open(**wanjiku.signed("GET", PATH))

    refused(answer, 503, "http.busy")
    assert answer.headers["Retry-After"] == "2"
    elsewhere.engine.dispose()
    elsewhere.redis.close()
    runtime.install(rt)


def test_a_bug_tells_nothing_of_itself_but_to_the_log(rt, wanjiku, client, written):
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        connection.execute(text("ALTER TABLE api_nonce RENAME TO mislaid"))
    owner.dispose()

    answer = wanjiku.get(PATH)

    refused(answer, 500, "http.fault")
    assert "api_nonce" not in answer.get_data(as_text=True)
    assert "api_nonce" in written.getvalue()
    assert client.get(f"{API}/openapi.json").status_code == 200
