"""Pool health, the fact of a short pool, and sizing, on a real database."""

from __future__ import annotations

import json
from typing import Any

from ctserver.config import Settings
from ctserver.domain import source
from ctserver.services import pools, visits
from ctserver.services.simulation import PoolSize
from ctserver.services.visits import PageView
from ctserver.storage import pools as stored
from ctserver.storage.sqlite import Sqlite

MINUTE = 60_000
HOUR = 60 * MINUTE
URL = "https://shop.example/?utm_source=google&utm_medium=cpc"


async def visit(db: Sqlite, settings: Settings, at: int) -> visits.Shown:
    view = PageView("shop", "", URL, "", "", ("main",), source=source.classify(URL, ""))
    return await visits.record(db, settings, [], view, at)


def pool_of(settings: Settings) -> str:
    return settings.sites["shop"].pool


async def test_an_hour_of_a_pool_tells_who_shared(db: Sqlite, settings: Settings, now: int) -> None:
    start = now - now % HOUR
    for minute in range(8):
        await visit(db, settings, start + minute * MINUTE)
    name = pool_of(settings)
    numbers = settings.pools[name].numbers
    hours = await stored.by_hour(db, name, numbers, start)
    assert hours == {start: {"shown": 8, "exclusive": len(numbers), "shared": 8 - len(numbers)}}


async def test_a_pool_that_is_short_for_an_hour_is_told_of_once(db: Sqlite, settings: Settings, now: int) -> None:
    assert await pools.watch(db, settings, now) == []
    for minute in range(20):
        await visit(db, settings, now + minute * MINUTE)
    (fact,) = await pools.watch(db, settings, now + 20 * MINUTE)
    assert (fact.pool, fact.showings, fact.short) == (pool_of(settings), 20, 17)
    assert await pools.watch(db, settings, now + 21 * MINUTE) == []
    rows = await db.fetch("SELECT kind, subject, detail FROM facts")
    assert [tuple(row) for row in rows] == [
        ("pool_short", pool_of(settings), "17 of 20 visitors of the last hour found no number free")
    ]


async def test_a_pool_that_has_enough_is_not_told_of(db: Sqlite, settings: Settings, now: int) -> None:
    for hour in range(20):
        await visit(db, settings, now + hour * 40 * MINUTE)
    assert await pools.watch(db, settings, now + 20 * 40 * MINUTE) == []


async def test_without_sharing_the_source_then_the_overflow_then_the_page(
    db: Sqlite, settings: Settings, now: int
) -> None:
    name = pool_of(settings)
    static = next(iter(settings.static))
    alone = settings.pools[name].model_copy(update={"share": False})
    overflow = alone.model_copy(update={"overflow": static})
    guaranteed = settings.static[static].model_copy(update={"source": "google", "medium": "cpc", "campaign": ""})
    shown = []
    for change in (
        {"pools": {name: alone}},
        {"pools": {name: overflow}},
        {"pools": {name: overflow}, "static": {static: guaranteed}},
    ):
        changed = settings.model_copy(update=change)
        for _ in alone.numbers:
            await visit(db, changed, now)
        shown.append((await visit(db, changed, now)).numbers.get("main"))
    number = settings.static[static].number
    assert shown == [None, number, number]
    short = await db.fetch("SELECT shown FROM shortages ORDER BY id")
    assert {row["shown"] for row in short} == {"page", "overflow", "static"}


async def test_an_answer_is_kept_for_a_day(db: Sqlite, settings: Settings, now: int) -> None:
    asked: list[pools.Question] = []

    async def compute(question: pools.Question) -> PoolSize:
        asked.append(question)
        return question.answer()

    assert await pools.refresh_reports(db, settings, now, compute) == 0
    for minute in range(60):
        await visit(db, settings, now + minute * 20 * MINUTE)
    later = now + 60 * 20 * MINUTE
    assert await pools.refresh_reports(db, settings, later, compute) == 1
    assert await pools.refresh_reports(db, settings, later + HOUR, compute) == 0
    assert len(asked[0].showings) == 60
    row = await stored.report(db, pool_of(settings))
    assert row is not None
    report: dict[str, Any] = json.loads(row["report"])
    assert report["numbers"] == len(settings.pools[pool_of(settings)].numbers)
    assert [result["numbers"] for result in report["simulated"]] == sorted(
        result["numbers"] for result in report["simulated"]
    )
