"""A push, a payout and a paybill's addresses, as M-PESA remembers them beside its books."""

from dataclasses import dataclass, field
from typing import Any

from simulator.books import Transaction
from simulator.faults import Plan


@dataclass
class Push:
    """`code` is empty while nobody knows how it ends; "0" is paid."""

    merchant_id: str
    checkout_id: str
    phone: str
    shortcode: str
    kind: str
    amount: int
    account: str
    callback_url: str
    plan: Plan
    payee_fits: bool
    code: str = ""
    paid: Transaction | None = None


@dataclass
class Payout:
    """`status` is what a status query tells; it is empty for one that never entered the system."""

    originator_id: str
    conversation_id: str
    phone: str
    shortcode: str
    amount: int
    initiator: str
    credential: str
    result_url: str
    timeout_url: str
    occasion: str
    plan: Plan
    request: dict[str, Any] = field(repr=False)
    status: str = "Authorized"
    line: Transaction | None = None


@dataclass(frozen=True)
class Addresses:
    """Where a paybill's payments are validated and confirmed, and what silence means."""

    confirmation: str
    validation: str
    version: str = "v2"
    on_silence: str = "Completed"
