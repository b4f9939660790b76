"""`flask demo`: what a house that only pretends is furnished with."""

from datetime import timedelta

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.commands.common import done, opened
from core import drafts, staff
from core.runtime import Runtime
from core.staff import Role, Staff

STAFF = {
    "wanjiku": Role.TRADER,
    "kamau": Role.TRADER,
    "akinyi": Role.FINANCE,
    "juma": Role.SUPPORT,
    "njeri": Role.ADMIN,
}

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
    team = {name: staff.add(tx, name, role, now=now) for name, role in STAFF.items()}
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
