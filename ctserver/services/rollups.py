"""Keeps the sums ready that reports are made of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from ctserver.config import Settings
from ctserver.domain import report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import DIMENSIONS, Ready, Span
from ctserver.storage import reports
from ctserver.storage import rollups as storage
from ctserver.storage.db import Database, Transaction

PAUSE_SECONDS = 0.2
RESTS = 6  # times as long as the last sum took, before the next
SUMS_AT_ONCE = 500
MANY_SESSIONS, FEW_HOURS_MS = 2_000, 4 * HOUR_MS
ROLL_SECONDS = 600.0  # what is summed may wait for reports, never the other way round for long
HOUR_SETTLED_MS = 300_000  # an hour is summed when it is over for so long: until then its calls go on
SETTLED_MS = HOUR_MS  # a day and longer spans


def settle(tx: Transaction, settings: Settings) -> bool:
    """Bring the rules of target calls in line with the settings; true if they were others."""
    rules = {}
    for id, site in settings.sites.items():
        rule = site.target_call
        rules[id] = (int(rule.answered), rule.seconds * 1000, rule.first_in_days * DAY_MS)
    return storage.settle_rules(tx, rules)


async def roll(db: Database, now: int) -> int:
    """Sum one day's hours, or a day, week, month or season of them, that are over and whose sums are not valid, the latest day first;
    0 when there are none.

    Everything is read beside the writer and written in small units, so that nobody waits for it. What changes meanwhile
    makes the sums invalid again, and they are made anew.
    """
    if hours := await db.read(lambda tx: storage.stale(tx, now - HOUR_SETTLED_MS)):
        await _roll_hours(db, hours)
        return 1
    found = await db.read(lambda tx: _next(tx, now - SETTLED_MS))
    if found is None:
        return 0
    await _roll_days(db, *found)
    return 1


async def catch_up(db: Database, now: int) -> None:
    """Sum all that is to be summed; a year of a busy site takes half an hour, most of it pauses for everything else."""
    began = time.monotonic()
    while await roll(db, now):
        took = time.monotonic() - began
        await asyncio.sleep(max(PAUSE_SECONDS, RESTS * took))
        began = time.monotonic()


def _next(tx: Transaction, until: int) -> tuple[str, int] | None:
    """A day, week, month or season to sum."""
    first = storage.first_hour(tx)
    if first is None:
        return None
    end = report.day_start(until)
    ready = storage.valid(tx, (first, end))
    for day in range(end - DAY_MS, first - 1, -DAY_MS):
        if day not in ready.days:
            return "day", day
    for kind, known in (("week", ready.weeks), ("month", ready.months), ("season", ready.seasons)):
        start = report.FIRST[kind](first)
        while (after := report.AFTER[kind](start)) <= end:
            if start not in known:
                return kind, start
            start = after
    return None


async def _roll_hours(db: Database, span: Span) -> None:
    """The sums of the hours of a day, counted call by call; of a busy day a few at a time, since they are held in memory."""
    busy = await db.read(lambda tx: storage.sessions_in(tx, span)) > MANY_SESSIONS
    step = FEW_HOURS_MS if busy else DAY_MS
    for start in range(span[0], span[1], step):
        await _roll_some(db, (start, min(start + step, span[1])))


async def _roll_some(db: Database, span: Span) -> None:
    def read(tx: Transaction) -> tuple[dict[int, int], dict[str, dict[int, reports.Values]]]:
        return storage.changes_of(tx, span), reports.by_every_dimension(tx, span)

    changes, found = await db.read_slow(read, ROLL_SECONDS)
    quarters = found.pop(reports.CLOCK)
    puts = [
        (sum(map(len, hours.values())), partial(storage.put_hours, dimension=name, span=span, hours=hours))
        for name, hours in found.items()
    ]
    await _put(db, puts)
    await db.write(lambda tx: storage.put_quarters(tx, span, quarters))
    await db.write(lambda tx: storage.hours_are_ready(tx, changes))


async def _roll_days(db: Database, kind: str, start: int) -> None:
    """The sums of a day, of those of its hours; of a week or a month, of its days; of a season, of its months."""
    span = start, report.AFTER[kind](start)

    def read(tx: Transaction) -> tuple[int, dict[str, reports.Values]] | None:
        ready, first = storage.valid(tx, span), storage.first_hour(tx) or 0
        parts = {
            "day": Ready(hours=ready.hours),
            "season": Ready(ready.days, months=ready.months, hours=ready.hours),
        }
        cut = report.pieces((max(start, first), span[1]), parts.get(kind, Ready(ready.days)))
        if cut.rest:
            return None
        changes = sum(storage.changes_of(tx, span).values())
        return changes, {name: reports.by_value(tx, name, cut, apart=True) for name in DIMENSIONS}

    if found := await db.read_slow(read, ROLL_SECONDS):
        changes, values = found
        await _put(db, [
            (len(sums), partial(storage.put, dimension=name, kind=kind, start=start, values=sums))
            for name, sums in values.items()
        ])  # fmt: skip
        await db.write(lambda tx: storage.span_is_ready(tx, kind, start, changes))


async def _put(db: Database, puts: Iterable[tuple[int, Callable[[Transaction], None]]]) -> None:
    """Write (number of sums, how), a few hundred in one unit, so that neither the disk nor those who write are kept busy."""
    unit: list[Callable[[Transaction], None]] = []
    waiting = 0
    for count, put in puts:
        unit.append(put)
        waiting += count
        if waiting >= SUMS_AT_ONCE:
            await db.write(partial(_each, puts=unit))
            unit, waiting = [], 0
    await db.write(partial(_each, puts=unit))


def _each(tx: Transaction, puts: Iterable[Callable[[Transaction], None]]) -> None:
    for put in puts:
        put(tx)
