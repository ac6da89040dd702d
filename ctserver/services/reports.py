"""Reports of calls and sessions over a span of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import TypeVar

from ctserver.domain import report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import Pieces, Ready, Span, Sums, add, nothing
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.storage import narrowed, rollups
from ctserver.storage import reports as storage
from ctserver.storage.db import Database, Transaction
from ctserver.storage.search import Filters

WEEK_HOURS = 168
EPOCH = date(1970, 1, 1)  # a Thursday
SLOW_SECONDS = 50.0  # what is counted call by call may take: web servers before ours give up after 60
SLOW_MS = 7 * DAY_MS  # so much time is counted call by call in a moment
FOREVER = 1 << 40  # more slots than there will be
NO_FILTERS = Filters()
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
        counted = HOUR_MS * sum([await rollups.stale_hours(db, span) for span in spans])
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
    return report.pieces(span, rollups.valid(tx, span) if scope.lines is None else Ready())


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
