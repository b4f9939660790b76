"""Payouts: the queue, one of them with its history, and what one person may do about it."""

from typing import Any

from flask import Response, abort, flash, render_template, request
from sqlalchemy.orm import Session

from admin import fields, frame, queries
from admin.frame import NUMBER, page
from core import payout_acts, payout_ends, payout_retries, payout_states, payouts, runtime
from core.errors import Refusal
from core.payments import HeldFor, Payout, PayoutReason, PayoutState
from core.payout_retries import Tried
from core.reasons import PAYOUT as MEANINGS
from core.rights import Right
from core.say import say
from core.staff import Staff

PAYOUT = f"/payouts/<{NUMBER}:payout_id>"
STAND = {int(state): state.name for state in PayoutState}
HELD = {int(held): held.name for held in HeldFor}


@page("/payouts", Right.READ)
def queue() -> str:
    """One list of payouts, or those of one customer."""
    customer = fields.number("customer") if fields.text("customer") else None
    shown = request.args.get("list", "" if customer else "person")
    if shown and shown not in queries.QUEUES:
        abort(404)
    before = fields.number("before") if fields.text("before") else None

    def work(tx: Session) -> dict[str, Any]:
        lines = queries.payouts(tx, shown, customer=customer, before=before)
        return {
            "lines": lines,
            "anew": payout_retries.paid_anew(tx, lines),
            "counts": queries.payout_counts(tx),
            "paused": payouts.paused(tx),
            "incidents": queries.open_incidents(tx),
        }

    facts = frame.read(work)
    return render_template(
        "payouts.html", shown=shown, lists=queries.QUEUES, customer=customer, held=HELD,
        states=STAND, size=queries.SHOWN, **facts,
    )  # fmt: skip


@page(PAYOUT, Right.READ)
def show(payout_id: int) -> str:
    """One payout: where it stands, how it came there, and what can be done about it."""
    return render_template("payout.html", **frame.read(lambda tx: _facts(tx, payout_id)), full="")


@page(f"{PAYOUT}/phone", Right.READ_PHONE, methods=("POST",))
def phone(payout_id: int) -> str:
    """The same page with the whole phone number on it: that somebody read it is in the audit."""

    def work(tx: Session, member: Staff) -> dict[str, Any]:
        return _facts(tx, payout_id)

    facts = frame.act(work, "read phone", f"payout:{payout_id}")
    return render_template("payout.html", **facts, full=facts["payout"].phone)


@page(f"{PAYOUT}/hold", Right.PAYOUT_HOLD, methods=("POST",))
def hold(payout_id: int) -> Response:
    """Keep it from leaving, if it has not left."""
    why, now = fields.text("reason", longest=200), runtime.current().now()

    def work(tx: Session, member: Staff) -> Payout:
        return payout_acts.hold(tx, payout_id, reason=why, by=member, now=now)

    frame.act(work, "payout hold", f"payout:{payout_id}", reason=why)
    return frame.done(f"P{payout_id} is held.", "payouts_show", payout_id=payout_id)


@page(f"{PAYOUT}/hold/end", Right.PAYOUT_HOLD, methods=("POST",))
def let_go(payout_id: int) -> Response:
    """Queue what staff had held."""
    now = runtime.current().now()

    def work(tx: Session, member: Staff) -> Payout:
        return payout_acts.let_go(tx, payout_id, by=member, now=now)

    frame.act(work, "payout let go", f"payout:{payout_id}")
    return frame.done(f"P{payout_id} is queued.", "payouts_show", payout_id=payout_id)


@page(f"{PAYOUT}/retry", Right.PAYOUT_RETRY, methods=("POST",))
def retry(payout_id: int) -> Response:
    """Pay a failed one anew. One that may have arrived is only asked about."""
    tried = _retry(payout_id)
    if tried.asked:
        sentence = f"M-PESA is asked what became of P{payout_id}; nothing is paid."
        return frame.done(sentence, "payouts_show", payout_id=payout_id)
    made = ", ".join(f"P{one}" for one in tried.payouts)
    return frame.done(f"P{payout_id} is paid anew: {made}.", "payouts_show", payout_id=payout_id)


@page("/payouts/retries", Right.PAYOUT_RETRY, methods=("POST",))
def retry_failed() -> Response:
    """Pay anew what failed in the last seven days, each by its own rules, each in its own act."""
    rt, made, refused = runtime.current(), 0, []
    for payout_id in frame.read(lambda tx: payout_retries.untried(tx, now=rt.now())):
        try:
            _retry(payout_id)
            made += 1
        except Refusal as refusal:
            refused.append(f"P{payout_id}: {say(refusal.reason, 'en', **refusal.facts)}")
    for sentence in refused[:LISTED]:
        flash(sentence, frame.REFUSED)
    more = f", {len(refused)} refused" if refused else ""
    return frame.done(f"{made} paid anew{more}.", "payouts_queue", list="failed")


@page("/payouts/pause/end", Right.PAYOUTS_RESUME, methods=("POST",))
def go_on() -> Response:
    """Let payouts go again, once the reason of their pause is mended."""
    now = runtime.current().now()
    resumed = frame.act(lambda tx, member: payouts.resume(tx, by=member, now=now), "payouts resume")
    return frame.done("Payouts go again." if resumed else "They were not paused.", "payouts_queue")


@page(f"{PAYOUT}/end", Right.PAYOUT_PROPOSE)
def end_form(payout_id: int) -> str:
    """Ask how a payout that nobody explains ended, and by which proof that is known."""
    return render_template("payout_end.html", **frame.read(lambda tx: _facts(tx, payout_id)))


@page(f"{PAYOUT}/end", Right.PAYOUT_PROPOSE, methods=("POST",))
def propose_end(payout_id: int) -> Response:
    """Put its end before a second person."""
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> int:
        put = payout_ends.propose_end(
            tx, payout_id, fields.text("end"), receipt=fields.text("receipt", longest=40),
            note=fields.text("note"), by=member, now=rt.now(), config=rt.config,
        )  # fmt: skip
        return put.id

    number = frame.act(work)
    return frame.done("Proposed.", "approvals_show", proposal_id=number)


@page(f"{PAYOUT}/release", Right.PAYOUT_PROPOSE)
def release_form(payout_id: int) -> str:
    """Ask why a large one may go."""
    return render_template("payout_release.html", **frame.read(lambda tx: _facts(tx, payout_id)))


@page(f"{PAYOUT}/release", Right.PAYOUT_PROPOSE, methods=("POST",))
def propose_release(payout_id: int) -> Response:
    """Put the release of all its parts before a second person."""
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> int:
        put = payout_ends.propose_release(
            tx, payout_id, note=fields.text("note"), by=member, now=rt.now(), config=rt.config
        )
        return put.id

    number = frame.act(work)
    return frame.done("Proposed.", "approvals_show", proposal_id=number)


LISTED = 5  # refusals that are said one by one


def _retry(payout_id: int) -> Tried:
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> Tried:
        return payout_retries.again(tx, payout_id, by=member, now=rt.now(), config=rt.config)

    return frame.act(work, "payout retry", f"payout:{payout_id}")


def _facts(tx: Session, payout_id: int) -> dict[str, Any]:
    payout = tx.get(Payout, payout_id)
    if payout is None:
        abort(404)
    now, anew = runtime.current().now(), payout_retries.anew(tx, payout)
    subjects = (f"payout:{payout.id}", f"payout-request:{payout.request}")
    found = [queries.about(tx, subject, now=now) for subject in subjects]
    return {
        "payout": payout,
        "standing": STAND[payout.state],
        "held": HELD.get(payout.held_for or 0, ""),
        "reason": PayoutReason(payout.reason).name,
        "meaning": MEANINGS.get(payout.code or ""),
        "asked_for": payouts.asked_for(tx, payout),
        "parts": queries.parts(tx, payout),
        "steps": queries.steps(tx, payout),
        "waiting": next((one for one in found if one), None),
        "anew": anew,
        "acts": _acts(payout) - ({"retry"} if anew else set()),
        "paused": payouts.paused(tx),
        "ends": payout_ends.ENDS,
    }


def _acts(payout: Payout) -> set[str]:
    """What could be done about it as it stands, by whoever may."""
    place = payout_states.place(payout)
    can = {
        "hold": place in payout_states.STEPS["hold"].of,
        "let go": place == payout_states.FOR_STAFF,
        "retry": payout.state == PayoutState.FAILED,
        "ask": place in payout_retries.ASKABLE,
        "end": payout.state == PayoutState.NEEDS_HUMAN,
        "release": place == payout_states.FOR_APPROVAL,
    }
    return {act for act, possible in can.items() if possible}
