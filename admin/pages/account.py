"""My account: my password, recovery codes, sessions and keys."""

from typing import Any

from flask import Response, render_template
from sqlalchemy.orm import Session

from admin import fields, frame
from admin.frame import NUMBER, page
from core import api_keys, runtime, sign_in, staff_access, staff_sessions
from core.errors import Refusal
from core.rights import Right
from core.staff import Staff

NAME_LONGEST = 60  # characters of a key's name
KEY = "/account/keys/<string(maxlength=40):key_id>"


@page("/account", Right.OWN_SESSIONS)
def mine() -> str:
    """Everything of mine."""
    here, rt = frame.me(), runtime.current()

    def work(tx: Session) -> dict[str, Any]:
        who = here.staff.id
        return {
            "sessions": staff_sessions.of(tx, who, now=rt.now(), config=rt.config),
            "left": staff_access.codes_left(tx, who),
            "keys": api_keys.of(tx, who),
        }

    return render_template(
        "account.html", **frame.read(work), visit=here, shortest=staff_access.SHORTEST
    )


@page("/account/password", Right.OWN_FACTORS)
def password_form() -> str:
    """Ask for the old password and the new one."""
    return render_template("password.html", shortest=staff_access.SHORTEST)


@page("/account/password", Right.OWN_FACTORS, methods=("POST",))
def password() -> Response:
    """Another password; my other sessions end."""
    if fields.secret("new") != fields.secret("again"):
        raise Refusal("staff.passwords_differ")
    rt = runtime.current()
    sign_in.change_password(rt, frame.me(), fields.secret("old"), fields.secret("new"))
    return frame.done("Your password is changed; your other sessions have ended.", "account_mine")


@page("/account/recovery-codes", Right.OWN_FACTORS, methods=("POST",))
def recovery_codes() -> str:
    """Ten new recovery codes in place of the old ones, shown now and never again."""
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> Any:
        return staff_access.new_recovery_codes(tx, member, now=rt.now(), config=rt.config)

    return render_template("codes.html", codes=frame.act(work), enrolled=False)


@page(f"/account/sessions/<{NUMBER}:session_id>/end", Right.OWN_SESSIONS, methods=("POST",))
def end_session(session_id: int) -> Response:
    """End one of my sessions."""
    rt = runtime.current()

    def work(tx: Session, member: Staff) -> bool:
        mine = staff_sessions.of(tx, member.id, now=rt.now(), config=rt.config)
        found = session_id in {one.id for one in mine}
        if found:
            staff_sessions.end(tx, session_id, now=rt.now())
        return found

    ended = frame.act(work, "end session", session=session_id)
    return frame.done(
        "The session has ended." if ended else "That session had ended already.", "account_mine"
    )


@page("/account/keys", Right.API_KEYS, methods=("POST",))
def make_key() -> str:
    """A key for a program of mine; its secret is shown now and never again."""
    name, rt = fields.text("name", longest=NAME_LONGEST), runtime.current()

    def work(tx: Session, member: Staff) -> tuple[str, str]:
        return api_keys.make(tx, member, name, now=rt.now(), config=rt.config)

    key_id, secret = frame.act(work)
    return render_template("key.html", name=name, key_id=key_id, secret=secret)


@page(f"{KEY}/end", Right.API_KEYS, methods=("POST",))
def end_key(key_id: str) -> Response:
    """A key opens nothing from now on."""
    now = runtime.current().now()
    frame.act(lambda tx, member: api_keys.revoke(tx, key_id, by=member, now=now))
    return frame.done("The key is void.", "account_mine")
