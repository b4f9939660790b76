"""`flask demo`: what a house that only pretends is furnished with, and how one comes in there."""

from datetime import datetime, timedelta

import click
import pyotp
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.commands.common import Shillings, done, opened
from admin.commands.staff import staff as people
from core import drafts, staff, staff_access, treasury
from core.config import Config
from core.money import Cents, show
from core.runtime import Runtime
from core.say import NAIROBI
from core.staff import Role, Staff

STAFF = {
    "wanjiku": Role.TRADER,
    "kamau": Role.TRADER,
    "akinyi": Role.FINANCE,
    "wafula": Role.FINANCE,
    "juma": Role.SUPPORT,
    "njeri": Role.ADMIN,
    "chebet": Role.ADMIN,
    "odhiambo": Role.AUDITOR,
}
FIRST_PHONE = 254_700_100_001  # the first one's; the others' follow
# Everybody's, and known to everybody: it guards nothing.
PASSWORD = "five camels cross the dry river"  # noqa: S105
STEP = timedelta(seconds=staff_access.STEP)

# Question, outcomes, category, and how long it may be bet on.
MARKETS = (
    ("Gor Mahia v AFC Leopards", ("Gor Mahia", "Draw", "Leopards"), "Football", {"hours": 3}),
    ("Harambee Stars to beat Uganda?", ("Yes", "No"), "Football", {"days": 1}),
    ("Who wins the Nairobi marathon?", ("Kenya", "Ethiopia", "Other"), "Athletics", {"days": 2}),
    ("Kenya 7s to reach the final?", ("Yes", "No"), "Rugby", {"days": 3}),
    ("Rain in Nairobi on Saturday?", ("Yes", "No"), "Weather", {"days": 4}),
    ("Petrol price next month?", ("Up", "Same", "Down"), "Economy", {"days": 10}),
)


@click.group()
def demo() -> None:
    """A house that only pretends."""


@demo.command()
def seed() -> None:
    """Hire the demo's staff and open its markets, unless that has been done."""
    rt = opened()
    if rt.config.app_env not in ("demo", "test"):
        raise click.ClickException("Only a demo is furnished like this.")
    fresh = done(rt, lambda tx: _furnish(tx, rt))
    click.echo("The demo's staff and markets are there." if fresh else "They were there already.")


def _furnish(tx: Session, rt: Runtime) -> bool:
    if tx.scalar(select(Staff.id).where(Staff.name.in_(STAFF)).limit(1)):
        return False
    now = rt.now()
    team = {
        name: staff.add(tx, name, role, now=now, number=f"{FIRST_PHONE + at}")
        for at, (name, role) in enumerate(STAFF.items())
    }
    for member in team.values():
        _enrol(tx, member, now=now, config=rt.config)
    trader = team["wanjiku"]
    for question, outcomes, category, lasts in MARKETS:
        drafted = drafts.create(
            tx,
            question=question,
            outcomes=outcomes,
            category=category,
            opens_at=now,
            closes_at=now + timedelta(**lasts),
            by=trader,
            now=now,
            config=rt.config,
        )
        drafts.open_up(tx, drafted.code, by=trader, now=now)
    return True


def _enrol(tx: Session, member: Staff, *, now: datetime, config: Config) -> None:
    """As everybody does, but with the code of a moment ago: the present one is to sign in with."""
    code = staff_access.invite(tx, member, now=now, config=config)
    seed = staff_access.begin_enrolment(tx, member.name, code, now=now, config=config)
    shown = pyotp.TOTP(seed.secret).at(now - STEP)
    staff_access.enrol(tx, member.name, code, password=PASSWORD, totp=shown, now=now, config=config)


@demo.command("float")
@click.argument("amount", type=Shillings())
@click.option("--ref", "reference", required=True, help="The receipt of M-PESA's top up.")
def opening_float(amount: int, reference: str) -> None:
    """Book what M-PESA holds at the opening: the owner's money, moved by two of finance."""
    rt = opened()
    if rt.config.app_env not in ("demo", "test"):
        raise click.ClickException("Elsewhere two people move money, each by a command of theirs.")
    done(rt, lambda tx: _top_up(tx, rt, Cents(amount), reference))
    click.echo(f"The float of KES {show(amount)} is booked.")


def _top_up(tx: Session, rt: Runtime, amount: Cents, reference: str) -> None:
    """Akinyi proposes and wafula approves: into the bank, and from there to M-PESA."""
    akinyi, wafula = staff.named(tx, "akinyi"), staff.named(tx, "wafula")
    now, config = rt.now(), rt.config
    for act, ref in (("owner in", f"{reference}-BANK"), ("top up", reference)):
        put = treasury.propose(
            tx,
            act,
            amount=amount,
            shortcode=config.mpesa_b2c_shortcode,
            value_date=now.astimezone(NAIROBI).date(),
            reference=ref,
            note="the float at the opening",
            by=akinyi,
            now=now,
            config=config,
        )
        seen = put.content_hash
        treasury.approve(tx, ref, seen_hash=seen, by=wafula, now=now, config=config)


@people.command("code")
@click.argument("who", metavar="NAME")
def code(who: str) -> None:
    """Show the code of NAME's authenticator that serves next; in a demo only.

    After two sign-ins within half a minute there is none for a moment.
    """
    rt = opened()
    if rt.config.app_env != "demo":
        raise click.ClickException("Codes are on their owner's phone, and nowhere else.")
    shown = done(rt, lambda tx: _next_code(tx, who, rt.now(), rt.config))
    click.echo(shown)


def _next_code(tx: Session, who: str, now: datetime, config: Config) -> str:
    access = staff_access.held(tx, staff.named(tx, who).id)
    if access is None or access.seed is None:
        raise click.ClickException(f"{who} has not enrolled.")
    step = max(int(now.timestamp()) // staff_access.STEP, (access.last_step or 0) + 1)
    if step > int(now.timestamp()) // staff_access.STEP + 1:
        raise click.ClickException("Each code serves once: wait half a minute for the next.")
    return pyotp.TOTP(staff_access.seed_of(access, config)).generate_otp(step)


@demo.command()
def door() -> None:
    """Say how one comes in to the staff's pages."""
    told = ", ".join(f"{name} ({role})" for name, role in STAFF.items())
    click.echo(f"{told}; password: {PASSWORD}")
