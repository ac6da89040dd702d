"""The ready-made sums say what a plain count says, while everything changes under them."""

from __future__ import annotations

import random
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from ctserver.config import Settings
from ctserver.domain import clock, report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.model import Attribution, Source
from ctserver.domain.report import DIMENSIONS, MEASURES
from ctserver.services import reports, rollups
from ctserver.services.reports import Question
from ctserver.storage import calls
from ctserver.storage.sqlite import Sqlite
from tests.services.book import NOW, Book, compare, of, ready, roll, summed_shop


@pytest.fixture
async def shop(db: Sqlite, settings: Settings) -> Sqlite:
    return await summed_shop(db, settings)


async def test_the_ready_made_sums_say_what_a_plain_count_says(shop: Sqlite) -> None:
    spans = await shop.fetch("SELECT span, COUNT(DISTINCT start) AS n FROM rollups GROUP BY span ORDER BY span")
    assert [row["span"] for row in spans] == ["day", "month", "season", "week"]
    assert all(row["n"] >= 2 for row in spans if row["span"] != "season")
    await compare(shop, random.Random(1))


async def test_a_year_is_made_of_seasons_and_still_exact(shop: Sqlite) -> None:
    zone = ZoneInfo("UTC")
    span = (clock.midnight(date(2026, 7, 1), zone), clock.midnight(date(2026, 11, 1), zone))
    cut = report.pieces(span, await ready(shop, span))
    assert [kind for kind, _, _ in cut.summed] == ["season", "month"]
    book = await Book.read(shop)
    for by in DIMENSIONS:
        for site in ("", "other"):
            found = await reports.ask(shop, Question(by, span, "month", zone, of(site)))
            assert {line.value: line.sums for line in found.lines} == book.by(by, span, site)
            assert [sums for _, sums in found.series] == book.slots(span, [at for at, _ in found.series], site)
    call = await shop.one("SELECT id FROM calls WHERE arrived_at > $1 ORDER BY arrived_at", (NOW - 60 * DAY_MS,))
    await _sold(shop, call["id"], random.Random(5))
    assert not report.pieces(span, await ready(shop, span)).seasons
    found = await reports.ask(shop, Question("category", span, "month", zone))
    assert {line.value: line.sums for line in found.lines} == (await Book.read(shop)).by("category", span, "")


async def test_hours_are_the_sums_of_their_quarters(shop: Sqlite) -> None:
    sums = ", ".join(f"SUM({name})" for name in MEASURES)
    wanted = await shop.fetch(f"SELECT start - start % 3600000, site, {sums} FROM quarters GROUP BY 1, 2")
    found = await shop.fetch(f"SELECT start, site, {', '.join(MEASURES)} FROM hours ORDER BY start, site")
    assert len(found) > 100
    assert [tuple(row) for row in found] == [tuple(row) for row in wanted]


@pytest.mark.parametrize("seed", range(4))
async def test_reports_are_exact_whatever_is_corrected_late(shop: Sqlite, settings: Settings, seed: int) -> None:
    dice = random.Random(seed)
    ids = [row["id"] for row in await shop.fetch("SELECT id FROM calls")]
    for _ in range(5):
        for change in dice.sample(CHANGES, 3):
            await change(shop, dice.choice(ids), dice)
        await compare(shop, dice)
        await roll(shop, dice.choice((0, 1, 3, 1000)))
    await roll(shop)
    await compare(shop, dice)


async def _reattribute(db: Sqlite, id: str, dice: random.Random) -> None:
    session = (await db.fetch("SELECT id FROM sessions"))[dice.randrange(20)]["id"]
    other = Source("cpc", dice.choice(["google", "bing"]), "late")
    await db.write(lambda tx: calls.set_attribution(tx, id, Attribution("exact", 0.9, session, other)))


async def _late_end(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(
        lambda tx: tx.execute(
            "UPDATE calls SET ended_at = ended_at + $2, outcome = 'missed', answered_at = NULL WHERE id = $1",
            (id, dice.randrange(100_000)),
        )
    )


async def _recovered(db: Sqlite, id: str, dice: random.Random) -> None:
    """A call of the same caller that came to light later, but was earlier."""

    def unit(tx: Any) -> None:
        call = calls.call_of(tx.one("SELECT * FROM calls WHERE id = $1", (id,)))
        at = call.arrived_at - dice.randrange(20 * DAY_MS)
        name = f"{dice.getrandbits(64):x}"
        calls.save(tx, structs.replace(call, id=f"0{name:0>25}", linkedid=name, arrived_at=at))

    await db.write(unit)


async def _removed(db: Sqlite, id: str, dice: random.Random) -> None:
    def unit(tx: Any) -> None:
        tx.execute("DELETE FROM credits WHERE call = $1", (id,))
        tx.execute("DELETE FROM calls WHERE id = $1", (id,))

    await db.write(unit)


async def _erased(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(lambda tx: tx.execute("UPDATE calls SET caller = '' WHERE id = $1", (id,)))


async def _sold(db: Sqlite, id: str, dice: random.Random) -> None:
    value = dice.randrange(100_000)
    await db.write(lambda tx: tx.execute("UPDATE calls SET category = 'order', value = $2 WHERE id = $1", (id, value)))


async def _session_forgotten(db: Sqlite, id: str, dice: random.Random) -> None:
    def unit(tx: Any) -> None:
        row = tx.one("SELECT session FROM calls WHERE id = $1", (id,))
        if row and row["session"]:
            tx.execute("DELETE FROM sessions WHERE id = $1", (row["session"],))

    await db.write(unit)


async def _session_elsewhere(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(
        lambda tx: tx.execute(
            "UPDATE sessions SET region = 'Wales', country = 'GB' WHERE id = (SELECT session FROM calls WHERE id = $1)",
            (id,),
        )
    )


CHANGES = [
    _reattribute, _late_end, _recovered, _removed, _erased, _sold, _session_forgotten, _session_elsewhere,
]  # fmt: skip


async def test_another_rule_of_target_calls_holds_for_the_past_too(shop: Sqlite, settings: Settings) -> None:
    rule = settings.sites["shop"].target_call.model_copy(update={"seconds": 5, "first_in_days": 10})
    site = settings.sites["shop"].model_copy(update={"target_call": rule})
    changed = settings.model_copy(update={"sites": {"shop": site, "other": site}})
    assert await shop.write(lambda tx: rollups.settle(tx, changed))
    assert not await shop.write(lambda tx: rollups.settle(tx, changed))
    await compare(shop, random.Random(2), (1, 5_000, 10 * DAY_MS))
    await roll(shop)
    await compare(shop, random.Random(3), (1, 5_000, 10 * DAY_MS))


async def test_what_changes_while_a_day_is_summed_makes_it_stale_again(shop: Sqlite) -> None:
    day = (NOW - 10 * DAY_MS) // DAY_MS * DAY_MS
    row = await shop.one("SELECT id, arrived_at FROM calls WHERE arrived_at >= $1 ORDER BY arrived_at", (day,))
    await _sold(shop, row["id"], random.Random(1))

    class Meddler:
        """A database in which the call changes again right after it was read."""

        async def read(self, unit: Any) -> Any:
            found = await shop.read(unit)
            await _sold(shop, row["id"], random.Random(2))
            return found

        async def read_slow(self, unit: Any, _seconds: float) -> Any:
            return await self.read(unit)

        async def write(self, unit: Any) -> Any:
            return await shop.write(unit)

    hour = row["arrived_at"] // HOUR_MS * HOUR_MS
    await rollups._roll_hours(Meddler(), (day, day + DAY_MS))  # type: ignore[arg-type]
    known = await ready(shop)
    assert hour not in known.hours
    assert hour + HOUR_MS in known.hours
    assert day not in known.days
    await compare(shop, random.Random(4))


async def test_nothing_is_summed_before_it_is_over(shop: Sqlite) -> None:
    known = await ready(shop)
    assert max(known.days) + DAY_MS <= NOW
    assert max(known.weeks) + 7 * DAY_MS <= NOW
    assert report.next_month(max(known.months)) <= NOW
    assert report.next_season(max(known.seasons)) <= NOW
    assert await roll(shop) == 0
