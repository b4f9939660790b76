"""`make migration m="add payout state"`: the next number, drafted from the models."""

import os
import subprocess
import sys
from pathlib import Path

from demo import engines, settings

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"


def main() -> None:
    """Compare the models with a new database at head, on engines of our own."""
    message = " ".join(sys.argv[1:]).strip()
    if not message:
        sys.exit('Say what it does: make migration m="add payout state"')
    number = f"{len(list(VERSIONS.glob('*.py'))) + 1:04}"
    alembic = [sys.executable, "-m", "alembic"]
    draft = ["revision", "--autogenerate", "--rev-id", number, "--message", message]
    with engines.running({}, throwaway=True) as urls:
        environ = {**os.environ, **settings.house(urls, app_env="demo")}
        for arguments in (["upgrade", "head"], draft):
            subprocess.run([*alembic, *arguments], env=environ, check=True)


if __name__ == "__main__":
    main()
