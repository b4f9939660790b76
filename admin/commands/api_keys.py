"""`flask staff key-add|keys|key-revoke`: the keys by which programs act for staff."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from admin.commands.staff import staff
from core import api_keys
from core import staff as people


@staff.command("key-add")
@click.argument("label")
@by
@as_json
def add(label: str, name: str, as_json: bool) -> None:
    """Make a key of one's own called LABEL; its secret is shown this once."""
    rt = opened()

    def work(tx: Session) -> tuple[str, str]:
        return api_keys.make(tx, acting(rt, tx, name), label, now=rt.now(), config=rt.config)

    key_id, secret = done(rt, work)
    show({"key": key_id, "secret": secret}, as_json, _made)


@staff.command("keys")
@click.argument("name")
@as_json
def keys(name: str, as_json: bool) -> None:
    """List the keys of NAME, the newest first."""
    rt = opened()

    def work(tx: Session) -> list[dict[str, Any]]:
        return [_key(key) for key in api_keys.of(tx, people.named(tx, name).id)]

    show(done(rt, work), as_json, _line)


@staff.command("key-revoke")
@click.argument("key_id", metavar="KEY")
@by
def revoke(key_id: str, name: str) -> None:
    """Let KEY do nothing from now on: one's own, or for an admin anybody's."""
    rt = opened()
    done(rt, lambda tx: api_keys.revoke(tx, key_id, by=acting(rt, tx, name), now=rt.now()))
    click.echo(f"{key_id} is revoked.")


def _key(key: api_keys.ApiKey) -> dict[str, Any]:
    return {
        "key": key.id,
        "name": key.name,
        "made": key.created_at,
        "used": key.used_at,
        "revoked": key.revoked_at,
    }


def _made(one: Mapping[str, Any]) -> str:
    return f"X-Key   {one['key']}\nsecret  {one['secret']}\nNobody can show this secret again."


def _line(one: Mapping[str, Any]) -> str:
    used = f"used {when(one['used'])}" if one["used"] else "never used"
    revoked = f", revoked {when(one['revoked'])}" if one["revoked"] else ""
    return f"{one['key']}  made {when(one['made'])}, {used}{revoked}  {one['name']}"
