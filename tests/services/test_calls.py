"""The journal of calls, on a real database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from ctserver import files
from ctserver.asterisk import replay
from ctserver.asterisk.translate import Translator
from ctserver.config import Settings
from ctserver.domain import source
from ctserver.domain.attribution import Answer
from ctserver.domain.call import Arrived, CallerHungUp, Event, LegDone, LegStarted, Vanished
from ctserver.domain.times import times
from ctserver.services import visits
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.visits import PageView
from ctserver.storage import calls, migrate, sqlite
from ctserver.storage.sqlite import Sqlite

ONE = "1700000000.1"
ADS = "https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring&gclid=abc"


def arrived(linkedid: str = ONE, did: str = "02079460101", at: int = 1_700_000_000_100) -> Arrived:
    return Arrived(linkedid, at, linkedid, "PJSIP/trunk-1", did, "+447700900123", "Алексей")


def answered(linkedid: str = ONE) -> list[Event]:
    at = 1_700_000_004_000
    return [LegStarted(linkedid, at, f"{linkedid}0", "PJSIP/100-2"), LegDone(linkedid, at, f"{linkedid}0", "ANSWER")]


def ended(linkedid: str = ONE) -> CallerHungUp:
    return CallerHungUp(linkedid, 1_700_000_060_000, 16)


async def fill_up(db: Sqlite) -> None:
    """The disk is full from here on."""
    pages = await db.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await db.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    await db.run(_fill)


def _fill(connection: sqlite3.Connection) -> None:
    number = 0
    for size in (2000, 10, 1):
        with contextlib.suppress(sqlite3.OperationalError):
            while True:
                number += 1
                connection.execute("INSERT INTO routes VALUES (?, ?)", (f"{number}", "x" * size))


async def make_room(db: Sqlite) -> None:
    await db.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())


async def rows(db: Sqlite) -> list[tuple[object, ...]]:
    found = await db.fetch("SELECT linkedid, state, outcome, reason FROM calls ORDER BY arrived_at, linkedid")
    return [tuple(row) for row in found]


async def test_a_whole_call_is_in_the_journal(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived(), *answered(), ended()])
    row = await db.one("SELECT * FROM calls")
    assert row is not None
    assert (row["did"], row["caller"], row["caller_name"]) == ("+442079460101", "+447700900123", "Алексей")
    assert (row["site"], row["line"], row["outcome"], row["answered_by"]) == (
        "shop",
        "office",
        "answered",
        "PJSIP/100-2",
    )
    assert len(await db.fetch("SELECT * FROM legs")) == 1
    assert [row["state"] for row in await db.fetch("SELECT state FROM recordings")] == ["waiting"]
    assert journal.open_calls() == []


async def test_a_call_is_attributed_to_the_visitor_who_holds_the_number(db: Sqlite, settings: Settings) -> None:
    at = 1_700_000_000_000
    shown = await visits.record(
        db, settings, [], PageView("shop", "", ADS, "", "", ("main",), source=source.classify(ADS, "")), at - 5_000
    )
    await Journal(db, settings, Attributor(settings, {}), "pbx").apply([arrived(did=shown.numbers["main"])])
    row = await db.one("SELECT * FROM calls")
    assert row is not None
    assert (row["session"], row["attribution"]) == (shown.session, "exact")
    assert (row["source"], row["medium"], row["campaign"]) == ("google", "cpc", "spring")
    assert json.loads(row["click_ids"]) == {"gclid": "abc"}


async def test_a_static_number_names_its_source(db: Sqlite, settings: Settings) -> None:
    await Journal(db, settings, Attributor(settings, {}), "pbx").apply([arrived(did="02079460190")])
    row = await db.one("SELECT * FROM calls")
    assert row is not None
    assert (row["attribution"], row["confidence"], row["source"], row["line"]) == ("static", 1.0, "billboard", "night")


async def test_a_call_to_a_number_nobody_was_shown_is_nobodys(db: Sqlite, settings: Settings) -> None:
    await Journal(db, settings, Attributor(settings, {}), "pbx").apply(
        [arrived(), arrived("1700000000.5", "anonymous")]
    )
    assert {row["attribution"] for row in await db.fetch("SELECT attribution FROM calls")} == {"none"}


async def test_the_attribution_stays_when_the_call_goes_on(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    shown = await visits.record(
        db,
        settings,
        [],
        PageView("shop", "", ADS, "", "", ("main",), source=source.classify(ADS, "")),
        1_699_999_990_000,
    )
    await journal.apply([arrived(did=shown.numbers["main"])])
    await journal.apply(answered())
    await journal.apply([ended()])
    row = await db.one("SELECT session, outcome FROM calls")
    assert row is not None
    assert tuple(row) == (shown.session, "answered")


async def test_calls_that_cannot_be_saved_are_kept_and_saved_later(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived()])
    await fill_up(db)
    more = [f"17000000{number:02}.1" for number in range(10, 40)]
    for linkedid in more:
        await journal.apply([arrived(linkedid)])
    await journal.apply([*answered(), ended()])
    assert len(await rows(db)) < 31
    await make_room(db)
    await journal.flush()
    assert len(await rows(db)) == 31
    assert (ONE, "ended", "answered", "completed") in await rows(db)
    assert len(journal.open_calls()) == 30


async def test_saving_twice_at_once_loses_nothing(db: Sqlite, settings: Settings) -> None:
    """Upkeep saves what waits while the PBX's next events are applied."""
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    for number in range(50):
        linkedid = f"170000000{number}.1"
        first = asyncio.create_task(journal.apply([arrived(linkedid)]))
        await asyncio.sleep(0)
        second = asyncio.create_task(journal.flush())
        third = asyncio.create_task(journal.apply([*answered(linkedid), ended(linkedid)]))
        await asyncio.gather(first, second, third)
    found = await rows(db)
    assert len(found) == 50
    assert {row[1:] for row in found} == {("ended", "answered", "completed")}


async def test_resuming_forgets_nothing_that_is_not_saved_yet(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived(), arrived("1700000000.5")])
    await fill_up(db)
    late = [f"17000000{number:02}.1" for number in range(10, 40)]
    await journal.apply([arrived(linkedid) for linkedid in late] + answered() + [ended("1700000000.5")])
    open_now = {call.linkedid: call.state for call in await journal.resume()}
    assert open_now == {ONE: "talking", **dict.fromkeys(late, "arrived")}
    await make_room(db)
    await journal.apply([ended()])
    assert (ONE, "ended", "answered", "completed") in await rows(db)
    assert len(await rows(db)) == 32


async def test_a_restart_in_mid_call_goes_on_where_it_was(db: Sqlite, settings: Settings, tmp_path: Path) -> None:
    before = Journal(db, settings, Attributor(settings, {}), "pbx")
    await before.apply([arrived(), *answered()])
    reopened = await sqlite.open(tmp_path / "ctserver.db")
    await migrate.verify(reopened, migrate.read(files.folder("migrations")))
    after = Journal(reopened, settings, Attributor(settings, {}), "pbx")
    (call,) = await after.resume()
    assert call == before.open_calls()[0]
    await after.apply([ended()])
    assert await rows(reopened) == [(ONE, "ended", "answered", "completed")]
    await reopened.close()


async def test_a_call_that_ended_while_nobody_watched_keeps_what_was_known(db: Sqlite, settings: Settings) -> None:
    await Journal(db, settings, Attributor(settings, {}), "pbx").apply(
        [arrived(), *answered(), arrived("1700000000.5")]
    )
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([Vanished(call.linkedid, 1_700_000_090_000) for call in await journal.resume()])
    assert await rows(db) == [(ONE, "ended", "answered", "unknown"), ("1700000000.5", "ended", "missed", "unknown")]


async def test_the_calls_of_another_pbx_are_not_ours(db: Sqlite, settings: Settings) -> None:
    await Journal(db, settings, Attributor(settings, {}), "other").apply([arrived()])
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    assert await journal.resume() == []
    await journal.apply([arrived(), ended()])
    assert len(await rows(db)) == 2


async def test_a_call_that_is_in_the_journal_already_spoils_no_other(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived(), ended()])
    await journal.apply([arrived()])
    await journal.apply([*answered(), arrived("1700000000.5")])
    await journal.apply([ended(), ended("1700000000.5")])
    assert await rows(db) == [
        (ONE, "ended", "missed", "abandoned_early"),
        ("1700000000.5", "ended", "missed", "abandoned_early"),
    ]
    assert journal.open_calls() == []


async def test_an_event_that_raises_costs_the_other_calls_nothing(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived(), CallerHungUp(ONE, None, 16), arrived("1700000000.5"), ended()])  # type: ignore[arg-type]
    assert [row[:2] for row in await rows(db)] == [(ONE, "ended"), ("1700000000.5", "arrived")]


async def test_a_call_that_cannot_be_saved_costs_the_other_calls_nothing(db: Sqlite, settings: Settings) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    never = arrived("1700000000.4", at=10**20)  # no database has a number for that time
    await journal.apply([arrived(), never, arrived("1700000000.5")])
    assert [row[:2] for row in await rows(db)] == [(ONE, "arrived"), ("1700000000.5", "arrived")]
    await journal.apply([ended("1700000000.4"), ended(), *answered("1700000000.5")])
    assert [row[:2] for row in await rows(db)] == [(ONE, "ended"), ("1700000000.5", "talking")]
    assert await journal.resume() == journal.open_calls() != []


async def test_a_note_that_cannot_be_used_costs_the_others_nothing(db: Sqlite, settings: Settings) -> None:
    journal, read = Journal(db, settings, Attributor(settings, {}), "pbx"), []
    never = [arrived("1700000000.4", at=10**20), ended("1700000000.4")]
    told = [[arrived(), ended()], never, [arrived("1700000000.5"), ended("1700000000.5")]]
    assert await journal.reconcile(told, lambda _: read.append("to here")) == 2
    assert [row[:2] for row in await rows(db)] == [(ONE, "ended"), ("1700000000.5", "ended")]
    assert read
    assert await journal.reconcile([never], lambda _: read.append("to there")) == 0
    assert read[-1] == "to there"


async def test_recorded_streams_end_up_in_the_journal_as_replay_tells_them(
    db: Sqlite, settings: Settings, root: Path
) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    translator = Translator(["ct-inbound"])
    data = (root / "tests/asterisk/streams/two_calls_at_once/stream.txt").read_bytes()
    for message in replay.read(data):
        await journal.apply(list(translator.events(message, 0)))
    wanted = [
        (call.linkedid, call.state, call.outcome, call.reason)
        for call in replay.calls(replay.read(data), ["ct-inbound"])
    ]
    assert await rows(db) == wanted


async def test_two_pbxs_may_use_the_same_uniqueids(db: Sqlite, settings: Settings, root: Path) -> None:
    one, other = (Journal(db, settings, Attributor(settings, {}), pbx) for pbx in ("one", "other"))
    views = {one: Translator(["ct-inbound"]), other: Translator(["ct-inbound"])}
    streams = root / "tests/asterisk/streams"
    told = {one: list(replay.read((streams / "answered/stream.txt").read_bytes())), other: []}
    told[other] = [{**message, "DialStatus": "BUSY"} if "DialStatus" in message else message for message in told[one]]
    for pair in zip(told[one], told[other], strict=True):
        for journal, message in zip((one, other), pair, strict=True):
            await journal.apply(list(views[journal].events(message, 0)))
    found = await db.fetch("SELECT pbx, linkedid, outcome FROM calls ORDER BY pbx")
    assert [(row["pbx"], row["outcome"]) for row in found] == [("one", "answered"), ("other", "missed")]
    assert found[0]["linkedid"] == found[1]["linkedid"]
    assert len(await db.fetch("SELECT * FROM legs")) == 2


@pytest.mark.parametrize("apart", [False, True])
async def test_a_party_whose_end_is_told_late_still_tells_that_the_network_broke(
    db: Sqlite, settings: Settings, root: Path, apart: bool
) -> None:
    messages = list(replay.read((root / "tests/asterisk/streams/broken_by_the_network/stream.txt").read_bytes()))
    messages[-2:] = sorted(messages[-2:], key=lambda message: message["Cause"])
    assert [message["Cause"] for message in messages[-2:]] == ["16", "44"]
    journal, translator = Journal(db, settings, Attributor(settings, {}), "pbx"), Translator(["ct-inbound"])
    told = [list(translator.events(message, 0)) for message in messages]
    for batch in told if apart else [[event for events in told for event in events]]:
        await journal.apply(batch)
    (row,) = await db.fetch("SELECT outcome, reason, hung_up_by, state FROM calls")
    assert tuple(row) == ("answered", "broken", "network", "ended")


async def test_the_way_of_a_call_is_kept(db: Sqlite, settings: Settings, root: Path) -> None:
    """What the journal gives back is what the stream told, at the end and at every moment of a restart."""
    stream = (root / "tests/asterisk/streams/attended_transfer/stream.txt").read_bytes()
    messages = list(replay.read(stream))
    (wanted,) = replay.calls(messages, ["ct-inbound"])
    translator = Translator(["ct-inbound"])
    for message in messages:
        journal = Journal(db, settings, Attributor(settings, {}), "pbx")
        await journal.resume()
        await journal.apply(list(translator.events(message, 0)))
    row = await db.one("SELECT id, wait_ms, ring_ms, talk_ms, hold_ms FROM calls")
    assert row is not None
    found = await calls.by_id(db, row["id"])
    assert found is not None
    assert (found.legs, sorted(found.steps, key=str)) == (wanted.legs, sorted(wanted.steps, key=str))
    assert (found.hung_up_by, found.reason, found.answered_by) == ("caller", "completed", wanted.answered_by)
    took = times(wanted, 0)
    assert tuple(row)[1:] == (took.wait, took.ring, took.talk, took.hold)


async def test_a_caller_name_comes_as_it_was_written(db: Sqlite, settings: Settings, root: Path) -> None:
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    translator = Translator(["ct-inbound"])
    for message in replay.read((root / "tests/asterisk/streams/cyrillic_name/stream.txt").read_bytes()):
        await journal.apply(list(translator.events(message, 0)))
    (row,) = await db.fetch("SELECT caller_name FROM calls")
    assert row["caller_name"] == 'Алексей "Ёж" Ёлкин \\'


async def test_a_repeat_call_goes_to_the_earlier_session_if_the_site_wants_it(db: Sqlite, settings: Settings) -> None:
    at = 1_700_000_000_000
    view = PageView("shop", "", ADS, "", "", ("main",), source=source.classify(ADS, ""))
    shown = await visits.record(db, settings, [], view, at - 5_000)
    number, days = shown.numbers["main"], 86_400_000
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    await journal.apply([arrived(did=number), ended(), arrived("1700000000.9", number, at + 3 * days)])
    first, again = await db.fetch("SELECT * FROM calls ORDER BY arrived_at")
    assert (again["attribution"], again["session"]) == ("repeat", first["session"])
    assert "rang 2 d before" in again["why"] or "rang 3 d before" in again["why"]
    site = settings.sites["shop"].model_copy(update={"repeat_calls": False})
    each_alone = settings.model_copy(update={"sites": {**settings.sites, "shop": site}})
    await Journal(db, each_alone, Attributor(each_alone, {}), "other").apply(
        [arrived("1700000000.9", number, at + 3 * days)]
    )
    (alone,) = await db.fetch("SELECT * FROM calls WHERE pbx = 'other'")
    assert alone["attribution"] != "repeat"


async def test_a_call_that_cannot_be_attributed_is_kept_all_the_same(db: Sqlite, settings: Settings) -> None:
    class Broken(Attributor):
        def answer(self, tx: object, call: object) -> Answer:
            raise ArithmeticError("a mistake of ours")

    await Journal(db, settings, Broken(settings, {}), "pbx").apply([arrived(), ended()])
    (row,) = await db.fetch("SELECT state, attribution FROM calls")
    assert tuple(row) == ("ended", "none")
