"""What M-PESA posts back, read into the house's words; what cannot be read is None, never an error.

Field by field it is a minefield: numbers come as strings, items without a value, keys twice, a
failed payment with a transaction id. The readers take what is there and promise nothing more.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self
from zoneinfo import ZoneInfo

from core.money import LARGEST

NAIROBI = ZoneInfo("Africa/Nairobi")
OK = "0"
RECEIPT = re.compile(r"[A-Z0-9]{6,20}")
PARTY = re.compile(r"254[0-9*]{9}|[0-9]{5,8}")  # a customer's number, perhaps masked; a shortcode
MOMENTS = ("%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S")  # in Nairobi's time
LONGEST = 200  # characters of an id or a description; what is longer is nobody's


@dataclass(frozen=True)
class Notice:
    """What every answer says: `code` ("0" is yes) and the id by which to find what it is about."""

    correlation: str
    code: str
    detail: str
    receipt: str | None
    amount: int | None  # cents
    at: datetime | None

    def kept(self) -> dict[str, Any]:
        """As JSON, for a notice that nobody is expecting yet."""
        return asdict(self) | {"at": self.at and self.at.isoformat()}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Self:
        """The notice again."""
        at = kept["at"]
        return cls(**{**kept, "at": at and datetime.fromisoformat(at)})


@dataclass(frozen=True)
class PushNotice(Notice):
    """The end of an STK push; `correlation` is its CheckoutRequestID."""

    phone: str | None


@dataclass(frozen=True)
class PayoutNotice(Notice):
    """The end of a payout; `correlation` is its ConversationID, `ocid` ours."""

    ocid: uuid.UUID | None
    payee: str | None

    def kept(self) -> dict[str, Any]:
        return super().kept() | {"ocid": self.ocid and str(self.ocid)}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Self:
        return super().from_kept({**kept, "ocid": _uuid(kept["ocid"])})


@dataclass(frozen=True)
class StatusNotice(Notice):
    """The answer to a status query; `correlation` is the query's own ConversationID.

    `code` says whether the question was answered, `status` what became of the payment.
    """

    status: str
    payer: str | None
    payee: str | None


@dataclass(frozen=True)
class ReversalNotice(Notice):
    """The end of a reversal; `receipt` is its own, `original` that of the payment it undid."""

    original: str | None


@dataclass(frozen=True)
class BalanceNotice(Notice):
    """What our accounts hold; `accounts` is as M-PESA writes it."""

    accounts: str


@dataclass(frozen=True)
class Paid:
    """A payment to us, by whatever channel it is told: cents, and what was typed as the account."""

    receipt: str
    amount: int
    shortcode: str
    bill_ref: str
    payer: str | None
    at: datetime | None


def push(payload: Mapping[str, Any]) -> PushNotice | None:
    """The STK callback."""
    callback = _mapping(_mapping(payload.get("Body")).get("stkCallback"))
    correlation, code = _text(callback.get("CheckoutRequestID")), _text(callback.get("ResultCode"))
    if not correlation or not code:
        return None
    items = _pairs(_mapping(callback.get("CallbackMetadata")).get("Item"), "Name")
    return PushNotice(
        correlation=correlation,
        code=code,
        detail=_text(callback.get("ResultDesc")),
        receipt=_receipt(_first(items, "MpesaReceiptNumber")),
        amount=_cents(_first(items, "Amount")),
        at=_moment(_first(items, "TransactionDate")),
        phone=_party(_first(items, "PhoneNumber")),
    )


def payout(payload: Mapping[str, Any]) -> PayoutNotice | None:
    """The result of a B2C payment. A TransactionID proves nothing: failed payments have one too."""
    result = _mapping(payload.get("Result"))
    code, correlation = _text(result.get("ResultCode")), _text(result.get("ConversationID"))
    ocid = _uuid(result.get("OriginatorConversationID"))
    if not code or not (correlation or ocid):
        return None
    values = _values(result)
    return PayoutNotice(
        correlation=correlation,
        code=code,
        detail=_text(result.get("ResultDesc")),
        receipt=_receipt(_first(values, "TransactionReceipt") or result.get("TransactionID")),
        amount=_cents(_first(values, "TransactionAmount")),
        at=_moment(_first(values, "TransactionCompletedDateTime")),
        ocid=ocid,
        payee=_party(_first(values, "ReceiverPartyPublicName")),
    )


def status(payload: Mapping[str, Any]) -> StatusNotice | None:
    """The result of a transaction status query. DebitPartyName comes twice: who paid, who got."""
    result = _mapping(payload.get("Result"))
    code, correlation = _text(result.get("ResultCode")), _text(result.get("ConversationID"))
    if not code or not correlation:
        return None
    values = _values(result)
    parties = [*values.get("DebitPartyName", []), None, None]
    return StatusNotice(
        correlation=correlation,
        code=code,
        detail=_text(result.get("ResultDesc")),
        receipt=_receipt(_first(values, "ReceiptNo")),
        amount=_cents(_first(values, "Amount")),
        at=_moment(_first(values, "FinalisedTime")),
        status=_text(_first(values, "TransactionStatus")),
        payer=_party(parties[0]),
        payee=_party(_first(values, "CreditPartyName") or parties[1]),
    )


def reversal(payload: Mapping[str, Any]) -> ReversalNotice | None:
    """The result of a reversal that we asked for; a failure has a TransactionID too."""
    result = _mapping(payload.get("Result"))
    code, correlation = _text(result.get("ResultCode")), _text(result.get("ConversationID"))
    if not code or not correlation:
        return None
    values = _values(result)
    return ReversalNotice(
        correlation=correlation,
        code=code,
        detail=_text(result.get("ResultDesc")),
        receipt=_receipt(result.get("TransactionID")),
        amount=_cents(_first(values, "Amount")),
        at=_moment(_first(values, "TransCompletedTime")),
        original=_receipt(_first(values, "OriginalTransactionID")),
    )


def balance(payload: Mapping[str, Any]) -> BalanceNotice | None:
    """The result of an account balance query."""
    result = _mapping(payload.get("Result"))
    code, correlation = _text(result.get("ResultCode")), _text(result.get("ConversationID"))
    if not code or not correlation:
        return None
    values = _values(result)
    return BalanceNotice(
        correlation=correlation,
        code=code,
        detail=_text(result.get("ResultDesc")),
        receipt=None,
        amount=None,
        at=_moment(_first(values, "BOCompletedTime")),
        accounts="&".join(map(_text, str(_first(values, "AccountBalance") or "").split("&"))),
    )


def paybill(payload: Mapping[str, Any]) -> Paid | None:
    """The confirmation of a payment to a paybill or a till. Its number may be masked or hashed."""
    receipt, amount = _receipt(payload.get("TransID")), _cents(payload.get("TransAmount"))
    if receipt is None or amount is None:
        return None
    return Paid(
        receipt=receipt,
        amount=amount,
        shortcode=_text(payload.get("BusinessShortCode")),
        bill_ref=_text(payload.get("BillRefNumber")),
        payer=_party(payload.get("MSISDN")),
        at=_moment(payload.get("TransTime")),
    )


def pulled(row: Mapping[str, Any], shortcode: str) -> Paid | None:
    """A row of the pull, in the line's words, of payments to `shortcode`."""
    receipt, amount = _receipt(row.get("receipt")), row.get("amount")
    if receipt is None or type(amount) is not int or not 0 < amount <= LARGEST:
        return None
    return Paid(
        receipt=receipt,
        amount=amount,
        shortcode=shortcode,
        bill_ref=_text(row.get("account")),
        payer=_party(row.get("phone")),
        at=_stamp(row.get("at")),
    )


def timed_out(payload: Mapping[str, Any]) -> tuple[str, uuid.UUID | None]:
    """ConversationID and our id in a queue time-out: a Result, or our own request sent back."""
    told = _mapping(payload.get("Result")) or payload
    originator = told.get("OriginatorConversationID")
    return _text(told.get("ConversationID")), _uuid(originator)


def same_phone(shown: str | None, phone: str) -> bool:
    """Whether a number as M-PESA shows it, perhaps masked, can be that of E.164 `phone`."""
    digits = phone.removeprefix("+")
    return (
        shown is not None
        and len(shown) == len(digits)
        and all(one in ("*", other) for one, other in zip(shown, digits, strict=True))
    )


def same_party(one: str | None, other: str | None) -> bool:
    """Whether two numbers as M-PESA shows them, either perhaps masked, can be one."""
    return (
        one is not None
        and other is not None
        and len(one) == len(other)
        and all("*" in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))
    )


def _values(result: Mapping[str, Any]) -> Mapping[str, list[Any]]:
    return _pairs(_mapping(result.get("ResultParameters")).get("ResultParameter"), "Key")


def _pairs(items: Any, name: str) -> dict[str, list[Any]]:
    """Values by name, in their order; one item alone may stand outside its list."""
    found: dict[str, list[Any]] = {}
    rows = items if isinstance(items, Sequence) and not isinstance(items, str) else [items]
    for row in map(_mapping, rows):
        if "Value" in row:  # Balance and TransactionReason come without one
            found.setdefault(_text(row.get(name)), []).append(row["Value"])
    return found


def _first(values: Mapping[str, list[Any]], name: str) -> Any:
    return next(iter(values.get(name, [])), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """A string or a number as text; anything else, and what is too long to be an id, as nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if len(written := str(value)) > LONGEST:
        return ""
    # Neither a NUL nor half a surrogate pair can be kept in Postgres.
    return written.replace("\x00", "").encode(errors="ignore").decode().strip()


def _receipt(value: Any) -> str | None:
    text = _text(value).upper()
    return text if RECEIPT.fullmatch(text) else None


def _cents(value: Any) -> int | None:
    """Shillings, written in any way a number can be, as positive cents."""
    try:
        shillings = Decimal(_text(value))
        if not 0 < shillings <= LARGEST:  # before it is multiplied: 1E+999999 is a number too
            return None
    except InvalidOperation:  # not a number, or NaN
        return None
    return int(shillings * 100) if shillings * 100 % 1 == 0 else None


def _party(value: Any) -> str | None:
    """The number in `254712345678 - AMINA HASSAN`, `2547 ***** 678` or `600999 - HOUSE`.

    The name is left where it is: in the sealed body.
    """
    number = _text(value).partition(" - ")[0].replace(" ", "").removeprefix("+")
    return number if PARTY.fullmatch(number) else None


def _moment(value: Any) -> datetime | None:
    for form in MOMENTS:
        try:
            found = datetime.strptime(_text(value), form).replace(tzinfo=NAIROBI)
            return found.astimezone(UTC)
        except (ValueError, OverflowError):  # no moment, or one before the first
            continue
    return None


def _stamp(value: Any) -> datetime | None:
    """The pull's moment. It carries a Z and is Nairobi's clock all the same, as far as is known."""
    try:
        return datetime.fromisoformat(_text(value)).replace(tzinfo=NAIROBI).astimezone(UTC)
    except (ValueError, OverflowError):
        return _moment(value)


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(_text(value))
    except ValueError:
        return None
