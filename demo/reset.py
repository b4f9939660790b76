"""`make demo-reset`: empties the demo's own database and Redis, and nobody else's."""

import os
import subprocess
import sys

import psycopg2
from redis import Redis

from demo import engines, settings


def main() -> None:
    """Take all migrations down, which the next demo puts up again."""
    if "DATABASE_URL" not in os.environ:
        print("Nothing to reset: without DATABASE_URL every demo starts on new engines.")
        return
    with engines.running(os.environ, throwaway=False) as urls:
        if _stamp(urls) != "demo":
            sys.exit("This is not a demo's database: it stays as it is.")
        alembic = [sys.executable, "-m", "alembic", "downgrade", "base"]
        subprocess.run(
            alembic, env={**os.environ, **settings.house(urls, app_env="demo")}, check=True
        )
        with Redis.from_url(urls.redis) as redis:
            redis.flushdb()


def _stamp(urls: engines.Urls) -> str | None:
    """The environment this database was made for."""
    with psycopg2.connect(urls.migration.replace("+psycopg2", "")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT environment FROM house_stamp")
        row = cursor.fetchone()
    return str(row[0]) if row else None


if __name__ == "__main__":
    main()
