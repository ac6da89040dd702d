"""The digest of a day and of a week, from real calls."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from ctserver import config
from ctserver.config import Settings
from ctserver.domain.report import nothing
from ctserver.domain.rights import Scope
from ctserver.services import digest
from ctserver.services.reports import Line
from ctserver.storage.sqlite import Sqlite
from tests.services.office import Office

HOUR, DAY = 3_600_000, 86_400_000
MONDAY = int(datetime(2026, 11, 16, 8, 0, tzinfo=UTC).timestamp() * 1000)


async def spread(office: Office) -> None:
    """Yesterday: two calls answered and two missed by one caller; the same day a week before: one answered."""
    ids = [await office.call("+447700900001", answer=True), await office.call("+447700900002", answer=True)]
    ids += [await office.call("+447700900123"), await office.call("+447700900123")]
    ids += [await office.call("+447700900003", answer=True)]
    for number, id in enumerate(ids):
        at = MONDAY - 20 * HOUR + number - (7 * DAY if number == 4 else 0)
        sql = "UPDATE calls SET arrived_at = $2, ended_at = $2, source = 'billboard' WHERE id = $1"
        await office.db.write(lambda tx, id=id, at=at, sql=sql: tx.execute(sql, (id, at)))  # type: ignore[misc]


async def moved_to(office: Office, day: date) -> None:
    """The calls of today happened on that day."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    sql = "UPDATE calls SET arrived_at = $1 + arrived_at % 3600000 WHERE arrived_at > $2"
    await office.db.write(lambda tx: tx.execute(sql, (noon, noon + DAY)))


def utc(toml: Path) -> Settings:
    return config.load(toml, {"server.time_zone": "UTC"})


async def test_a_monday_morning_tells_of_the_day_and_of_the_week_once(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    office = Office(db, settings)
    await spread(office)
    assert await digest.tell(db, settings, office.facts, MONDAY - 2 * HOUR) == []
    told = await digest.tell(db, settings, office.facts, MONDAY)
    assert [(fact.kind, fact.subject) for fact in told] == [
        ("digest.daily", "2026-11-15"),
        ("digest.weekly", "2026-11-09"),
    ]
    day = await digest.of(db, settings, told[0])
    assert (day.total.calls, day.total.answered, day.total.missed) == (4, 2, 2)
    assert (day.day_before.calls if day.day_before else None, day.week_before.calls) == (0, 1)
    assert [(source.value, source.calls, source.change) for source in day.sources] == [("billboard / offline", 4, 3)]
    assert sum(calls for _, calls, _ in day.bars) == 4
    week = await digest.of(db, settings, told[1])
    assert (week.weekly, week.day_before, week.total.calls, len(week.bars)) == (True, None, 4, 7)
    assert await digest.tell(db, settings, office.facts, MONDAY + HOUR) == []
    tuesday = await digest.tell(db, settings, office.facts, MONDAY + DAY)
    assert [fact.kind for fact in tuesday] == ["digest.daily"]
    assert (await digest.of(db, settings, tuesday[0])).total.calls == 0


async def test_who_waits_to_be_called_back_is_named_with_how_often_he_rang(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    office = Office(db, settings)
    for caller in ("+447700900123", "+447700900123", "+447700900124", ""):
        await office.call(caller)
    born = date(2023, 11, 14)  # of the channels of these calls, which their ids are made of
    await moved_to(office, born)
    found = await digest.of_days(db, settings, born, born)
    assert {(one.caller, one.times) for one in found.waiting} == {("+447700900123", 2), ("+447700900124", 1)}
    await office.call("+447700900123", answer=True)
    await moved_to(office, born)
    assert [one.caller for one in (await digest.of_days(db, settings, born, born)).waiting] == ["+447700900124"]


async def test_a_digest_of_one_site_tells_of_that_site_only(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    office = Office(db, settings)
    await spread(office)
    sunday = date(2026, 11, 15)
    assert (await digest.of_days(db, settings, sunday, sunday, Scope(frozenset(settings.sites)))).total.calls == 4
    assert (await digest.of_days(db, settings, sunday, sunday, Scope(frozenset({"none"})))).total.calls == 0


def test_sources_that_lost_most_are_named_though_hardly_anybody_came_from_them() -> None:
    def line(value: str, calls: int, before: int) -> Line:
        sums, then = nothing(), nothing()
        sums[1], then[1] = calls, before
        return Line(value, sums, then)

    lines = [line(f"s{number}", 10 - number, 5) for number in range(8)] + [line("gone", 0, 30), line("quiet", 0, 0)]
    found = [source.value for source in digest._sources(lines)]
    assert found == ["s0", "s1", "s2", "s3", "s4", "s5", "gone", "s7", "s6"]


async def test_an_evening_is_too_late_for_a_digest(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    assert await digest.tell(db, settings, Office(db, settings).facts, MONDAY + 13 * HOUR) == []
