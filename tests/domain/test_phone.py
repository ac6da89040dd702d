"""Phone numbers as trunks write them."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain import phone

COUNTRIES = st.sampled_from(["GB", "RU", "DE", "US", "FR", "KZ", "UA", "PL"])


def example(country: str, tail: int) -> str:
    """A number that the country's plan assigns: the library's own example with other last digits, where that is valid."""
    base = phonenumbers.example_number(country)
    text = phonenumbers.format_number(base, phonenumbers.PhoneNumberFormat.E164)
    other = f"{text[:-2]}{tail:02}"
    return other if phone.is_valid(other) else text


def spellings(number: str) -> list[str]:
    """Everything that trunks were seen to send for it."""
    digits = number[1:]
    plain = [number, digits, f"00{digits}", *phone.spellings(number)]
    wrapped = [
        f"tel:{number}",
        f"TEL:{number};phone-context=example.com",
        f"sip:{number}@192.0.2.1",
        f"sip:{number}@192.0.2.1:5060;user=phone",
        f"sips:%2B{digits}@trunk.example",
        f"<sip:{number}@192.0.2.1>",
        f'"Anna \\"A\\" Smith" <sip:{number}@192.0.2.1>;tag=as1',
        f"<tel:{number}>",
        f"<sip:{digits}@192.0.2.1>;reason=unconditional;privacy=off",
        f"{number[:3]} {number[3:6]}-{number[6:]}",
        f"{number};npdi;rn=+442079460999",
    ]
    return plain + wrapped


@given(COUNTRIES, st.integers(0, 99))
def test_a_number_is_the_same_however_the_trunk_writes_it(country: str, tail: int) -> None:
    number = example(country, tail)
    assert {spelling: phone.from_trunk(spelling, country) for spelling in spellings(number)} == dict.fromkeys(
        spellings(number), number
    )


@given(COUNTRIES, st.integers(0, 99))
def test_a_foreign_number_is_read_with_its_country_code(country: str, tail: int) -> None:
    number = example(country, tail)
    assert phone.from_trunk(number, "GB") == number
    assert phone.from_trunk(f"00{number[1:]}", "GB") == number


@pytest.mark.parametrize(
    "text", ["101", "0", "112", "anonymous", "Anonymous", "Restricted", "unknown", "", "s", "*8", "alice", "12345"]
)
@pytest.mark.parametrize("country", ["GB", "RU", "DE"])
def test_what_is_no_number_stays_what_it_is(text: str, country: str) -> None:
    assert phone.from_trunk(text, country) == text


def test_a_withheld_caller_in_a_header_is_told_by_its_word() -> None:
    assert phone.from_trunk('"Anonymous" <sip:anonymous@anonymous.invalid>', "GB") == "anonymous"


@given(st.text(max_size=700), COUNTRIES)
def test_whatever_a_trunk_sends_nothing_raises_and_it_is_short(text: str, country: str) -> None:
    assert len(phone.from_trunk(text, country)) <= 64


@given(st.text(alphabet="0123456789+ ()-.;:@<>telsip", max_size=40), COUNTRIES)
def test_reading_a_number_again_changes_nothing(text: str, country: str) -> None:
    once = phone.from_trunk(text, country)
    if once.startswith("+") and once[1:].isdigit() and phone.is_valid(once):
        assert phone.from_trunk(once, country) == once


def test_an_example_is_a_number_of_its_country() -> None:
    assert phone.country_of(phone.example("GB")) == "GB"
    assert phone.example("") == phone.example("ZZ") == ""
