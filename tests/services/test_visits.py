"""A page view, on a real database: the session it belongs to and the number it is shown."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from ctserver.config import Settings
from ctserver.domain import source
from ctserver.services import visits
from ctserver.services.visits import PageView, Shown
from ctserver.storage.sqlite import Sqlite

POOL = {"+442079460101", "+442079460102", "+442079460103"}
HOLD_MS = 30 * 60_000
SILENCE_MS = 30 * 60_000
ADS = "https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring"
NEWS = "https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=may"


class Shop:
    def __init__(self, db: Sqlite, settings: Settings, now: int) -> None:
        self.db, self.settings, self.now = db, settings, now

    async def view(self, visitor: str = "", url: str = ADS, after: int = 0, *, number: bool = True) -> Shown:
        found = source.classify(url, "", ["shop.example"])
        view = PageView("shop", visitor, url, "", "Bikes", wants=("main",) if number else (), source=found)
        book = visits.rule_book(self.settings)
        return await visits.record(self.db, self.settings, book, view, self.now + after)

    async def count(self, table: str) -> int:
        row = await self.db.one(f"SELECT COUNT(*) AS n FROM {table}")
        return int(row["n"]) if row else 0


async def test_a_visitor_keeps_his_number_from_page_to_page(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    second = await shop.view(first.visitor, "https://shop.example/about", 60_000)
    assert first.numbers.get("main") in POOL
    assert second == first
    assert (await shop.count("sessions"), await shop.count("visits"), await shop.count("leases")) == (1, 2, 1)


async def test_a_new_campaign_opens_a_session_of_the_same_visitor(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    second = await shop.view(first.visitor, NEWS, 60_000)
    assert second.visitor == first.visitor
    assert second.session != first.session
    assert second.numbers.get("main") != first.numbers.get("main")
    campaigns = await db.fetch("SELECT campaign FROM sessions ORDER BY started_at")
    assert [row["campaign"] for row in campaigns] == ["spring", "may"]


async def test_half_an_hour_of_silence_opens_a_session(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    assert (await shop.view(first.visitor, "https://shop.example/", SILENCE_MS)).session == first.session
    late = await shop.view(first.visitor, "https://shop.example/", 2 * SILENCE_MS + 1)
    assert late.session != first.session


async def test_different_visitors_get_different_numbers_while_there_are_some(
    db: Sqlite, settings: Settings, now: int
) -> None:
    shop = Shop(db, settings, now)
    shown = await asyncio.gather(*(shop.view() for _ in POOL))
    assert {one.numbers.get("main") for one in shown} == POOL
    assert len({one.visitor for one in shown}) == len(POOL)


async def test_when_the_pool_runs_short_numbers_are_shared(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    shown = [await shop.view(after=second * 1000) for second in range(5)]
    assert {one.numbers.get("main") for one in shown} == POOL
    assert await shop.count("leases") == 5


async def test_two_visitors_at_once_never_get_the_same_free_number(db: Sqlite, settings: Settings, now: int) -> None:
    pool = settings.pools["small"]
    many = pool.model_copy(update={"numbers": [f"+44207946{number:04}" for number in range(100, 180)]})
    wide = settings.model_copy(update={"pools": {"small": many}})
    shown = await asyncio.gather(*(Shop(db, wide, now).view() for _ in many.numbers))
    assert len({one.numbers.get("main") for one in shown}) == len(many.numbers)


async def test_a_number_is_free_again_after_its_time(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    old = {(await shop.view(after=second)).numbers.get("main") for second in range(3)}
    new = [await shop.view(after=HOLD_MS + 3 + second) for second in range(3)]
    assert {one.numbers.get("main") for one in new} == old
    assert await shop.count("leases") == 6


async def test_who_wants_no_number_takes_none(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    assert (await shop.view(number=False)).numbers == {}
    assert await shop.count("leases") == 0


async def test_somebody_elses_visitor_id_on_another_site_opens_its_own_session(
    db: Sqlite, settings: Settings, now: int
) -> None:
    other = settings.model_copy(update={"sites": {**settings.sites, "other": settings.sites["shop"]}})
    first = await Shop(db, settings, now).view()
    view = PageView("other", first.visitor, ADS, "", "")
    assert (await visits.record(db, other, [], view, now + 1)).session != first.session


async def test_a_beat_keeps_the_number_and_leaves_no_signal(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    await visits.note(db, settings, visits.Note(first.visitor, first.session, visits.BEAT, ""), now + HOLD_MS - 1)
    row = await db.one("SELECT until FROM numbers WHERE number = $1", (first.numbers.get("main"),))
    assert row is not None
    assert row["until"] == now + 2 * HOLD_MS - 1
    assert await shop.count("signals") == 0


async def test_signals_are_kept_and_those_of_strangers_are_not(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    number = first.numbers.get("main") or ""
    await visits.note(db, settings, visits.Note(first.visitor, first.session, "tapped", number), now + 1)
    await visits.note(db, settings, visits.Note("stranger", first.session, "tapped", number), now + 2)
    await visits.note(db, settings, visits.Note(first.visitor, "nowhere", "tapped", number), now + 3)
    rows = await db.fetch("SELECT kind, number, at FROM signals")
    assert [tuple(row) for row in rows] == [("tapped", number, now + 1)]


async def test_a_site_without_a_pool_shows_its_own_number(db: Sqlite, settings: Settings, now: int) -> None:
    site = settings.sites["shop"].model_copy(update={"pool": ""})
    bare = settings.model_copy(update={"sites": {"shop": site}})
    assert replace(await Shop(db, bare, now).view(), visitor="", session="") == Shown("", "", {}, 30 * 60_000)
