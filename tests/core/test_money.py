"""Amounts as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import money
from core.errors import Refusal
from core.money import LARGEST, Cents


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("100", 100_00),
        ("1", 1_00),
        (" 50 ", 50_00),
        ("007", 7_00),
        ("1,000", 1_000_00),
        ("1,234,567", 1_234_567_00),
        ("KES 50", 50_00),
        ("kes50", 50_00),
        ("Ksh. 2,500", 2_500_00),
        ("Kshs 20", 20_00),
        ("sh 20", 20_00),
        ("100 bob", 100_00),
        ("50/-", 50_00),
        ("50/=", 50_00),
        ("100.00", 100_00),
        ("100.0", 100_00),
        ("\u0665\u0660", 50_00),  # Arabic-Indic
        ("\uff15\uff10\uff10", 500_00),  # full width
        ("\u0967\u0966\u0966", 100_00),  # Devanagari
        ("1000000000", LARGEST),
    ],
)
def test_an_amount_is_read_however_it_is_written(typed: str, cents: int) -> None:
    assert money.read(typed) == cents


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "abc",
        "fifty",
        "0",
        "000",
        "0.00",
        "-5",
        "+5",
        "- 5",
        "1000000000000000000",
        "1" * 5_000,
        "1000000001",
        "1e3",
        "0x10",
        "1_000",
        "10,00",
        "1,00",
        ",100",
        "1,0000",
        "1 000",
        "1.000,00",
        "10²",
        "½",
        "Ⅷ",
        "①",
        "💰",
        "100💰",
        "5 5",
        "100.5",
        "100.50",
        "100.",
        ".5",
        "KES",
        "USD 5",
        "5%",
        "nan",
        "inf",
        "1\n2",
        "50*50",
        "50#",
        "\u200b",
        "5\x00",
    ],
)
def test_what_is_not_plainly_whole_shillings_is_refused(typed: str) -> None:
    with pytest.raises(Refusal) as refused:
        money.read(typed)
    assert refused.value.reason == "money.amount_unreadable"


@pytest.mark.parametrize(
    ("typed", "cents"), [("285.50", 285_50), ("285.5", 285_50), ("0.01", 1), ("1,000.05", 1_000_05)]
)
def test_cents_are_read_only_where_they_are_allowed(typed: str, cents: int) -> None:
    assert money.read(typed, cents=True) == cents
    with pytest.raises(Refusal):
        money.read(typed)


@pytest.mark.parametrize(
    ("cents", "shown"),
    [
        (0, "0"),
        (1, "0.01"),
        (285_50, "285.50"),
        (100_00, "100"),
        (1_000_00, "1,000"),
        (123_456_789_01, "123,456,789.01"),
        (-5_00, "-5"),
        (-5_25, "-5.25"),
    ],
)
def test_cents_are_shown_only_where_there_are_some(cents: int, shown: str) -> None:
    assert money.show(cents) == shown


@given(st.integers(min_value=1, max_value=LARGEST).map(Cents))
def test_what_is_shown_can_be_read_again(cents: Cents) -> None:
    assert money.read(money.show(cents), cents=True) == cents


@given(st.text())
def test_no_text_does_anything_but_read_or_refuse(typed: str) -> None:
    try:
        amount = money.read(typed)
    except Refusal:
        return
    assert 0 < amount <= LARGEST
    assert amount % 100 == 0
