"""How long a text is as an SMS: its alphabet, its parts, and what to leave out so that it fits (3GPP TS 23.038, 23.040)."""

from __future__ import annotations

from collections.abc import Iterator

GSM7, UCS2 = "gsm7", "ucs2"
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")  # each takes an escape and a place: two of the 7-bit units
WHOLE = {GSM7: 160, UCS2: 70}  # units of a message that stands alone
PART = {GSM7: 153, UCS2: 67}  # units of a part of several: six octets go to the header that joins them
MOST = 255  # parts; the header counts them in one octet
ELLIPSIS = {GSM7: "...", UCS2: "…"}
_PLAINER = str.maketrans({"–": "-", "—": "-", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})
_PLAINER |= str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "…": "...", "•": "-", "\t": " ", "→": ">"})


def alphabet(text: str) -> str:
    """GSM7 if every character has a place in it, else UCS2."""
    return GSM7 if all(letter in BASIC or letter in EXTENSION for letter in text) else UCS2


def units(text: str, alphabet: str) -> int:
    """Septets of GSM7 (an extended character has two), UTF-16 code units of UCS2 (an emoji has two)."""
    return sum(_unit(letter, alphabet) for letter in text)


def _unit(letter: str, alphabet: str) -> int:
    return 1 + (letter in EXTENSION if alphabet == GSM7 else ord(letter) > 0xFFFF)


def split(text: str) -> list[str]:
    """The parts in which it travels, never cutting a character in two; [""] for nothing. At most MOST of them."""
    kind = alphabet(text)
    if units(text, kind) <= WHOLE[kind]:
        return [text]
    return list(_cut(text, kind))[:MOST]


def _cut(text: str, kind: str) -> Iterator[str]:
    start = used = 0
    for place, letter in enumerate(text):
        if used + (size := _unit(letter, kind)) > PART[kind]:
            yield text[start:place]
            start, used = place, 0
        used += size
    yield text[start:]


def count(text: str) -> int:
    """How many SMS it costs."""
    return len(split(text))


def plainer(text: str) -> str:
    """Typographic marks as the plain ones that GSM7 has, where that saves the whole text from UCS2."""
    plain = text.translate(_PLAINER)
    return plain if alphabet(plain) == GSM7 else text


def fit(text: str, parts: int) -> str:
    """The text, in as few SMS as asked: typography plainer first, then its end cut off."""
    text = plainer(text.strip())
    if count(text) <= parts:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(_short(text, middle)) <= parts else (low, middle - 1)
    return _short(text, low)


def _short(text: str, length: int) -> str:
    start = text[:length].rstrip()
    return start + ELLIPSIS[alphabet(start)]
