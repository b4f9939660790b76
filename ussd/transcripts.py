"""Transcripts: what callers saw and typed, masked, on its way from Redis to Postgres."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, cast

from redis import Redis
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.hops import UssdEnd, UssdHop, UssdSession
from ussd.calls import Call, Hop

Batch: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]

STREAM = "ussd:hops"
STREAM_LONGEST = 200_000  # hops: what Redis may hold if the clock stands still for hours
BATCH = 1_000
BATCHES = 100  # in one go; what is left waits for the next
KEPT = timedelta(days=90)
OUTAGE_KEPT = timedelta(hours=1)  # a call lasts three minutes
TYPED_LONGEST = 400  # characters of one answer or of a whole trail that are worth keeping

HIDDEN = "****"
# A PIN is four digits and a code six: in a text that is no answer to any question of ours, a run
# of that length or longer may hold one.
SECRET_LIKE = re.compile(r"[0-9]{4,}")
LONG_NUMBER = re.compile(r"[0-9][0-9,]{3,}")
DIGITS = re.compile(r"[0-9](?:[0-9,.]*[0-9])?")  # 4,826 and 4826 alike, and what is left of it


def masked(text: str) -> str:
    """A text nobody could make sense of, without what might be a secret in it."""
    return SECRET_LIKE.sub(HIDDEN, text)[:TYPED_LONGEST]


def shown(call: Call) -> str:
    """The screen on display, without the digits of one that may repeat a PIN."""
    if not call.veiled or not LONG_NUMBER.search(call.reply):
        return call.reply
    return DIGITS.sub(HIDDEN, call.reply)


def entry(call: Call, hop: Hop, *, typed: str, note: str) -> dict[str, Any]:
    """One hop of a transcript. `typed` is masked already."""
    return {
        "session": call.id,
        "hop": call.hop,
        "phone": call.phone,
        "customer_id": call.customer,
        "code": call.code,
        "network": hop.network,
        "screen": call.stack[-1][0] if call.stack else "",
        "typed": typed,
        "shown": shown(call),
        "more": call.more,
        "note": note,
        "at": call.at,
    }


def keep(tx: Session, entries: list[dict[str, Any]]) -> None:
    """Write hops into Postgres; those that are there already stay as they are."""
    rows = [{**one, "at": datetime.fromtimestamp(one["at"], UTC)} for one in entries]
    if rows:
        tx.execute(insert(UssdHop).on_conflict_do_nothing(), rows)


def move(tx: Session, redis: Redis, now: datetime) -> int:
    """Move what Redis holds into Postgres; how many hops were new. What is past its time goes.

    A hop leaves Redis only when a later call finds it committed, so no crash between the two
    loses one; and whatever is found twice is kept once.
    """
    moved, after = 0, "-"
    for _ in range(BATCHES):
        batch = cast(Batch, redis.xrange(STREAM, min=after, count=BATCH))
        if not batch:
            break
        found = {id_.decode(): json.loads(hop[b"hop"]) for id_, hop in batch}
        there = select(UssdHop.stream_id).where(UssdHop.stream_id.in_(found))
        known = {id_ for id_ in tx.scalars(there) if id_ is not None}
        if known:
            redis.xdel(STREAM, *known)
        keep(tx, [{"stream_id": id_} | hop for id_, hop in found.items() if id_ not in known])
        moved += len(found) - len(known)
        after = f"({batch[-1][0].decode()}"
    _forget(tx, now)
    return moved


def _forget(tx: Session, now: datetime) -> None:
    for table, kept in ((UssdHop, KEPT), (UssdEnd, KEPT), (UssdSession, OUTAGE_KEPT)):
        tx.execute(delete(table).where(table.at < now - kept))
