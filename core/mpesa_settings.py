"""M-PESA credentials set by staff: sealed in the database, and stronger than the environment.

A change is a version: its values wait sealed until a second person agrees, and what both people see
and sign is names and keyed digests. A value that was set is never shown again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Any

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from pydantic import SecretStr
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import config_mpesa, config_rules, crypto, proposals, rights, shortcode_money
from core.base import Base, Small
from core.config import Config
from core.crypto import Unopenable
from core.errors import Refusal
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.say import NAIROBI
from core.staff import Staff

log = structlog.get_logger(__name__)

ACT = SUBJECT = "mpesa settings"  # one proposal about them may wait at a time
SECRETS = config_mpesa.SECRETS
PASSWORD, DATE, CERTIFICATE = (
    "mpesa_initiator_password",
    "mpesa_password_set_on",
    "mpesa_certificate",
)
TILL = "mpesa_till_number"  # the only one that may be set to nothing: then there is no till
NAMES = (*SECRETS, *config_mpesa.SHORTCODES, "mpesa_initiator_name", DATE, CERTIFICATE)
LONGEST = 16_384  # characters; a certificate has two thousand
TAIL = 4


class SettingState(IntEnum):
    """Where a version stands."""

    WAITING = 1
    APPROVED = 2
    DROPPED = 3  # refused, taken back, or agreed on by nobody in time: its values are gone


class MpesaSetting(Base):
    """One change of the settings, for one environment: what a sandbox was told ends with it."""

    __tablename__ = "mpesa_setting"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("(state = 1) = (decided_at IS NULL)", name="decided"),
        CheckConstraint("state <> 2 OR proposal_id IS NOT NULL", name="agreed"),
        Index("ix_mpesa_setting_approved", "environment", "id", postgresql_where="state = 2"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    environment: Mapped[str]
    state: Mapped[int] = mapped_column(Small)
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("proposal.id"), unique=True)
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]


class MpesaSettingValue(Base):
    """One value of a version. `sealed` goes when the value is replaced or dropped."""

    __tablename__ = "mpesa_setting_value"
    __table_args__ = (UniqueConstraint("version_id", "name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("mpesa_setting.id"))
    name: Mapped[str]
    sealed: Mapped[str | None]
    tail: Mapped[str | None]  # the last characters of what is no secret


@dataclass(frozen=True)
class Standing:
    """What may be told of one setting."""

    name: str
    source: str  # 'database', 'environment' or 'missing'
    tail: str | None
    set_at: datetime | None = None
    set_by: str | None = None
    approved_by: str | None = None


NEWEST = text(
    "SELECT coalesce(max(id), 0) FROM mpesa_setting WHERE state = 2 AND environment = :environment"
)
IN_FORCE = text(
    "SELECT DISTINCT ON (v.name) v.name, v.id, v.sealed, v.tail, s.decided_at, p.name AS set_by,"
    " d.name AS approved_by FROM mpesa_setting_value v"
    " JOIN mpesa_setting s ON s.id = v.version_id JOIN proposal a ON a.id = s.proposal_id"
    " JOIN staff p ON p.id = a.proposed_by JOIN staff d ON d.id = a.decided_by"
    " WHERE s.state = 2 AND s.environment = :environment ORDER BY v.name, s.id DESC"
)
WIPE = text(
    "UPDATE mpesa_setting_value v SET sealed = NULL FROM mpesa_setting s"
    " WHERE s.id = v.version_id AND v.sealed IS NOT NULL AND (s.state = 3 OR (s.state = 2"
    " AND EXISTS (SELECT FROM mpesa_setting_value n JOIN mpesa_setting m ON m.id = n.version_id"
    " WHERE m.state = 2 AND m.environment = s.environment AND m.id > s.id AND n.name = v.name)))"
)
DROP = text(
    "UPDATE mpesa_setting s SET state = 3, decided_at = :now WHERE s.state = 1 AND NOT EXISTS"
    " (SELECT FROM proposal p WHERE p.id = s.proposal_id AND p.state = 1 AND p.expires_at > :now)"
)


def version(tx: Session, environment: str) -> int:
    """The number of the newest change that was agreed on; 0 while there was none."""
    return int(tx.scalar(NEWEST, {"environment": environment}) or 0)


def in_force(tx: Session, config: Config) -> dict[str, str]:
    """What the database says, by name. Raises Unopenable where our ring lacks the key."""
    rows = tx.execute(IN_FORCE, {"environment": config.app_env})
    return {row.name: _open(config, row.id, row.sealed) for row in rows}


def overlaid(config: Config, values: Mapping[str, str]) -> Config:
    """The settings with `values` in the place of the environment's."""
    return config.model_copy(update={name: _formed(name, value) for name, value in values.items()})


def standing(tx: Session, config: Config) -> list[Standing]:
    """What may be told of each setting; never its value."""
    rows = {row.name: row for row in tx.execute(IN_FORCE, {"environment": config.app_env})}
    told = []
    for name in NAMES:
        if row := rows.get(name):
            told.append(
                Standing(name, "database", row.tail, row.decided_at, row.set_by, row.approved_by)
            )
        else:
            value = _value(config, name)
            told.append(Standing(name, "environment" if value else "missing", tail(name, value)))
    return told


def waiting(tx: Session, *, now: datetime) -> Proposal | None:
    """The change that waits for its second yes."""
    found = select(Proposal).where(
        Proposal.subject == SUBJECT,
        Proposal.state == ProposalState.PENDING,
        Proposal.expires_at > now,
    )
    return tx.scalar(found)


def proposed(tx: Session, config: Config, *, now: datetime) -> Config:
    """The settings as they would be after what waits. Raises Refusal if nothing does."""
    found = waiting(tx, now=now)
    if found is None:
        raise Refusal("staff.mpesa_none_proposed")
    return overlaid(config, _values(tx, config, found.content["version"]))


def propose(
    tx: Session,
    values: Mapping[str, str],
    *,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put new values before a second person. Raises Refusal for what could not be in force."""
    rights.require(by, Right.CREDENTIALS_PROPOSE)
    wanted = {name: _tidy(name, value) for name, value in values.items()}
    if not wanted:
        raise Refusal("staff.mpesa_nothing_given")
    if not note.strip():
        raise Refusal("staff.reason_missing")
    if any(wanted[name] in note for name in SECRETS if name in wanted):
        raise Refusal("staff.mpesa_note_secret")
    _check(tx, wanted, now=now, config=config)
    change = MpesaSetting(environment=config.app_env, state=SettingState.WAITING, created_at=now)
    tx.add(change)
    tx.flush()
    for name, value in wanted.items():
        _keep(tx, change, name, value, config)
    proposal = proposals.propose(
        tx,
        act=ACT,
        subject=SUBJECT,
        content=_content(change, wanted, config),
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )
    change.proposal_id = proposal.id
    sweep(tx, now, config)
    return proposal


def approve(tx: Session, *, seen_hash: str, by: Staff, now: datetime, config: Config) -> list[str]:
    """The second yes, by an admin: from here on every process takes the new values. Their names.

    Raises Refusal as a proposal does, and for what could not be in force any more.
    """
    rights.require(by, Right.CREDENTIALS_APPROVE)
    proposal = _pending(tx)
    change = tx.get_one(MpesaSetting, proposal.content["version"], with_for_update=True)
    values = _values(tx, config, change.id)
    fresh = _content(change, values, config)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    _check(tx, values, now=now, config=config)
    change.state, change.decided_at = SettingState.APPROVED, now
    tx.flush()
    tx.execute(WIPE)
    log.warning("mpesa settings changed", proposal_id=proposal.id, count=len(values))
    return sorted(values)


def refuse(tx: Session, *, by: Staff, now: datetime, config: Config) -> None:
    """A no, or the proposer taking it back: the values that waited are gone."""
    rights.require(by, Right.CREDENTIALS_PROPOSE)
    proposals.refuse(_pending(tx), by=by.id, now=now)
    tx.flush()
    sweep(tx, now, config)


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Forget the values of what nobody agreed on in time, and of what was replaced."""
    tx.flush()
    tx.execute(DROP, {"now": now})
    tx.execute(WIPE)


def tail(name: str, value: str) -> str | None:
    """The end of what is no secret; of a certificate the end of its fingerprint."""
    if name in SECRETS or not value:
        return None
    if name == CERTIFICATE:
        if not config_mpesa.is_certificate(value):
            return None
        return load_pem_x509_certificate(value.encode()).fingerprint(SHA256()).hex()[-TAIL:]
    return value[-TAIL:]


def _pending(tx: Session) -> Proposal:
    found = proposals.pending(tx, SUBJECT)
    if found is None:
        raise Refusal("staff.mpesa_none_proposed")
    return found


def _tidy(name: str, value: str) -> str:
    """A value as it will be used. Raises Refusal, naming the setting and never the value."""
    if name not in NAMES:
        raise Refusal("staff.mpesa_no_such_setting", names=", ".join(map(str.upper, NAMES)))
    tidy = value.strip()
    fits = len(tidy) <= LONGEST and (tidy or name == TILL)
    if not fits or (name != CERTIFICATE and not tidy.isprintable()):
        raise Refusal("staff.mpesa_setting_form", name=name.upper())
    if name == CERTIFICATE and not config_mpesa.is_certificate(tidy):
        raise Refusal("staff.mpesa_certificate_form")
    if name == DATE:
        try:
            date.fromisoformat(tidy)
        except ValueError:
            raise Refusal("staff.mpesa_date_form") from None
    return tidy


def _check(tx: Session, values: Mapping[str, str], *, now: datetime, config: Config) -> None:
    """Whether the house could stand on these values, and no money is left behind."""
    if PASSWORD in values and DATE not in values:
        raise Refusal("staff.mpesa_password_date")
    if DATE in values and date.fromisoformat(values[DATE]) > now.astimezone(NAIROBI).date():
        raise Refusal("staff.mpesa_date_form")
    after = overlaid(config, values)
    faults = [fault for fault in config_rules.unsafe(after) if fault.startswith("MPESA_")]
    if faults:
        raise Refusal("staff.mpesa_settings_unsafe", faults="; ".join(faults))
    shortcode_money.check(tx, config, after)


def _content(change: MpesaSetting, values: Mapping[str, str], config: Config) -> dict[str, Any]:
    """What both people see: names, and keyed digests of what is to be and of what is."""
    return {
        "version": change.id,
        "environment": config.app_env,
        "changes": {
            name: {
                "to": _digest(config, name, value),
                "from": _digest(config, name, _value(config, name)),
            }
            for name, value in sorted(values.items())
        },
    }


def _digest(config: Config, name: str, value: str) -> str:
    return crypto.digest(config.key_key, "mpesa_setting", name, value).hex()


def _keep(tx: Session, change: MpesaSetting, name: str, value: str, config: Config) -> None:
    row = MpesaSettingValue(version_id=change.id, name=name, tail=tail(name, value))
    tx.add(row)
    tx.flush()
    row.sealed = config.data_keys.seal(value.encode(), aad=_place(row.id))


def _values(tx: Session, config: Config, version_id: int) -> dict[str, str]:
    """What waits, opened. Raises Refusal where it was dropped or cannot be opened."""
    found = select(MpesaSettingValue).where(MpesaSettingValue.version_id == version_id)
    rows: Sequence[MpesaSettingValue] = tx.scalars(found).all()
    try:
        return {row.name: _open(config, row.id, row.sealed) for row in rows}
    except Unopenable as error:
        raise Refusal("staff.mpesa_settings_unopenable", why=str(error)) from None


def _open(config: Config, number: int, sealed: str | None) -> str:
    if sealed is None:
        raise Unopenable(f"nothing is kept (for {_place(number)})")
    return config.data_keys.open(sealed, aad=_place(number)).decode()


def _place(number: int) -> str:
    return f"mpesa_setting_value.sealed|{number}"


def _formed(name: str, value: str) -> SecretStr | date | str:
    """A value in the form that the settings hold it in."""
    if name in SECRETS:
        return SecretStr(value)
    return date.fromisoformat(value) if name == DATE else value


def _value(config: Config, name: str) -> str:
    """What is in force in this process, as text."""
    value: SecretStr | date | str | None = getattr(config, name)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value)
