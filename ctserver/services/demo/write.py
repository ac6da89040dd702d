"""Puts the demonstration into the database and takes it away."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from ctserver.domain.clock import DAY_MS
from ctserver.services.demo import words, work
from ctserver.services.demo.shop import MARK, Day, Shop, Town
from ctserver.services.demo.sound import conversation
from ctserver.storage import demo
from ctserver.storage.db import Database, Transaction

RECORDED = 40  # of the latest answered calls that are not too long to make
MAX_MS = 600_000
AT_ONCE = 2_000


def days(shop: Shop, count: int, now: int, seed: int = 1) -> Iterator[Day]:
    """The last `count` days up to now, the oldest first; a shop that does better towards Christmas."""
    town = Town(shop, seed)
    today = now - now % DAY_MS
    for back in range(count - 1, -1, -1):
        start = today - back * DAY_MS
        date = datetime.fromtimestamp(start / 1000, tz=UTC)
        to_christmas = min(abs((datetime(date.year, 12, 18, tzinfo=UTC) - date).days), 183)
        season = 0.8 + 0.7 * math.exp(-to_christmas / 30)
        yield town.day(start, now, season * words.WEEKDAYS[date.weekday()])


async def fill(db: Database, shop: Shop, recordings: Path, count: int, now: int) -> int:
    """Write `count` days, recordings of the latest calls included; returns how many calls."""
    calls = 0
    answered: list[tuple[str, int, int]] = []
    for day in days(shop, count, now):
        await db.write(_unit(day, now))
        calls += len(day.calls)
        answered += [
            (row[0], row[14], row[15]) for row in day.calls if row[14] is not None and row[15] - row[14] <= MAX_MS
        ]
    await db.write(demo.show_numbers)
    for id, began, ended in sorted(answered)[-RECORDED:]:
        await _record(db, recordings, id, began, ended)
    return calls


def _unit(day: Day, now: int) -> Callable[[Transaction], None]:
    def unit(tx: Transaction) -> None:
        demo.insert(tx, demo.SESSION, day.sessions)
        demo.insert(tx, demo.VISIT, day.visits)
        demo.insert(tx, demo.LEASE, day.leases)
        demo.insert(tx, demo.CALL, day.calls)
        demo.insert(tx, demo.LEG, day.legs)
        demo.insert(tx, demo.CREDIT, day.credits)
        work.follow_up(tx, day.calls, now)

    return unit


async def _record(db: Database, recordings: Path, id: str, began: int, ended: int) -> None:
    seconds = (ended - began) / 1000
    file = recordings / MARK / f"{id}.wav"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(conversation(seconds, seed=began))
    row = (id, f"{MARK}/{file.name}", file.stat().st_size, int(seconds * 1000), ended)
    await db.write(lambda tx: demo.insert(tx, demo.RECORDING, [row]))


async def remove(db: Database, recordings: Path) -> int:
    """Take all of it away again; returns how many calls there were."""
    for name in await db.write(lambda tx: demo.files(tx, MARK)):
        for file in (recordings / MARK).glob(f"{Path(name).stem}.*"):
            file.unlink()
    if (recordings / MARK).is_dir() and not any((recordings / MARK).iterdir()):
        (recordings / MARK).rmdir()
    calls = await db.write(lambda tx: demo.remove_calls(tx, MARK))
    while await db.write(lambda tx: demo.remove_visitors(tx, "demo-", AT_ONCE)):
        pass
    return calls
