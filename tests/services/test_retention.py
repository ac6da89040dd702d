"""What is kept for a time goes when it is over, whatever kind it is, and nothing else with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from ctserver import config
from ctserver.domain.rights import EVERYTHING
from ctserver.recordings.keeper import Keeper
from ctserver.recordings.places import Places
from ctserver.services import demo, reports, rollups
from ctserver.services.reports import Question
from ctserver.services.retention import Retention
from ctserver.storage import reports as sums
from ctserver.storage.sqlite import Sqlite
from tests.somebody import OF_CALLS, OF_SESSIONS, TABLES, URL, Life, lives, sizes

DAY_MS = 86_400_000


@dataclass
class House:
    db: Sqlite
    now: int
    toml: Path
    old: Life
    new: Life

    async def forget(self, **days: int) -> dict[str, int]:
        """Every other kind is kept for ever. What went."""
        kept = dict.fromkeys(config.Settings.model_fields["retention"].default.__class__.model_fields, 0) | days
        settings = config.load(self.toml, {f"retention.{key}": str(value) for key, value in kept.items()})
        keeper = Keeper(self.db, settings, Places(settings))
        return await Retention(self.db, settings.retention, keeper.remove, pause=0).forget(self.now)

    async def row(self, table: str, id: str) -> dict[str, Any]:
        return dict(await self.db.one(f"SELECT * FROM {table} WHERE id = $1", (id,)))


@pytest.fixture
async def house(db: Sqlite, toml: Path, now: int) -> House:
    """Somebody who came 40 days ago, somebody who came 20 days ago."""
    folder = toml.parent / "var/recordings"
    old = await lives(db, now - 40 * DAY_MS, "+447700900123", folder)
    new = await lives(db, now - 20 * DAY_MS, "+447700900456", folder)
    found = await sizes(db)
    assert [table for table in TABLES if found[table] < 2] == [], "a table without a trace of them would prove nothing"
    return House(db, now, toml, old, new)


GOES = {
    "calls_days": {"calls", *OF_CALLS, "facts", "outbox", "tries", "sessions", *OF_SESSIONS},
    "visitors_days": {*OF_SESSIONS, "shortages"},
    "addresses_days": set(),
    "callbacks_days": {"callbacks", "outgoing"},
    "deliveries_days": {"facts", "outbox", "tries"},
    "audit_days": {"audit"},
}


@pytest.mark.parametrize("key", GOES)
async def test_what_is_older_goes_and_nothing_else(house: House, key: str) -> None:
    before = await sizes(house.db)
    assert await house.forget(**{key: 30})
    after = await sizes(house.db)
    assert {table for table in TABLES if after[table] != before[table]} == GOES[key]
    assert all(after[table] == before[table] // 2 for table in GOES[key])
    assert await house.row("calls", house.new.call)
    assert house.new.sound.exists()
    assert house.old.sound.exists() == (key != "calls_days")
    assert await house.forget(**{key: 30}) == {}, "there is nothing left to do"


async def test_for_ever_is_for_ever(house: House) -> None:
    before = await sizes(house.db)
    assert await house.forget() == {}
    assert await sizes(house.db) == before


async def test_every_table_that_names_a_call_is_emptied_with_it(house: House) -> None:
    rows = await house.db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
    naming = set()
    for row in rows:
        columns = await house.db.fetch(f"SELECT name FROM pragma_table_info('{row['name']}')")
        naming |= {row["name"]} & {row["name"] for column in columns if column["name"] == "call"}
    assert naming <= GOES["calls_days"]
    await house.forget(calls_days=30)
    for table in naming:
        assert await house.db.fetch(f"SELECT 1 FROM {table} WHERE call = $1", (house.old.call,)) == [], table
        assert await house.db.fetch(f"SELECT 1 FROM {table} WHERE call = $1", (house.new.call,)), table


async def test_a_session_keeps_what_reports_count_and_nothing_of_the_person(house: House) -> None:
    before = await house.row("sessions", house.old.session)
    await house.forget(visitors_days=30)
    after = await house.row("sessions", house.old.session)
    stays = (
        "id",
        "site",
        "started_at",
        "medium",
        "source",
        "campaign",
        "term",
        "content",
        "channel",
        "country",
        "region",
    )
    assert {key: after[key] for key in stays} == {key: before[key] for key in stays}
    assert after["landing_url"] == "https://shop.example/knots"
    assert after["visitor"] == after["id"]
    gone = ("referrer", "city", "browser", "os", "ip")
    assert {after[key] for key in gone} == {""}
    assert {after[key] for key in ("click_ids", "ids", "properties")} == {"{}"}
    assert (await house.row("sessions", house.new.session))["landing_url"] == URL


async def test_addresses_go_wherever_they_are(house: House) -> None:
    await house.forget(addresses_days=30)
    for sql in (
        "SELECT COUNT(*) AS n FROM sessions WHERE ip <> ''",
        "SELECT COUNT(*) AS n FROM callbacks WHERE address <> ''",
        "SELECT COUNT(*) / 2 AS n FROM audit WHERE address <> ''",
    ):
        assert (await house.db.one(sql))["n"] == 1, sql


async def test_a_call_that_is_not_over_stays(house: House) -> None:
    await house.db.write(lambda tx: tx.execute("UPDATE calls SET state = 'talking' WHERE id = $1", (house.old.call,)))
    await house.forget(calls_days=30)
    assert await house.row("calls", house.old.call)


async def test_a_delivery_that_is_still_tried_stays(house: House) -> None:
    await house.db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'waiting' WHERE fact = $1", (house.old.fact,))
    )
    await house.forget(deliveries_days=30)
    assert await house.row("facts", house.old.fact)


async def test_reports_count_the_same_without_the_visitors_and_what_is_left_when_calls_are_gone(
    db: Sqlite, toml: Path, settings: config.Settings, now: int
) -> None:
    await demo.fill(db, demo.shop_of(settings, 20), toml.parent / "var/recordings", 6, now)
    house = House(db, now, toml, *[None] * 2)  # type: ignore[list-item]
    today = now - now % DAY_MS
    span = (today - 6 * DAY_MS, today)

    async def figures() -> dict[str, Any]:
        found = {}
        for by in ("channel", "landing", "region", "device", "campaign"):
            report = await reports.ask(db, Question(by, span, "day", UTC))
            found[by] = [(line.value, line.sums) for line in report.lines], report.total
        return found

    async def roll() -> None:
        while await rollups.roll(db, now):
            pass

    await roll()
    before = await figures()
    assert before["channel"][1][0] > 100
    assert await house.forget(visitors_days=2)
    assert (await db.one("SELECT COUNT(*) AS n FROM visits WHERE at < $1", (now - 3 * DAY_MS,)))["n"] == 0
    assert await figures() == before, "counted one by one"
    await roll()
    assert await figures() == before, "from sums that were made anew"
    assert await house.forget(calls_days=3)
    counted = await figures()
    await roll()
    assert await figures() == counted
    assert 0 < counted["channel"][1][1] < before["channel"][1][1]
    first = await db.read(lambda tx: sums.first_of(tx, EVERYTHING))
    assert first is not None
    assert now - 3 * DAY_MS <= first < now - 2 * DAY_MS


async def test_others_write_while_it_forgets(db: Sqlite, toml: Path, settings: config.Settings, now: int) -> None:
    await demo.fill(db, demo.shop_of(settings, 40), toml.parent / "var/recordings", 12, now)
    house = House(db, now, toml, *[None] * 2)  # type: ignore[list-item]
    waited: list[float] = []
    loop = asyncio.get_running_loop()
    forgetting = asyncio.create_task(house.forget(calls_days=1, visitors_days=1))
    while not forgetting.done():
        began = loop.time()
        await db.write(lambda tx: tx.execute("UPDATE models SET learnt_until = 0 WHERE site = 'none'"))
        waited.append(loop.time() - began)
    assert await forgetting
    waited.sort()
    assert len(waited) > 20
    assert waited[len(waited) // 2] < 0.05
