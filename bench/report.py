"""The table of figures in docs/performance.md, made from results.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

# What is measured, in whose terms, and what it should be.
LINES = (
    ("P2", "python/tpcb", "`place_bet` through Python, to pgbench TPC-B", ">= 0.75, goal 1.0"),
    ("P2", "pgbench/tpcb", "the same function called by pgbench, to TPC-B", ">= 1.3"),
    ("P2", "python_tx/tpcb", "through Python in an edge's own transaction, to TPC-B", ""),
    ("P2", "python/orm", "through Python, to the ORM version", ">= 6"),
    ("P4", "chunks/statement", "1,000,000 bets in chunks, to one statement", "<= 2.0"),
    ("P4", "busy/statement", "the same while four clients bet, to one statement", "<= 2.0"),
    ("P4", "others_rate", "the clients' rate meanwhile, to their usual one", ">= 0.85"),
    ("P4", "per_bet_big/small", "time for a bet at 1,000,000, to that at 10,000", "<= 1.2"),
    ("P5", "one/thousand", "bets on one market, to bets over 1,000", ">= 0.9"),
    ("P6", "full/fresh", "bets with 10,000,000 transfers behind, to a fresh database", ">= 0.9"),
)


def write(results: Mapping[str, Any]) -> None:
    """Put the newest figures between the marks."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_table(results)}\n{END}{after}")


def _table(results: Mapping[str, Any]) -> str:
    rows = ["| | what | wanted | came out |", "| --- | --- | --- | --- |"]
    for name, ratio, what, wanted in LINES:
        if name in results:
            rows.append(f"| {name} | {what} | {wanted} | {results[name]['ratios'][ratio]:.2f} |")
    if four := results.get("P4"):
        others, memory = four["p99_ms"]["others"], four["memory_mb"]
        rows += [
            f"| P4 | p99 of the others' bets meanwhile | <= 15 ms | {others:.1f} ms |",
            f"| P4 | memory of the database backend | <= 100 MB | {memory['backend']:.0f} MB |",
            f"| P4 | memory of the worker | <= 130 MB | {memory['worker']:.0f} MB |",
        ]
    machines = sorted({one["machine"] for one in results.values()})
    return "\n".join([*rows, "", *(f"Machine: {machine}." for machine in machines)])
