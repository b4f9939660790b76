"""Paybill money for the tests: what M-PESA posts of it, and two of finance who decide on it."""

import uuid

from sqlalchemy import select, text

from core import ledger, limits, receipts, refund_results, staff, suspense
from core.effects import Channel
from core.ledger import AccountKind
from core.receipts import ReceiptClaim
from core.refund_rows import Refund, RefundState
from core.staff import Role, Staff
from demo.settings import PAYBILL
from tests import mpesa

RECEIPT = "SKC2B00001"
REVERSAL = "SKR0000001"


def confirmation(account, *, receipt=RECEIPT, amount="100.00", shortcode=PAYBILL, payer=None):
    """The C2B confirmation of a payment by hand; the payer's number is masked."""
    return {
        "TransactionType": "Pay Bill",
        "TransID": receipt,
        "TransTime": "20261120143000",
        "TransAmount": amount,
        "BusinessShortCode": shortcode,
        "BillRefNumber": account,
        "InvoiceNumber": "",
        "OrgAccountBalance": "1000.00",
        "ThirdPartyTransID": "",
        "MSISDN": payer or "2547 ***** 001",
        "FirstName": "AMINA",
    }


def row(account, *, receipt=RECEIPT, amount=100_00, phone="254712000001", kind="c2b-pay-bill"):
    """A row of the pull, in the line's words."""
    return {
        "receipt": receipt,
        "at": "2026-11-20T14:30:00Z",
        "phone": phone,
        "account": account,
        "amount": amount,
        "type": kind,
    }


def reversal_result(conversation, code="0", *, receipt=REVERSAL, amount=100, original=RECEIPT):
    """The end of a reversal that we asked for."""
    told = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": "told",
        "OriginatorConversationID": "o-1",
        "ConversationID": conversation,
        "TransactionID": receipt,
    }
    if code == "0":
        pairs = {
            "Amount": amount,
            "TransCompletedTime": "20261120150000",
            "OriginalTransactionID": original,
        }
        told["ResultParameters"] = {
            "ResultParameter": [{"Key": key, "Value": value} for key, value in pairs.items()]
        }
    return {"Result": told}


def pay(rt, account, **more):
    """Somebody pays by hand, and M-PESA confirms it; the verdict."""
    return mpesa.post(rt, "c2b_confirm", confirmation(account, **more))


def answer(rt, daraja, **more):
    """M-PESA answers the last status query."""
    more.setdefault("receipt", RECEIPT)
    last = max(n for n, (kind, _) in enumerate(daraja.asked, 1) if kind == "status_query")
    return mpesa.post(rt, "status_result", mpesa.status_result(f"AG_{last}", **more))


def confirmed(rt, daraja, account, **more):
    """Paid by hand, asked about and confirmed."""
    verdict = pay(rt, account, **more)
    mpesa.sweep(rt)
    amount = more.get("amount", "100.00")
    assert answer(rt, daraja, receipt=more.get("receipt", RECEIPT), amount=amount) in (
        "confirmed", "credited", "refund_due", "suspense",
    )  # fmt: skip
    return verdict


def held(rt, kind=AccountKind.SUSPENSE, customer=None):
    """What lies in suspense, or is due back to a customer."""
    with rt.transaction() as tx:
        number = None if customer is None else customer.id
        return ledger.account_balance(tx, kind, customer_id=number)


def registered(rt, receipt=RECEIPT):
    with rt.transaction() as tx:
        return receipts.find(tx, receipt)


def claims(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(ReceiptClaim).order_by(ReceiptClaim.id)))


def refund(rt):
    """The newest refund."""
    with rt.transaction() as tx:
        return tx.scalars(select(Refund).order_by(Refund.id.desc()).limit(1)).one()


def refund_state(rt):
    return RefundState(refund(rt).state)


def finance(rt, name):
    with rt.transaction() as tx:
        known = tx.scalar(select(Staff).where(Staff.name == name))
        return known or staff.add(tx, name, Role.FINANCE, now=rt.now())


def propose(rt, act, *, receipt=RECEIPT, name="akinyi", **wishes):
    with rt.transaction() as tx:
        return suspense.propose(
            tx, receipt, act, note="seen in the portal", by=finance(rt, name), now=rt.now(),
            config=rt.config, **wishes,
        ).content_hash  # fmt: skip


def approve(rt, seen_hash, *, receipt=RECEIPT, name="otieno"):
    with rt.transaction() as tx:
        return suspense.approve(
            tx, receipt, seen_hash=seen_hash, by=finance(rt, name), now=rt.now(),
            config=rt.config,
        )  # fmt: skip


def decide(rt, act, *, receipt=RECEIPT, **wishes):
    """Two people do it; what it came to."""
    return approve(rt, propose(rt, act, receipt=receipt, **wishes), receipt=receipt)


def limit_deposits(rt, customer, amount):
    """The customer wants to deposit no more than that in a day."""
    with rt.transaction() as tx:
        limits.set_limit(
            tx, key=uuid.uuid4(), customer_id=customer.id, kind=limits.Kind.DEPOSIT,
            period=limits.Period.DAY, amount=amount, channel=Channel.USSD, session="test",
            now=rt.now(),
        )  # fmt: skip


def reversed_by_mpesa(rt, *, receipt=RECEIPT, reversal=REVERSAL, source=receipts.Source.STATEMENT):
    """M-PESA took it back, and our books hear of it."""
    with rt.transaction() as tx:
        return refund_results.take_reversal(
            tx, receipt, source=source, reversal=reversal, at=rt.now(), now=rt.now()
        )


def moves(rt, *kinds):
    """Amounts of the transfers of these kinds, oldest first."""
    with rt.transaction() as tx:
        found = "SELECT amount FROM transfer WHERE kind = ANY (:kinds) ORDER BY id"
        return list(tx.scalars(text(found), {"kinds": list(kinds)}))
