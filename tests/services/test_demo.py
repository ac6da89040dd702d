"""The demonstration's shop: plausible, marked, and gone without a trace."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

from ctserver.config import Settings
from ctserver.domain.clock import DAY_MS
from ctserver.domain.fact import Fact
from ctserver.domain.phone import TEST_CALLER
from ctserver.services import demo
from ctserver.services.demo.shop import Town
from ctserver.storage import callbacks, outbox, quality
from ctserver.storage.callbacks import Callback
from ctserver.storage.db import Transaction
from ctserver.storage.sqlite import Sqlite

NOW = 1_793_600_000_000
SUMS = ("report_", "rollups", "hour", "quarters")  # tables that are made anew from the others


async def sizes(db: Sqlite) -> dict[str, int]:
    tables = [row["name"] for row in await db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")]
    queries = {name: f"SELECT COUNT(*) AS n FROM {name}" for name in tables if not name.startswith(SUMS)}
    return {name: (await db.one(sql))["n"] for name, sql in queries.items()}


async def test_a_shop_of_ten_days_looks_like_one(db: Sqlite, settings: Settings, tmp_path: Path) -> None:
    calls = await demo.fill(db, demo.shop_of(settings), tmp_path, 10, NOW)
    found = await sizes(db)
    assert 250 < calls == found["calls"] < 900
    assert found["sessions"] > 4 * calls
    assert found["visits"] > 1.5 * found["sessions"]
    counted = await db.one(
        """
        SELECT AVG(CASE WHEN answered_at IS NOT NULL THEN 1.0 ELSE 0 END) AS answered, MAX(ended_at) AS last,
               AVG(CASE WHEN session <> '' THEN 1.0 ELSE 0 END) AS named, COUNT(value) AS sold FROM calls
        """
    )
    assert 0.7 < counted["answered"] < 0.95
    assert counted["named"] > 0.6
    assert counted["sold"] > 20
    assert counted["last"] < NOW + 3_600_000
    odd = await db.fetch(
        """
        SELECT reason, ended_at - arrived_at AS took FROM calls
        WHERE (reason IN ('abandoned_early', 'busy') AND (ringing_at IS NOT NULL OR ended_at - arrived_at > 5000))
           OR (reason = 'no_answer' AND ended_at - ringing_at < 20000) OR (reason = 'abandoned' AND ended_at - ringing_at < 5000)
        """
    )
    assert not odd, "every reason has the times that it would have"
    assert (await db.one("SELECT COUNT(DISTINCT pbx) AS n, MAX(pbx) AS name FROM calls"))["name"] == demo.MARK
    shown = await db.fetch("SELECT number, MAX(shown_at) AS at FROM leases GROUP BY number")
    assert {(row["number"], row["at"]) for row in shown} == {
        (row["number"], row["shown_at"]) for row in await db.fetch("SELECT * FROM numbers")
    }, "Numbers and Live tell the same"


def test_whose_number_test_calls_have_did_not_ring_before(settings: Settings) -> None:
    town = Town(replace(demo.shop_of(settings), sessions=50), seed=1)
    callers = {call[7] for day in range(250) for call in town.day(NOW - day * DAY_MS, NOW, 1).calls}
    assert len(callers) > 950, "almost every number of drama"
    assert TEST_CALLER not in callers


def test_its_phones_are_named_as_asterisk_names_their_channels(settings: Settings) -> None:
    office = settings.lines["office"].model_copy(update={"dial": ("Local/desk@company/n&PJSIP/7",)})
    shop = demo.shop_of(settings.model_copy(update={"lines": {"office": office}}))
    assert shop.phones == {"office": ["Local/desk@company", "PJSIP/7"]}


async def test_its_recordings_are_sound(db: Sqlite, settings: Settings, tmp_path: Path) -> None:
    await demo.fill(db, demo.shop_of(settings), tmp_path, 3, NOW)
    rows = await db.fetch(
        "SELECT file, bytes, millis, ended_at - answered_at AS talked FROM recordings JOIN calls ON calls.id = recordings.call"
    )
    assert len(rows) > 20
    assert all(row["millis"] == row["talked"] for row in rows)
    for row in rows[:3]:
        with wave.open(str(tmp_path / row["file"])) as sound:
            assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
            assert abs(sound.getnframes() / 8 - row["millis"]) < 2
        assert (tmp_path / row["file"]).stat().st_size == row["bytes"]


async def test_it_goes_without_a_trace_and_takes_nothing_else(db: Sqlite, settings: Settings, tmp_path: Path) -> None:
    await db.write(
        lambda tx: tx.execute(
            """
            INSERT INTO sessions (id, site, visitor, started_at, last_seen_at, landing_url, referrer, medium, source,
                                  campaign, term, content, click_ids, channel, country, region, city, device, browser, os,
                                  ip, ids, properties)
            VALUES ('own', 'shop', 'v1', 1, 1, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '')
            """
        )
    )
    before = await sizes(db)
    calls = await demo.fill(db, demo.shop_of(settings), tmp_path, 3, NOW)
    assert (await sizes(db))["sessions"] > 100
    await db.write(played_with)
    assert await demo.remove(db, tmp_path) == calls
    assert await sizes(db) == before
    assert list(tmp_path.rglob("*.wav")) == []


def played_with(tx: Transaction) -> None:
    """Somebody tries the buttons of a call: others are told of it, he shares it, and has its caller rung."""
    [row] = tx.fetch("SELECT id, caller FROM calls WHERE outcome = 'missed' AND caller <> '' LIMIT 1")
    fact = Fact("call.tagged", NOW, row["id"], call=row["id"])
    outbox.add_fact(tx, "f" * 26, fact)
    outbox.enqueue(tx, "f" * 26, 1, outbox.Entry("o" * 26, "hook:crm", "hook:crm", "", NOW), NOW)
    outbox.add_try(tx, "o" * 26, NOW, 20, "retry", "503")
    quality.add_share(tx, "hash", row["id"], "bob", NOW, NOW + 1)
    wish = Callback("c" * 26, "missed", "shop", "", row["id"], row["caller"], "office", "", "bob", "", NOW, NOW)
    callbacks.add(tx, wish)
