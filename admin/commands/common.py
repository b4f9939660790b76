"""What commands share: the house they speak to, whoever speaks, moments, and facts to print."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from core import money, runtime, staff, stamp
from core.errors import Refusal
from core.runtime import Runtime
from core.say import NAIROBI, say
from core.staff import Staff

T = TypeVar("T")

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


def opened() -> Runtime:
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
    rt = opened()
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
    """The member of staff who gives the command.

    A name alone is believed in demo and test only: elsewhere it wants a second factor.
    """
    if rt.config.app_env not in ("demo", "test"):
        raise click.ClickException("Outside demo and test this is done on the staff pages.")
    return staff.named(tx, name)


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
