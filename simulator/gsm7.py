"""What a text weighs on a GSM network."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")


def foreign(text: str) -> list[str]:
    """The characters that are not of the GSM-7 alphabet, each once."""
    return sorted(set(text) - _BASIC - _EXTENDED)


def septets(text: str) -> int:
    return sum(2 if char in _EXTENDED else 1 for char in text)


def segments(text: str) -> int:
    """How many SMS the text is billed as."""
    if foreign(text):
        units = len(text.encode("utf-16-be")) // 2
        return 1 if units <= 70 else -(-units // 67)
    length = septets(text)
    return 1 if length <= 160 else -(-length // 153)
