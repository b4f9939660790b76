"""Phone numbers as people type them and as partners send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import phone
from core.errors import Refusal

NATIONAL = st.from_regex(r"(7[0-2][0-9]|11[0-5]|10[0-8])[0-9]{6}", fullmatch=True)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("0711000111", "+254711000111"),
        ("0110000111", "+254110000111"),
        ("0100000111", "+254100000111"),
        ("254711000111", "+254711000111"),
        ("+254711000111", "+254711000111"),
        (" 254711000111", "+254711000111"),  # a plus sign lost in a form
        ("+2540711000111", "+254711000111"),
        ("2540711000111", "+254711000111"),
        ("711000111", "+254711000111"),
        ("0711 000 111", "+254711000111"),
        ("0711-000-111", "+254711000111"),
        ("(0711) 000111", "+254711000111"),
        ("00254711000111", "+254711000111"),
        ("000254711000111", "+254711000111"),
        ("\u0660\u0667\u0661\u0661\u0660\u0660\u0660\u0661\u0661\u0661", "+254711000111"),
        ("\u0966\u096d\u0967\u0967\u0966\u0966\u0966\u0967\u0967\u0967", "+254711000111"),
    ],
)
def test_every_usual_form_is_one_number(typed: str, kept: str) -> None:
    assert phone.read(typed) == kept


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "phone_unreadable"),
        ("+", "phone_unreadable"),
        ("00", "phone_unreadable"),
        ("0711abcdef", "phone_unreadable"),
        ("0711000111x5", "phone_unreadable"),
        ("0711000111;ext=5", "phone_unreadable"),
        ("tel:+254711000111", "phone_unreadable"),
        ("07110001112", "phone_unreadable"),
        ("071100011", "phone_unreadable"),
        ("0109000111", "phone_unreadable"),  # not assigned
        ("0122000111", "phone_unreadable"),
        ("07" * 200, "phone_unreadable"),
        ("0711000111\n0711000112", "phone_unreadable"),
        ("📱", "phone_unreadable"),
        ("*384#", "phone_unreadable"),
        ("20880", "phone_unreadable"),
        ("+999123456789", "phone_unreadable"),
        ("+256772123456", "phone_foreign"),
        ("00256772123456", "phone_foreign"),
        ("+255712345678", "phone_foreign"),
        ("+447911123456", "phone_foreign"),
        ("+12025550123", "phone_foreign"),
        ("0202000111", "phone_not_mobile"),
        ("+254202000111", "phone_not_mobile"),
        ("0800720111", "phone_not_mobile"),
        ("0900223344", "phone_not_mobile"),
    ],
)
def test_another_number_is_refused_with_its_reason(typed: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        phone.read(typed)
    assert refused.value.reason == f"customers.{reason}"


@given(NATIONAL, st.sampled_from(["0", "254", "+254", "00254", "+2540", ""]))
def test_a_mobile_number_reads_the_same_with_every_prefix(national: str, prefix: str) -> None:
    assert phone.read(prefix + national) == f"+254{national}"


@given(st.one_of(st.text(), st.text(alphabet="0123456789+ -()", max_size=20)))
def test_no_text_does_anything_but_read_or_refuse(typed: str) -> None:
    try:
        read = phone.read(typed)
    except Refusal:
        return
    assert read.startswith("+254")
    assert len(read) == 13
    assert phone.read(read) == read


def test_daraja_wants_no_plus() -> None:
    assert phone.daraja("+254711000111") == "254711000111"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+254712345678", "2547*****678"),
        ("254712345678", "2547*****678"),
        ("0712345678", "2547*****678"),
        ("0712 345 678", "2547*****678"),
        ("00254112345678", "2541*****678"),
        ("+256772123456", "2567*****456"),
        ("12345", "*****"),
        ("", "*****"),
    ],
)
def test_a_masked_number_shows_too_little_to_ring(number: str, masked: str) -> None:
    assert phone.mask(number) == masked
