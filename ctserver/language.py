"""Who reads decides how it is written: the language, the time zone, and the form of dates, numbers and phone numbers.

English is the source. Other languages are catalogues in web/locale/, read when they are first asked for: there is no
compiled file that could disagree with them. The reader is kept in a context variable, so that a request, or a message
to one person, is written for its own reader from the first word to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from gettext import NullTranslations
from io import BytesIO
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, dates, negotiate_locale, numbers
from babel.messages import mofile, pofile
from babel.support import Translations

from ctserver import files
from ctserver.domain import phone as plan
from ctserver.domain.clock import HOUR_MS
from ctserver.domain.words import N_

LANGUAGES = {"en": "English", "ru": "Русский"}
"""Every language of the pages, under its own name."""

FORMATS = {"en": "en_GB"}
"""The locale that a language's dates and numbers follow, where it is not the language's own."""

Width = Literal["short", "medium", "long"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads. `zone` is an IANA name, "" the server's own; numbers of `country` (ISO 3166-1) are written the way it
    writes them at home if `national`. `currency` is that of sums (ISO 4217), "" none."""

    language: str = "en"
    zone: str = ""
    country: str = ""
    national: bool = False
    currency: str = ""


_reader: ContextVar[Reader] = ContextVar("reader", default=Reader())  # noqa: B039 - frozen


def reader() -> Reader:
    """Who reads what is written now."""
    return _reader.get()


def write_for(reader: Reader) -> None:
    """From here on, in this context, everything is written for him."""
    _reader.set(reader)


@contextmanager
def written_for(reader: Reader) -> Iterator[None]:
    """Inside, everything is written for him."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


def negotiate(accepted: str) -> str:
    """The language for an Accept-Language header: the first that we have, else English."""
    wanted = sorted(_accepted(accepted[:500]), key=lambda item: -item[1])
    found = negotiate_locale([name for name, _ in wanted], list(LANGUAGES), sep="-")
    return found or "en"


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    for part in header.split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighs = float(weight or 1)
        except ValueError:
            continue
        if name and weighs > 0:
            yield name, weighs


def zones() -> list[str]:
    """The names of the time zones that a person may choose: places, and UTC."""
    areas = ("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    return ["UTC", *sorted(name for name in available_timezones() if name.startswith(areas))]


# ---- words


def gettext(text: str) -> str:
    """The text in the reader's language."""
    return _catalogue(reader().language).gettext(text) if text else ""


def ngettext(one: str, many: str, count: int) -> str:
    """The form of the text for so many, in the reader's language."""
    return _catalogue(reader().language).ngettext(one, many, count)


@lru_cache(maxsize=8)
def _catalogue(language: str) -> NullTranslations:
    file = files.folder("web") / "locale" / language / "ctserver.po"
    if language == "en" or language not in LANGUAGES:
        return NullTranslations()
    with file.open("rb") as source:
        catalogue = pofile.read_po(source, locale=language)
    compiled = BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def pgettext(context: str, text: str) -> str:
    """A text that other languages say differently by what it is said of."""
    return _catalogue(reader().language).pgettext(context, text)


# ---- times


def locale() -> Locale:
    """How the reader's language writes dates and numbers."""
    return _locale(reader().language)


@lru_cache(maxsize=8)
def _locale(language: str) -> Locale:
    return Locale.parse(FORMATS.get(language, language))


def zone() -> tzinfo:
    """The reader's time zone."""
    return _zone(reader().zone)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name:
        try:
            return ZoneInfo(name)
        except (OSError, ValueError):
            pass
    return _HERE


class _Here(tzinfo):
    """The server's own zone, whatever the season."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return self._aware(at).utcoffset()

    def dst(self, at: datetime | None) -> timedelta | None:
        return timedelta(0)

    def tzname(self, at: datetime | None) -> str | None:
        return self._aware(at).tzname()

    def fromutc(self, at: datetime) -> datetime:
        there = at.replace(tzinfo=UTC).astimezone()
        return there.replace(tzinfo=self)

    def _aware(self, at: datetime | None) -> datetime:
        return (at.replace(tzinfo=None) if at else datetime.now()).astimezone()  # noqa: DTZ005


_HERE = _Here()


def local(ms: int) -> datetime:
    """Epoch milliseconds in the reader's time zone."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone(zone())


def clock(ms: int) -> str:
    """14:32:10."""
    return local(ms).strftime("%H:%M:%S")


def hour_minute(ms: int) -> str:
    """14:32."""
    return local(ms).strftime("%H:%M")


def full(ms: int) -> str:
    """The day and the second: 21 November 2026, 14:32:10."""
    return f"{_date(local(ms).date(), 'long')}, {clock(ms)}"


def day(ms: int, width: Width = "medium") -> str:
    """21 Nov 2026; long: 21 November 2026; short: 21 Nov."""
    return _date(local(ms).date(), width)


def month(ms: int) -> str:
    """November 2026."""
    return _written(local(ms).date(), "LLLL y", reader().language)


def weekday(ms: int) -> str:
    """Saturday."""
    return _written(local(ms).date(), "EEEE", reader().language)


def short_weekday(ms: int) -> str:
    """Sat."""
    return dates.format_date(local(ms).date(), "EEE", locale=locale())


def long_day(at: date) -> str:
    """Saturday, 21 November 2026."""
    return dates.format_date(at, "EEEE, d MMMM y", locale=locale())


def days(first: date, last: date) -> str:
    """16-22 Nov 2026; in Russian without the word for year, as `day` writes it."""
    written = str(dates.format_interval(first, last, "yMMMd", locale=locale()))
    return written.replace("\u202fг.", "")


def short_days(first: date, last: date) -> str:
    """16-22 Nov."""
    return str(dates.format_interval(first, last, "MMMd", locale=locale()))


def _date(at: date, width: Width) -> str:
    return _written(at, {"short": "d MMM", "medium": "d MMM y", "long": "d MMMM y"}[width], reader().language)


@lru_cache(maxsize=4096)  # a page writes the same few days and numbers hundreds of times
def _written(at: date, pattern: str, language: str) -> str:
    return dates.format_date(at, pattern, locale=_locale(language))


def ago(ms: int, now: int) -> str:
    """Relative within a day, absolute after: "5 min ago", "20 Nov, 14:32"; the year only when it is another."""
    gone = (now - ms) // 1000
    if gone < 60:
        return gettext("just now")
    if gone < 86_400:
        return gettext("%(span)s ago") % {"span": span(gone)}
    same_year = local(ms).year == local(now).year
    return f"{day(ms, 'short' if same_year else 'medium')}, {hour_minute(ms)}"


def moment(ms: int, now: int) -> str:
    """For lists of the past, where rows of "5 h ago" would all be alike: relative within an hour, then by the clock and the day:
    "5 min ago", "14:32", "yesterday, 14:32", "20 Nov, 14:32"."""
    if 0 <= now - ms < HOUR_MS:
        return ago(ms, now)
    at, today = local(ms).date(), local(now).date()
    if at == today:
        return hour_minute(ms)
    if at == today - timedelta(days=1):
        return gettext("yesterday, %(time)s") % {"time": hour_minute(ms)}
    return f"{day(ms, 'short' if at.year == today.year else 'medium')}, {hour_minute(ms)}"


def duration(seconds: float) -> str:
    """3:07, or 1:02:07."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def tenths(seconds: float) -> str:
    """For what takes a moment: 0.3 s, 0,3 с."""
    return gettext("%(count)s s") % {"count": number(seconds, 1)}


_UNITS = ((3600, N_("%(count)s h")), (60, N_("%(count)s min")), (1, N_("%(count)s s")))


def span(seconds: float) -> str:
    """One unit, rounded down: "9 s", "4 min", "3 h", "2 days"."""
    return _units(seconds)[0]


def fine_span(seconds: float) -> str:
    """With the next smaller unit: "11 min 27 s", "1 day 4 h". For a span that stands alone, where 11:27 reads as a time of day."""
    return " ".join(part for part in _units(seconds)[:2] if part)


def _units(seconds: float) -> list[str]:
    """A span by its units, from the largest that it has; "" where there is nothing of one."""
    days, rest = divmod(int(seconds), 86_400)
    found = [ngettext("%(count)s day", "%(count)s days", days) % {"count": days} if days else ""]
    for size, words in _UNITS:
        count, rest = divmod(rest, size)
        found.append(gettext(words) % {"count": count} if count else "")
    largest = next((place for place, part in enumerate(found) if part), None)
    return [gettext("%(count)s s") % {"count": 0}] if largest is None else found[largest:]


# ---- numbers


def number(value: float, digits: int = 0) -> str:
    """12,345 or 12 345; `digits` after the point."""
    return _decimal(value, digits, reader().language)


@lru_cache(maxsize=4096)
def _decimal(value: float, digits: int, language: str) -> str:
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return numbers.format_decimal(value, pattern, locale=_locale(language))


def percent(share: float, digits: int = 0) -> str:
    """12% or 12 %; what is not certain is never 100%."""
    most = 100 - 10**-digits
    shown = round(share * 100, digits) if share >= 1 else min(round(share * 100, digits), most)
    return _percent(shown, digits, reader().language)


@lru_cache(maxsize=4096)
def _percent(shown: float, digits: int, language: str) -> str:
    usual = str(_locale(language).percent_formats[None].pattern)
    pattern = usual.replace("0", "0." + "0" * digits, 1) if digits else usual
    return numbers.format_percent(Decimal(str(shown)) / 100, pattern, locale=_locale(language))


def money(value: float) -> str:
    """1,250 or, where the server has a currency, £1,250; pence only where there are some."""
    digits, currency = 0 if value == int(value) else 2, reader().currency
    if not currency:
        return number(value, digits)
    pattern = str(locale().currency_formats["standard"].pattern).replace("0.00", "0.00" if digits else "0")
    return numbers.format_currency(value, currency, pattern, locale=locale(), currency_digits=False)


def currency_sign() -> str:
    """£, ₽; "" where the server has no currency."""
    return numbers.get_currency_symbol(reader().currency, locale=locale()) if reader().currency else ""


def size(count: int) -> str:
    """Bytes in decimal units: 1.4 GB."""
    amount, names = float(count), (N_("B"), N_("kB"), N_("MB"), N_("GB"), N_("TB"))
    step = 0
    while amount >= 1000 and step < len(names) - 1:
        amount, step = amount / 1000, step + 1
    return f"{number(amount, 1 if 0 < amount < 10 and step else 0)}\u00a0{gettext(names[step])}"


def phone(text: str) -> str:
    """+44 20 7946 0101; 020 7946 0101 for one at home who asked for it so."""
    who = reader()
    if who.national and who.country and plan.country_of(text) == who.country:
        return plan.national(text)
    return plan.international(text)


def ordinal(number: int) -> str:
    """3rd, 3-й (masculine, as a call is)."""
    if reader().language == "ru":
        return f"{number}-й"
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
