"""The ground of a benchmark: its own Postgres, set up as in earnest, and a house on it."""

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config as Alembic
from psycopg2.extensions import connection as Connection
from sqlalchemy import Engine, create_engine

import core
from core import verify
from core.config import Config
from core.runtime import Runtime
from demo import settings
from demo.engines import APP, OWNER, Postgres, Urls, own_folder

# Tables refer to each other by name: whoever writes to one has to know them all.
for _module in pkgutil.iter_modules(core.__path__):
    importlib.import_module(f"core.{_module.name}")

# Durable as in earnest: what is committed is on the disk. The rest is what a small server of its
# own would have; the peers run on the same one.
SERVER = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "work_mem": "16MB",
    "max_connections": "40",
}
NOWHERE = "redis://127.0.0.1:9/0"  # the benchmarks of the database need no Redis
MILLION = 1_000_000
FUNDS = 10_000_000_00  # cents in each wallet: nobody runs dry


@dataclass(frozen=True)
class Ground:
    """One database with a house in it."""

    config: Config
    owner_url: str  # for libpq
    superuser_url: str

    @property
    def owner_sqlalchemy(self) -> str:
        """Where the owner finds it, for SQLAlchemy."""
        return self.owner_url.replace("postgresql://", "postgresql+psycopg2://", 1)

    @property
    def app_url(self) -> str:
        """Where the house's own role finds it, for SQLAlchemy."""
        return self.config.database_url

    def owner(self) -> Connection:
        """A connection as the database's owner, each statement standing alone."""
        connection = psycopg2.connect(self.owner_url)
        connection.autocommit = True
        return connection


@contextlib.contextmanager
def server(**changes: str) -> Iterator[Postgres]:
    """A Postgres for one run, on a disk."""
    with (
        own_folder() as folder,
        Postgres(folder / "postgres", settings=SERVER | changes) as postgres,
    ):
        yield postgres


def house(postgres: Postgres, name: str) -> Ground:
    """A new database with everything migrated and nobody in it."""
    _administer(postgres, f"CREATE DATABASE {name}")
    ground = _found(postgres, name)
    root = Path(__file__).parent.parent
    command.upgrade(Alembic(root / "alembic.ini", attributes={"config": ground.config}), "head")
    return ground


def copy(postgres: Postgres, source: str, name: str) -> Ground:
    """Another database with the same rows."""
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY")
    return _found(postgres, name)


def drop(postgres: Postgres, name: str) -> None:
    """Make room for the next."""
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _found(postgres: Postgres, name: str) -> Ground:
    urls = Urls(postgres.url(APP, name), postgres.url(OWNER, name), NOWHERE)
    config = Config.from_env(settings.house(urls, app_env="test"))
    return Ground(config, urls.migration, postgres.url("postgres", "postgres"))


def _administer(postgres: Postgres, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(postgres.url(OWNER))) as owner:
        owner.autocommit = True
        owner.cursor().execute(statement)


def run(ground: Ground, *statements: str) -> None:
    """Statements of the owner, one after the other."""
    with contextlib.closing(ground.owner()) as owner, owner.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def value(ground: Ground, query: str) -> int:
    """One number."""
    with contextlib.closing(ground.owner()) as owner, owner.cursor() as cursor:
        cursor.execute(query)
        (number,) = cursor.fetchone()
    return int(number)


def people(ground: Ground, number: int) -> None:
    """So many verified customers with money, put there from the house's bank."""
    run(
        ground,
        f"""INSERT INTO customer (phone, lang, standing, name, birth, terms_at, pin_hash,
                                  kyc_verified_at, created_at)
            SELECT '+2547' || lpad(n::text, 8, '0'), 'en', 2, 'A Bettor', 'sealed', now(), 'hash',
                   now(), now() FROM generate_series(1, {number}) n""",
        "INSERT INTO account (kind, customer_id) SELECT 1, id FROM customer",
        # Bank, payouts pending, fees: the accounts that a working house has.
        "SELECT ledger_account(k::smallint, NULL, NULL, NULL) FROM unnest(ARRAY[12, 20, 21]) k",
        f"""INSERT INTO wallet (account_id, customer_id, balance, seq)
            SELECT id, customer_id, {FUNDS}, 1 FROM account WHERE kind = 1""",
        f"""INSERT INTO transfer (key, kind, debit_account, credit_account, amount,
                                  credit_balance_after, credit_seq, event_id, event_at)
            SELECT ledger_row_key(11, customer_id, 0), 11,
                   (SELECT id FROM account WHERE kind = 12), account_id, {FUNDS}, {FUNDS}, 1,
                   ledger_row_key(11, customer_id, 0), now() FROM wallet""",
    )


def markets(ground: Ground, number: int) -> None:
    """So many open markets of two outcomes."""
    run(
        ground,
        """INSERT INTO staff (name, role, created_at)
           SELECT name, 'trader', now() FROM unnest(ARRAY['wanjiku', 'kamau']) name
           ON CONFLICT DO NOTHING""",
        f"""DO $$
            DECLARE
              made bigint;
              first bigint := (SELECT coalesce(max(code), 100) FROM market);
            BEGIN
              FOR n IN 1..{number} LOOP
                made := nextval('market_id_seq');
                INSERT INTO market (id, code, question, category, status, opens_at, closes_at,
                                    fee_bp, min_stake, max_stake, pool_account, created_by,
                                    created_at)
                VALUES (made, first + n, 'Who wins match ' || made || '?', 'Football', 2,
                        now() - interval '1 hour', now() + interval '1 day', 500, 100, 100000000,
                        ledger_account(2::smallint, NULL, made, NULL), 1, now());
                INSERT INTO outcome (market_id, number, name) VALUES (made, 1, 'Home'),
                                                                     (made, 2, 'Away');
              END LOOP;
            END $$""",
    )


def stakes(ground: Ground, number: int, *, people: int, markets: int) -> None:
    """So many bets with their transfers and balances, a million at a time, spread over all."""
    for first in range(0, number, MILLION):
        many = min(MILLION, number - first)
        run(
            ground,
            f"""CREATE TEMP TABLE made AS
                SELECT n, 1 + ({first}::bigint + n) * 7919 % {people} AS customer_id,
                       1 + n % {markets} AS market_id, 1 + n % 2 AS outcome,
                       (20 + n % 100) * 100 AS stake FROM generate_series(1, {many}) n""",
            *STAKES,
            "DROP TABLE made",
        )


# What bets leave behind: from the rows of `made`, in their order.
STAKES = (
    """CREATE TEMP TABLE placed AS SELECT coalesce(max(id), 0) AS before FROM bet""",
    """INSERT INTO bet (key, customer_id, market_id, outcome, stake, channel, with_pin, session,
                        placed_at)
       SELECT gen_random_uuid(), customer_id, market_id, outcome, stake, 1, true, 'bench', now()
         FROM made ORDER BY n""",
    """INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                             debit_seq, event_id, ref, event_at)
       SELECT ledger_row_key(2, b.id, 0), 2, w.account_id, m.pool_account, b.stake,
              w.balance - sum(b.stake) OVER chain, w.seq + row_number() OVER chain, b.key, b.id,
              now()
         FROM placed p JOIN bet b ON b.id > p.before JOIN wallet w USING (customer_id)
         JOIN market m ON m.id = b.market_id
       WINDOW chain AS (PARTITION BY b.customer_id ORDER BY b.id) ORDER BY b.id""",
    """UPDATE wallet w SET balance = w.balance - s.stake, seq = w.seq + s.bets
         FROM (SELECT b.customer_id, sum(b.stake) AS stake, count(*) AS bets
                 FROM placed p JOIN bet b ON b.id > p.before GROUP BY b.customer_id) s
        WHERE w.customer_id = s.customer_id""",
    "DROP TABLE placed",
)


def settle_down(ground: Ground) -> None:
    """Statistics and visibility as after a quiet night, and nothing left for the disk to do."""
    run(ground, "VACUUM ANALYZE")
    with contextlib.closing(psycopg2.connect(ground.superuser_url)) as superuser:
        superuser.autocommit = True
        superuser.cursor().execute("CHECKPOINT")


def proved(ground: Ground) -> bool:
    """Whether the books hold after what was done to them; says so loudly where they do not."""
    with opened(ground) as rt:
        broken = [finding for finding in verify.verify(rt) if not finding.holds]
    assert not broken, broken
    return True


@contextlib.contextmanager
def opened(ground: Ground, name: str = "bench") -> Iterator[Runtime]:
    """A runtime on that house, with nobody to send anything to; `name` is seen in the server."""
    engine: Engine = create_engine(
        ground.app_url, pool_size=2, connect_args={"application_name": name}
    )
    try:
        yield Runtime(ground.config, engine, redis=None, queues={})  # type: ignore[arg-type]
    finally:
        engine.dispose()
