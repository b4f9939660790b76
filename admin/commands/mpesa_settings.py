"""`flask mpesa settings|test|readiness`: credentials by two people, tried, and a list of checks."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from admin import readiness
from admin.commands.common import acting, as_json, by, done, opened, show, when
from admin.commands.reconcile import mpesa
from admin.line_check import NOT_TRIED, OK, Finding, account, attempt, line, results
from core import mpesa_settings as rules
from core.config import Config
from core.mpesa_settings import Standing
from core.proposals import Proposal
from core.runtime import Runtime

PREFIX = "mpesa_"
MOST_BYTES = 100_000
NO_VALUES = "Values are never given on the command line: name settings, or give --from FILE."
READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@mpesa.group("settings")
def settings() -> None:
    """The credentials that staff set; they go before the environment's."""


@settings.command("show")
@as_json
def show_settings(as_json: bool) -> None:
    """Show where each setting comes from, who set it and when, and what is proposed."""
    rt = opened()
    facts = done(rt, lambda tx: _facts(tx, rt))
    if as_json:
        show(facts, True, str)
        return
    show(facts["settings"], False, _standing)
    if facts["unreadable"]:
        click.echo(f"Those of the database cannot be opened: {facts['unreadable']}")
    click.echo("\n".join(_proposal_lines(facts["proposed"])))


@settings.command("propose")
@click.argument("names", nargs=-1)
@click.option("--from", "file", type=READABLE, help="NAME=value lines; - is standard input.")
@click.option("--certificate", type=READABLE, help="Safaricom's certificate, a PEM file.")
@click.option("--note", required=True, help="Why. No value belongs here.")
@by
def propose(
    names: tuple[str, ...], file: Path | None, certificate: Path | None, note: str, name: str
) -> None:
    """Propose new values for NAMES (`consumer-key consumer-secret`), each asked for unseen."""
    asked = [_name(typed) for typed in names]
    values = _read(file) if file else {}
    if certificate:
        values["mpesa_certificate"] = _content(certificate)
    values |= {one: _prompt(one) for one in asked if one not in values}
    rt = opened()

    def work(tx: Session) -> Proposal:
        who, now = acting(rt, tx, name), rt.now()
        return rules.propose(tx, values, note=note, by=who, now=now, config=rt.config)

    proposal = done(rt, work)
    click.echo("\n".join(_changes(proposal.content)))
    click.echo(f"proposed: {proposal.content_hash}")


@settings.command("approve")
@click.argument("seen_hash")
@by
def approve(seen_hash: str, name: str) -> None:
    """Give the second yes; every process takes the new values within seconds."""
    rt = opened()

    def work(tx: Session) -> list[str]:
        who, now = acting(rt, tx, name), rt.now()
        return rules.approve(tx, seen_hash=seen_hash, by=who, now=now, config=rt.config)

    changed = done(rt, work)
    click.echo(f"in force: {', '.join(map(str.upper, changed))}")


@settings.command("refuse")
@by
def refuse(name: str) -> None:
    """Say no; the values that waited are forgotten."""
    rt = opened()
    done(
        rt,
        lambda tx: rules.refuse(tx, by=acting(rt, tx, name), now=rt.now(), config=rt.config),
    )
    click.echo("refused")


@mpesa.command("test")
@click.option("--proposed", is_flag=True, help="Try what is proposed instead of what is in force.")
@click.option(
    "--wait", "seconds", type=click.IntRange(0, 300), default=0, help="Seconds to wait for results."
)
@as_json
def test(proposed: bool, seconds: int, as_json: bool) -> None:
    """Log in to M-PESA anew and ask what our accounts hold; moves nothing.

    Ends with 1 if a step failed. A wrong operator's password counts as a try with M-PESA.
    """
    rt = opened("WARNING")
    config = done(rt, lambda tx: rules.proposed(tx, rt.config, now=rt.now())) if proposed else None
    found = list(_tried(rt, config or rt.config, seconds))
    show([asdict(one) for one in found], as_json, line)
    if not all(one.verdict == OK for one in found):
        raise click.exceptions.Exit(1)


@mpesa.command("readiness")
@as_json
def ready(as_json: bool) -> None:
    """Run every check of readiness and show its evidence. Ends with 1 if one is not green."""
    found = readiness.run(opened())
    show([asdict(one) for one in found], as_json, _check)
    if readiness.failing(found):
        raise click.exceptions.Exit(1)


def _tried(rt: Runtime, config: Config, seconds: int) -> Iterator[Finding]:
    """What M-PESA says to these settings, apart from the house's own traffic."""
    assert rt.trial is not None, "wsgi.py fills it"
    began, senders = rt.now(), rt.trial(config)
    yield (known := account(config))
    login = attempt(senders, "oauth", {"fresh": True}, "M-PESA knows the key: a new token")
    yield login
    if not (known.verdict == login.verdict == OK):
        yield Finding("balance", NOT_TRIED, "no certificate" if login.verdict == OK else "no token")
        return
    said = "M-PESA took the question; its answer at our door says whether the operator may ask"
    asked = dict.fromkeys((config.mpesa_shortcode, config.mpesa_b2c_shortcode))
    found = [
        attempt(senders, "balance", {"shortcode": one}, f"{one}: {said}") for one in asked if one
    ]
    yield from found
    if seconds and any(one.verdict == OK for one in found):
        yield from results(rt, ["balance"], began, seconds)


def _facts(tx: Session, rt: Runtime) -> dict[str, Any]:
    found = rules.waiting(tx, now=rt.now())
    return {
        "settings": [asdict(one) for one in rules.standing(tx, rt.config)],
        "version": rules.version(tx, rt.config.app_env),
        "unreadable": rt.mpesa_shut,
        "proposed": found
        and {
            "content": found.content,
            "hash": found.content_hash,
            "note": found.note,
            "expires_at": found.expires_at,
        },
    }


def _standing(facts: Mapping[str, Any]) -> str:
    one = Standing(**facts)
    ends = f"...{one.tail}" if one.tail else ""
    text = f"{one.name.upper():26} {one.source:12} {ends:8}"
    if one.set_at:
        text += f" set {when(one.set_at)} by {one.set_by}, approved by {one.approved_by}"
    return text.rstrip()


def _proposal_lines(waiting: Mapping[str, Any] | None) -> Iterator[str]:
    if waiting is None:
        yield "Nothing is proposed."
        return
    yield f"Proposed until {when(waiting['expires_at'])}: {waiting['note']}"
    yield from _changes(waiting["content"])
    yield f"hash {waiting['hash']}"


def _changes(content: Mapping[str, Any]) -> Iterator[str]:
    """Names, and how the digests begin: they tell two people that they mean the same."""
    for name, change in content["changes"].items():
        same = "  (as it is)" if change["to"] == change["from"] else ""
        yield f"  {name.upper():26} {change['from'][:12]} > {change['to'][:12]}{same}"


def _check(one: Mapping[str, Any]) -> str:
    return f"{'ok  ' if one['well'] else 'NOT '} {one['check']:20} {one['evidence']}"


def _name(typed: str) -> str:
    """A setting by its name in any form; what holds a value is not said again."""
    if "=" in typed:
        raise click.UsageError(NO_VALUES)
    name = typed.strip().lower().replace("-", "_")
    name = name if name.startswith(PREFIX) else PREFIX + name
    if name not in rules.NAMES:
        known = ", ".join(one.removeprefix(PREFIX).replace("_", "-") for one in rules.NAMES)
        raise click.UsageError(f"There is no such setting. There are: {known}. {NO_VALUES}")
    return name


def _prompt(name: str) -> str:
    return str(click.prompt(name.upper(), hide_input=True, default="", show_default=False))


def _read(file: Path) -> dict[str, str]:
    """NAME=value, a line each; empty lines and those that begin with # are passed by."""
    values: dict[str, str] = {}
    for number, text in enumerate(_content(file).splitlines(), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator:
            raise click.UsageError(f"Line {number} is not NAME=value.")
        values[_name(name)] = value
    return values


def _content(file: Path) -> str:
    try:
        with click.open_file(str(file), "rb") as stream:
            raw: bytes = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise click.ClickException(f"{file} is too large.")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} cannot be read: {type(error).__name__}") from None
