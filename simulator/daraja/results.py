"""The shapes of what Daraja sends back later."""

import hashlib
from datetime import datetime
from typing import Any

from simulator import ids
from simulator.books import Organisation, Subscriber, Transaction

OK = "The service request is processed successfully."

DESCRIPTIONS: dict[str, str] = {
    "0": OK,
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "15": "Duplicate detected.",
    "17": "Rule limited.",
    "21": "The initiator is not allowed to initiate this request.",
    "25": "The transaction does not exist.",
    "26": "Traffic blocking condition in place.",
    "1001": "Unable to lock subscriber, a transaction is already in process for the current"
    " subscriber.",
    "1019": "Transaction has expired.",
    "1025": "An error occurred while sending a push request.",
    "1032": "Request cancelled by user.",
    "1037": "DS timeout user cannot be reached.",
    "2001": "The initiator information is invalid.",
    "2006": "Insufficient customer funds.",
    "2028": "The request is not permitted according to product assignment.",
    "2040": "Credit Party customer type (Unregistered or Registered Customer) can't be supported"
    " by the service.",
    "4999": "The transaction is still under processing.",
    "8006": "The security credential is locked.",
    "9999": "Error while sending push request.",
    "R000001": "The transaction has already been reversed.",
    "R000002": "The OriginalTransactionID is invalid.",
    "SFC_IC0003": "The operator does not exist.",
}


def described(code: str) -> str:
    return DESCRIPTIONS.get(code, "The service request failed.")


def number_or_text(code: str) -> int | str:
    """Codes are numbers on the wire, but for those that are not."""
    return int(code) if code.isdigit() else code


def masked(phone: str) -> str:
    """As C2B shows a number since its second version."""
    return f"{phone[:4]} ***** {phone[-3:]}"


def account(name: str, amount: int) -> str:
    """Name, currency, current, available, reserved, uncleared."""
    return f"{name}|KES|{amount:.2f}|{amount:.2f}|0.00|0.00"


def timed_out(originator_id: str, conversation_id: str) -> dict[str, Any]:
    """The queue's own word, in the shape of a result."""
    return result(
        code="1", desc="The request timed out in the queue.", originator_id=originator_id,
        conversation_id=conversation_id, transaction_id=ids.receipt(),
    )  # fmt: skip


def stk_callback(
    *,
    merchant_id: str,
    checkout_id: str,
    code: str,
    desc: str = "",
    paid: Transaction | None = None,
    amount: int,
    as_strings: bool = False,
) -> dict[str, Any]:
    """`amount` may be another one than was paid. The Balance item has no Value: it is like that."""
    callback: dict[str, Any] = {
        "MerchantRequestID": merchant_id,
        "CheckoutRequestID": checkout_id,
        "ResultCode": code if as_strings else number_or_text(code),
        "ResultDesc": desc or described(code),
    }
    if paid is not None:
        said = float(amount)
        date, phone = f"{paid.at:%Y%m%d%H%M%S}", paid.phone
        callback["CallbackMetadata"] = {
            "Item": [
                {"Name": "Amount", "Value": f"{said:.2f}" if as_strings else said},
                {"Name": "MpesaReceiptNumber", "Value": paid.receipt},
                {"Name": "Balance"},
                {"Name": "TransactionDate", "Value": date if as_strings else int(date)},
                {"Name": "PhoneNumber", "Value": phone if as_strings else int(phone)},
            ]
        }
    return {"Body": {"stkCallback": callback}}


def result(
    *,
    code: str,
    desc: str = "",
    originator_id: str,
    conversation_id: str,
    transaction_id: str,
    parameters: list[dict[str, Any]] | None = None,
    reference: dict[str, Any] | None = None,
    as_strings: bool = False,
) -> dict[str, Any]:
    """The envelope of B2C, status and the other asynchronous answers.

    A failed one has no parameters but a TransactionID all the same.
    """
    body: dict[str, Any] = {
        "ResultType": "0" if as_strings else 0,
        "ResultCode": code if as_strings else number_or_text(code),
        "ResultDesc": desc or described(code),
        "OriginatorConversationID": originator_id,
        "ConversationID": conversation_id,
        "TransactionID": transaction_id,
    }
    if parameters is not None:
        body["ResultParameters"] = {"ResultParameter": parameters}
    body["ReferenceData"] = {"ReferenceItem": reference or {}}
    return {"Result": body}


def payout_parameters(
    line: Transaction,
    person: Subscriber,
    house: Organisation,
    *,
    amount: int,
    as_strings: bool = False,
) -> list[dict[str, Any]]:
    def number(value: float) -> float | str:
        return f"{value:.2f}" if as_strings else value

    return _parameters(
        ("TransactionAmount", str(amount) if as_strings else amount),
        ("TransactionReceipt", line.receipt),
        ("ReceiverPartyPublicName", person.party),
        ("TransactionCompletedDateTime", f"{line.at:%d.%m.%Y %H:%M:%S}"),
        ("B2CUtilityAccountAvailableFunds", number(float(house.utility))),
        ("B2CWorkingAccountAvailableFunds", number(float(house.working))),
        ("B2CRecipientIsRegisteredCustomer", "Y" if person.registered else "N"),
        ("B2CChargesPaidAccountAvailableFunds", number(float(house.charges))),
    )


def status_parameters(
    *,
    debit_party: str,
    credit_party: str,
    from_house: bool,
    charge: int,
    reason: str,
    status: str,
    at: datetime,
    amount: int,
    originator_id: str,
    conversation_id: str,
    receipt: str,
) -> list[dict[str, Any]]:
    """DebitPartyName comes twice, the second being the credit party; TransactionReason is bare."""
    moment = f"{at:%Y%m%d%H%M%S}"
    fee = f"Fee For B2C Payment|KES|{charge:.2f}" if from_house else ""
    account = "Utility Account" if from_house else "MMF Account For Customer"
    return [
        *_parameters(
            ("DebitPartyName", debit_party),
            ("DebitPartyName", credit_party),
            ("OriginatorConversationID", originator_id),
            ("InitiatedTime", moment),
            ("DebitAccountType", account),
            ("DebitPartyCharges", fee),
        ),
        {"Key": "TransactionReason"},
        *_parameters(
            ("ReasonType", reason),
            ("TransactionStatus", status),
            ("FinalisedTime", moment),
            ("Amount", str(amount)),
            ("ConversationID", conversation_id),
            ("ReceiptNo", receipt),
        ),
    ]


def c2b_payment(
    line: Transaction, person: Subscriber, *, balance: str, version: str, third_party: str = ""
) -> dict[str, Any]:
    """Confirmation and validation. v1 hashes the number, v2 masks it: neither tells who it is."""
    first, _, last = person.name.partition(" ")
    hashed = hashlib.sha256(line.phone.encode()).hexdigest()
    return {
        "TransactionType": "Buy Goods" if "Buy Goods" in line.reason else "Pay Bill",
        "TransID": line.receipt,
        "TransTime": f"{line.at:%Y%m%d%H%M%S}",
        "TransAmount": f"{line.amount:.2f}",
        "BusinessShortCode": line.shortcode,
        "BillRefNumber": line.account,
        "InvoiceNumber": "",
        "OrgAccountBalance": balance,
        "ThirdPartyTransID": third_party,
        "MSISDN": hashed if version == "v1" else masked(line.phone),
        "FirstName": first,
        "MiddleName": "",
        "LastName": last,
    }


def _parameters(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in pairs]
