"""`flask staff`: the people who run the house."""

import click

from admin.commands.common import as_json, done, opened, show
from core import staff as people
from core.staff import Role


@click.group()
def staff() -> None:
    """The people who run the house."""


@staff.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@as_json
def add(name: str, role: str, as_json: bool) -> None:
    """Add a member of staff called NAME."""
    rt = opened()
    member = done(rt, lambda tx: people.add(tx, name, Role(role), now=rt.now()))
    facts = {"id": member.id, "name": member.name, "role": member.role}
    show(facts, as_json, lambda one: f"{one['name']} is {one['role']}.")
