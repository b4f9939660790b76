"""The frame of every staff page: who may come in, one transaction for each act, one way back.

A GET changes nothing: it reads in a transaction that cannot write. A POST acts and sends the
browser on to a page; only what is told a single time, a code or a key, answers the POST itself.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    g,
    make_response,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from admin.guard import declares, right_of
from core import audit, rights, runtime, staff_sessions
from core.config import Config
from core.errors import Refusal
from core.rights import Right
from core.say import say
from core.staff import Staff
from core.staff_sessions import Visit

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])

PREFIX, API = "/admin", "/admin/api"
CHANNEL = "page"
DONE, REFUSED = "done", "refused"  # kinds of messages
READ_ONLY = text("SET TRANSACTION READ ONLY")
LOCAL = re.compile(r"/admin(?:/[\w.~/?&=%+:,@$*()-]*)?", re.ASCII)
NUMBER = "int(min=1, max=9223372036854775807)"  # in a rule: what an id may be
CODE = "int(min=1, max=2147483647)"

bp = Blueprint("desk", __name__, url_prefix=PREFIX, template_folder="templates")
csrf = CSRFProtect()


def page(
    rule: str, right: Right | None, *, methods: tuple[str, ...] = ("GET",)
) -> Callable[[View], View]:
    """Put a view behind the guard, which asks for `right`; None is open to everybody.

    It answers these methods and no others, not even the OPTIONS that Flask would add.
    """

    def put(view: View) -> View:
        endpoint = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
        bp.add_url_rule(
            rule,
            endpoint,
            declares(right)(view),
            methods=list(methods),
            provide_automatic_options=False,
        )
        return view

    return put


@bp.before_request
def guard() -> Response | None:
    """Let in who is signed in and may do what the route declares, and asks it from our own page.

    What is dangerous wants the second factor anew.
    """
    wanted, here = right_of(current_app, request.endpoint or ""), visit()
    if wanted is None:
        csrf.protect()
        return None
    if here is None:
        return _sign_in_first()
    if not rights.may(here.staff.role, wanted):
        abort(403)
    csrf.protect()
    if wanted in rights.FRESH and not here.fresh:
        if request.method == "POST":
            flash("Nothing was done yet: after your code, press the button again.", REFUSED)
        then = request.full_path.rstrip("?") if request.method == "GET" else back()
        return to(url_for("desk.door_again", next=local(then)))
    return None


def visit() -> Visit | None:
    """Whoever is signed in, looked up once a request."""
    if "visit" not in g:
        g.visit = None
        rt = runtime.current()
        if token := request.cookies.get(cookie(rt.config)):
            g.visit = rt.attempt(
                lambda tx: staff_sessions.find(tx, token, now=rt.now(), config=rt.config)
            )
    found: Visit | None = g.visit
    return found


def seen() -> Visit | None:
    """Whoever is known to be signed in already; asks nobody, for pages about what went wrong."""
    found: Visit | None = g.get("visit")
    return found


def me() -> Visit:
    """Whoever is signed in, behind the guard."""
    here = visit()
    assert here is not None, "the guard lets nobody in who is not signed in"
    return here


def may(right: str) -> bool:
    """Whether whoever looks has this right; for templates, which name it."""
    here = seen()
    return here is not None and rights.may(here.staff.role, Right[right])


def read(work: Callable[[Session], T]) -> T:
    """What `work` finds, in a transaction that cannot write."""

    def look(tx: Session) -> T:
        tx.execute(READ_ONLY)
        return work(tx)

    return runtime.current().attempt(look)


def act(
    work: Callable[[Session, Staff], T],
    action: str = "",
    subject: str | Callable[[T], str] = "",
    **facts: Any,
) -> T:
    """What came of `work` by whoever is signed in, in one transaction with its line of the audit.

    Proposals, and what the core notes by itself, need no `action`. A `subject` may be made of what
    came of it.
    """
    here, rt = me(), runtime.current()

    def done(tx: Session) -> T:
        tx.info[audit.CHANNEL] = CHANNEL
        member = tx.get_one(Staff, here.staff.id)
        if not member.active:
            raise Refusal("staff.session_over")
        result = work(tx, member)
        if action:
            about = subject(result) if callable(subject) else subject
            audit.note(tx, action, by=member.id, now=rt.now(), subject=about, facts=facts)
        return result

    return rt.attempt(done)


def done(sentence: str, endpoint: str, **values: Any) -> Response:
    """Say what was done, on the page that shows it."""
    flash(sentence, DONE)
    return onward(endpoint, **values)


def onward(endpoint: str, **values: Any) -> Response:
    """On to another page of ours, which the browser asks for by GET."""
    return to(url_for(f"desk.{endpoint}", **values))


def to(path: str) -> Response:
    """On to an address of ours."""
    return Response("", 303, {"Location": path})


def back() -> str:
    """The page a form was on; where the browser does not tell, the nearest above it."""
    try:
        came = urlsplit(request.referrer or "")
    except ValueError:
        return _above()
    if came.netloc == request.host and _is_page(came.path):
        return local(f"{came.path}?{came.query}" if came.query else came.path)
    return _above()


def local(path: str) -> str:
    """The path if it is one of these pages, else Home: nobody is sent elsewhere from here."""
    return path if LOCAL.fullmatch(path) and not path.startswith(API) else url_for("desk.home_home")


def cookie(config: Config) -> str:
    """The name of the cookie of a session. `__Host-` has browsers take it over HTTPS alone."""
    return "__Host-staff" if is_earnest(config) else "staff"


def is_earnest(config: Config) -> bool:
    """Whether browsers come by HTTPS: everywhere but in demo and test."""
    return config.app_env not in ("demo", "test")


@bp.errorhandler(Refusal)
def refuse(refusal: Refusal) -> Response:
    """A rule said no: in its words, on the page that was asked from."""
    if request.method != "POST":
        return told(409, "That cannot be done", say(refusal.reason, "en", **refusal.facts))
    refused(refusal)
    return to(back())


def refused(refusal: Refusal) -> None:
    """Keep that it was refused, and say so on the next page, or on the same form once more."""
    if visit() is not None:
        _note_refused(refusal)
    flash(say(refusal.reason, "en", **refusal.facts), REFUSED)


def fault(error: HTTPException) -> Response:
    """What Flask itself refuses, in our own frame."""
    with contextlib.suppress(SQLAlchemyError):
        visit()  # so that whoever is signed in keeps the way on
    status = error.code or 500
    answer = told(*_fault(status))
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def bug(error: Exception) -> Response:
    """A fault of ours, or an engine that is away: the page says no more than that."""
    return told(*_fault(503 if isinstance(error, OperationalError | PoolTimeout) else 500))


def told(status: int, title: str, sentence: str) -> Response:
    """A page that says no more than what is the matter."""
    words = {"status": status, "title": title, "sentence": sentence}
    return make_response(render_template("fault.html", **words), status)


FAULTS = {
    400: ("That did not work", "The form was too old, or not one of ours. Open its page anew."),
    403: ("Not for your role", "Your role does not allow this. Ask an admin if it should."),
    404: ("Nothing there", "There is no such page, or what it was about is gone."),
    405: ("Not like this", "This address is not asked in this way."),
    429: ("Too often", "Somebody at your address asks too often. Wait a minute."),
    413: ("Too much", "What was sent is larger than any form of ours."),
    500: ("Our fault", "That did not work, and it is in the log. Nothing was done by halves."),
    503: ("Busy", "The house is busy. Look whether it was done, then try again."),
}


def _fault(status: int) -> tuple[int, str, str]:
    return status, *FAULTS.get(status, ("That did not work", "The request could not be read."))


def _sign_in_first() -> Response:
    if request.headers.get("HX-Request"):  # a part of a page: the whole of it goes
        return Response("", 200, {"HX-Redirect": url_for("desk.door_sign_in_form")})
    asked = request.full_path.rstrip("?") if request.method == "GET" else ""
    then = asked if asked != url_for("desk.home_home") else ""
    return to(url_for("desk.door_sign_in_form", next=then or None))


def _above() -> str:
    path = request.path
    while path.count("/") > 1:
        path = path.rpartition("/")[0]
        if _is_page(path):
            return path
    return url_for("desk.home_home")


def _is_page(path: str) -> bool:
    try:
        current_app.url_map.bind("").match(path, "GET")
    except HTTPException:
        return False
    return bool(LOCAL.fullmatch(path))


def _note_refused(refusal: Refusal) -> None:
    rt, here = runtime.current(), me()
    facts = {"page": request.path, "reason": refusal.reason}
    rt.attempt(
        lambda tx: audit.note(
            tx, "page refused", by=here.staff.id, now=rt.now(), facts=facts, channel=CHANNEL
        )
    )
