"""Acts of programs: one transaction each, and a line of the audit for whatever was asked."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Response, g, request
from sqlalchemy import text
from sqlalchemy.orm import Session

from core import audit, runtime
from core.errors import Refusal
from core.staff import Staff

T = TypeVar("T")
CHANNEL = "api"
READ_ONLY = text("SET TRANSACTION READ ONLY")
# A loop of too many would fill the audit; of a fault, where nothing was done, the log has more.
UNNOTED = (429, 500, 503)


def act(
    action: str,
    subject: str,
    work: Callable[[Session, Staff], T],
    facts: Callable[[T], Mapping[str, Any]],
) -> T:
    """What came of `work` by whoever signed, in one transaction with its line of the audit."""
    rt = runtime.current()

    def done(tx: Session) -> T:
        tx.info[audit.CHANNEL] = CHANNEL
        member = tx.get_one(Staff, g.member.id)
        if not member.active:
            raise Refusal("staff.api_denied", why="left")
        result = work(tx, member)
        told = {"key": g.key.id, **facts(result)}
        audit.note(tx, action, by=g.member.id, subject=subject, facts=told, now=rt.now())
        return result

    result = rt.attempt(done)
    g.noted = True
    return result


def read(work: Callable[[Session], T]) -> T:
    """What `work` finds, in a transaction that cannot write."""

    def look(tx: Session) -> T:
        tx.execute(READ_ONLY)
        return work(tx)

    return runtime.current().attempt(look)


def note_refused(response: Response) -> None:
    """Keep that somebody of the staff asked for what was refused, and why."""
    asked = request.method == "POST" and "member" in g and "noted" not in g
    if not asked or response.status_code in UNNOTED:
        return
    rt, told = runtime.current(), response.get_json(silent=True) or {}
    facts = {"key": g.key.id, "path": request.path, "reason": told.get("reason", "")}
    rt.attempt(
        lambda tx: audit.note(
            tx, "api refused", by=g.member.id, channel=CHANNEL, facts=facts, now=rt.now()
        )
    )
