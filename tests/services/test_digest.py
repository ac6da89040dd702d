"""The digest of a day and of a week, from real calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ctserver import config
from ctserver.config import Settings
from ctserver.services import digest
from ctserver.storage.sqlite import Sqlite
from tests.services.test_alerts import Office

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
    day = told[0].detail
    assert "15.11.2026\n4 calls, 2 answered, 2 missed; 3 more than the week before" in day
    assert "- billboard / offline: 4 calls (+3)" in day
    assert told[1].detail.startswith("09.11.2026 - 15.11.2026\n4 calls")
    assert await digest.tell(db, settings, office.facts, MONDAY + HOUR) == []
    tuesday = await digest.tell(db, settings, office.facts, MONDAY + DAY)
    assert [fact.kind for fact in tuesday] == ["digest.daily"]
    assert "0 calls, 0 answered, 0 missed" in tuesday[0].detail


async def test_who_waits_to_be_called_back_is_named_with_how_often_he_rang(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    office = Office(db, settings)
    for caller in ("+447700900123", "+447700900123", "+447700900124", ""):
        await office.call(caller)
    born = date(2023, 11, 14)  # of the channels of these calls
    text = await digest.words(db, settings, born, born + timedelta(days=1))
    assert "Missed and not called back, 2:" in text
    assert "- +44 7700 900123, 2 x" in text
    assert "- +44 7700 900124, 1 x" in text
    await office.call("+447700900123", answer=True)
    assert "900123" not in await digest.words(db, settings, born, born + timedelta(days=1))


async def test_an_evening_is_too_late_for_a_digest(db: Sqlite, toml: Path) -> None:
    settings = utc(toml)
    assert await digest.tell(db, settings, Office(db, settings).facts, MONDAY + 13 * HOUR) == []
