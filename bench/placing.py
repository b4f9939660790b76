"""P2, P5 and P6: placing bets, beside pgbench's TPC-B, on one market, and with millions behind."""

from collections.abc import Callable
from statistics import median
from typing import Any

from bench import clients, ground
from bench.clients import Pace
from bench.ground import Ground
from bench.orm import with_orm
from demo.engines import Postgres

PEOPLE, MARKETS = 100_000, 1_000
SECONDS, ROUNDS = 8, 5

Measure = Callable[[], Pace]


def p2(postgres: Postgres, scale: int) -> dict[str, Any]:
    """A bet through its Python function, and the same from pgbench, against TPC-B and an ORM."""
    place = _house(postgres, "p2")
    clients.tpcb_tables(place, scale)
    ground.settle_down(place)
    script = clients.place_bet_script(PEOPLE, 1, MARKETS)
    came = _alternating(
        {
            "tpcb": lambda: clients.pgbench(place, seconds=SECONDS),
            "pgbench": lambda: clients.pgbench(place, seconds=SECONDS, script=script),
            "python": lambda: _bets(place, clients.one_function),
            "python_tx": lambda: _bets(place, clients.edge_transaction),
            "orm": lambda: _bets(place, with_orm, url=place.owner_sqlalchemy),
        }
    )
    ground.proved(place)
    ground.drop(postgres, "p2")
    rate = _rates(came)
    return _told(
        came,
        {
            "python/tpcb": rate["python"] / rate["tpcb"],
            "pgbench/tpcb": rate["pgbench"] / rate["tpcb"],
            "python_tx/tpcb": rate["python_tx"] / rate["tpcb"],
            "python/orm": rate["python"] / rate["orm"],
        },
        scale=scale,
    )


def p5(postgres: Postgres) -> dict[str, Any]:
    """All bets on one market against all on a thousand."""
    place = _house(postgres, "p5")
    ground.settle_down(place)
    came = _alternating(
        {
            "thousand": lambda: _bets(place, clients.one_function),
            "one": lambda: _bets(place, clients.one_function, markets=(1, 1)),
        }
    )
    ground.proved(place)
    ground.drop(postgres, "p5")
    rate = _rates(came)
    return _told(came, {"one/thousand": rate["one"] / rate["thousand"]})


def p6(postgres: Postgres, behind: int) -> dict[str, Any]:
    """Bets with so many transfers behind them against bets in a fresh database."""
    fresh, full = _house(postgres, "p6_fresh"), _house(postgres, "p6_full")
    ground.stakes(full, behind, people=PEOPLE, markets=MARKETS)
    for place in (fresh, full):
        ground.settle_down(place)
    came = _alternating(
        {
            "fresh": lambda: _bets(fresh, clients.one_function),
            "full": lambda: _bets(full, clients.one_function),
        }
    )
    for name in ("p6_fresh", "p6_full"):
        ground.drop(postgres, name)
    rate = _rates(came)
    return _told(came, {"full/fresh": rate["full"] / rate["fresh"]}, transfers_behind=behind)


def _house(postgres: Postgres, name: str) -> Ground:
    place = ground.house(postgres, name)
    ground.people(place, PEOPLE)
    ground.markets(place, MARKETS)
    return place


def _bets(
    place: Ground,
    bettor: clients.Bettor,
    *,
    markets: tuple[int, int] = (1, MARKETS),
    url: str | None = None,
) -> Pace:
    return clients.bettors(
        place, bettor, seconds=SECONDS, customers=PEOPLE, markets=markets, url=url
    )


def _alternating(measures: dict[str, Measure]) -> dict[str, list[Pace]]:
    """Each once a round: what disturbs the machine disturbs them all."""
    came: dict[str, list[Pace]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            came[name].append(measure())
            print(f"  {name:12} {came[name][-1].rate:8.0f}/s", flush=True)
    return came


def _rates(came: dict[str, list[Pace]]) -> dict[str, float]:
    return {name: median(pace.rate for pace in paces) for name, paces in came.items()}


def _told(came: dict[str, list[Pace]], ratios: dict[str, float], **more: Any) -> dict[str, Any]:
    return {
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "rates": {name: round(rate) for name, rate in _rates(came).items()},
        "p99_ms": {name: median(pace.p99_ms for pace in paces) for name, paces in came.items()},
        "raw": {name: [round(pace.rate) for pace in paces] for name, paces in came.items()},
        **more,
    }
