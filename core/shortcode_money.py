"""What keeps a shortcode ours: receipts, floats and everything under way are booked under it."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import Config
from core.errors import Refusal
from core.money import Cents

# M-PESA's own accounts of a shortcode, utility (10) and working (11), as our books have them.
HELD = text(
    "SELECT coalesce(max(abs(ledger_sum(id))), 0) FROM account"
    " WHERE kind IN (10, 11) AND shortcode = :shortcode"
)
# Deposits that may still be paid, payouts and refunds that may have left, receipts and codes that
# M-PESA is still asked about.
UNDER_WAY = text(
    "SELECT (SELECT count(*) FROM deposit WHERE state IN (1, 2, 3, 4, 7, 8)"
    "         AND shortcode = :shortcode)"
    " + (SELECT count(*) FROM payout WHERE state BETWEEN 4 AND 7 AND shortcode = :shortcode)"
    " + (SELECT count(*) FROM refund WHERE state < 6 AND shortcode = :shortcode)"
    " + (SELECT count(*) FROM receipt_claim WHERE state = 1 AND shortcode = :shortcode)"
    " + (SELECT count(*) FROM code_claim WHERE state = 1 AND shortcode = :shortcode)"
)


def check(tx: Session, now: Config, after: Config) -> None:
    """Whether settings may become those `after`: what we give up holds nothing. Raises Refusal."""
    for shortcode in sorted(ours(now) - ours(after)):
        if held := int(tx.scalar(HELD, {"shortcode": shortcode}) or 0):
            raise Refusal("staff.mpesa_shortcode_holds", shortcode=shortcode, holds=Cents(held))
        _check_quiet(tx, shortcode)
    if now.mpesa_till_number != after.mpesa_till_number:
        _check_quiet(tx, now.mpesa_shortcode)  # the till's payments are booked there


def ours(config: Config) -> frozenset[str]:
    """The shortcodes under which money of ours is booked."""
    return frozenset({config.mpesa_shortcode, config.mpesa_b2c_shortcode} - {""})


def _check_quiet(tx: Session, shortcode: str) -> None:
    if count := int(tx.scalar(UNDER_WAY, {"shortcode": shortcode}) or 0):
        raise Refusal("staff.mpesa_shortcode_busy", shortcode=shortcode, count=count)
