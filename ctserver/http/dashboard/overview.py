"""The first page: does the phone ring, who was missed, what brought the calls, is anything wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web

from ctserver import language
from ctserver.domain import missed as work
from ctserver.domain import report
from ctserver.domain.clock import DAY_MS, as_many_days_before, day_of, midnight
from ctserver.domain.report import PLACE, Span, Sums
from ctserver.domain.rights import Right, Scope
from ctserver.http import render
from ctserver.http.dashboard import journal, missed
from ctserver.http.dashboard.filters import filter_of, in_words
from ctserver.http.dashboard.pools import short_of, short_today
from ctserver.http.dashboard.rows import call_row
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.services import reports
from ctserver.services.reports import Line, Question, Report
from ctserver.storage import leases, pools

OFFICE = 8, 19  # hours that are always shown
WAITING = 5  # missed callers shown
SOURCES = 6


def add_routes(app: web.Application) -> None:
    app.router.add_get("/", overview)


async def overview(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    now, zone = deps.now(), language.zone()
    day = day_of(now, zone)
    today = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    week = tuple(midnight(day_of(at, zone) - timedelta(days=7), zone) for at in today)
    last_week: Span = (week[0], week[1])
    by_now: Span = (week[0], as_many_days_before(now, 7, zone))  # a day half over is compared with half a day
    found = await reports.ask(deps.db, Question("source", today, "hour", zone, scope, by_now))
    then = await reports.series(deps.db, last_week, "hour", zone, scope)
    context = {
        "page": "overview",
        "health": await deps.health(),
        "today": await journal.today(deps, scope),
        "weekday": language.weekday(now),
        "total": dict(zip(report.MEASURES, found.total, strict=True)),
        "then": dict(zip(report.MEASURES, found.before or found.total, strict=True)),
        "hours": _hours(found.series, then),
        "sources": (sources := _sources(found.lines, deps)),
        "others": _others(found, sources),
        "sees_visitors": scope.lines is None,
        "may_report": request[USER].may(Right.REPORTS),
        "pools": await _pools(deps, scope, today[0], now) if request[USER].may(Right.NUMBERS) else [],
        **await _waiting(request, now),
    }
    return render.page(request, "overview.html", context)


def _hours(series: list[tuple[int, Sums]], before: list[tuple[int, Sums]]) -> dict[str, Any]:
    """Today's calls by the hour with last week's beside them: the office's hours, and whatever else there was a call in. Hours are
    those of the clock, which may have been changed in one of the two days."""
    rows: list[dict[str, int]] = []
    calls = PLACE["calls"]
    then = [(language.local(at).hour, sums[calls]) for at, sums in before]
    for at, sums in series:
        hour = language.local(at).hour
        first = not rows or language.local(rows[-1]["at"]).hour != hour
        last_week = sum(count for there, count in then if there == hour) if first else 0
        rows.append(
            {"at": at, **{name: sums[PLACE[name]] for name in ("calls", "answered", "missed")}, "then": last_week}
        )
    busy = [place for place, row in enumerate(rows) if row["calls"] or row["then"]]
    most = max((max(row["calls"], row["then"]) for row in rows), default=0)
    shown = rows[min([*busy, OFFICE[0]]) : max([*busy, OFFICE[1]]) + 1]
    return {"rows": shown, "most": most, "top": _round_up(most)}


def _round_up(most: int) -> int:
    """The end of an axis: an even number whose half is a round one too."""
    size = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if most <= step * size:
                return step * size
        size *= 10


def _sources(lines: list[Line], deps: Deps) -> list[dict[str, Any]]:
    shown = [line for line in lines if line.sums[1]][:SOURCES]
    return [_source(line, deps) for line in shown]


def _others(found: Report, shown: list[dict[str, Any]]) -> dict[str, int]:
    """Calls of the sources that are not shown."""
    place, before = PLACE["calls"], found.before
    return {
        "calls": found.total[place] - sum(one["calls"] for one in shown),
        "before": before[place] - sum(one["before"] for one in shown) if before else 0,
    }


def _source(line: Line, deps: Deps) -> dict[str, Any]:
    return {
        "words": in_words("source", line.value, deps),
        "label": line.value,
        "value": filter_of("source", line.value),
        "calls": line.sums[PLACE["calls"]],
        "targets": line.sums[PLACE["targets"]],
        "before": line.before[PLACE["calls"]] if line.before else 0,
    }


async def _waiting(request: web.Request, now: int) -> dict[str, Any]:
    """Missed callers nobody has spoken with yet, the latest first."""
    deps, scope = request.app[DEPS], scope_of(request)
    found = await missed.look(deps, scope, missed.DAYS)
    cases = [case for case in found.cases if case.state == work.NEW]
    rows = await missed.rows_of(deps, cases[:WAITING])
    shown = [
        {"call": call_row(rows[case.id], deps.settings, now, scope), "times": len(case.calls)}
        for case in cases[:WAITING]
        if case.id in rows
    ]
    return {"waiting": shown, "waiting_count": len(cases), "waiting_days": missed.DAYS}


async def _pools(deps: Deps, scope: Scope, since: int, now: int) -> list[dict[str, Any]]:
    """How many numbers of each pool are held, and what visitors got instead when none was free today."""
    seen = {use.pool for use in deps.uses.values() if scope.sees(use.site, use.line)}
    held = {row["number"] for row in await leases.holders_now(deps.db) if row["until"] > now}
    short = await leases.shortages_since(deps.db, since)
    told = await pools.latest_facts(deps.db, "pool_short", now - DAY_MS)
    return [
        {
            "id": name,
            "size": len(pool.numbers),
            "held": len(held.intersection(pool.numbers)),
            "short": short_today(short.get(name, {})),
            "problem": short_of(told.get(name)),
        }
        for name, pool in deps.settings.pools.items()
        if name in seen
    ]
