"""What the pull API tells: M-PESA's rows in the words of the house."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

AMOUNT = re.compile(r"[0-9][0-9,]{0,11}(\.[0-9]{1,6})?")


def rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every row of an answer: `receipt`, `at`, `phone`, `account`, `amount`, `type`, `raw`.

    `amount` is in cents, or None where it cannot be read; `at` is as M-PESA wrote it, since its Z
    is not known to mean UTC. Text that is missing is empty.
    """
    return [_row(told) for told in _flat(answer.get("Response"))]


def _flat(told: Any) -> Iterator[Mapping[str, Any]]:
    """Rows come as a list in a list, as a bare list, or not at all."""
    if isinstance(told, Mapping):
        yield told
    elif isinstance(told, list):
        for one in told:
            yield from _flat(one)


def _row(told: Mapping[str, Any]) -> dict[str, Any]:
    keys = {str(key).lower(): value for key, value in told.items()}

    def text(name: str) -> str:
        value = keys.get(name)
        return "" if value is None else str(value).strip()

    return {
        "receipt": text("transactionid").upper(),
        "at": text("trxdate"),
        "phone": text("msisdn"),
        "account": text("billreference"),
        "amount": _cents(text("amount")),
        "type": text("transactiontype"),
        "raw": dict(told),
    }


def _cents(text: str) -> int | None:
    if not AMOUNT.fullmatch(text):
        return None
    cents = Decimal(text.replace(",", "")) * 100
    return int(cents) if cents == int(cents) and cents > 0 else None
