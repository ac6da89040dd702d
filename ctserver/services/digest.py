"""The digest of a day and of a week: a fact in the morning, in plain words, for whoever an alert rule sends it to."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from ctserver.config import Settings
from ctserver.domain import fact as facts
from ctserver.domain import missed as work
from ctserver.domain import phone
from ctserver.domain.fact import Fact
from ctserver.domain.report import MEASURES, Span, Sums
from ctserver.domain.rights import EVERYTHING
from ctserver.services import reports
from ctserver.services.facts import Facts
from ctserver.storage import missed, outbox
from ctserver.storage.db import Database

HOUR = 7  # of the morning, in the server's time zone
UNTIL_HOUR = 20  # a server that starts later in the day tells nothing of yesterday
MOST_WAITING = 10
MOST_SOURCES = 5
MONDAY = 0


async def tell(db: Database, settings: Settings, told: Facts, now: int) -> list[Fact]:
    """Write the digests that are due and were not written yet; the facts that were new. Raises StorageError."""
    zone = _zone(settings)
    moment = datetime.fromtimestamp(now / 1000, zone)
    if not HOUR <= moment.hour < UNTIL_HOUR:
        return []
    today = moment.date()
    spans = [(facts.DAILY, today - timedelta(days=1), today)]
    if today.weekday() == MONDAY:
        spans.append((facts.WEEKLY, today - timedelta(days=7), today))
    written = []
    for kind, first, end in spans:
        once = f"{kind} {first.isoformat()}"
        if await db.read(partial(outbox.known, keys=[once])):
            continue
        detail = await words(db, settings, first, end)
        fact = Fact(kind, now, first.isoformat(), detail, once=once, data={"since": first.isoformat(), "text": detail})
        if await db.write(lambda tx, fact=fact: told.record(tx, fact, now)):  # type: ignore[misc]
            written.append(fact)
    if written:
        told.wake()
    return written


async def words(db: Database, settings: Settings, first: date, end: date) -> str:
    """The days from `first` up to `end`, beside as many days a week (for a week: the week) before."""
    zone, days = _zone(settings), (end - first).days
    span, before = _span(first, end, zone), _span(first - timedelta(7), end - timedelta(7), zone)
    question = reports.Question("source", span, "day", zone, before=before)
    report = await reports.ask(db, question)
    name = f"{first:%d.%m.%Y}" if days == 1 else f"{first:%d.%m.%Y} - {end - timedelta(days=1):%d.%m.%Y}"
    lines = [name, _counted(report.total, report.before), "", *_sources(report), *await _waiting(db, span[0])]
    return "\n".join(lines).strip()


def _counted(sums: Sums, before: Sums | None) -> str:
    calls, answered = (_of(sums, measure) for measure in ("calls", "answered"))
    text = f"{calls} calls, {answered} answered, {_of(sums, 'missed')} missed"
    if before is None:
        return text
    more = calls - _of(before, "calls")
    word = f"{abs(more)} {'more' if more > 0 else 'fewer'} than" if more else "as many as"
    return f"{text}; {word} the week before"


def _sources(report: reports.Report) -> list[str]:
    lines = [line for line in report.lines if _of(line.sums, "calls")][:MOST_SOURCES]
    if not lines:
        return []
    found = []
    for line in lines:
        calls, before = _of(line.sums, "calls"), _of(line.before, "calls") if line.before else 0
        found.append(f"- {line.value or 'not known'}: {calls} calls ({calls - before:+d})")
    return ["Where they came from:", *found, ""]


async def _waiting(db: Database, since: int) -> list[str]:
    rows = await db.read(lambda tx: [missed.missed_call(row) for row in missed.since(tx, EVERYTHING, since)])
    cases = [case for case in work.cases(rows) if case.state == work.NEW and case.caller]
    if not cases:
        return ["Nobody waits to be called back."]
    callers = [f"- {phone.international(case.caller)}, {len(case.calls)} x" for case in cases[:MOST_WAITING]]
    rest = [f"and {len(cases) - MOST_WAITING} more"] if len(cases) > MOST_WAITING else []
    return [f"Missed and not called back, {len(cases)}:", *callers, *rest]


def _of(sums: Sums, measure: str) -> int:
    return sums[MEASURES.index(measure)]


def _span(first: date, end: date, zone: tzinfo) -> Span:
    since, until = (int(datetime.combine(day, time(), zone).timestamp() * 1000) for day in (first, end))
    return since, until


def _zone(settings: Settings) -> tzinfo:
    """The server's; without one in the settings, that of its machine."""
    name = settings.server.time_zone
    return ZoneInfo(name) if name else datetime.now(UTC).astimezone().tzinfo or UTC
