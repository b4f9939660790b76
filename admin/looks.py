"""How staff read what the house knows: amounts, moments, masked numbers, and states in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from core import audit, money, phone
from core.levies import Levy
from core.say import NAIROBI
from core.staff_invitations import Invitation

NOTHING = "-"
AMOUNTS = {
    "amount", "tax", "frozen", "owed", "total", "staked", "min_stake", "max_stake", "charge",
}  # fmt: skip
MOMENTS = {
    "from", "sent_at", "opens_at", "closes_at", "opens", "closes", "effective_close", "closed_at",
    "due_at", "expires_at", "at",
}  # fmt: skip
PAYOUTS = {"payout", "payouts"}
PHONES = {"phone", "old_phone", "payer", "to"}
ROWS = {"id": "name", "customer": "phone"}  # and what tells of the same row
CALLED = {"was": "until now"}


def kes(cents: int) -> str:
    """An amount with its cents, so that columns stand one under the other: `KES 1,234.00`."""
    return f"KES {Decimal(cents) / 100:,.2f}"


def number(count: int) -> str:
    """A count: `1,234`."""
    return f"{count:,}"


def when(moment: datetime | str | None) -> str:
    """A moment in Nairobi: `2026-11-21 18:00`."""
    if moment is None:
        return NOTHING
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return read.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M")


def exactly(moment: datetime) -> str:
    """A moment in Nairobi to the second."""
    return moment.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M:%S")


def typed(moment: datetime | None) -> str:
    """A moment as a browser's field wants it, in Nairobi."""
    return "" if moment is None else moment.astimezone(NAIROBI).strftime("%Y-%m-%dT%H:%M")


def share(basis_points: int) -> str:
    """A part of the whole: `5%`, `12.5%`."""
    return f"{basis_points / 100:g}%"


def words(name: str) -> str:
    """A name of the code's as people write it: `in_doubt` and `NEEDS_HUMAN`, in small letters."""
    return name.replace("_", " ").replace(".", " ").lower().removesuffix(" bp")


def masked(number: str | None) -> str:
    """A phone number, of which nobody could be rung."""
    return phone.mask(number) if number else NOTHING


def sent(invitation: Invitation) -> str:
    """Where the code to enrol with went, which nobody is shown, and until when it holds."""
    phone, until = masked(invitation.phone), when(invitation.until)
    return f"A code to enrol with is on its way to {phone}; it holds until {until}."


def short(fingerprint: str) -> str:
    """As much of a hash as eyes compare."""
    return fingerprint[:12]


def facts(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a proposal or a line of the audit holds, fact by fact, in words.

    Without the row of somebody whose name or number is told as well.
    """
    told = {name: value for name, value in content.items() if ROWS.get(name) not in content}
    return [(CALLED.get(name) or words(name), fact(name, value)) for name, value in told.items()]


def fact(name: str, value: Any) -> str:
    """One fact, by what its name says it is."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in WHOLE and isinstance(value, list | Mapping):
        return WHOLE[name](value)
    if isinstance(value, Mapping):
        # `staked` by outcome is as much money as `staked` alone.
        return ", ".join(
            f"{words(key)}: {fact(key if name not in AMOUNTS else name, one)}"
            for key, one in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(fact(name, one) for one in value)
    for names, write in WAYS:
        if name in names:
            return write(value)
    return audit.masked(str(value))  # a payer's account number may be a phone


def _amount(value: Any) -> str:
    return kes(value) if isinstance(value, int) else str(value)


def _moment(value: Any) -> str:
    try:
        return when(str(value))
    except (ValueError, OverflowError):
        return str(value)


WAYS: Iterable[tuple[set[str], Callable[[Any], str]]] = (
    (AMOUNTS, _amount),
    (MOMENTS, _moment),
    (PAYOUTS, lambda value: f"P{value}"),
    (PHONES, lambda value: masked(str(value))),
    ({"fee_bp", "rate_bp"}, lambda value: share(value) if isinstance(value, int) else str(value)),
    ({"kind", "bucket", "method"}, lambda value: words(str(value))),
    ({"hash", "seen_hash"}, lambda value: short(str(value))),
)


def _rates(value: Mapping[str, int]) -> str:
    return ", ".join(f"{words(Levy(int(kind)).name)}: {share(bp)}" for kind, bp in value.items())


def _bands(value: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"up to {kes(upto)}: {kes(charge)}" for upto, charge in value)


def _balances(value: Sequence[Sequence[Any]]) -> str:
    """A trial balance, account by account."""
    return "; ".join(
        f"{words(kind)} {shortcode or ''}".strip()
        + f": debits {kes(int(debits))}, credits {kes(int(credits))}"
        for kind, shortcode, debits, credits in value
    )


def _changes(value: Mapping[str, Mapping[str, str]]) -> str:
    """Settings by name, with digests of what is to be and what is, for they may be secret."""
    return ", ".join(
        f"{name.upper()}: {short(one['to'])} instead of {short(one['from'])}"
        for name, one in value.items()
    )


# Facts of which the whole is to be read.
WHOLE: Mapping[str, Callable[[Any], str]] = {
    "rates": _rates,
    "bands": _bands,
    "lines": _balances,
    "changes": _changes,
}

FILTERS: Mapping[str, Callable[..., str]] = {
    "kes": kes,
    "number": number,
    "plain": money.show,
    "when": when,
    "exactly": exactly,
    "typed": typed,
    "share": share,
    "words": words,
    "masked": masked,
    "unnumbered": audit.masked,
    "short": short,
}
