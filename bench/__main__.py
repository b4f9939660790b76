"""`python -m bench P2,P4`: take the figures, write results.json and the table for people."""

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import ground, placing, report, settling
from demo.engines import Postgres

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Measure what was asked for; what was measured before stays in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", default="P2,P4,P5,P6")
    parser.add_argument("--scale", type=int, default=100, help="of pgbench's TPC-B")
    parser.add_argument("--bets", type=int, default=1_000_000, help="settled by P4")
    parser.add_argument("--behind", type=int, default=10_000_000, help="transfers behind P6")
    asked = parser.parse_args()
    measures: dict[str, Callable[[Postgres], dict[str, Any]]] = {
        "P2": lambda postgres: placing.p2(postgres, asked.scale),
        "P4": lambda postgres: settling.p4(
            postgres, bets=asked.bets, people=max(asked.bets * 3 // 10, 1)
        ),
        "P5": placing.p5,
        "P6": lambda postgres: placing.p6(postgres, asked.behind),
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in asked.which.split(","):
        print(name, flush=True)
        with ground.server() as postgres:
            results[name] = measures[name](postgres) | {"machine": _machine()}
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
        print(json.dumps(results[name]["ratios"]), flush=True)
    report.write(results)


def _machine() -> str:
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(model)} x {model[0] if model else 'unknown'}, {platform.system()}"


if __name__ == "__main__":
    main()
