"""Learning from calls, asking again, and calibration, on a real database."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from ctserver.config import Settings
from ctserver.domain import source
from ctserver.domain.call import Arrived, CallerHungUp
from ctserver.services import visits
from ctserver.services.attribution import Attributor, calibration, reattribute
from ctserver.services.calls import Journal
from ctserver.services.facts import Facts
from ctserver.services.visits import PageView
from ctserver.storage.sqlite import Sqlite

DAY = 86_400_000
URL = "https://shop.example/?utm_source=google&utm_medium=cpc"


async def tapped_call(db: Sqlite, settings: Settings, at: int, index: int, *, tap: bool = True) -> visits.Shown:
    """A visitor sees a number, taps it 30 seconds later, and the call comes 8 seconds after."""
    view = PageView("shop", "", URL, "", "", ("main",), source=source.classify(URL, ""))
    shown = await visits.record(db, settings, [], view, at)
    number = shown.numbers["main"]
    if tap:
        await visits.note(db, settings, visits.Note(shown.visitor, shown.session, "tapped", number), at + 30_000)
    journal = Journal(db, settings, Attributor(settings, {}), "pbx")
    linkedid = f"17000{index:05}.1"
    caller = f"+4477009{index:05}"
    await journal.apply(
        [
            Arrived(linkedid, at + 38_000, linkedid, "PJSIP/t-1", number, caller, ""),
            CallerHungUp(linkedid, at + 60_000, 16),
        ]
    )
    return shown


async def test_a_tap_names_the_caller_and_what_is_not_likely_is_kept_beside_it(
    db: Sqlite, settings: Settings, now: int
) -> None:
    shown = await tapped_call(db, settings, now, 1)
    (call,) = await db.fetch("SELECT * FROM calls")
    assert (call["attribution"], call["session"]) == ("tapped", shown.session)
    assert call["why"] == "tapped this number 8 s before the call"
    credits = {row["session"]: row["share"] for row in await db.fetch("SELECT * FROM credits")}
    assert abs(sum(credits.values()) - 1) < 1e-9
    assert credits[shown.session] == call["confidence"]


async def test_what_a_site_has_learnt_outlives_a_restart(db: Sqlite, settings: Settings, now: int) -> None:
    for index in range(5):
        await tapped_call(db, settings, now + index * 3_600_000, index)
    attributor = await Attributor.load(db, settings)
    assert await attributor.learn(db, now + DAY) == 5
    assert await attributor.learn(db, now + DAY + 1) == 0
    again = await Attributor.load(db, settings)
    assert again.model("shop") == attributor.model("shop")
    assert again.model("shop").counts.calls > 4.9


async def test_nothing_is_rewritten_unless_asked_for(db: Sqlite, settings: Settings, now: int) -> None:
    await tapped_call(db, settings, now, 1)
    attributor = Attributor(settings, {})
    assert await reattribute(db, attributor, now, now + DAY, Facts(settings)) == []
    await db.write(lambda tx: tx.execute("DELETE FROM signals"))
    (change,) = await reattribute(db, attributor, now, now + DAY)
    assert (change.before[0], change.after[0]) == ("tapped", "exact")
    (kept,) = await db.fetch("SELECT attribution FROM calls")
    assert kept["attribution"] == "tapped"
    assert await told(db) == [("tapped", 1)]
    for _ in range(2):
        await reattribute(db, attributor, now, now + DAY, Facts(settings))
    (changed,) = await db.fetch("SELECT attribution FROM calls")
    assert changed["attribution"] == "exact"
    assert await told(db) == [("tapped", 1), ("exact", 1)], "others are told once of each change"


async def told(db: Sqlite) -> list[tuple[str, int]]:
    rows = await db.fetch("SELECT data FROM facts WHERE kind = 'call.attributed' ORDER BY at")
    return list(Counter(json.loads(row["data"])["attribution"] for row in rows).items())


async def test_calibration_asks_again_without_the_taps(db: Sqlite, settings: Settings, now: int) -> None:
    for index in range(6):
        await tapped_call(db, settings, now + index * 3_600_000, index)
    await tapped_call(db, settings, now + DAY, 9, tap=False)
    found = await calibration(db, Attributor(settings, {}), now, now + 2 * DAY)
    assert found.calls == 6
    assert all(cell.observed == 1 for cell in found.bins)
    assert replace(found, bins=()).error < 0.5
