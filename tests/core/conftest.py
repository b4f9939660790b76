"""Fixtures of the tests that keep promises without any partner's dialect."""

import pytest

from core import errands
from core.outbox import Errand
from core.runtime import Runtime
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
