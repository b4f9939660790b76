"""Audit: what was done, by whom and over which edge, and whether the chain of it is whole."""

import re
from typing import Any

from flask import Response, flash, render_template
from sqlalchemy import text
from sqlalchemy.orm import Session

from admin import fields, frame, looks, subjects
from admin.frame import page
from core import audit as trail
from core import staff as people
from core.audit import AuditLine, Verdict
from core.errors import Refusal
from core.rights import Right

LINES = 50  # of one page
HASH = re.compile(r"[0-9a-f]{64}")
PATIENCE = text("SET LOCAL statement_timeout = '60s'")  # the chain is walked from its first line


@page("/audit", Right.READ_AUDIT)
def lines() -> str:
    """The newest lines that fit what was asked for."""
    before = fields.number("before") if fields.text("before") else None
    by = fields.number("by") if fields.text("by") else None
    action, subject = fields.text("action", longest=80), fields.text("subject", longest=120)

    def work(tx: Session) -> dict[str, Any]:
        about = subjects.meant(tx, subject)
        found = trail.lines(tx, before=before, action=action, by=by, subject=about, limit=LINES)
        count, last = trail.head(tx)
        return {
            "lines": [(one, _told(one)) for one in found],
            "count": count,
            "last": last,
            "names": people.names(tx),
            "about": subjects.named(tx, found),
        }

    asked = {"action": action, "by": by, "subject": subject}
    return render_template("audit.html", **frame.read(work), asked=asked, size=LINES)


@page("/audit/verification", Right.AUDIT_VERIFY, methods=("POST",))
def verify() -> Response:
    """Walk the whole chain, and say what was found."""
    anchor = _anchor()

    def work(tx: Session) -> Verdict:
        tx.execute(PATIENCE)
        return trail.verify(tx, anchor=anchor)

    verdict = frame.read(work)
    fault = verdict.fault
    frame.act(lambda tx, member: None, "audit verify", lines=verdict.lines, fault=fault)
    if verdict.ok:
        sentence = (
            f"All {verdict.lines:,} lines are whole; the head is {verdict.head}."
            " This check is the line after them."
        )
        return frame.done(sentence, "audit_lines")
    flash(fault, frame.REFUSED)
    return frame.onward("audit_lines")


def _anchor() -> tuple[int, str] | None:
    """A line and its hash as somebody noted them; None if nobody did."""
    noted = fields.text("hash").lower()
    if not noted and not fields.text("line"):
        return None
    if not HASH.fullmatch(noted):
        raise Refusal("staff.hash_unreadable")
    return fields.number("line"), noted


def _told(line: AuditLine) -> str:
    return "; ".join(f"{name}: {fact}" for name, fact in looks.facts(line.facts))
