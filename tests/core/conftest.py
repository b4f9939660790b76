"""Fixtures of the tests that keep promises without any partner's dialect, and of refunds."""

import pytest

from core import errands
from core.outbox import Errand
from core.runtime import Runtime
from tests import mpesa, paybill
from tests.core.diary import Diary, Partner


@pytest.fixture
def diary(monkeypatch):
    diary = Diary()
    for errand in (
        Errand("sms", "messages", diary.begin, diary.finish, when_lost="again"),
        Errand("b2c", "money", diary.begin, diary.finish, when_lost="unknown"),
    ):
        monkeypatch.setitem(errands.ERRANDS, errand.kind, errand)
    return diary


@pytest.fixture
def partner(rt: Runtime):
    partner = Partner()
    rt.senders = {"sms": partner, "b2c": partner}
    return partner


@pytest.fixture
def nobodys(rt, daraja):
    """KES 100 in suspense, confirmed."""
    assert paybill.confirmed(rt, daraja, "rent") == "suspense"


@pytest.fixture
def reversing(rt, daraja, nobodys):
    """Two people had it reversed, and M-PESA took the request."""
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)
    return f"AG_{len(daraja.asked)}"


@pytest.fixture
def paying(rt, daraja, nobodys):
    """Two people had it paid back by B2C, and M-PESA took the request."""
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    return daraja.requests("b2c_refund")[0]
