"""What every page of the staff wears: headers, cookies, navigation, and files that stay."""

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request, url_for
from jinja2 import StrictUndefined

from admin import frame, looks
from core import rights, runtime
from core.config import Config
from core.rights import Right

STATIC = Path(__file__).with_name("static")
YEAR = 31_536_000  # seconds
KEPT = f"public, max-age={YEAR}, immutable"  # by its address: another content has another

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


@dataclass(frozen=True)
class Entry:
    """One entry of the navigation, for whoever has the right; `parts` are the modules under it."""

    name: str
    endpoint: str
    right: Right
    parts: frozenset[str]


ENTRIES = (
    Entry("Home", "home_home", Right.READ, frozenset({"home"})),
    Entry("Markets", "markets_board", Right.READ, frozenset({"markets", "drafts", "results"})),
    Entry("Payouts", "payouts_queue", Right.READ, frozenset({"payouts", "incidents"})),
    Entry("Approvals", "approvals_waiting", Right.READ, frozenset({"approvals"})),
    Entry("Staff", "staff_everybody", Right.READ, frozenset({"staff"})),
    Entry("Audit", "audit_lines", Right.READ_AUDIT, frozenset({"audit"})),
)


def install(app: Flask, config: Config) -> None:
    """Dress an application, on which the pages are mounted."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-form" if frame.is_earnest(config) else "form",
        SESSION_COOKIE_SECURE=frame.is_earnest(config),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        WTF_CSRF_CHECK_DEFAULT=False,  # the guard asks, behind which all forms of ours are
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session that it belongs to
    )
    frame.csrf.init_app(app)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(looks.FILTERS)
    app.jinja_env.globals.update(may=frame.may, static=static)
    app.context_processor(_worn)
    app.after_request(close)
    app.after_request(stay)


def is_page(path: str) -> bool:
    """Whether an address is one of the staff's, and not of their programs'."""
    ours = path == frame.PREFIX or path.startswith(f"{frame.PREFIX}/")
    return ours and not path.startswith(f"{frame.API}/")


def close(response: Response) -> Response:
    """The headers of every answer to a browser of the staff's, whatever it is."""
    if not is_page(request.path):
        return response
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if frame.is_earnest(runtime.current().config):
        response.headers["Strict-Transport-Security"] = f"max-age={2 * YEAR}"
    return response


def stay(response: Response) -> Response:
    """No redirect names a host: the router's own would take whatever host was asked for."""
    sent = response.headers.get("Location", "")
    if sent.startswith(request.host_url):
        response.headers["Location"] = "/" + sent.removeprefix(request.host_url).lstrip("/")
    return response


@frame.page("/static/<path:name>", None)
def static_file(name: str) -> Response:
    """A style, a script, an icon: no secret, and wanted before anybody has signed in."""
    found = _files().get(name)
    if found is None:
        abort(404)
    answer = Response(found.content, mimetype=found.mimetype)
    asked = request.args.get("v", "")
    answer.headers["Cache-Control"] = KEPT if asked == found.version else "no-cache"
    return answer


def static(name: str) -> str:
    """The address of such a file, which changes when its content does."""
    return url_for("desk.layout_static_file", name=name, v=_files()[name].version)


@dataclass(frozen=True)
class File:
    """One of those files, whole."""

    content: bytes
    mimetype: str
    version: str


@cache
def _files() -> Mapping[str, File]:
    """All of them by name: what is not here is not given out, whatever its name says."""
    return {
        str(path.relative_to(STATIC)): File(
            content=path.read_bytes(),
            mimetype=mimetypes.guess_type(path.name)[0] or "text/plain",
            version=sha256(path.read_bytes()).hexdigest()[:12],
        )
        for path in STATIC.rglob("*")
        if path.is_file()
    }


def _worn() -> dict[str, Any]:
    """What the layout shows of whoever looks, and where."""
    here = frame.seen()
    return {
        "here": here,
        "environment": runtime.current().config.app_env,
        "navigation": () if here is None else _navigation(here.staff.role),
        "part": (request.endpoint or "").partition(".")[2].partition("_")[0],
    }


def _navigation(role: str) -> Sequence[Entry]:
    return [entry for entry in ENTRIES if rights.may(role, entry.right)]
