"""Business hours as OpenStreetMap writes them, and the plain week that Asterisk can judge."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain.hours import DAYS, Hours, NoHours, Span

LONDON = "Europe/London"
OFFICE = Hours("Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off", "GB", LONDON)


def at(text: str, zone: str = LONDON) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00", True),
        ("2026-11-23 17:59:59", True),
        ("2026-11-23 18:00", False),
        ("2026-11-22 12:00", False),  # Sunday
        ("2026-12-25 12:00", False),  # Christmas, a Friday
        ("2026-07-01 09:30", True),  # summer time
    ],
)
def test_open_and_closed(moment: str, is_open: bool) -> None:
    assert OFFICE.is_open(at(moment)) is is_open


def test_without_hours_it_is_always_open() -> None:
    assert Hours().is_open(0)
    assert Hours().plain_week(0) == []
    assert Hours().next_opening(7) == 7


def test_hours_that_are_not_known_count_as_open() -> None:
    assert Hours("Mo-Su unknown", "GB", LONDON).is_open(at("2026-11-23 09:00"))


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-23 10:00", "2026-11-23 10:00"),
        ("2026-11-23 20:00", "2026-11-24 09:00"),
        ("2026-11-21 15:00", "2026-11-23 09:00"),
        ("2025-12-24 19:00", "2025-12-27 10:00"),  # Christmas and Boxing Day
    ],
)
def test_the_next_opening(moment: str, opens: str) -> None:
    assert OFFICE.next_opening(at(moment)) == at(opens)


def test_a_place_that_never_opens_has_no_next_opening() -> None:
    assert Hours("24/7 off", "GB", LONDON).next_opening(at("2026-11-23 10:00")) is None


def test_the_plain_week_has_no_holidays() -> None:
    assert OFFICE.plain_week(at("2026-12-22 10:00")) == [
        Span("mon-fri", "09:00", "17:59"),
        Span("sat", "10:00", "13:59"),
    ]


def test_hours_past_midnight_are_of_two_days() -> None:
    night = Hours("Fr 20:00-02:00", "GB", LONDON)
    assert night.plain_week(at("2026-11-02 10:00")) == [Span("fri", "20:00", "23:59"), Span("sat", "00:00", "01:59")]


@pytest.mark.parametrize(
    "hours", [Hours("Mo-Xx 09:00"), Hours("nine to five"), Hours("24/7", "ZZ"), Hours("24/7", "GB", "Moon/Sea")]
)
def test_what_is_wrong_is_told(hours: Hours) -> None:
    with pytest.raises(NoHours):
        hours.check()


@given(
    st.integers(0, 52 * 7 * 24 * 60 - 1), st.sampled_from(["Mo-Fr 09:00-18:00", "Sa,Su 00:00-24:00", "Tu 23:00-01:00"])
)
def test_the_plain_week_says_what_the_hours_say(minute: int, rule: str) -> None:
    """Where there are no holidays and the clocks do not change."""
    hours = Hours(rule, "", "UTC")
    moment = at("2026-01-05 00:00", "UTC") + minute * 60_000
    clock = datetime.fromtimestamp(moment / 1000, ZoneInfo("UTC"))
    week = hours.plain_week(at("2026-01-05 00:00", "UTC"))
    day, time = DAYS[clock.weekday()], f"{clock:%H:%M}"

    def holds(span: Span) -> bool:
        first, _, last = span.days.partition("-")
        return day in DAYS[DAYS.index(first) : DAYS.index(last or first) + 1] and span.first <= time <= span.last

    assert any(map(holds, week)) == hours.is_open(moment)
