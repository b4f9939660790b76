"""Payouts over the API: one tried again, or all that failed."""

from typing import Any

from flask import Response, jsonify
from sqlalchemy.orm import Session

from admin.api import acts, bodies
from admin.api.door import view
from core import payout_retries, runtime
from core.errors import Refusal
from core.payout_retries import Tried
from core.rights import Right
from core.say import say
from core.staff import Staff


@view("POST", "/payouts/<payout:payout_id>/retry", Right.PAYOUT_RETRY)
def retry(payout_id: int) -> tuple[Response, int]:
    """Pay a failed payout anew. One that may have arrived is only asked about."""
    bodies.read(bodies.NOTHING)
    tried = _retry(payout_id)
    facts = {"payout": payout_id, "asked": tried.asked, "payouts": list(tried.payouts)}
    return jsonify(facts), 202 if tried.asked else 201


@view("POST", "/payouts/retry-failed", Right.PAYOUT_RETRY)
def retry_failed() -> Response:
    """Pay anew what failed in the last seven days, each by its own rules, each in its own act."""
    bodies.read(bodies.NOTHING)
    rt = runtime.current()
    tried: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for payout_id in rt.attempt(lambda tx: payout_retries.untried(tx, now=rt.now())):
        try:
            done = _retry(payout_id)
        except Refusal as refusal:
            detail = say(refusal.reason, "en", **refusal.facts)
            refused.append({"payout": payout_id, "reason": refusal.reason, "detail": detail})
        else:
            tried.append({"payout": payout_id, "payouts": list(done.payouts)})
    counts = {"tried": len(tried), "refused": len(refused)}
    acts.act("payouts retry-failed", "", lambda tx, by: None, lambda _: counts)
    return jsonify(tried=tried, refused=refused)


def _retry(payout_id: int) -> Tried:
    rt = runtime.current()

    def work(tx: Session, by: Staff) -> Tried:
        return payout_retries.again(tx, payout_id, by=by, now=rt.now(), config=rt.config)

    return acts.act(
        "payout retry",
        f"payout:{payout_id}",
        work,
        lambda done: {"asked": done.asked, "payouts": list(done.payouts)},
    )
