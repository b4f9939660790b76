"""What strikes when: every tick of the house but those of its edges."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from core import (
    audit,
    balances,
    fates,
    lapses,
    mpesa_settings,
    operator_password,
    outbox,
    payout_results,
    payouts,
    proofs,
    pulls,
    pushes,
    refund_results,
    settling,
    signatures,
    statement_items,
    sweeps,
    verify,
)
from core.config import Config
from core.runtime import Runtime, Tick
from core.ticks import daily, every

log = structlog.get_logger(__name__)

SECOND, MINUTE = every(timedelta(seconds=1)), every(timedelta(minutes=1))
QUIET_HOUR = 4  # in Nairobi, when few people bet and a long read disturbs nobody
MORNING, EVENING = 6, 18  # when M-PESA is asked what our accounts hold


def prove_books(rt: Runtime) -> None:
    """Check every invariant of the ledger; when one does not hold, no more money leaves."""
    findings = verify.verify(rt)
    broken = [finding for finding in findings if not finding.holds]
    for finding in broken:
        log.error("ledger broken", reason=finding.name, count=len(finding.broken))
        with rt.transaction() as tx:
            payouts.pause(tx, "ledger_broken", finding.name, now=rt.now())
    with rt.transaction() as tx:  # after the pause, which matters more than the note
        proofs.keep(tx, findings, now=rt.now())
    log.info("ledger checked", state="broken" if broken else "clean")


def log_audit_head(rt: Runtime) -> None:
    """Tell the log, which is kept elsewhere, how far the audit is: nobody can rewrite both."""
    with rt.transaction() as tx:
        lines, last = audit.head(tx)
    log.info("audit head", audit_lines=lines, audit_hash=last)


def _swept(sweep: Callable[[Session, datetime, Config], object]) -> Callable[[Runtime], None]:
    """A sweep in a transaction of its own."""

    def work(rt: Runtime) -> None:
        rt.attempt(lambda tx: sweep(tx, rt.now(), rt.config))

    return work


TICKS: Sequence[Tick] = (
    Tick("sweep", SECOND, sweeps.sweep),
    Tick("close_markets", SECOND, settling.close_markets),
    Tick("ring_settlements", SECOND, settling.ring_settlements),
    Tick("refresh_pools", SECOND, settling.refresh_pools),
    Tick("deposits", SECOND, _swept(pushes.sweep)),
    Tick("payouts", SECOND, _swept(payout_results.sweep)),
    Tick("receipts", SECOND, _swept(fates.sweep)),
    Tick("refunds", SECOND, _swept(refund_results.sweep)),
    Tick("pull", MINUTE, _swept(pulls.sweep)),
    Tick("balances", MINUTE, _swept(balances.sweep)),
    Tick("balance_morning", daily(MORNING), _swept(balances.ask_by_clock)),
    Tick("balance_evening", daily(EVENING), _swept(balances.ask_by_clock)),
    Tick("statement_lines", MINUTE, _swept(statement_items.sweep)),
    Tick("mpesa_settings", MINUTE, _swept(mpesa_settings.sweep)),
    Tick("operator_password", daily(MORNING), operator_password.check),
    Tick("api_nonces", MINUTE, _swept(signatures.sweep)),
    Tick("forget_releases", every(timedelta(minutes=10)), sweeps.forget_releases),
    Tick("lapses", MINUTE, lapses.sweep),
    Tick("audit_head", every(timedelta(hours=1)), log_audit_head),
    Tick("prove_books", daily(QUIET_HOUR), prove_books, queue=outbox.DEFAULT),
)
