"""Business hours: the `opening_hours` syntax of OpenStreetMap, holidays included, by the library of that name.

Times are epoch milliseconds. An empty `time_zone` is the machine's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import opening_hours
from opening_hours import OpeningHours, State

_PARSER_ERROR: type[Exception] = opening_hours.ParserError  # type: ignore[attr-defined]  # its stubs lack these two
_UNKNOWN_COUNTRY: type[Exception] = opening_hours.UnknownCountryError  # type: ignore[attr-defined]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKS_SEEN = 5  # a plain week is what most of so many weeks have in common
_END_OF_TIME = 9999


class NoHours(ValueError):
    """The text is no business hours, or the time zone is none; the message says why in words for a person."""


@dataclass(frozen=True, slots=True)
class Span:
    """Open on these days of the week, from and to these times ("09:00" to "17:59", the last minute included)."""

    days: str  # "mon-fri", "sat"
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Hours:
    """Business hours of a place. Empty `rule`: always open."""

    rule: str = ""
    country: str = ""  # ISO 3166-1, for its public holidays (PH)
    time_zone: str = ""

    def check(self) -> None:
        """Raises NoHours."""
        _zone(self.time_zone)
        _parsed(self.rule or "24/7", self.country)

    def is_open(self, at: int) -> bool:
        """Hours that say `unknown` count as open: the phone must ring."""
        return not self.rule or not _parsed(self.rule, self.country).is_closed(self._local(at))

    def next_opening(self, at: int) -> int | None:
        """When it is open at or after `at`; None: never again."""
        if self.is_open(at):
            return at
        start = self._local(at)
        for begins, _, state, _ in _parsed(self.rule, self.country).intervals(start):
            if state != State.CLOSED and begins.year < _END_OF_TIME:
                return self._epoch(begins)
        return None

    def plain_week(self, at: int) -> list[Span]:
        """The week as Asterisk can judge it by itself: what most of the coming weeks have in common, no holidays."""
        if not self.rule:
            return []
        first = self._local(at).date()
        seen: list[Counter[tuple[tuple[str, str], ...]]] = [Counter() for _ in DAYS]
        for offset in range(7 * WEEKS_SEEN):
            day = first + timedelta(days=offset)
            seen[day.weekday()][self._open_on(day)] += 1
        return list(_spans([counter.most_common(1)[0][0] for counter in seen]))

    def _open_on(self, day: date) -> tuple[tuple[str, str], ...]:
        midnight = datetime.combine(day, time.min)
        found = _parsed(self.rule, self.country).intervals(midnight, midnight + timedelta(days=1))
        return tuple(
            (
                f"{max(begins, midnight):%H:%M}",
                f"{min(ends, midnight + timedelta(days=1)) - timedelta(minutes=1):%H:%M}",
            )
            for begins, ends, state, _ in found
            if state != State.CLOSED
        )

    def _local(self, at: int) -> datetime:
        """The wall clock there, without a zone: hours are written in it."""
        zone = _zone(self.time_zone)
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).replace(tzinfo=None)

    def _epoch(self, wall: datetime) -> int:
        zone = _zone(self.time_zone)
        return int((wall.replace(tzinfo=zone) if zone else wall.astimezone()).timestamp() * 1000)


def _spans(week: list[tuple[tuple[str, str], ...]]) -> list[Span]:
    """Days in a row with the same times are one span."""
    found: list[Span] = []
    start = 0
    for day in range(1, 8):
        if day == 7 or week[day] != week[start]:
            days = DAYS[start] if day - start == 1 else f"{DAYS[start]}-{DAYS[day - 1]}"
            found += [Span(days, first, last) for first, last in week[start]]
            start = day
    return found


@lru_cache(256)
def _parsed(rule: str, country: str) -> OpeningHours:
    try:
        return OpeningHours(rule, country=country or None, max_interval_days=366)
    except _PARSER_ERROR as error:
        raise NoHours(f"{rule!r} are no opening hours: {str(error).splitlines()[0]}") from error
    except _UNKNOWN_COUNTRY as error:
        raise NoHours(f"no public holidays are known for {country!r}") from error


@lru_cache(64)
def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NoHours(f"{name!r} is no time zone") from error
