"""Who may do what: the rules of the architecture that no linter knows."""

from collections.abc import Callable, Iterable, Set
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from core.runtime import Runtime
from tests.house import tree

LEDGER_TABLES = (
    "account", "wallet", "transfer", "checkpoint", "bet", "settlement", "dividend", "mpesa_receipt",
)  # fmt: skip


@pytest.mark.parametrize("table", LEDGER_TABLES)
@pytest.mark.parametrize("verb", ["INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_house_cannot_write_the_ledgers_tables(rt: Runtime, table: str, verb: str) -> None:
    """Money moves through the functions of core/sql; migrations/env.py takes every other right."""
    with pytest.raises(ProgrammingError, match="permission denied"), rt.transaction() as tx:
        tx.execute(text(verb.format(table)))


def test_only_the_runtime_commits() -> None:
    ends = {"commit", "rollback", "sessionmaker"}
    but = {"core/runtime.py", "migrations/env.py"}
    found = _found(tree.attributes, ends=ends, starts=("rt.sessions",), but=but)
    assert not found, f"take `tx`, or open rt.transaction() at the edge: {found}"


def test_only_config_reads_the_environment() -> None:
    starts = ("os.environ", "os.getenv")
    found = [
        *_found(tree.attributes, starts=starts, but={"core/config.py"}),
        *_found(tree.imports, starts=starts, but={"core/config.py"}),
    ]
    assert not found, f"add a setting to Config and pass it on: {found}"


def test_only_the_two_clients_speak_to_partners() -> None:
    starts = ("requests", "africastalking", "urllib.request", "http.client")
    # The last asks the simulated world for its books, in demo and test only.
    but = {"mpesa/line.py", "sms/gateway.py", "admin/commands/simulator.py"}
    found = _found(tree.imports, starts=starts, but=but)
    assert not found, f"promise it, and let a sender of the Runtime do it: {found}"


def _found(
    read: Callable[[Path], Iterable[tuple[int, str]]],
    *,
    but: Set[str],
    starts: tuple[str, ...] = (),
    ends: Set[str] = frozenset(),
) -> list[str]:
    """Where the house, `but` for some modules, says what only they may say."""
    return [
        f"{tree.name(path)}:{line} {said}"
        for path in tree.house()
        if tree.name(path) not in but
        for line, said in read(path)
        if (starts and said.startswith(starts)) or said.rpartition(".")[2] in ends
    ]
