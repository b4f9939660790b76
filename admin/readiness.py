"""Whether this house is ready for M-PESA's money: a list of checks that are run, with evidence."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import structlog
from cryptography.x509 import load_pem_x509_certificate
from pydantic import SecretStr
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from admin import line_check
from core import (
    config_mpesa,
    config_rules,
    inbox,
    operator_password,
    outbox,
    paybill_registrations,
    payouts,
    proofs,
    shortcode_money,
    staff,
    stamp,
    verify,
)
from core.balances import BalanceReading, ReadingState
from core.errors import PartnerError
from core.inbox import Callback
from core.outbox import Promise
from core.runtime import Runtime
from core.say import NAIROBI
from core.ticks import Struck

log = structlog.get_logger(__name__)

ADMINS = 2
LATELY = timedelta(days=1)  # for callbacks and balances: the latter are asked twice a day
BEAT = timedelta(seconds=60)  # the clock strikes every second
OVERDUE = timedelta(minutes=5)
CLOCK = "sweep"  # a tick of every second
BACKLOG = 100  # callbacks that wait
CREDENTIALS = tuple(
    name for name in (*config_rules.NAMES, *config_rules.CREDENTIALS) if name.startswith("mpesa_")
)


@dataclass(frozen=True)
class Found:
    """What a check saw, in words without a secret, and whether that is well."""

    well: bool
    evidence: str


@dataclass(frozen=True)
class Check:
    """One line of the list."""

    name: str
    run: Callable[[Runtime], Found]


@dataclass(frozen=True)
class Result:
    """One line of the list, run."""

    check: str
    well: bool
    evidence: str


def run(rt: Runtime) -> list[Result]:
    """Run every check. One that cannot be run is not well."""
    return [_tried(rt, check) for check in CHECKS]


def failing(results: list[Result]) -> list[str]:
    """The names of those that are not well."""
    return [one.check for one in results if not one.well]


def database(rt: Runtime) -> Found:
    """At the head of the migrations, and stamped with our environment."""
    with rt.transaction() as tx:
        head, stamped = stamp.at_head(tx), stamp.environment(tx)
    well = head and stamped == rt.config.app_env
    where = "at the head of the migrations" if head else "not at the head of the migrations"
    return Found(well, f"{where}, stamped {stamped}, APP_ENV is {rt.config.app_env}")


def admins(rt: Runtime) -> Found:
    """Two people who may agree on credentials, even when one of them proposes."""
    with rt.transaction() as tx:
        count = staff.admins(tx)
    return Found(count >= ADMINS, f"{count} active, {ADMINS} are needed")


def credentials(rt: Runtime) -> Found:
    """All there, fit for this environment, and openable."""
    if rt.mpesa_shut:
        return Found(False, f"those in the database cannot be opened: {rt.mpesa_shut}")
    missing = [name.upper() for name in CREDENTIALS if not _text(rt, name)]
    faults = [fault.partition(":")[0] for fault in config_mpesa.unsafe(rt.config)]
    if missing or faults:
        return Found(False, "; ".join([*(f"{name} is missing" for name in missing), *faults]))
    set_by = "the database" if rt.mpesa_version else "the environment"
    return Found(True, f"all {len(CREDENTIALS)} are there, from {set_by}")


def token(rt: Runtime) -> Found:
    """M-PESA knows our key: a token is had now."""
    found = line_check.attempt(rt.senders, "oauth", {}, "a token was given")
    return Found(found.verdict == line_check.OK, f"{found.said} ({rt.config.daraja_base_url})")


def certificate(rt: Runtime) -> Found:
    """Safaricom's certificate can be read, and its time is not over."""
    pem = rt.config.mpesa_certificate
    if not config_mpesa.is_certificate(pem):
        return Found(False, "MPESA_CERTIFICATE is no RSA certificate in PEM")
    read = load_pem_x509_certificate(pem.encode())
    # By the machine's clock, as everybody else's certificates.
    well = read.not_valid_before_utc <= datetime.now(UTC) <= read.not_valid_after_utc
    return Found(well, f"from {read.not_valid_before_utc:%F} until {read.not_valid_after_utc:%F}")


def password(rt: Runtime) -> Found:
    """The operator's password is younger than M-PESA lets it become."""
    days = operator_password.age(rt.config, now=rt.now())
    if days is None:
        return Found(False, "nobody has written down when it was set (MPESA_PASSWORD_SET_ON)")
    return Found(days < operator_password.LIVES, f"{days} of {operator_password.LIVES} days old")


def callback_url(rt: Runtime) -> Found:
    """What M-PESA is told to call is https, and free of the words that it does not call."""
    parts = urlsplit(rt.config.public_url)
    words = [word for word in config_rules.FORBIDDEN_WORDS if word in rt.config.public_url.lower()]
    said = f"{parts.scheme}://{parts.netloc}"
    if words:
        return Found(False, f"{said}: M-PESA calls no address with {words[0]!r} in it")
    return Found(parts.scheme == "https", said)


def last_callback(rt: Runtime) -> Found:
    """M-PESA reached one of our doors lately; any of its posts will do."""
    newest = select(Callback).order_by(Callback.received_at.desc()).limit(1)
    with rt.transaction() as tx:
        seen = tx.scalar(newest)
    if seen is None:
        return Found(False, "none ever came; `flask mpesa test --wait 30` asks for one")
    well = rt.now() - seen.received_at <= LATELY
    return Found(well, f"{seen.door}, {when(seen.received_at)}")


def paybill(rt: Runtime) -> Found:
    """M-PESA has our paybill addresses, as they are now."""
    with rt.transaction() as tx:
        told = paybill_registrations.latest(tx, rt.config)
    if told is None:
        return Found(False, "not with this address and token (`flask sandbox check --register`)")
    stood = "; M-PESA had addresses before" if told.stood else ""
    return Found(True, f"{told.shortcode}, {when(told.registered_at)}{stood}")


def balance(rt: Runtime) -> Found:
    """M-PESA told lately what each of our shortcodes holds."""
    told = select(BalanceReading.shortcode, func.max(BalanceReading.answered_at).label("at")).where(
        BalanceReading.state.in_((ReadingState.READ, ReadingState.COMPARED))
    )
    with rt.transaction() as tx:
        read = {row.shortcode: row.at for row in tx.execute(told.group_by("shortcode"))}
    wanted = sorted(shortcode_money.ours(rt.config))
    well = bool(wanted) and all(one in read and rt.now() - read[one] <= LATELY for one in wanted)
    said = [f"{one} {when(read[one]) if one in read else 'never'}" for one in wanted]
    return Found(well, ", ".join(said) or "we have no shortcode")


def payouts_go(rt: Runtime) -> Found:
    """Payouts are not paused."""
    with rt.transaction() as tx:
        pause = payouts.paused(tx)
        if pause is None:
            return Found(True, "not paused")
        return Found(False, f"paused since {when(pause.paused_at)}: {pause.reason}")


def books(rt: Runtime) -> Found:
    """Every invariant of the ledger holds, proved now."""
    findings = verify.verify(rt)
    with rt.transaction() as tx:
        proofs.keep(tx, findings, now=rt.now())
    broken = [one.name for one in findings if not one.holds]
    said = f"broken: {', '.join(broken)}" if broken else f"{len(findings)} invariants hold"
    return Found(not broken, said)


def clock(rt: Runtime) -> Found:
    """The clock strikes."""
    age = select(func.clock_timestamp() - Struck.done_at).where(Struck.name == CLOCK)
    with rt.transaction() as tx:
        last: timedelta | None = tx.scalar(age)
    if last is None:
        return Found(False, "it never struck (`flask clock`)")
    return Found(last <= BEAT, f"struck {last.total_seconds():.0f} seconds ago")


def workers(rt: Runtime) -> Found:
    """Somebody works on every queue."""
    counts = dict.fromkeys(outbox.QUEUES, 0)
    for worker in Worker.all(connection=rt.redis, serializer=JSONSerializer):
        for name in worker.queue_names():
            counts[name] = counts.get(name, 0) + 1
    return Found(all(counts.values()), ", ".join(f"{name} {n}" for name, n in counts.items()))


def backlog(rt: Runtime) -> Found:
    """Nothing is long overdue, and nothing is stuck."""
    late = select(func.count()).where(
        Promise.state == outbox.State.PENDING, Promise.due_at < rt.now() - OVERDUE
    )
    undone = Callback.state.in_((inbox.State.NEW, inbox.State.STUCK))
    callbacks = select(Callback.state, func.count()).where(undone).group_by(Callback.state)
    with rt.transaction() as tx:
        overdue = int(tx.scalar(late) or 0)
        by_state = {row[0]: row[1] for row in tx.execute(callbacks)}
    waits, stuck = by_state.get(inbox.State.NEW, 0), by_state.get(inbox.State.STUCK, 0)
    well = not overdue and not stuck and waits < BACKLOG
    return Found(well, f"{overdue} promises overdue, {waits} callbacks wait, {stuck} are stuck")


CHECKS = (
    Check("database", database),
    Check("two admins", admins),
    Check("credentials", credentials),
    Check("token", token),
    Check("certificate", certificate),
    Check("operator password", password),
    Check("callback address", callback_url),
    Check("last callback", last_callback),
    Check("paybill registered", paybill),
    Check("balance read", balance),
    Check("payouts not paused", payouts_go),
    Check("ledger", books),
    Check("clock", clock),
    Check("workers", workers),
    Check("backlog", backlog),
)


def when(moment: datetime) -> str:
    """A moment as staff read it, in Nairobi."""
    return moment.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M")


def _tried(rt: Runtime, check: Check) -> Result:
    try:
        found = check.run(rt)
    except (SQLAlchemyError, RedisError, PartnerError, OSError) as fault:  # somebody is away
        log.exception("readiness check failed", reason=check.name)
        found = Found(False, f"it could not be run: {type(fault).__name__}")
    return Result(check.name, found.well, found.evidence)


def _text(rt: Runtime, name: str) -> str:
    value: str | SecretStr = getattr(rt.config, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value
