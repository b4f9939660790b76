"""14. Every code has a sentence in both languages and a word for staff; no log has a secret."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import gsm7, log, reasons, say

SECRETS = st.one_of(
    st.integers(0, 99_999_999).map(lambda rest: f"+2547{rest:08}"),
    st.integers(0, 99_999_999).map(lambda rest: f"07{rest:08}"),
    st.text("0123456789abcdef", min_size=32, max_size=64),
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijk0123456789+/", min_size=40, max_size=80),
)
WORDS = st.sampled_from(["", "could not reach ", "bad token: ", "payer="])
CODES = st.text("0123456789ABCSFI_.", min_size=1, max_size=12)


@pytest.fixture
def book():
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    stream = io.StringIO()
    log.configure("INFO", stream)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(SECRETS, WORDS, st.sampled_from(["error", "reason", "address", "password", "pin", "body"]))
def test_no_line_of_the_log_has_a_secret(book, secret, words, field):
    book.seek(0)
    book.truncate()
    logger = structlog.get_logger("core.payments")
    try:
        raise ValueError(f"{words}{secret}\nand {secret} again")
    except ValueError:
        logger.exception("payment failed", **{field: f"{words}{secret}"})
    logging.getLogger("urllib3").warning("%s%s", words, secret)

    written = book.getvalue()
    assert len(written.splitlines()) == 2
    assert all(json.loads(line)["event"] for line in written.splitlines())
    assert secret not in written


@given(CODES | st.sampled_from(sorted({*reasons.PUSH, *reasons.PAYOUT})))
def test_every_code_is_explained_to_everybody(code):
    """What nobody has heard of is a doubt, never a no."""
    payout = reasons.of_payout(code)
    if code not in reasons.PAYOUT:
        assert payout.act is reasons.Act.DOUBT
    for found in filter(None, (payout, reasons.PUSH.get(code))):
        assert found.meaning
        assert found.advice
        assert found.effect
        for lang in ("en", "sw"):
            sentence = say.sentences(lang)[found.sentence]
            assert gsm7.is_gsm7(sentence)
            assert not say.placeholders(found.sentence, lang)
