"""The digest of a day and of a week: a fact in the morning, and the figures that whoever is told of it gets to read.

The fact names the days only. What there is to tell is counted when it is told: nobody's number waits in the outbox, and who
was called back meanwhile is not named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from ctserver.config import Settings
from ctserver.domain import fact as facts
from ctserver.domain import missed as work
from ctserver.domain.clock import midnight
from ctserver.domain.fact import Fact
from ctserver.domain.report import PLACE, Span, Sums, nothing
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.services import reports
from ctserver.services.facts import Facts
from ctserver.services.reports import Line, Question
from ctserver.storage import missed, outbox
from ctserver.storage.db import Database

HOUR = 7  # of the morning, in the server's time zone
UNTIL_HOUR = 20  # a server that starts later in the day tells nothing of yesterday
MOST_WAITING = 10
MOST_SOURCES = 6
MOST_FALLEN = 3  # more sources, that have lost most
MONDAY = 0
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted over some days; times in milliseconds."""

    calls: int
    answered: int
    missed: int
    newcomers: int
    talk_ms: int

    @property
    def talk_seconds(self) -> float | None:
        """Of an answered call, on average."""
        return self.talk_ms / 1000 / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Source:
    """`value` is "" where it is not known; `before`: its calls in as many days a week (for a week: the week) before."""

    value: str
    calls: int
    before: int

    @property
    def change(self) -> int:
        return self.calls - self.before


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller nobody has spoken with yet; `call` is his latest."""

    call: str
    caller: str
    at: int
    times: int


@dataclass(frozen=True, slots=True)
class Digest:
    """The days from `first` to `last`. `day_before` is None for a week. `bars`: (beginning, calls, missed) of each hour
    of a day, of each day of a week."""

    first: date
    last: date
    total: Count
    day_before: Count | None
    week_before: Count
    bars: list[tuple[int, int, int]]
    sources: list[Source]
    waiting: list[Waiting]
    waiting_count: int

    @property
    def weekly(self) -> bool:
        return self.first != self.last


async def tell(db: Database, settings: Settings, told: Facts, now: int) -> list[Fact]:
    """Write the digests that are due and were not written yet; the facts that were new. Raises StorageError."""
    moment = datetime.fromtimestamp(now / 1000, _zone(settings))
    if not HOUR <= moment.hour < UNTIL_HOUR:
        return []
    today = moment.date()
    spans = [(facts.DAILY, today - timedelta(days=1), today)]
    if today.weekday() == MONDAY:
        spans.append((facts.WEEKLY, today - WEEK, today))
    written = []
    for kind, first, end in spans:
        once = f"{kind} {first.isoformat()}"
        if await db.read(partial(outbox.known, keys=[once])):
            continue
        last = end - timedelta(days=1)
        fact = Fact(
            kind, now, first.isoformat(), once=once, data={"first": first.isoformat(), "last": last.isoformat()}
        )
        if await db.write(lambda tx, fact=fact: told.record(tx, fact, now)):  # type: ignore[misc]
            written.append(fact)
    if written:
        told.wake()
    return written


async def of(db: Database, settings: Settings, fact: Fact, scope: Scope = EVERYTHING) -> Digest:
    """What there is to read for a fact that `tell` wrote."""
    first, last = date.fromisoformat(str(fact.data["first"])), date.fromisoformat(str(fact.data["last"]))
    return await of_days(db, settings, first, last, scope)


async def of_days(db: Database, settings: Settings, first: date, last: date, scope: Scope = EVERYTHING) -> Digest:
    """The figures of some days, of the calls that the scope sees."""
    zone, weekly, end = _zone(settings), last > first, last + timedelta(days=1)
    span, before = _span(first, end, zone), _span(first - WEEK, end - WEEK, zone)
    unit = "day" if weekly else "hour"
    report = await reports.ask(db, Question("source", span, unit, zone, scope, before))
    waiting = await _waiting(db, span, scope)
    return Digest(
        first=first,
        last=last,
        total=_count(report.total),
        day_before=None if weekly else await _day_before(db, first, zone, scope),
        week_before=_count(report.before or nothing()),
        bars=[(at, _of(sums, "calls"), _of(sums, "missed")) for at, sums in report.series],
        sources=_sources(report.lines),
        waiting=waiting[:MOST_WAITING],
        waiting_count=len(waiting),
    )


async def _day_before(db: Database, day: date, zone: tzinfo, scope: Scope) -> Count:
    slots = await reports.series(db, _span(day - timedelta(days=1), day, zone), "day", zone, scope)
    return _count([sum(column) for column in zip(*(sums for _, sums in slots), strict=True)])


def _sources(lines: Iterable[Line]) -> list[Source]:
    """Those with most calls, and of the others those that have lost most."""
    found = [
        Source(line.value, _of(line.sums, "calls"), _of(line.before, "calls") if line.before else 0) for line in lines
    ]
    found = sorted((source for source in found if source.calls or source.before), key=lambda source: -source.calls)
    ringing = [source for source in found if source.calls][:MOST_SOURCES]
    others = sorted((source for source in found if source not in ringing), key=lambda source: source.change)
    return ringing + [source for source in others if source.change < 0][:MOST_FALLEN]


async def _waiting(db: Database, span: Span, scope: Scope) -> list[Waiting]:
    """Who rang in these days and has not been reached since, the latest first."""
    rows = await db.read(lambda tx: [missed.missed_call(row) for row in missed.since(tx, scope, span[0])])
    calls = (call for call in rows if call.at < span[1])
    cases = [case for case in work.cases(calls) if case.state == work.NEW]
    return [Waiting(case.id, case.caller, case.last_at, len(case.calls)) for case in cases]


def _count(sums: Sums) -> Count:
    return Count(*(_of(sums, name) for name in ("calls", "answered", "missed", "newcomers", "talk_ms")))


def _of(sums: Sums, measure: str) -> int:
    return sums[PLACE[measure]]


def _span(first: date, end: date, zone: tzinfo) -> Span:
    since, until = (midnight(day, zone) for day in (first, end))
    return since, until


def _zone(settings: Settings) -> tzinfo:
    """The server's; without one in the settings, that of its machine."""
    name = settings.server.time_zone
    return ZoneInfo(name) if name else datetime.now(UTC).astimezone().tzinfo or UTC
