"""Phone numbers: any usual Kenyan form in, one E.164 form kept, and a masked one to show."""

import re

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

from core import gsm7
from core.errors import Refusal

REGION, COUNTRY = "KE", "254"
NATIONAL, E164 = 9, 12  # digits, without and with the country
FOREIGN, UNREADABLE, NOT_MOBILE = (
    "customers.phone_foreign",
    "customers.phone_unreadable",
    "customers.phone_not_mobile",
)
# The library also reads letters (0711abcdef) and extensions (0711000111x5): look first ourselves.
WRITTEN = re.compile(r"\+?[0-9\s().-]+")
LONGEST = 32  # characters of a number with all its spaces and brackets
MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def read(text: str) -> str:
    """The E.164 form (`+254712345678`) of a Kenyan mobile number; raises Refusal for another."""
    number = _parse(text)
    region = phonenumbers.region_code_for_number(number)
    if str(number.country_code) != COUNTRY:
        raise Refusal(FOREIGN)
    if region != REGION or not phonenumbers.is_valid_number(number):
        raise Refusal(UNREADABLE)
    if phonenumbers.number_type(number) not in MOBILE:
        raise Refusal(NOT_MOBILE)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def daraja(phone: str) -> str:
    """The form Daraja wants: `254712345678`."""
    return phone.removeprefix("+")


def mask(phone: str) -> str:
    """`2547*****678`, whatever form it came in: enough to recognise, too little to ring."""
    digits = re.sub(r"[^0-9]", "", phone).lstrip("0")
    if len(digits) == NATIONAL:
        digits = COUNTRY + digits
    return f"{digits[:4]}*****{digits[-3:]}" if len(digits) >= E164 else "*****"


def _parse(text: str) -> PhoneNumber:
    """What the library makes of a text that looks like a number, an international 00 allowed."""
    written = gsm7.western(text).strip()
    if len(written) > LONGEST or not WRITTEN.fullmatch(written):
        raise Refusal(UNREADABLE)
    # Kenya dials abroad with 000, so the library does not know the 00 most people write.
    if written.startswith("00"):
        written = "+" + written.lstrip("0")
    elif written.startswith(COUNTRY):
        written = "+" + written
    try:
        return phonenumbers.parse(written, REGION)
    except phonenumbers.NumberParseException as error:
        raise Refusal(UNREADABLE) from error
