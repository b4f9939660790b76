"""What commands share: the house they speak to, whoever speaks, moments, and facts to print."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from admin import subjects
from core import audit, log, money, phone, runtime, sign_in, staff, stamp
from core.errors import Refusal
from core.runtime import Runtime
from core.say import NAIROBI, say
from core.staff import Staff

T = TypeVar("T")

PROVEN = "core.sign_in"  # where a command's context keeps who has shown their second factor
PHONES = ("phone", "number")  # what commands call one: it is masked however it is typed
UNTOLD = ("name", "as_json")  # who gives the command is in the line, and how it prints is nothing
LONGEST = 500  # characters of one value in the audit

LENGTHS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
FROM_NOW = re.compile(r"\+(\d{1,5})([smhd])")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
by = click.option("--as", "name", required=True, metavar="NAME", help="Who of the staff does it.")


class Moment(click.ParamType[datetime]):
    """A time in Nairobi (`2026-11-21 18:00`), `now`, or a while from now (`+90m`)."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """An aware moment."""
        now = runtime.current().now()
        if value == "now":
            return now
        if later := FROM_NOW.fullmatch(value):
            return now + timedelta(**{LENGTHS[later[2]]: int(later[1])})
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            self.fail("a moment is 2026-11-21 18:00 (in Nairobi), now, or +90m", param, ctx)
        return read if read.tzinfo else read.replace(tzinfo=NAIROBI)


class Shillings(click.ParamType[int]):
    """An amount of whole shillings as people write it: `100`, `1,000`."""

    name = "shillings"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Cents."""
        try:
            return money.read(value)
        except Refusal as refusal:
            self.fail(say(refusal.reason, "en", **refusal.facts), param, ctx)


def when(moment: datetime) -> str:
    """A moment as staff read it, in Nairobi."""
    return moment.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M")


def opened(level: str = "ERROR") -> Runtime:
    """The house, for a command that a person reads: what came of it, and no log in between.

    Events of `level` and graver go to stderr until the command ends.
    """
    click.get_current_context().call_on_close(log.kept())
    log.configure(level, sys.stderr)
    return _known()


def _known() -> Runtime:
    """The house, once its database is known to be the right one, on the settings in force."""
    rt = runtime.current()
    try:
        with rt.transaction() as tx:
            stamp.check(tx, rt.config.app_env)
        rt.refresh(at_once=True)
    except stamp.WrongDatabase as wrong:
        raise click.ClickException(str(wrong)) from None
    return rt


def serving() -> Runtime:
    """The house, for a process that works by itself: it has to know how to speak to M-PESA."""
    rt = _known()
    if rt.mpesa_shut:
        raise click.ClickException(f"the M-PESA settings cannot be opened: {rt.mpesa_shut}")
    return rt


def done(rt: Runtime, work: Callable[[Session], T]) -> T:
    """What came of `work`, in one transaction; a refusal is said and ends the command."""
    try:
        return rt.attempt(work)
    except Refusal as refusal:
        raise click.ClickException(say(refusal.reason, "en", **refusal.facts)) from None


def acting(rt: Runtime, tx: Session, name: str) -> Staff:
    """The member of staff who gives the command; that they gave it is written down with it.

    A name alone is believed in demo and test only: elsewhere it wants their second factor, once a
    command. It has a transaction of its own, so ask before anything is locked in `tx`.
    """
    context = click.get_current_context()
    if not pretending(rt) and context.meta.get(PROVEN) != name:
        code = click.prompt(f"Code of {name}", hide_input=True)
        try:
            sign_in.prove(rt, name, code)
        except Refusal as refusal:
            raise click.ClickException(say(refusal.reason, "en", **refusal.facts)) from None
        context.meta[PROVEN] = name
    member = staff.named(tx, name)
    audit.note(
        tx, _command(context), by=member.id, now=rt.now(), subject=_about(tx, context),
        facts=_typed(context),
    )  # fmt: skip
    return member


def pretending(rt: Runtime) -> bool:
    """Whether this is a house of demo or test, where a name alone is believed."""
    return rt.config.app_env in ("demo", "test")


def _command(context: click.Context) -> str:
    """`command market open`: which command this is."""
    words: list[str] = []
    at: click.Context | None = context
    while at is not None and at.parent is not None:
        words.insert(0, str(at.info_name))
        at = at.parent
    return " ".join(["command", *words])


def _about(tx: Session, context: click.Context) -> str:
    """The market whose code the command was given, if it was given one."""
    code = context.params.get("code")
    return subjects.of_code(tx, code) if isinstance(code, int) else ""


def _typed(context: click.Context) -> dict[str, Any]:
    """What the command was given, as far as it was; the audit masks phones."""
    given = {name: value for name, value in context.params.items() if name not in UNTOLD}
    return {
        name: _plain(name, value) for name, value in given.items() if value not in (None, (), "")
    }


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, tuple):
        return [_plain(name, one) for one in value]
    return phone.mask(str(value)) if name in PHONES else str(value)[:LONGEST]


def show(
    facts: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    as_json: bool,
    line: Callable[[Mapping[str, Any]], str],
    none: str = "There are none.",
) -> None:
    """Print facts: as JSON whole, or each in the words of `line`; an empty list says `none`."""
    if as_json:
        click.echo(json.dumps(facts, default=str, ensure_ascii=False, indent=2))
        return
    for one in [facts] if isinstance(facts, Mapping) else facts:
        click.echo(line(one))
    if not facts:
        click.echo(none)
