"""What strikes when: every tick of the house but those of its edges."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from core import fates, outbox, payout_results, payouts, proofs, pushes, settling, sweeps, verify
from core.config import Config
from core.runtime import Runtime, Tick
from core.ticks import daily, every

log = structlog.get_logger(__name__)

SECOND = every(timedelta(seconds=1))
QUIET_HOUR = 4  # in Nairobi, when few people bet and a long read disturbs nobody


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


def _swept(sweep: Callable[[Session, datetime, Config], None]) -> Callable[[Runtime], None]:
    """A sweep in a transaction of its own."""
    return lambda rt: rt.attempt(lambda tx: sweep(tx, rt.now(), rt.config))


TICKS: Sequence[Tick] = (
    Tick("sweep", SECOND, sweeps.sweep),
    Tick("close_markets", SECOND, settling.close_markets),
    Tick("ring_settlements", SECOND, settling.ring_settlements),
    Tick("refresh_pools", SECOND, settling.refresh_pools),
    Tick("deposits", SECOND, _swept(pushes.sweep)),
    Tick("payouts", SECOND, _swept(payout_results.sweep)),
    Tick("receipts", SECOND, _swept(fates.sweep)),
    Tick("forget_releases", every(timedelta(minutes=10)), sweeps.forget_releases),
    Tick("prove_books", daily(QUIET_HOUR), prove_books, queue=outbox.DEFAULT),
)
