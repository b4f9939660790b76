"""Clients that bet as fast as they can, and pgbench beside them; every answer is checked."""

import multiprocessing
import random
import re
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench.ground import Ground
from core import betting
from core.betting import Placed
from core.effects import Channel
from demo.engines import postgres_program

CLIENTS = 4
STAKE = 20_00  # cents

Bettor = Callable[[str, int, int, int], "Any"]


@dataclass(frozen=True)
class Pace:
    """How fast a run went."""

    rate: float  # per second, all clients together
    p50_ms: float
    p99_ms: float
    number: int


def bettors(
    ground: Ground,
    bettor: Bettor,
    *,
    seconds: float,
    customers: int,
    markets: tuple[int, int],
    until: Event | None = None,
    url: str | None = None,
) -> Pace:
    """Four processes betting for `seconds`, or `until` an event is set."""
    spawn = multiprocessing.get_context("spawn")
    answers: Any = spawn.SimpleQueue()
    ready = spawn.Barrier(CLIENTS)
    where = url or ground.app_url
    told_all = (seconds, customers, markets, ready, until, answers)
    people = [
        spawn.Process(target=_bet, args=(bettor, where, n, *told_all)) for n in range(CLIENTS)
    ]
    for person in people:
        person.start()
    told = [answers.get() for _ in people]
    for person in people:
        person.join()
    failed = [text for text in told if isinstance(text, str)]
    assert not failed, failed[0]
    times = sorted(moment for mine, _ in told for moment in mine)
    rate = sum(len(mine) / took for mine, took in told)
    return Pace(rate, _at(times, 0.5), _at(times, 0.99), len(times))


def one_function(url: str, customers: int, first: int, last: int) -> Callable[[], None]:
    """Betting as the house does it: the Python function, one decision at a time."""
    engine = create_engine(url, pool_size=1, isolation_level="AUTOCOMMIT")
    tx = Session(engine)

    def bet() -> None:
        verdict = betting.place_bet(
            tx,
            key=uuid.uuid4(),
            customer_id=random.randint(1, customers),
            market_id=random.randint(first, last),
            outcome=random.randint(1, 2),
            stake=STAKE,
            channel=Channel.USSD,
            session="bench",
            with_pin=True,
            no_pin_limit=0,
        )
        assert isinstance(verdict, Placed), verdict

    return bet


def edge_transaction(url: str, customers: int, first: int, last: int) -> Callable[[], None]:
    """The same inside a transaction of the edge's, as where more than the bet is written."""
    engine = create_engine(url, pool_size=1)
    tx = Session(engine)

    def bet() -> None:
        verdict = betting.place_bet(
            tx,
            key=uuid.uuid4(),
            customer_id=random.randint(1, customers),
            market_id=random.randint(first, last),
            outcome=random.randint(1, 2),
            stake=STAKE,
            channel=Channel.USSD,
            session="bench",
            with_pin=True,
            no_pin_limit=0,
        )
        assert isinstance(verdict, Placed), verdict
        tx.commit()

    return bet


def pgbench(
    ground: Ground, *, seconds: int, script: str | None = None, clients: int = CLIENTS
) -> Pace:
    """The same four clients in C: pgbench's own TPC-B, or a script of ours."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [str(postgres_program("pgbench")), "-n", "-M", "prepared", "-c", str(clients)]
        command += ["-j", str(min(clients, 2)), "-T", str(seconds), "-l", f"--log-prefix={log}"]
        if script is not None:
            (Path(folder) / "script").write_text(script)
            command += ["-f", str(Path(folder) / "script")]
        answer = subprocess.run(
            [*command, ground.owner_url], capture_output=True, text=True, check=True
        ).stdout
        assert re.search(r"failed transactions: 0 ", answer), answer
        times = sorted(
            int(line.split()[2]) / 1e6
            for part in Path(folder).glob("log.*")
            for line in part.read_text().splitlines()
        )
    (rate,) = re.findall(r"tps = ([\d.]+)", answer)
    return Pace(float(rate), _at(times, 0.5), _at(times, 0.99), len(times))


def tpcb_tables(ground: Ground, scale: int) -> None:
    """pgbench's own tables, `scale` times 100,000 accounts."""
    subprocess.run(
        [str(postgres_program("pgbench")), "-i", "-q", "-s", str(scale), ground.owner_url],
        capture_output=True,
        check=True,
    )


def place_bet_script(customers: int, first: int, last: int) -> str:
    """What the Python function sends, as a script for pgbench."""
    return f"""\\set customer random(1, {customers})
\\set market random({first}, {last})
\\set outcome random(1, 2)
SELECT * FROM place_bet(gen_random_uuid(), :customer, :market, :outcome::smallint, {STAKE},
                        1::smallint, 'bench', true, 0);
"""


def _bet(
    bettor: Bettor,
    url: str,
    seed: int,
    seconds: float,
    customers: int,
    markets: tuple[int, int],
    ready: Any,
    until: Event | None,
    answers: "SimpleQueue[Any]",
) -> None:
    random.seed(seed)
    try:
        act = bettor(url, customers, *markets)
        for _ in range(20):  # warm: plans made, pages read
            act()
        ready.wait()
        times: list[float] = []
        began = now = time.perf_counter()
        while now - began < seconds and not (until is not None and until.is_set()):
            act()
            before, now = now, time.perf_counter()
            times.append(now - before)
        answers.put((times, now - began))
    except BaseException as error:
        answers.put(f"{type(error).__name__}: {error}")
        ready.abort()
        raise


def _at(times: list[float], share: float) -> float:
    return round(times[min(int(len(times) * share), len(times) - 1)] * 1000, 3) if times else 0.0
