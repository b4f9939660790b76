"""The ground that every other test trusts: real engines, a clean house, one clock."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from core import ledger
from demo.engines import Urls, own_folder

OWNER = """
import os, time
from demo.engines import running
with running({}, throwaway=True) as urls:
    print(urls.database.partition("host=")[2], flush=True)
    time.sleep(600)
"""


def test_the_house_runs_on_postgres_18_as_the_role_without_rights(rt) -> None:
    with rt.transaction() as tx:
        version, role = tx.execute(
            text("SELECT current_setting('server_version'), current_user")
        ).one()
    assert (version.split(".")[0], role) == ("18", "house_app")
    assert rt.redis.info("server")["redis_version"]


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_starts_with_an_empty_house(rt, amina, time: int) -> None:
    """Twice: the second would meet what the first left."""
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM customer")) == 1
        assert ledger.balance(tx, amina.id) == 1_000_00
    assert amina.id == 1
    assert not rt.redis.keys()
    rt.redis.set("left", "behind")


def test_the_test_clock_is_one_for_python_and_sql(rt, wait) -> None:
    before = rt.now()
    wait(days=1)
    with rt.transaction() as tx:
        in_sql = tx.scalar(text("SELECT app_now()"))
    assert timedelta(days=1) <= rt.now() - before < timedelta(days=1, minutes=1)
    assert abs(in_sql - rt.now()) < timedelta(seconds=10)


def test_a_fresh_database_is_another_house(rt, amina, fresh_database) -> None:
    with fresh_database() as urls:
        assert isinstance(urls, Urls)
        assert urls.database != rt.config.database_url


def test_engines_die_with_their_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    postmaster = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    owner.kill()
    owner.communicate()

    deadline = time.monotonic() + 20
    while _runs(postmaster):
        assert time.monotonic() < deadline, "Postgres outlived the process that started it"
        time.sleep(0.05)
    with own_folder():  # whoever starts engines next sweeps
        assert not folder.exists()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
