"""Nothing that a person reads is left in one language only, and what is translated says the same with the same values."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Message

from ctserver import language
from ctserver.domain import reasons
from ctserver.http import render
from ctserver.http.dashboard import answers
from ctserver.language import Reader, written_for

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import catalogues  # noqa: E402

TEMPLATES = sorted(path for path in (ROOT / "web" / "templates").rglob("*.*") if path.suffix in (".html", ".txt"))
OWN_NAMES = {"ctserver", "OpenAPI", "PNG", "CSV", "XLSX", "NDJSON", "ms"}
NOT_TRANSLATED = {"demo.html"}  # the pretend shop speaks English
VALUES = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+[^>]*>")


def messages() -> Iterator[tuple[str, Message]]:
    for file in catalogues.catalogues():
        for message in catalogues.read(file):
            if message.id:
                yield file.parent.name, message


def test_every_text_has_a_translation() -> None:
    for file in catalogues.catalogues():
        known = catalogues.read(file)
        wanted = [message for message in catalogues.extracted() if message.id]
        missing = [str(one.id) for one in wanted if known.get(one.id, one.context) is None]
        assert missing == [], "run scripts/catalogues.py, then translate"
        assert catalogues.untranslated(known) == []


def test_a_translation_has_no_value_that_its_text_has_not() -> None:
    for name, message in messages():
        sources = message.id if isinstance(message.id, tuple) else (message.id,)
        translations = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in translations:
            assert set(VALUES.findall(text)) <= set(VALUES.findall(sources[-1])), f"{name}: {text}"


class _Bare(HTMLParser):
    """Collects words that stand in the markup itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._quiet += tag in ("code", "pre", "kbd", "script", "style")
        for name, value in attrs:
            if name in ("title", "aria-label", "placeholder", "alt"):
                self.handle_data(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("code", "pre", "kbd", "script", "style")

    def handle_data(self, data: str) -> None:
        words = set(re.findall(r"[^\W\d_]{2,}", re.sub(r"&\w+;|\S*/\w+\?\S+|1/\w+(/1)?", " ", data))) - OWN_NAMES
        if not self._quiet and words:
            self.found.append(data.strip())


@pytest.mark.parametrize(
    "path", [path for path in TEMPLATES if path.name not in NOT_TRANSLATED], ids=lambda path: path.name
)
def test_no_template_has_words_that_are_not_marked(path: Path) -> None:
    markup, inside = [], False
    source = re.sub(r"\{% block body_class %\}.*?\{% endblock %\}", "", path.read_text(encoding="utf-8"))
    for _line, kind, text in render.environment().lex(source):
        if kind == "name" and text in ("trans", "endtrans"):
            inside = text == "trans"
        elif kind == "data" and not inside:
            markup.append(text)
        elif kind in ("variable_begin", "block_begin"):
            markup.append("1")
    reader = _Bare()
    reader.feed("".join(markup))
    assert reader.found == []


def test_an_answer_that_was_kept_in_english_is_told_in_the_readers_words() -> None:
    now = 1_795_350_000_000  # 22 November 2026, 11:40 UTC
    told = {
        "somebody spoke with the caller at 2026-11-22T10:05:07.000Z": "со звонившим уже поговорили: 10:05",
        "somebody spoke with the caller at 2026-11-20T10:05:07.000Z": "со звонившим уже поговорили: 20 нояб. 2026, 10:05",
        "taken for 1 of 2 browsers": "принято для браузеров: 1 из 2",
        "channel sms did not take a message: answered 503 Down: try %(rest)s": "channel sms: сообщение не принято: ответ 503 Down: try %(rest)s",
        "smtp.example.com: no connection: refused": "smtp.example.com: нет соединения: refused",
        "550 5.1.1 no such mailbox": "550 5.1.1 no such mailbox",
    }
    with written_for(Reader("ru", "UTC")):
        assert {kept: answers.shown(kept, now).replace("\u00a0", " ") for kept in told} == told
    assert set(answers.SENTENCES) == {answers.shown(one, now) for one in answers.SENTENCES}, (
        "in English they stay as they are"
    )


HOLE = "\0"  # a value within a text


def _written() -> Iterator[str]:
    """Every text in the code, but for the list itself."""
    for path in (ROOT / "ctserver").rglob("*.py"):
        if path == Path(answers.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%s|%\(\w+\)s|\{\w*\}", HOLE, node.value)


def test_each_answer_that_is_told_in_the_readers_words_is_still_written_so_in_the_code() -> None:
    texts = set(_written())
    unwritten = []
    for sentence in answers.SENTENCES:
        stands_as = re.escape(sentence).replace(r"%\(rest\)s", f"{HOLE}.*")
        pattern = re.compile(re.sub(r"%\\\(\w+\\\)s", HOLE, stands_as))
        if not any(map(pattern.fullmatch, texts)):
            unwritten.append(sentence)
    assert unwritten == [], "reworded where it is said? then here, in SENTENCES and in web/locale too"


def test_a_reason_that_was_kept_in_english_is_told_in_the_readers_words() -> None:
    kept = reasons.explain(reasons.Reason("tapped", {"seconds": 9}))
    with written_for(Reader("ru")):
        assert render.why(kept).replace("\u00a0", " ") == "посетитель нажал на этот номер за 9 с до звонка"
    assert render.why("something of an older version") == "something of an older version"


@pytest.mark.parametrize("code", reasons.WORDS)
def test_every_reason_is_found_in_its_own_words_again(code: str) -> None:
    text = reasons.explain(reasons.Reason(code, {"seconds": 180, "percent": 41}))
    found = reasons.read(text)
    assert found is not None
    assert reasons.explain(found) == text


@pytest.mark.parametrize(
    ("accepted", "spoken"),
    [("", "en"), ("ru", "ru"), ("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("en-GB,ru;q=0.5", "en"), ("de,ru;q=0.3", "ru"), ("de", "en"),
     (";;q=x,,", "en"), ("ru;q=0", "en")],
)  # fmt: skip
def test_the_browser_is_heard(accepted: str, spoken: str) -> None:
    assert language.negotiate(accepted) == spoken


def test_plurals_dates_numbers_and_zones_follow_the_reader() -> None:
    at = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC
    with written_for(Reader("ru", "Europe/Moscow")):
        said = [language.ngettext("%(count)s day", "%(count)s days", n) % {"count": n} for n in (1, 3, 5, 21)]
        assert said == ["1 день", "3 дня", "5 дней", "21 день"]
        assert language.full(at) == "15 ноября 2023, 01:13:20"
        assert language.number(1_234_567) == "1\u00a0234\u00a0567"
        assert language.ago(at, at + 300_000).replace("\u00a0", " ") == "5 мин назад"
        assert [language.percent(0.29), language.percent(0.2368, 1)] == ["29\u00a0%", "23,7\u00a0%"]
    with written_for(Reader("en", "UTC")):
        assert language.full(at) == "14 November 2023, 22:13:20"
        assert language.number(1_234_567) == "1,234,567"
        assert language.ago(at, at + 300_000) == "5 min ago"
        assert [language.percent(share) for share in (0.29, 0.999, 1)] == ["29%", "99%", "100%"]
        assert [language.percent(share, 1) for share in (0.2368, 0.9999, 1)] == ["23.7%", "99.9%", "100.0%"]


@pytest.mark.parametrize(
    ("spoken", "currency", "whole", "odd"),
    [("en", "", "1,250", "1,250.50"), ("en", "GBP", "£1,250", "£1,250.50"), ("en", "EUR", "€1,250", "€1,250.50"),
     ("ru", "", "1\u00a0250", "1\u00a0250,50"), ("ru", "RUB", "1\u00a0250\u00a0₽", "1\u00a0250,50\u00a0₽")],
)  # fmt: skip
def test_sums_stand_in_the_servers_currency_if_it_has_one(spoken: str, currency: str, whole: str, odd: str) -> None:
    with written_for(Reader(spoken, currency=currency)):
        assert [language.money(1250), language.money(1250.5)] == [whole, odd]


@pytest.mark.parametrize(("spoken", "within", "across"), [
    ("en", "5–11 Dec 2026", "28 Dec 2026 – 3 Jan 2027"), ("ru", "5–11 дек. 2026", "28 дек. 2026 – 3 янв. 2027"),
])  # fmt: skip
def test_days_from_to_are_written_as_one_day_is(spoken: str, within: str, across: str) -> None:
    with written_for(Reader(spoken)):
        written = [language.days(date(2026, 12, first), last)
                   for first, last in [(5, date(2026, 12, 11)), (28, date(2027, 1, 3))]]  # fmt: skip
        assert [text.replace("\u2009", " ") for text in written] == [within, across]


def test_numbers_of_ones_own_country_may_be_written_as_at_home() -> None:
    with written_for(Reader("en", country="GB", national=True)):
        assert language.phone("+442079460101") == "020 7946 0101"
        assert language.phone("+74951234567") == "+7 495 123-45-67"


@pytest.mark.parametrize(
    ("seconds", "short", "fine", "russian"),
    [(0, "0 s", "0 s", "0 с"), (59, "59 s", "59 s", "59 с"), (687, "11 min", "11 min 27 s", "11 мин 27 с"),
     (7_205, "2 h", "2 h", "2 ч"), (100_800, "1 day", "1 day 4 h", "1 день 4 ч"), (432_000, "5 days", "5 days", "5 дней")],
)  # fmt: skip
def test_a_span_is_told_in_its_units(seconds: int, short: str, fine: str, russian: str) -> None:
    with written_for(Reader("en")):
        assert [language.span(seconds), language.fine_span(seconds)] == [short, fine]
    with written_for(Reader("ru")):
        assert language.fine_span(seconds).replace("\u00a0", " ") == russian


def test_lists_tell_fresh_times_as_ago_todays_by_the_clock_and_older_ones_by_the_day() -> None:
    now = 1_797_607_200_000  # 18 December 2026, 15:20 UTC
    minute = 60_000
    ages = [0, 59 * minute, 60 * minute, 16 * 60 * minute, 39 * 60 * minute, 40 * 60 * minute, 400 * 24 * 60 * minute]
    told = {
        "en": ["just now", "59 min ago", "14:20", "yesterday, 23:20", "yesterday, 00:20", "16 Dec, 23:20", "13 Nov 2025, 15:20"],
        "ru": ["только что", "59 мин назад", "14:20", "вчера, 23:20", "вчера, 00:20", "16 дек., 23:20", "13 нояб. 2025, 15:20"],
    }  # fmt: skip
    for name, words in told.items():
        with written_for(Reader(name, "UTC")):
            assert [language.moment(now - age, now).replace("\u00a0", " ") for age in ages] == words
