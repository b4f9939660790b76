"""Incidents: payments too many, as M-PESA told them, until two people have said what is true."""

from typing import Any

from flask import Response, render_template
from sqlalchemy.orm import Session

from admin import fields, frame, queries
from admin.frame import NUMBER, page
from core import payout_incidents, runtime
from core.payout_incidents import PENDING, IncidentKind
from core.rights import Right
from core.staff import Staff


@page("/incidents", Right.READ)
def open_ones() -> str:
    """Those that nobody has ended, the oldest first."""
    now = runtime.current().now()

    def work(tx: Session) -> list[Any]:
        found = payout_incidents.waiting(tx)
        return [(one, queries.about(tx, f"{PENDING}{one.id}", now=now)) for one in found]

    kinds = {int(kind): kind.name for kind in IncidentKind}
    return render_template("incidents.html", lines=frame.read(work), kinds=kinds)


@page(f"/incidents/<{NUMBER}:incident_id>/end", Right.PAYOUT_PROPOSE, methods=("POST",))
def propose(incident_id: int) -> Response:
    """Put before a second person that M-PESA did pay it, or that it did not."""
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> int:
        put = payout_incidents.propose(
            tx, incident_id, fields.text("end"), note=fields.text("note"), by=member,
            now=rt.now(), config=rt.config,
        )  # fmt: skip
        return put.id

    number = frame.act(work)
    return frame.done("Proposed.", "approvals_show", proposal_id=number)
