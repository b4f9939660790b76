"""Where a wallet's line came from: M-PESA's receipt, a bet, a settlement's share, a payout, people.

Lines are traced a page at a time, one query for each sort of origin. Whatever a query does not
find has no origin, and the caller says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.effects import Channel
from core.ledger import TransferKind
from core.payments import PayoutReason, PayoutState
from core.receipts import Source


@dataclass(frozen=True)
class Origin:
    """Facts by name, in the order to read them, and what in them does not fit the line."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: Sequence[str] = ()


Trace = Callable[[Any], Origin]


def origins(tx: Session, customer_id: int, lines: Sequence[Any]) -> dict[int, Origin]:
    """The origin of each of the wallet's transfers (rows with `id` and `kind`), by its id."""
    found: dict[int, Origin] = {}
    for kinds, query, trace in SORTS:
        ids = {line.id: line for line in lines if line.kind in kinds}
        if ids:
            for row in tx.execute(query, {"ids": list(ids), "customer": customer_id}):
                found[row.transfer] = trace(row)
    return found


def _receipt(row: Any) -> Origin:
    facts = {
        "receipt": row.receipt,
        "paybill": row.shortcode,
        "payer": row.payer,
        "deposit": row.ref,
        "told_by": _named(Source, row.source),
        "confirmed_by": _named(Source, row.confirmed_by),
        "paid_at": row.event_at,
        "reversal": row.reversal,
    }
    return Origin(_known(facts), _unless(row.fits, f"the receipt is of {row.paid}"))


def _stake(row: Any) -> Origin:
    facts = {
        "bet": row.bet,
        "game": row.code,
        "question": row.question,
        "pick": row.pick,
        "channel": _named(Channel, row.channel),
        "placed_at": row.placed_at,
    }
    return Origin(_known(facts), _unless(row.fits, f"the bet is of {row.stake}"))


def _dividend(row: Any) -> Origin:
    facts = {
        "bet": row.bet,
        "game": row.code,
        "question": row.question,
        "pick": row.pick,
        "settlement": row.settlement,
        "proposed_by": row.proposer,
        "approved_by": row.approver,
    }
    if row.net is not None:
        facts["share"] = f"{row.stake} x {row.net} / {row.staked}"
    problems = _unless(row.fits, f"the dividend is of {row.dividend}")
    if row.net is None or not _is_share(row.amount, row.stake * row.net, row.staked):
        problems = [*problems, "not the bet's share"]
    return Origin(_known(facts), problems)


def _is_share(amount: int, product: int, staked: int) -> bool:
    """Whether it is a part of cumulative rounding: the exact part, a cent up or down."""
    return product // staked <= amount <= -(-product // staked)


def _payout(row: Any) -> Origin:
    facts = {
        "payout": f"P{row.payout}",
        "reason": _named(PayoutReason, row.reason),
        "settlement": row.settlement_id,
        "state": _named(PayoutState, row.state),
        "receipt": row.receipt,
        "attempts": row.attempts,
        "codes": row.codes,
        "tax": row.tax,
    }
    return Origin(_known(facts), _unless(row.fits, f"the payout is of {row.of}"))


def _incident(row: Any) -> Origin:
    facts = {
        "payout": row.payout and f"P{row.payout}",
        "refund": row.refund,
        "incident": row.incident,
        "receipt": row.receipt,
        "of": row.total,
    }
    return Origin(_known(facts), _unless(row.fits, f"the incident is of {row.total}"))


def _levy(row: Any) -> Origin:
    facts = {"receipt": row.receipt, "of": row.of, "deposit": row.ref}
    return Origin(_known(facts), _unless(row.of is not None, "no deposit of the same event"))


def _decision(row: Any) -> Origin:
    facts = {
        "proposal": row.proposal,
        "act": row.act,
        "note": row.note,
        "proposed_by": row.proposer,
        "approved_by": row.approver,
    }
    return Origin(_known(facts), _unless(row.approved, "the proposal was not approved"))


def _correction(row: Any) -> Origin:
    facts = {
        "bet": row.bet,
        "game": row.code,
        "settlement": row.settlement,
        "was": row.was,
        "proposed_by": row.proposer,
        "approved_by": row.approver,
    }
    return Origin(_known(facts))


def _debt(row: Any) -> Origin:
    facts = {"owed_before": row.owed, "for_settlements": row.settlements}
    return Origin(_known(facts), _unless(row.owed is not None, "no debt of this customer's"))


def _named(names: Any, value: int | None) -> str | None:
    return None if value is None else names(value).name.lower()


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _unless(fits: bool, problem: str) -> list[str]:
    return [] if fits else [problem]


RECEIPTS = text("""
    SELECT t.id AS transfer, r.receipt, r.shortcode, r.source, r.confirmed_by, r.event_at,
           r.amount AS paid, d.ref, coalesce(r.payer, c.phone, d.phone) AS payer, r.reversal,
           r.amount = t.amount OR (t.kind = 19 AND r.amount > t.amount) AS fits
      FROM transfer t
      JOIN LATERAL
           (SELECT * FROM mpesa_receipt x WHERE t.kind = 1 AND x.transfer_id = t.id
            UNION ALL
            SELECT * FROM mpesa_receipt x WHERE t.kind = 18 AND x.attached_id = t.id
            UNION ALL
            SELECT * FROM mpesa_receipt x WHERE t.kind = 19 AND x.transfer_id = t.ref
            UNION ALL
            SELECT * FROM mpesa_receipt x WHERE t.kind = 19 AND x.restored_id = t.ref
            UNION ALL
            SELECT * FROM mpesa_receipt x WHERE t.kind = 23 AND x.restored_id = t.id) r ON true
      LEFT JOIN deposit d ON d.id = r.deposit_id
      LEFT JOIN receipt_claim c ON c.receipt = r.receipt AND c.deposit_id = r.deposit_id
     WHERE t.id = ANY (:ids)
""")

STAKES = text("""
    SELECT t.id AS transfer, b.id AS bet, b.stake, b.stake = t.amount AS fits, b.channel,
           b.placed_at, m.code, m.question, o.name AS pick
      FROM transfer t
      JOIN bet b ON b.id = t.ref AND b.customer_id = :customer
      JOIN market m ON m.id = b.market_id
      LEFT JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
     WHERE t.id = ANY (:ids)
""")

DIVIDENDS = text("""
    SELECT t.id AS transfer, t.amount, b.id AS bet, b.stake, d.amount AS dividend,
           d.amount = t.amount AS fits, s.id AS settlement, w.net, w.staked, m.code, m.question,
           o.name AS pick, p.name AS proposer, a.name AS approver
      FROM transfer t
      JOIN settlement s ON s.key = t.event_id
      JOIN dividend d ON d.settlement_id = s.id AND d.bet_id = t.ref
      JOIN bet b ON b.id = t.ref AND b.customer_id = :customer
      JOIN market m ON m.id = b.market_id
      JOIN staff p ON p.id = s.proposed_by
      JOIN staff a ON a.id = s.approved_by
      LEFT JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
      LEFT JOIN settlement_share w
        ON w.settlement_id = s.id AND w.outcome = b.outcome
       AND w.late = coalesce(b.placed_at > s.effective_close, false)
     WHERE t.id = ANY (:ids)
""")

# What was set aside is the payout and the tax on it.
PAYOUTS = text("""
    SELECT t.id AS transfer, o.id AS payout, o.amount AS of, o.reason, o.settlement_id, o.state,
           o.receipt, o.attempt AS attempts, nullif(tax.cents, 0) AS tax,
           t.amount IN (o.amount, o.amount + tax.cents, tax.cents) AS fits,
           (SELECT string_agg(x.code, ' ' ORDER BY x.attempt)
              FROM payout_attempt x WHERE x.payout_id = o.id) AS codes
      FROM transfer t
      JOIN payout o ON o.id = t.ref AND o.customer_id = :customer
     CROSS JOIN LATERAL
           (SELECT coalesce((to_jsonb(o) ->> 'tax')::bigint, 0) AS cents) tax
     WHERE t.id = ANY (:ids)
""")

# What M-PESA paid too much: the part of it the wallet had was set aside, and may have come back.
INCIDENTS = text("""
    SELECT t.id AS transfer, i.payout_id AS payout, i.refund_id AS refund, i.id AS incident,
           i.receipt,
           i.frozen + i.owed AS total,
           t.amount = CASE t.kind WHEN 20 THEN i.frozen ELSE i.frozen + i.owed END AS fits
      FROM transfer t
      JOIN payout_incident i ON i.key = t.event_id AND i.customer_id = :customer
     WHERE t.id = ANY (:ids)
""")

LEVIES = text("""
    SELECT t.id AS transfer, min(r.receipt) AS receipt, sum(x.amount)::bigint AS of,
           min(d.ref) AS ref
      FROM transfer t
      LEFT JOIN transfer x ON x.event_id = t.event_id AND x.kind IN (1, 18, 23)
      LEFT JOIN mpesa_receipt r ON x.id IN (r.transfer_id, r.attached_id, r.restored_id)
      LEFT JOIN deposit d ON d.id = r.deposit_id
     WHERE t.id = ANY (:ids)
     GROUP BY t.id
""")

DECISIONS = text("""
    SELECT t.id AS transfer, p.id AS proposal, p.act, p.note, p.state = 2 AS approved,
           a.name AS proposer, b.name AS approver
      FROM transfer t
      JOIN proposal p ON p.id = t.ref
      JOIN staff a ON a.id = p.proposed_by
      LEFT JOIN staff b ON b.id = p.decided_by
     WHERE t.id = ANY (:ids)
""")

# Of a reversal: the bet whose dividend was taken back, and the decision that took it.
CORRECTIONS = text("""
    SELECT t.id AS transfer, b.id AS bet, m.code, s.id AS settlement, d.amount AS was,
           p.name AS proposer, a.name AS approver
      FROM transfer t
      JOIN bet b ON b.id = t.ref AND b.customer_id = :customer
      JOIN market m ON m.id = b.market_id
      LEFT JOIN settlement s ON s.key = t.event_id
      LEFT JOIN dividend d ON d.settlement_id = s.id AND d.bet_id = b.id
      LEFT JOIN staff p ON p.id = s.proposed_by
      LEFT JOIN staff a ON a.id = s.approved_by
     WHERE t.id = ANY (:ids)
""")

# Paid back into the customer's receivable: what had been charged to it before, and for what.
DEBTS = text("""
    SELECT t.id AS transfer, sum(o.amount)::bigint AS owed,
           string_agg(DISTINCT s.id::text, ' ') AS settlements
      FROM transfer t
      LEFT JOIN account a
        ON a.id = t.credit_account AND a.kind = 30 AND a.customer_id = :customer
      LEFT JOIN transfer o ON o.debit_account = a.id AND o.kind IN (14, 19, 20) AND o.id < t.id
      LEFT JOIN settlement s ON s.key = o.event_id
     WHERE t.id = ANY (:ids)
     GROUP BY t.id
""")

SORTS: tuple[tuple[frozenset[int], Any, Trace], ...] = (
    (
        frozenset(
            {
                TransferKind.DEPOSIT,
                TransferKind.ATTACHED,
                TransferKind.REVERSED,
                TransferKind.RESTORED,
            }
        ),
        RECEIPTS,
        _receipt,
    ),
    (frozenset({TransferKind.STAKE}), STAKES, _stake),
    (frozenset({TransferKind.WON, TransferKind.REFUND}), DIVIDENDS, _dividend),
    (
        frozenset({TransferKind.RESERVE, TransferKind.RELEASE, TransferKind.WITHHOLDING}),
        PAYOUTS,
        _payout,
    ),
    (frozenset({TransferKind.FROZEN, TransferKind.THAWED}), INCIDENTS, _incident),
    (frozenset({TransferKind.EXCISE}), LEVIES, _levy),
    (frozenset({TransferKind.REVERSAL}), CORRECTIONS, _correction),
    (frozenset({TransferKind.REPAYMENT}), DEBTS, _debt),
    (frozenset({TransferKind.ADJUSTMENT, TransferKind.TREASURY}), DECISIONS, _decision),
)
