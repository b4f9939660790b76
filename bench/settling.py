"""P4: settling a million bets in chunks, beside one statement that writes the same rows."""

import contextlib
import multiprocessing
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2

from bench import clients, ground
from bench.clients import Pace
from bench.ground import Ground
from core import decisions, markets, settling, staff
from demo.engines import Postgres

STATEMENT = (Path(__file__).parent / "one_statement.sql").read_text()
BETTING_ON = 100  # other markets, which the clients keep betting on
BIG, SMALL = 1, 2  # the markets that are settled, and their settlements
SMALL_BETS = 10_000
ROUNDS = 3


@dataclass(frozen=True)
class Run:
    """One settlement, how long it took and what it held."""

    seconds: float
    backend_mb: float
    worker_mb: float


def crowd(place: Ground, *, bets: int, people: int, small: int) -> tuple[int, int]:
    """A house with one market of `bets` and one of `small` bets, closed and approved.

    Half of the bets win. Answers the first and the last market that can still be bet on.
    """
    ground.people(place, people)
    ground.markets(place, 2 + BETTING_ON)
    for market, number in ((BIG, bets), (SMALL, small)):
        ground.run(place, *_bets(market, number, people))
        _approved(place, market)
    ground.settle_down(place)
    return 3, 2 + BETTING_ON


def in_chunks(place: Ground, settlement_id: int) -> Run:
    """The house's own way, in a process like a worker's."""
    spawn = multiprocessing.get_context("spawn")
    answers: Any = spawn.SimpleQueue()
    worker = spawn.Process(target=_work, args=(place, settlement_id, answers))
    worker.start()
    backend = _watched(place, "settler", worker.is_alive)
    told = answers.get()
    worker.join()
    assert not isinstance(told, str), told
    seconds, worker_mb = told
    return Run(seconds, backend, worker_mb)


def in_one_statement(place: Ground, settlement_id: int) -> Run:
    """The yardstick: everything at once, while everybody waits."""
    began = time.perf_counter()
    with contextlib.closing(place.owner()) as owner, owner.cursor() as cursor:
        cursor.execute("SET application_name = 'settler'")
        cursor.execute(STATEMENT, {"settlement": settlement_id})
    return Run(time.perf_counter() - began, 0.0, 0.0)


def while_betting(
    place: Ground, settlement_id: int, *, people: int, open_markets: tuple[int, int]
) -> tuple[Run, Pace]:
    """The same with four clients betting as fast as they can, from before it until its end."""
    spawn = multiprocessing.get_context("spawn")
    ended = spawn.Event()
    paces: list[Pace] = []
    betting = threading.Thread(
        target=lambda: paces.append(
            clients.bettors(
                place,
                clients.one_function,
                seconds=3600,
                customers=people,
                markets=open_markets,
                until=ended,
            )
        )
    )
    betting.start()
    time.sleep(2)  # until the clients have found their pace
    run = in_chunks(place, settlement_id)
    ended.set()
    betting.join()
    return run, paces[0]


def p4(postgres: Postgres, *, bets: int, people: int) -> dict[str, Any]:
    """A settlement in chunks, alone and beside betting clients, against one statement."""
    source = ground.house(postgres, "p4")
    open_markets = crowd(source, bets=bets, people=people, small=SMALL_BETS)
    runs: dict[str, list[Any]] = {name: [] for name in ("statement", "chunks", "small", "busy")}
    alone: list[Pace] = []

    def once(name: str, prove: bool) -> None:
        place = ground.copy(postgres, "p4", "p4_run")
        if name == "statement":
            runs[name].append(in_one_statement(place, BIG))
        elif name == "busy":
            told = {"customers": people, "markets": open_markets}
            alone.append(clients.bettors(place, clients.one_function, seconds=8, **told))
            runs[name].append(while_betting(place, BIG, people=people, open_markets=open_markets))
        else:
            runs[name].append(in_chunks(place, BIG if name == "chunks" else SMALL))
        if prove:
            ground.proved(place)
        ground.drop(postgres, "p4_run")
        print(f"  {name:10} {runs[name][-1]}", flush=True)

    for number in range(ROUNDS):
        for name in runs:
            once(name, prove=number == ROUNDS - 1)
    ground.drop(postgres, "p4")
    return _summary(runs, alone, bets=bets)


def _summary(runs: dict[str, list[Any]], alone: list[Pace], *, bets: int) -> dict[str, Any]:
    statement = median(run.seconds for run in runs["statement"])
    chunks = median(run.seconds for run in runs["chunks"])
    small = median(run.seconds for run in runs["small"])
    busy = median(run.seconds for run, _ in runs["busy"])
    usual, during = (
        median(pace.rate for pace in paces) for paces in (alone, [pace for _, pace in runs["busy"]])
    )
    return {
        "ratios": {
            "chunks/statement": round(chunks / statement, 3),
            "busy/statement": round(busy / statement, 3),
            "others_rate": round(during / usual, 3),
            "per_bet_big/small": round(chunks / bets / (small / SMALL_BETS), 3),
        },
        "p99_ms": {
            "others": median(pace.p99_ms for _, pace in runs["busy"]),
            "others_usual": median(pace.p99_ms for pace in alone),
        },
        "seconds": {"statement": statement, "chunks": chunks, "busy": busy, "small": small},
        "memory_mb": {
            "backend": max(run.backend_mb for run in runs["chunks"]),
            "worker": max(run.worker_mb for run in runs["chunks"]),
        },
        "others_per_second": {"usual": round(usual), "during": round(during)},
        "raw": {name: [str(run) for run in many] for name, many in runs.items()},
        "bets": bets,
    }


def _work(place: Ground, settlement_id: int, answers: Any) -> None:
    try:
        with ground.opened(place, name="settler") as rt:
            with rt.transaction() as tx:
                tx.connection()
            began = time.perf_counter()
            assert settling.work(rt, settlement_id), "not settled"
            took = time.perf_counter() - began
        answers.put((took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    except BaseException as error:
        answers.put(f"{type(error).__name__}: {error}")
        raise


def _watched(place: Ground, name: str, alive: Any) -> float:
    """The most private memory, in MB, that any backend of that name had while it was `alive`."""
    most = 0.0
    with contextlib.closing(psycopg2.connect(place.owner_url)) as owner:
        owner.autocommit = True
        cursor = owner.cursor()
        while alive():
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", (name,))
            for (pid,) in cursor.fetchall():
                most = max(most, _private_mb(pid))
            time.sleep(0.2)
    return most


def _private_mb(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _bets(market: int, number: int, people: int) -> tuple[str, ...]:
    """So many bets of KES 20 to 119 with their transfers and balances, every second one on Home."""
    return (
        f"""CREATE TEMP TABLE made AS
            SELECT n, 1 + n::bigint * 7919 % {people} AS customer_id, {market} AS market_id,
                   1 + n % 2 AS outcome, (20 + n % 100) * 100 AS stake
              FROM generate_series(1, {number}) n""",
        *ground.STAKES,
        "DROP TABLE made",
    )


def _approved(place: Ground, market_id: int) -> int:
    """Close the market; two people say that Home has won. Answers the settlement."""
    with ground.opened(place) as rt, rt.transaction() as tx:
        proposer, approver = staff.named(tx, "wanjiku"), staff.named(tx, "kamau")
        code = tx.get_one(markets.Market, market_id).code
        markets.close(tx, code, by=proposer)
        told = {"now": rt.now(), "config": place.config}
        _, seen = decisions.propose(tx, code, winners=[1], source="bench", by=proposer, **told)
        return decisions.approve(tx, code, seen_hash=seen.hash, by=approver, **told).id
