"""9. A Kenyan mobile number is one number in whatever form it is written; nothing else is one."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core import phone
from core.errors import Refusal

SEVENS = st.integers(0, 99_999_999).map(lambda rest: f"7{rest:08}")
FORMS = (
    lambda national: f"+254{national}",
    lambda national: f"254{national}",
    lambda national: f"0{national}",
    lambda national: national,
    lambda national: f"00254{national}",
    lambda national: f" 0{national[:3]} {national[3:6]}-{national[6:]} ",
)


def read(text):
    try:
        return phone.read(text)
    except Refusal:
        return None


@given(SEVENS)
def test_all_forms_are_one_number(national):
    (one,) = {read(form(national)) for form in FORMS}
    if one is not None:
        assert one == f"+254{national}"
        assert phone.read(one) == one
        assert phone.daraja(one) == f"254{national}"
        assert national[2:6] not in phone.mask(one)[4:9]


@given(st.text(max_size=40) | st.text("+0123456789 ()-.x#*", max_size=20))
def test_whatever_is_read_is_a_kenyan_mobile(text):
    found = read(text)
    if found is not None:
        assert re.fullmatch(r"\+254[17]\d{8}", found)
        digits = re.sub(r"\D", "", text.translate(WESTERN))
        assert digits.endswith(found[4:])


WESTERN = {ord(digit): str(value) for start in (0x660, 0x6F0, 0xFF10)
           for value, digit in enumerate(map(chr, range(start, start + 10)))}  # fmt: skip
