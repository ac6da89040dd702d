"""Trouble that lasts becomes a fact, once."""

from __future__ import annotations

from ctserver import ids
from ctserver.config import Settings
from ctserver.services.facts import Facts
from ctserver.services.watch import Watch
from ctserver.storage.sqlite import Sqlite
from tests.services.office import Office

MINUTE, HOUR = 60_000, 3_600_000


async def test_a_pbx_that_stays_away_is_told_of_once_and_a_restart_of_it_never(
    db: Sqlite, settings: Settings, now: int
) -> None:
    watch = Watch(db, settings, Facts(settings))
    for at, state in ((0, "away"), (MINUTE // 2, "ok"), (MINUTE, "away"), (2 * MINUTE - 1, "away")):
        await watch.look({"AMI": state, "disk": "ok"}, now + at)
    assert await db.fetch("SELECT 1 FROM facts") == []
    for minutes in (3, 4, 5, 300, 364):
        parts = {"AMI": "away", "disk": "9 MB free", "recordings": "not any more" if minutes > 5 else "ok"}
        await watch.look(parts, now + minutes * MINUTE)
    rows = await db.fetch("SELECT kind, subject, detail FROM facts ORDER BY kind, at")
    assert [tuple(row) for row in rows] == [
        ("disk", "disk", "9 MB free"),
        ("disk", "disk", "9 MB free"),
        ("disk", "recordings", "not any more"),
        ("pbx_unreachable", "pbx", "away"),
        ("pbx_unreachable", "pbx", "away"),
    ]


async def test_calls_that_lose_their_recordings_are_told_of_but_not_on_a_line_that_records_none(
    db: Sqlite, settings: Settings
) -> None:
    office = Office(db, settings)
    watch = Watch(db, settings, office.facts)
    for _ in range(3):
        await office.call(answer=True)
    await db.write(lambda tx: tx.execute("UPDATE calls SET arrived_at = $1", (ids.now_ms(),)))
    await db.write(lambda tx: tx.execute("UPDATE recordings SET state = 'missing'"))
    await watch.look({}, ids.now_ms())
    assert await db.fetch("SELECT 1 FROM facts WHERE kind = 'recording_failing'") == []  # the line night
    await db.write(lambda tx: tx.execute("UPDATE calls SET line = 'office'"))
    await watch.look({"recordings": "calls are not recorded any more"}, ids.now_ms())
    assert await db.fetch("SELECT 1 FROM facts WHERE kind = 'recording_failing'") == []  # the disk is why
    await watch.look({}, ids.now_ms())
    await watch.look({}, ids.now_ms())
    rows = await db.fetch("SELECT detail FROM facts WHERE kind = 'recording_failing'")
    assert [row["detail"] for row in rows] == ["3 answered calls of the last hours have no recording"]
