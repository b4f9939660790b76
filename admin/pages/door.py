"""Coming in and going: sign-in, enrolment, the second factor once more, sign-out."""

from collections.abc import Callable
from typing import Any

import segno
from flask import Response, flash, make_response, render_template, request, session
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from admin import fields, frame
from admin.frame import page
from core import audit, doors, rates, runtime, sign_in, staff_access, staff_sessions
from core.errors import Refusal
from core.rates import Rate
from core.rights import Right
from core.runtime import Runtime
from core.say import say
from core.staff_access import Seed

KNOCKS = Rate(0.5, 40)  # of one household, right or wrong: each costs a password's hash


@page("/sign-in", None)
def sign_in_form() -> str:
    """Ask for both factors."""
    return render_template("sign_in.html", then=frame.local(request.args.get("next", "")))


@page("/sign-in", None, methods=("POST",))
def sign_in_now() -> Response:
    """Begin a session, in a cookie that no script reads."""
    rt = runtime.current()
    address = _not_too_often(rt)
    try:
        begun = sign_in.sign_in(
            rt,
            fields.text("name", longest=100),
            fields.secret("password"),
            fields.secret("code"),
            address=address,
            agent=fields.clean(request.headers.get("User-Agent", "")),
        )
    except Refusal as refusal:
        flash(say(refusal.reason, "en", **refusal.facts), frame.REFUSED)
        return frame.onward("door_sign_in_form", next=request.form.get("next", ""))
    session.clear()  # and with it the token of forms that somebody else might have planted
    answer = frame.to(frame.local(request.form.get("next", "")))
    answer.set_cookie(
        frame.cookie(rt.config),
        begun.token,
        httponly=True,
        samesite="Strict",
        secure=frame.is_earnest(rt.config),
        path="/",
    )
    return answer


@page("/sign-out", Right.OWN_SESSIONS, methods=("POST",))
def sign_out() -> Response:
    """End this session, here and in the browser."""
    here, rt = frame.me(), runtime.current()
    frame.act(lambda tx, _: staff_sessions.end(tx, here.id, now=rt.now()), "sign out")
    session.clear()
    answer = frame.done("You are signed out.", "door_sign_in_form")
    answer.delete_cookie(
        frame.cookie(rt.config),
        path="/",
        secure=frame.is_earnest(rt.config),
        httponly=True,
        samesite="Strict",
    )
    return answer


@page("/again", Right.OWN_SESSIONS)
def again() -> str:
    """Ask for the second factor once more."""
    return render_template("again.html", then=frame.local(request.args.get("next", "")))


@page("/again", Right.OWN_SESSIONS, methods=("POST",))
def again_now() -> Response:
    """Let dangerous acts be done for some minutes, and go back to what was meant."""
    then = frame.local(request.form.get("next", ""))
    try:
        sign_in.freshen(runtime.current(), frame.me(), fields.secret("code"))
    except Refusal as refusal:
        flash(say(refusal.reason, "en", **refusal.facts), frame.REFUSED)
        return frame.onward("door_again", next=then)
    return frame.to(then)


@page("/enrol", None)
def enrol_form() -> str:
    """Ask who was invited, and by which code."""
    return render_template("enrol.html")


@page("/enrol", None, methods=("POST",))
def enrol_begin() -> Response:
    """Show what an authenticator has to know. It is in no address, so it answers the POST."""
    try:
        seed = _seed(staff_access.begin_enrolment)
    except Refusal as refusal:
        flash(say(refusal.reason, "en", **refusal.facts), frame.REFUSED)
        return frame.onward("door_enrol_form")
    return _enrolling(seed)


@page("/enrolment", None, methods=("POST",))
def enrol_now() -> Response | str:
    """Set both factors, and show the recovery codes, which are told here and never again."""
    rt = runtime.current()
    try:
        seed = _seed(staff_access.go_on_enrolling, fields.secret("seed"))
    except Refusal as refusal:
        flash(say(refusal.reason, "en", **refusal.facts), frame.REFUSED)
        return frame.onward("door_enrol_form")
    if fields.secret("password") != fields.secret("again"):
        return _enrolling(seed, say("staff.passwords_differ", "en"))

    def work(tx: Session) -> Any:
        tx.info[audit.CHANNEL] = frame.CHANNEL
        return staff_access.enrol(
            tx,
            fields.text("name", longest=100),
            fields.secret("invitation"),
            password=fields.secret("password"),
            totp=fields.secret("code"),
            now=rt.now(),
            config=rt.config,
        )

    try:
        codes = rt.attempt(work)
    except Refusal as refusal:
        return _enrolling(seed, say(refusal.reason, "en", **refusal.facts))
    return render_template("codes.html", codes=codes, enrolled=True)


def _seed(give: Callable[..., Seed], *shown: str) -> Seed:
    """The seed of whoever is invited: a new one, or again the one that this browser was shown."""
    rt = runtime.current()
    _not_too_often(rt)
    name, code = fields.text("name", longest=100), fields.secret("invitation")

    def work(tx: Session) -> Seed:
        tx.info[audit.CHANNEL] = frame.CHANNEL
        return give(tx, name, code, *shown, now=rt.now(), config=rt.config)

    return rt.attempt(work)


def _enrolling(seed: Seed, fault: str = "") -> Response:
    drawn = segno.make(seed.uri, error="m").svg_inline(scale=5, border=3, light="#fff")
    shown = render_template(
        "enrolling.html",
        drawn=Markup(drawn),  # noqa: S704 - segno draws it from squares alone
        seed=seed.secret,
        secret=" ".join(seed.secret[at : at + 4] for at in range(0, len(seed.secret), 4)),
        name=fields.text("name", longest=100),
        invitation=fields.secret("invitation"),
        fault=fault,
        shortest=staff_access.SHORTEST,
    )
    return make_response(shown, 422 if fault else 200)


def _not_too_often(rt: Runtime) -> str:
    """The address that asks, unless it has asked too often."""
    address = str(doors.caller(request.environ, rt.config.trusted_proxies))
    if not rates.take(
        rt.redis, f"sign-in:{sign_in.network_of(address)}", KNOCKS, now=rt.now()
    ).granted:
        raise TooManyRequests
    return address
