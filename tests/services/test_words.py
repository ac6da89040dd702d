"""What messages say: in both languages, in one SMS where that is asked, and with nothing of a caller's taken for HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.config.alerts import Alert as Rule
from ctserver.domain import sms
from ctserver.domain.alert import OCCASIONS
from tests.mails import CALL, EVIL, HOME, LINK, SAMPLES, alert, digest, said

MAIL = Rule(by="mail")
DIGESTS = {"daily": digest(), "weekly": digest(weekly=True)}
CYRILLIC = re.compile("[а-яё]")


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_every_occasion_is_told_in_english_and_in_russian(occasion: str) -> None:
    for language in ("en", "ru"):
        told = said(MAIL, alert(occasion), DIGESTS.get(occasion), language)
        for text in (told.subject, told.text, told.short, told.html):
            assert text.strip()
            assert not re.search(r"%\(|\{\{|\{%|\?\?|None", text), text
            assert bool(CYRILLIC.search(text)) == (language == "ru"), text
        assert f'<html lang="{language}">' in told.html
        assert "14:32" in told.text or occasion in DIGESTS or not alert(occasion).call


def test_recording_that_stopped_by_itself_is_told_otherwise_than_recordings_that_are_missing() -> None:
    stopped = replace(alert("recording_failing"), data={"problem": "90 MB free", "part": "recordings"})
    assert "90 MB free. Calls still go through" in said(MAIL, stopped).text
    assert "3 answered calls" in said(MAIL, replace(stopped, data={"missing": 3, "ready": 0})).text


def test_a_missed_call_says_who_when_whence_and_where_to_look() -> None:
    told = said(MAIL, CALL)
    for words in ("+44 7700 900321", "14:32", "google / cpc", "Front desk", LINK):
        assert words in told.text
        assert words in told.html
    assert "(3 calls)" in told.text
    assert "3 звонка" in said(MAIL, CALL, language="ru").text


def test_nothing_of_a_callers_is_html() -> None:
    evil = replace(CALL, caller_name=EVIL, source='"><img src=x>', line="<script>", link='https://x/"onload="')
    for rule in (MAIL, Rule(by="mail", text="{{ caller_name }} {{ source }}", subject="{{ caller_name }}")):
        html = said(rule, evil).html
        assert "<b>Adams" not in html
        assert "<img" not in html
        assert "<script" not in html
        assert '"onload=' not in html


class _Tags(HTMLParser):
    """Every tag is closed by its own."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("img", "link", "script", "iframe", "form"), "nothing is fetched, nothing runs"
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_mail_is_whole_carries_its_own_style_and_fetches_nothing(name: str, language: str) -> None:
    html = said(*SAMPLES[name], language).html
    reader = _Tags()
    reader.feed(html)
    assert reader.open == []
    assert "prefers-color-scheme: dark" in html
    assert re.findall(r'src="|url\(|@import', html) == []
    assert len(re.findall(r'class="button"', html)) == 1, "one clear button"
    assert len(html.encode()) < 100_000, "Gmail cuts a mail at 102 kB"


def test_a_digest_tells_calls_beside_the_day_and_the_week_before_sources_and_who_waits() -> None:
    day, week = said(*SAMPLES["daily"]), said(*SAMPLES["weekly"])
    assert day.subject == "The day in calls: Saturday, 21 November 2026"
    assert "65 calls, 51 answered, 14 missed" in day.text
    assert "Compared with the day before: calls +7, missed +6" in day.text
    assert "Compared with the same day last week: calls -6, missed 0" in day.text
    assert "- google / cpc: 24 (+6)" in day.text
    assert "- facebook / paid_social: 0 (-7)" in day.text
    assert f"- +44 7700 900321, 21 Nov 2026, 14:32, 3 calls, {HOME}/calls/c1" in day.text
    assert f"and 9 more: {HOME}/missed" in day.text
    assert "day before" not in week.text.replace("week before", "")
    for html in (day.html, week.html):
        assert f'href="{HOME}/calls/c1"' in html
        assert f'href="{HOME}/missed"' in html
    assert "65 звонков, 51 принят, 14 пропущено" in said(*SAMPLES["daily"], "ru").text
    assert "Nobody is waiting" in said(*SAMPLES["quiet"]).html


# ---- SMS


@pytest.mark.parametrize(("language", "most"), [("en", 160), ("ru", 70)])
def test_one_sms_where_that_is_asked_with_the_number_and_the_time(language: str, most: int) -> None:
    short = said(Rule(by="sms", sms_parts=1), CALL, language=language).short
    assert len(short) <= most
    assert sms.count(short) == 1
    assert "+44 7700 900321" in short
    assert "14:32" in short
    assert (LINK in short) == (language == "en"), "the link goes when there is no room for it"


def test_without_a_limit_the_sms_has_source_and_link() -> None:
    short = said(Rule(by="sms"), CALL, language="ru").short
    assert "google / cpc" in short
    assert LINK in short
    assert sms.count(short) == 2


@given(
    source=st.text(max_size=120),
    line=st.text(max_size=60),
    parts=st.integers(1, 3),
    language=st.sampled_from(["en", "ru"]),
    occasion=st.sampled_from(list(OCCASIONS)),
)
def test_whatever_is_in_it_it_fits(source: str, line: str, parts: int, language: str, occasion: str) -> None:
    told = replace(alert(occasion), source=source, line=line, subject=line)
    short = said(Rule(by="sms", sms_parts=parts), told, DIGESTS.get(occasion), language).short
    assert sms.count(short) <= parts


def test_own_words_for_an_sms_are_cut_to_fit() -> None:
    rule = Rule(by="sms", sms_parts=1, short="{{ 'Пропущен ' * 20 }}")
    short = said(rule, CALL).short
    assert sms.count(short) == 1
    assert short.endswith("…")


def test_a_text_to_a_caller_has_no_html_and_nothing_of_ours() -> None:
    told = said(
        Rule(by="sms", to=["caller"], consent="call", sms_parts=1), replace(CALL, to_caller=True), language="ru"
    )
    assert told.html == ""
    assert HOME not in told.short + told.text
    assert told.short == "Простите, что не ответили на ваш звонок. Мы перезвоним. Lighthouse"
    assert sms.count(told.short) == 1
