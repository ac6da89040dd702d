"""SMS: alphabets, lengths and parts as 3GPP TS 23.038 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain import sms

TEXTS = st.text(
    st.one_of(st.sampled_from(sorted(sms.BASIC | sms.EXTENSION)), st.characters(codec="utf-8")), max_size=700
)


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("a" * 152 + "€" * 77, "gsm7", 3),
        ("я" * 70, "ucs2", 1),
        ("я" * 71, "ucs2", 2),
        ("я" * 134, "ucs2", 2),
        ("я" * 135, "ucs2", 3),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("`", "ucs2", 1),
    ],
)
def test_the_length_of_a_text(text: str, kind: str, parts: int) -> None:
    assert (sms.alphabet(text), sms.count(text)) == (kind, parts)


@given(TEXTS)
def test_the_parts_are_the_text_and_each_fits(text: str) -> None:
    parts, kind = sms.split(text), sms.alphabet(text)
    assert "".join(parts) == text
    assert all(sms.units(part, kind) <= (sms.WHOLE if len(parts) == 1 else sms.PART)[kind] for part in parts)


@given(TEXTS, st.integers(1, 3))
def test_what_was_made_to_fit_fits(text: str, parts: int) -> None:
    short = sms.fit(text, parts)
    assert sms.count(short) <= parts
    assert short == sms.plainer(text.strip()) or short.endswith(("...", "…"))


def test_typography_does_not_cost_a_second_sms() -> None:
    assert sms.fit("Missed: “Eve” — 3 min", 1) == 'Missed: "Eve" - 3 min'
    assert sms.fit("Пропущен — Ева", 1) == "Пропущен — Ева"
