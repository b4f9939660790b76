"""Notices of ended sessions: how a call ended, and which screen people leave from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.customers import Customer
from core.hops import UssdEnd
from ussd.calls import Call
from ussd.transcripts import masked, shown

LONGEST = 500  # characters of a text the aggregator sends back to us
NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")  # of `0.10` and `KES 0.10` alike


@dataclass(frozen=True)
class Notice:
    """What the aggregator says of a session that is over; a field it leaves out is empty."""

    session: str
    phone: str
    code: str
    network: str
    fields: Mapping[str, str]


def keep(tx: Session, notice: Notice, call: Call | None, *, now: datetime) -> None:
    """Write the notice down once, with the last screen and without what was typed in secret.

    What the aggregator sends as `input` holds PINs in clear: where the call is still known, its
    own masked trail stands for it.
    """
    fields = notice.fields
    row = {
        "session": notice.session,
        "phone": notice.phone,
        "customer_id": call.customer if call else _customer(tx, notice.phone),
        "code": notice.code,
        "network": notice.network,
        "status": fields.get("status", "")[:LONGEST],
        "screen": call.stack[-1][0] if call and call.stack else None,
        "typed": call.trail if call else masked(fields.get("input", "")),
        "shown": shown(call) if call else masked(fields.get("lastAppResponse", "")),
        "error": masked(fields.get("errorMessage", "")),
        "hops": _whole(fields.get("hopsCount", "")),
        "milliseconds": _whole(fields.get("durationInMillis", "")),
        "cost": _whole(fields.get("cost", ""), times=100),
        "at": now,
    }
    tx.execute(insert(UssdEnd).values(row).on_conflict_do_nothing())


def _customer(tx: Session, phone: str) -> int | None:
    return tx.scalar(select(Customer.id).where(Customer.phone == phone))


def _whole(text: str, *, times: int = 1) -> int | None:
    """The number in a text; None where there is none."""
    found = NUMBER.search(text)
    if found is None:
        return None
    return int((Decimal(found[0]) * times).to_integral_value(ROUND_HALF_UP))
