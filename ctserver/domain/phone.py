"""Phone numbers: from whatever people and trunks write to E.164, and back to what people read.

Everything about numbering plans comes from the phonenumbers library (Google's libphonenumber data).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers

COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)  # ISO 3166-1 alpha-2
TEST_CALLER = "+447700900123"  # who places test calls, unless told otherwise; from Ofcom's range for drama


_MARKS = str.maketrans("", "", " -.()\u00a0")  # what people and trunks put between digits


class NotANumber(ValueError):
    """The text is no phone number; the message says why in words for a person."""


@lru_cache(maxsize=4096)
def e164(text: str, country: str) -> str:
    """`text` as E.164, read as a number of `country` (ISO 3166-1 alpha-2) where it has no country code.

    Raises NotANumber.
    """
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise NotANumber(f"{text!r} is no phone number") from error
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise NotANumber(f"{text!r} has the wrong number of digits for a phone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def from_trunk(text: str, country: str) -> str:
    """What a trunk sent as caller or DID, as E.164 where it can be read as a number, else the text as it came.

    Reads a number as it is, a `tel:` or `sip:` address, and a whole header (`"Name" <sip:...>;tag=...`), as they stand in
    From, P-Asserted-Identity, Diversion and To. Trunks also send international numbers without `+`: digits that make no
    number of `country` are tried so. Internal extensions, "anonymous" and the like stay what they are. Never raises.
    """
    text = user_part(text)
    digits = text.translate(_MARKS)
    for attempt in _readings(digits):
        try:
            found = e164(attempt, country)
        except NotANumber:
            continue
        if attempt.startswith("+") or is_valid(found) or _has_trunk_prefix(digits, country):
            return found
    return text


def _readings(digits: str) -> tuple[str, ...]:
    """What these digits may stand for, the likeliest first."""
    if not (digits.isascii() and digits.isdigit()):
        return (digits,)
    if digits.startswith("00"):  # the prefix for international calls, even of countries that have another one
        return (digits, f"+{digits[2:]}")
    return (digits, f"+{digits}")


def user_part(text: str) -> str:
    """The number or name in a SIP or telephone address, or in a header that holds one; at most 64 characters."""
    text = text[:512].strip()
    if inside := re.search(r"<([^<>]*)>", text):
        text = inside.group(1)
    if scheme := re.match(r"(?:sips?|tel):", text, re.IGNORECASE):
        text = unquote(text[scheme.end() :].split("@")[0])
    return text.split(";")[0].strip()[:64]


def _has_trunk_prefix(text: str, country: str) -> bool:
    """Does it begin with the digit that is dialled before national numbers? Internal extensions rarely do."""
    prefix = phonenumbers.ndd_prefix_for_region(country, True)
    return bool(prefix) and text.startswith(str(prefix))


@lru_cache(maxsize=4096)
def is_valid(number: str) -> bool:
    """Is this E.164 number one that its country's numbering plan assigns?"""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=4096)
def takes_texts(number: str) -> bool:
    """Is it a number that is not known to be anything but a mobile one?"""
    if not is_valid(number):
        return False
    kind = phonenumbers.PhoneNumberType
    return phonenumbers.number_type(phonenumbers.parse(number)) in (
        kind.MOBILE,
        kind.FIXED_LINE_OR_MOBILE,
        kind.UNKNOWN,
    )


@lru_cache(maxsize=4096)
def country_of(number: str) -> str:
    """ISO 3166-1 of the country that an E.164 number belongs to, "" if it cannot be told."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) or ""
    except phonenumbers.NumberParseException:
        return ""


@lru_cache(maxsize=4096)
def international(number: str) -> str:
    """For display: `+44 20 7946 0101`; text that is no E.164 number comes back as it is."""
    return _format(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@lru_cache(maxsize=4096)
def national(number: str) -> str:
    """For display inside its country: `020 7946 0101`."""
    return _format(number, phonenumbers.PhoneNumberFormat.NATIONAL)


def example(country: str) -> str:
    """An E.164 number that looks like those of a country (ISO 3166-1), "" where none is known."""
    found = phonenumbers.example_number(country)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) if found else ""


def masked(number: str) -> str:
    """For display to those who must not know it: `+44 77•• ••••23`. Internal extensions and words stay as they are."""
    text = international(number)
    digits = [place for place, character in enumerate(text) if character.isdigit()]
    if len(digits) < 7:  # E.164 numbers of subscribers are longer in every country
        return text
    hidden = set(digits[4:-2])
    return "".join("•" if place in hidden else character for place, character in enumerate(text))


@lru_cache(maxsize=4096)
def parts(number: str) -> tuple[str, str, str]:
    """(country code, national prefix, national significant number) of an E.164 number: ("44", "0", "2079460101")."""
    parsed = phonenumbers.parse(number, None)
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(
        parsed.country_code or 0
    )
    prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
    return str(parsed.country_code), prefix, phonenumbers.national_significant_number(parsed)


def spellings(number: str) -> list[str]:
    """The digits that trunks send for an E.164 number: with country code, with national prefix, bare national."""
    country, prefix, digits = parts(number)
    return list(dict.fromkeys([country + digits, prefix + digits, digits]))


def beginning(text: str, country: str) -> str:
    """The beginning of numbers as E.164 begins: "+4470" of "+44 70", "0044 70" and, in Britain, "070". Else its digits."""
    digits = text.translate(_MARKS)
    code, prefix = _codes(country)
    if digits.startswith("+"):
        return digits
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{code}{digits[len(prefix) :]}" if prefix and digits.startswith(prefix) else digits


def beginnings(start: str, country: str) -> list[str]:
    """The digits that trunks send at the beginning of numbers that begin so ("+4470"), as `spellings` of whole numbers."""
    digits = start.removeprefix("+")
    code, prefix = _codes(country)
    national = digits.removeprefix(code) if digits.startswith(code) else ""
    return list(dict.fromkeys([digits, f"00{digits}", *([f"{prefix}{national}"] if national else [])]))


def _codes(country: str) -> tuple[str, str]:
    """(country code, what is dialled before national numbers): ("44", "0")."""
    code = phonenumbers.country_code_for_region(country)
    return str(code), str(phonenumbers.ndd_prefix_for_region(country, True) or "")


def _format(number: str, style: int) -> str:
    try:
        return phonenumbers.format_number(phonenumbers.parse(number, None), style)
    except phonenumbers.NumberParseException:
        return number
