"""Reports of calls and sessions over a span of time, and the sums kept ready for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from functools import partial
from typing import TypeVar

from ctserver.config import Settings
from ctserver.domain import report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import DIMENSIONS, Pieces, Ready, Span, Sums, add, nothing
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.storage import narrowed
from ctserver.storage import reports as storage
from ctserver.storage.db import Database, Transaction
from ctserver.storage.search import Filters

WEEK_HOURS = 168
EPOCH = date(1970, 1, 1)  # a Thursday
PAUSE_SECONDS = 0.2
RESTS = 6  # times as long as the last sum took, before the next
SUMS_AT_ONCE = 500
MANY_SESSIONS, FEW_HOURS_MS = 2_000, 4 * HOUR_MS
SLOW_SECONDS = 50.0  # what is counted call by call may take: web servers before ours give up after 60
ROLL_SECONDS = 600.0  # what is summed may wait for reports, never the other way round for long
SLOW_MS = 7 * DAY_MS  # so much time is counted call by call in a moment
FOREVER = 1 << 40  # more slots than there will be
NO_FILTERS = Filters()
HOUR_SETTLED_MS = 300_000  # an hour is summed when it is over for so long: until then its calls go on
SETTLED_MS = HOUR_MS  # a day and longer spans
T = TypeVar("T")
Offsets = Callable[[Span], Iterable[tuple[Span, int]]]


@dataclass(frozen=True, slots=True)
class Question:
    """What to count by what, of the calls and sessions that the scope sees; `before` is a span to compare with. Of the filters,
    times and site count for nothing: the span and the scope say these."""

    by: str
    span: Span
    unit: str
    zone: tzinfo
    scope: Scope = EVERYTHING
    before: Span | None = None
    filters: Filters = NO_FILTERS


@dataclass(frozen=True, slots=True)
class Line:
    """A value of the dimension; "" is what is not known."""

    value: str
    sums: Sums
    before: Sums | None


@dataclass(frozen=True, slots=True)
class Report:
    """Lines with most calls first; the series has (beginning, sums) for each slot, the empty ones too. `first`: when the
    first call or session was that the scope sees, None if there is none."""

    lines: list[Line]
    total: Sums
    before: Sums | None
    series: list[tuple[int, Sums]]
    series_before: list[tuple[int, Sums]]
    first: int | None


async def ask(db: Database, question: Question) -> Report:
    """The report, of one state of the database. Raises TooSlow."""
    spans = [span for span in (question.span, question.before) if span]
    return await _read(db, lambda tx: _report(tx, question), spans, question.scope, question.filters)


async def _read(
    db: Database, unit: Callable[[Transaction], T], spans: Sequence[Span], scope: Scope, filters: Filters
) -> T:
    """What is ready is read at once; what much is counted for, call by call, one at a time."""
    counted = sum(until - since for since, until in spans)
    if not narrowed.narrows(filters) and scope.lines is None:
        counted = HOUR_MS * sum([await storage.stale_hours(db, span) for span in spans])
    return await (db.read_slow(unit, SLOW_SECONDS) if counted > SLOW_MS else db.read(unit))


def counts_sessions(question: Question) -> bool:
    """Are there sessions in the report, or does it tell of what they know nothing of?"""
    return narrowed.counts_sessions(question.by, question.scope, question.filters)


async def heat(db: Database, span: Span, zone: tzinfo, scope: Scope, filters: Filters = NO_FILTERS) -> list[list[Sums]]:
    """Seven days from Monday, each of 24 hours. Raises TooSlow."""

    def unit(tx: Transaction) -> list[list[Sums]]:
        if narrowed.narrows(filters):
            hours = _narrowed(tx, "channel", report.offsets(span, zone), HOUR_MS, WEEK_HOURS, scope, filters)[1]
        else:
            cut = _cut(tx, span, scope)
            hours = _slots(tx, cut, lambda part: report.offsets(part, zone), scope, HOUR_MS, WEEK_HOURS)
        first = -EPOCH.weekday() * 24  # Monday's midnight
        return [
            [hours.get((first + day * 24 + hour) % WEEK_HOURS, nothing()) for hour in range(24)] for day in range(7)
        ]

    return await _read(db, unit, [span], scope, filters)


async def first(db: Database, scope: Scope) -> int | None:
    """When the first call or session was that the scope sees, None if there is none."""
    return await db.read(lambda tx: storage.first_of(tx, scope))


async def series(db: Database, span: Span, unit: str, zone: tzinfo, scope: Scope) -> list[tuple[int, Sums]]:
    """(beginning, sums) of each slot."""
    return await db.read(lambda tx: _series(tx, _cut(tx, span, scope), span, unit, zone, scope))


def _report(tx: Transaction, question: Question) -> Report:
    lines, found = _counted(tx, question, question.span)
    before: dict[str, Sums] = {}
    earlier: list[tuple[int, Sums]] = []
    if question.before:
        before, earlier = _counted(tx, question, question.before)
    return Report(
        lines=_lines(lines, before if question.before else None),
        total=_total(found),
        before=_total(earlier) if question.before else None,
        series=found,
        series_before=earlier,
        first=storage.first_of(tx, question.scope),
    )


def _counted(tx: Transaction, question: Question, span: Span) -> tuple[dict[str, Sums], list[tuple[int, Sums]]]:
    """(sums by value, series) of a span."""
    scope, unit, zone = question.scope, question.unit, question.zone
    if not narrowed.narrows(question.filters):
        cut = _cut(tx, span, scope)
        return _whole(storage.by_value(tx, question.by, cut, scope)), _series(tx, cut, span, unit, zone, scope)
    offsets, slot_ms = _clock(span, unit, zone)
    values, slots = _narrowed(tx, question.by, offsets(span), slot_ms, FOREVER, scope, question.filters)
    return values, _by_beginning(slots, span, unit, zone)


def _narrowed(
    tx: Transaction, by: str, parts: Iterable[tuple[Span, int]], slot_ms: int, turn: int, scope: Scope, filters: Filters
) -> tuple[dict[str, Sums], dict[int, Sums]]:
    """What the filters find: sums by value, and by the number of the local hour or day, modulo `turn`."""
    values: dict[str, Sums] = {}
    slots: dict[int, Sums] = {}
    for part, offset in parts:
        for value, slot, sums in narrowed.count(tx, by, part, offset, slot_ms, turn, scope, filters):
            add(values.setdefault(value, nothing()), sums)
            add(slots.setdefault(slot, nothing()), sums)
    return values, slots


def _cut(tx: Transaction, span: Span, scope: Scope) -> Pieces:
    """Ready-made sums know no lines: whoever sees some lines only has everything counted for him."""
    return report.pieces(span, storage.valid(tx, span) if scope.lines is None else Ready())


def _whole(values: storage.Values) -> dict[str, Sums]:
    return {value: sums for (_, value), sums in values.items()}


def _lines(values: Mapping[str, Sums], before: Mapping[str, Sums] | None) -> list[Line]:
    names = values.keys() | (before or {}).keys()
    lines = [
        Line(name, values.get(name) or nothing(), (before.get(name) or nothing()) if before is not None else None)
        for name in names
    ]
    return sorted(lines, key=lambda line: (-line.sums[1], -line.sums[0], line.value))


def _total(slots: list[tuple[int, Sums]]) -> Sums:
    total = nothing()
    for _, sums in slots:
        add(total, sums)
    return total


def _series(tx: Transaction, cut: Pieces, span: Span, unit: str, zone: tzinfo, scope: Scope) -> list[tuple[int, Sums]]:
    offsets, slot_ms = _clock(span, unit, zone)
    return _by_beginning(_slots(tx, cut, offsets, scope, slot_ms, FOREVER), span, unit, zone)


def _clock(span: Span, unit: str, zone: tzinfo) -> tuple[Offsets, int]:
    """How a span is cut for a series: into hours one after another, else into the zone's days."""
    if unit != "hour":
        return lambda part: report.offsets(part, zone), DAY_MS
    shift = min(report.slots(span, unit, zone), default=0) % HOUR_MS
    return lambda part: [(part, -shift)], HOUR_MS


def _by_beginning(numbered: Mapping[int, Sums], span: Span, unit: str, zone: tzinfo) -> list[tuple[int, Sums]]:
    """The sums of numbered hours or days as slots of the unit, the empty ones too."""
    slots = {start: nothing() for start in report.slots(span, unit, zone)}
    shift, begins = min(slots, default=0) % HOUR_MS, report.slot_of(unit, zone)
    for number, sums in numbered.items():
        start = number * HOUR_MS + shift if unit == "hour" else begins(EPOCH + timedelta(days=number))
        add(slots.setdefault(start, nothing()), sums)
    return sorted(slots.items())


def _slots(tx: Transaction, cut: Pieces, offsets: Offsets, scope: Scope, slot_ms: int, turn: int) -> dict[int, Sums]:
    """Sums by the number of the local hour or day, modulo `turn`."""
    found: dict[int, Sums] = {}
    for span in cut.quarters:
        for part, offset in offsets(span):
            for number, sums in storage.by_slot(tx, part, offset, slot_ms, turn, scope).items():
                add(found.setdefault(number, nothing()), sums)
    for span in cut.unsummed:
        for part, offset in offsets(span):
            for (start, _), sums in storage.by_quarter(tx, part, scope).items():
                add(found.setdefault((start + offset) // slot_ms % turn, nothing()), sums)
    return found


# ---- the ready-made sums


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
    def read(tx: Transaction) -> tuple[dict[int, int], dict[str, dict[int, storage.Values]]]:
        return storage.changes_of(tx, span), storage.by_every_dimension(tx, span)

    changes, found = await db.read_slow(read, ROLL_SECONDS)
    quarters = found.pop(storage.CLOCK)
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

    def read(tx: Transaction) -> tuple[int, dict[str, storage.Values]] | None:
        ready, first = storage.valid(tx, span), storage.first_hour(tx) or 0
        parts = {
            "day": Ready(hours=ready.hours),
            "season": Ready(ready.days, months=ready.months, hours=ready.hours),
        }
        cut = report.pieces((max(start, first), span[1]), parts.get(kind, Ready(ready.days)))
        if cut.rest:
            return None
        changes = sum(storage.changes_of(tx, span).values())
        return changes, {name: storage.by_value(tx, name, cut, apart=True) for name in DIMENSIONS}

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
