"""A source in a few safe characters."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctserver.domain import label
from ctserver.domain.model import DIRECT, Source

ANY = st.builds(Source, medium=st.text(max_size=80), source=st.text(max_size=80), campaign=st.text(max_size=80))


@pytest.mark.parametrize(
    ("source", "short", "header"),
    [
        (Source("cpc", "google", "spring-tune-up"), "Google", "google / cpc / spring-tune-up"),
        (Source("email", "newsletter.example"), "Newsletter.example", "newsletter.example / email"),
        (DIRECT, "Direct", "direct / none"),
        (Source("cpc", "яндекс"), "Яндекс", "cpc"),
        (Source("cpc", '"><script>alert(1)</script>'), "Script alert 1 scrip", "script alert 1 script / cpc"),
    ],
)
def test_a_source_in_few_words(source: Source, short: str, header: str) -> None:
    assert label.short(source) == short
    assert label.header(source) == header


@given(ANY)
@example(Source("", "ß" + 19 * "0"))
def test_nothing_of_a_stranger_is_dialplan_sip_or_shell(source: Source) -> None:
    assert re.fullmatch(r"[\w .-]*", label.short(source))
    assert len(label.short(source)) <= label.NAME_LENGTH
    assert re.fullmatch(r"[A-Za-z0-9 ._/-]*", label.header(source))
    assert len(label.header(source)) <= label.HEADER_LENGTH
    assert re.fullmatch(r"[\w ,.]*", label.spoken(source))
