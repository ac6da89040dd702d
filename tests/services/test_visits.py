"""A page view, on a real database: the session it belongs to and the number it is shown."""

from __future__ import annotations

import asyncio
import json

from msgspec.structs import replace

from ctserver.config import Settings
from ctserver.domain import source
from ctserver.services import visits
from ctserver.services.visits import Note, PageView, Shown
from ctserver.storage import leases
from ctserver.storage.sessions import MAX_PROPERTIES
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


async def test_who_reads_for_an_hour_keeps_his_session_and_his_number(db: Sqlite, settings: Settings, now: int) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    for half_minute in range(1, 121):
        await visits.note(db, settings, Note(first.visitor, first.session, "beat"), now + half_minute * 30_000)
    later = await shop.view(first.visitor, "https://shop.example/about", 61 * 60_000)
    assert (later.session, later.numbers) == (first.session, first.numbers)
    (row,) = await db.fetch("SELECT campaign, last_seen_at FROM sessions")
    assert (row["campaign"], row["last_seen_at"]) == ("spring", now + 61 * 60_000)


async def test_a_beat_of_an_earlier_session_leaves_the_latest_one_the_latest(
    db: Sqlite, settings: Settings, now: int
) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    second = await shop.view(first.visitor, NEWS, 60_000)
    await visits.note(db, settings, Note(first.visitor, first.session, "beat"), now + 5 * 60_000)
    assert (await shop.view(first.visitor, "https://shop.example/", 6 * 60_000)).session == second.session


async def test_a_session_keeps_so_many_properties_and_no_more(db: Sqlite, settings: Settings, now: int) -> None:
    first = await Shop(db, settings, now).view()
    for number in range(30):
        said = Note(first.visitor, first.session, "beat", properties={f"p{number}": "new", "p0": str(number)})
        await visits.note(db, settings, said, now + number)
    (row,) = await db.fetch("SELECT properties FROM sessions")
    kept = json.loads(row["properties"])
    assert list(kept) == [f"p{number}" for number in range(MAX_PROPERTIES)]
    assert kept["p0"] == "29", "one that is known is still updated"


async def test_who_is_back_is_not_given_alone_what_another_still_holds(
    db: Sqlite, settings: Settings, now: int
) -> None:
    """He shared it, has left, and comes again when another number is free."""
    shop = Shop(db, settings, now)
    people = [await shop.view(after=number) for number in range(len(POOL))]
    back = await shop.view(after=10)
    shared = back.numbers["main"]
    other = next(one for one in people if one.numbers["main"] != shared)
    for one in (back, other):
        await visits.note(db, settings, Note(one.visitor, one.session, "left"), now + 20)
    again = await shop.view(back.visitor, "https://shop.example/", 10 * 60_000)
    assert again.session == back.session
    assert again.numbers["main"] == other.numbers["main"]


async def test_sharing_calls_no_number_free_that_somebody_has_held_for_long(
    db: Sqlite, settings: Settings, now: int
) -> None:
    """Longer than sharing looks back; and one who shared it since has left."""
    shop = Shop(db, settings, now)
    people = [await shop.view(after=number) for number in range(len(POOL))]
    for minute in range(1, 71):
        for one in people:
            await visits.note(db, settings, Note(one.visitor, one.session, "beat"), now + minute * 60_000)
        if minute == 65:
            guest = await shop.view(after=65 * 60_000)
            await visits.note(db, settings, Note(guest.visitor, guest.session, "left"), now + 65 * 60_000 + 1)
    late = await shop.view(after=70 * 60_000)
    row = await db.one("SELECT how FROM leases WHERE session = $1", (late.session,))
    assert row is not None
    assert row["how"] == "shared"
    assert await db.fetch("SELECT 1 FROM shortages WHERE session = $1", (late.session,)) != []


async def test_a_number_that_moves_to_another_pool_stays_with_who_holds_it(
    db: Sqlite, settings: Settings, now: int
) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    number = first.numbers["main"]
    moved = {"small": sorted(POOL - {number}), "other": [number]}
    await db.write(lambda tx: leases.settle_numbers(tx, moved))
    for minute in range(1, 41):
        await visits.note(db, settings, Note(first.visitor, first.session, "beat"), now + minute * 60_000)
    (state,) = await db.write(lambda tx: leases.number_states(tx, "other", [number]))
    assert [holder.until for holder in state.holders] == [now + 40 * 60_000 + HOLD_MS]
    await visits.note(db, settings, Note(first.visitor, first.session, "left"), now + 41 * 60_000)
    (state,) = await db.write(lambda tx: leases.number_states(tx, "other", [number]))
    assert state.holders[0].until < now + 41 * 60_000 + HOLD_MS


async def test_a_page_that_is_open_again_is_known_to_show_its_number(db: Sqlite, settings: Settings, now: int) -> None:
    """It was left, and comes back as it was; meanwhile the number was somebody else's, or nobody's."""
    shop = Shop(db, settings, now)
    people = [await shop.view(after=number) for number in range(len(POOL))]
    for one in people:
        await visits.note(db, settings, Note(one.visitor, one.session, "left"), now + 60_000)
    taken = await shop.view(after=5 * 60_000)
    for one in people:
        await visits.note(db, settings, Note(one.visitor, one.session, "beat"), now + 6 * 60_000)
    held = await db.fetch("SELECT number, session, how FROM leases WHERE until > $1", (now + 7 * 60_000,))
    assert {row["session"]: row["how"] for row in held} == {
        taken.session: "free",
        **{one.session: "shared" if one.numbers == taken.numbers else "free" for one in people},
    }
    assert all(row["number"] == one.numbers["main"] for one in people for row in held if row["session"] == one.session)


async def test_a_beat_after_the_silence_does_not_bring_the_session_back(
    db: Sqlite, settings: Settings, now: int
) -> None:
    shop = Shop(db, settings, now)
    first = await shop.view()
    await visits.note(db, settings, Note(first.visitor, first.session, "beat"), now + SILENCE_MS + 1)
    assert (await shop.view(first.visitor, "https://shop.example/", SILENCE_MS + 60_000)).session != first.session
