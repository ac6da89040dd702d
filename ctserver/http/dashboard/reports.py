"""Reports: what brought sessions, calls and deals, by one dimension; over time; and by the hours of the week."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from ctserver import language
from ctserver.domain import report
from ctserver.domain.clock import DAY_MS, day_of, midnight
from ctserver.domain.report import MEASURES, PLACE, Span, Sums
from ctserver.domain.rights import Right, Scope
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.dashboard import period
from ctserver.http.dashboard.filters import chips_of, filter_of, in_words, options
from ctserver.http.dashboard.journal import export_kind, send
from ctserver.http.dashboard.report_address import (
    BY,
    CALLERS,
    COMPARE,
    HOURS,
    MEASURED,
    TIME,
    UNITS,
    Asked,
    asked_of,
    days_of,
    fits,
    of_site,
    question_of,
)
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.http.patience import while_there
from ctserver.language import gettext as _
from ctserver.services import export, reports
from ctserver.services.reports import Line, Report, counts_sessions
from ctserver.storage.db import TooSlow

ROWS = 100
ALL_ROWS = 5_000
HEAT_LEVELS = 8
MOST_TENTHS = 100  # from here on a cell has no room for tenths, and they say nothing


@dataclass(frozen=True, slots=True)
class Moment:
    """A slot of time. `part` tells how it is not whole: "so far", or "in part" at the edge of the span."""

    at: int
    part: str
    sums: Sums
    before: int | None  # calls in the slot that it is compared with


def add_routes(app: web.Application) -> None:
    app.router.add_get("/reports", reports_page)
    app.router.add_get("/reports/export.{kind:[a-z]+}", export_report, allow_head=False)


async def reports_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    asked = asked_of(request)
    context: dict[str, Any] = {
        "page": "reports",
        "slow": False,
        "health": await deps.health(),
        "asked": asked,
        "by": BY,
        "periods": period.PERIODS,
        "units": {unit: label for unit, label in UNITS.items() if fits(unit, asked.span)},
        "compare": COMPARE,
        "measures": MEASURED,
        "sites": {id: site.name or id for id, site in deps.settings.sites.items() if scope.sees_site(id)},
        "texts": asked.texts,
        "chips": chips_of(asked.texts, asked.query, deps),
        "options": options(deps, scope),
        "query": asked.query,
        "cleared": asked.query(**dict.fromkeys(asked.texts, "")),
        "journal": asked.journal(),
        "may_export": request[USER].may(Right.EXPORT),
        "days": days_of(asked.span),
        "of_visitors": counts_sessions(question_of(scope, asked)),
    }
    try:
        shown = await while_there(request, _shown(deps, scope, asked))
    except TooSlow:
        shown = {"report": None, "slow": True}
    return render.page(request, "reports.html", context | shown)


async def _shown(deps: Deps, scope: Scope, asked: Asked) -> dict[str, Any]:
    if asked.by == HOURS:
        grid, days, today, first = await _week(deps, scope, asked)
        heat = _heat(grid, days, PLACE[asked.measure])
        since = _data_begin(first, asked.span)
        return {"report": None, "heat": heat, "weekdays": _weekdays(asked.span), "today": today, "since": since}
    found = _from_the_first(await reports.ask(deps.db, question_of(scope, asked)), asked)
    return _context(found, asked, deps)


async def export_report(request: web.Request) -> web.StreamResponse:
    """The whole report as a file."""
    deps, scope, asked = request.app[DEPS], scope_of(request), asked_of(request)
    kind = export_kind(request)
    await audit.write(request, "exported", "report", asked.query())
    try:
        rows, head = await while_there(request, _counted(deps, scope, asked))
    except TooSlow as error:
        raise web.HTTPServiceUnavailable from error
    return await send(request, kind, f"report-{asked.by}.{kind}", head, _one(rows))


async def _counted(deps: Deps, scope: Scope, asked: Asked) -> tuple[list[Any], tuple[str, ...]]:
    """(rows, their head) of a file."""
    if asked.by == HOURS:
        grid, days, _today, _first = await _week(deps, scope, asked)
        rows = [(day + 1, hour, days[day][hour], *grid[day][hour]) for day in range(7) for hour in range(24)]
        return rows, ("weekday", "hour", "days", *MEASURES)
    found = _from_the_first(await reports.ask(deps.db, question_of(scope, asked)), asked)
    return _table(found, asked, deps.now())


def _table(found: Report, asked: Asked, now: int) -> tuple[list[Any], tuple[str, ...]]:
    if asked.by in (TIME, CALLERS):
        measures = ("newcomers", "repeat", "calls") if asked.by == CALLERS else MEASURES
        return [_row(moment, measures) for moment in _moments(found, asked, now)], ("from", "whole", *measures)
    lines = [(line.value, *line.sums, *(line.before or ())) for line in found.lines]
    before = tuple(f"{name}_before" for name in MEASURES) if found.before is not None else ()
    return lines, (asked.by, *MEASURES, *before)


def _row(moment: Moment, measures: tuple[str, ...]) -> tuple[export.Cell, ...]:
    named = dict(zip(MEASURES, moment.sums, strict=True))
    named["repeat"] = named["calls"] - named["newcomers"]
    return (render.local(moment.at), int(not moment.part), *(named[name] for name in measures))


async def _one(rows: list[Any]) -> AsyncIterator[export.Rows]:
    yield rows


async def _week(deps: Deps, scope: Scope, asked: Asked) -> tuple[list[list[Sums]], list[list[int]], str, int | None]:
    """Sums by weekday and hour; over how many days each is, those since the first call or session; what becomes of today,
    which is not over: "left out", "alone" where there is no other day, "" where the span has it not; and when the first call or
    session was."""
    zone, seen, now = language.zone(), of_site(scope, asked), deps.now()
    first, began = await reports.first(deps.db, seen), period.today_began(now)
    since, until, today = max(asked.span[0], first or 0), min(asked.span[1], now), ""
    if until > began:
        today = "left out" if since < began else "alone"
        until = began if since < began else until
    grid = await reports.heat(deps.db, (asked.span[0], until), zone, seen, asked.filters)
    return grid, report.days_of_hours((since, until), zone), today, first


# ---- what the page shows


def _context(found: Report, asked: Asked, deps: Deps) -> dict[str, Any]:
    lines = [line for line in found.lines if any(line.sums[:2]) or (line.before and any(line.before[:2]))]
    lines.sort(key=_order(asked.sort, lambda line: in_words(asked.by, line.value, deps).lower()))
    shown = lines[: ALL_ROWS if asked.all_rows else ROWS]
    most = max((line.sums[1] for line in lines), default=0)
    moments = _moments(found, asked, deps.now())
    return {
        "report": found,
        "total": _named(found.total),
        "before": _named(found.before) if found.before is not None else None,
        "lines": [_line(line, asked, deps, most) for line in shown],
        "hidden": len(lines) - len(shown),
        "plot": _plot(moments, asked),
        "moments": [
            {"label": _label(each.at, asked.unit), "part": _part(each), **_named(each.sums)} for each in moments
        ],
        "parts": ", ".join(_said(each, asked.unit) for each in moments if each.part),
        "begins": language.day(found.first) if asked.compare and found.before is None and found.first else "",
        "compared": _compared(asked) if found.before is not None else "",
        "since": _data_begin(found.first, asked.span, asked.before if found.before is not None else None),
    }


def _data_begin(first: int | None, *spans: Span | None) -> str:
    """The day on which the data begin, if one of the spans begins before it."""
    if first is None:
        return ""
    day = day_of(first, language.zone())
    early = any(day_of(span[0], language.zone()) < day for span in spans if span)
    return language.day(first) if early else ""


def _from_the_first(found: Report, asked: Asked) -> Report:
    """Without a comparison with days of which there can be nothing."""
    if asked.before is None or found.first is None or asked.before[1] > found.first:
        return found
    return replace(found, before=None, series_before=[], lines=[replace(line, before=None) for line in found.lines])


def _moments(found: Report, asked: Asked, now: int) -> list[Moment]:
    """The slots of which there can be something: from the first call or session of all until now."""
    moments, first, zone = [], found.first or 0, language.zone()
    earlier: list[int | None] = [
        sums[PLACE["calls"]] if report.end_of(at, asked.unit, zone) > first else None
        for at, sums in found.series_before
    ]
    earlier += [None] * len(found.series)
    for (at, sums), before in zip(found.series, earlier, strict=False):
        end = report.end_of(at, asked.unit, zone)
        if at > now or end <= first:
            continue
        cut = at < asked.span[0] or end > asked.span[1] or day_of(at, zone) < day_of(first, zone)
        part = N_("so far") if end > now else N_("in part") if cut else ""
        moments.append(Moment(at, part, sums, before))
    return moments


def _compared(asked: Asked) -> str:
    """With what, in words: whoever sees +5 must know of how much."""
    since, until = asked.before or asked.span
    days = language.days(day_of(since, language.zone()), day_of(until - 1, language.zone()))
    if until == midnight(day_of(until, language.zone()), language.zone()):
        return _("Compared with %(days)s.") % {"days": days}
    clock = language.hour_minute(until)
    return _("Compared with %(days)s until %(time)s, as this period is not over.") % {"days": days, "time": clock}


def _part(moment: Moment) -> str:
    return _(moment.part) if moment.part else ""


def _said(moment: Moment, unit: str) -> str:
    return f"{_label(moment.at, unit)} ({_part(moment)})"


def _order(sort: str, words: Callable[[Line], str]) -> Callable[[Line], Any]:
    if sort == "value":
        return words
    if sort == "conversion":
        return lambda line: (-(line.sums[1] / line.sums[0]) if line.sums[0] else 0, -line.sums[1])
    place = PLACE[sort]
    return lambda line: (-line.sums[place], -line.sums[1], -line.sums[0])


def _named(sums: Sums) -> dict[str, Any]:
    """The measures by name, with what is reckoned from them."""
    found: dict[str, Any] = dict(zip(MEASURES, sums, strict=True))
    sessions, calls, answered = found["sessions"], found["calls"], found["answered"]
    return {
        **found,
        "conversion": calls / sessions if sessions else None,
        "answered_share": answered / calls if calls else None,
        "talk": found["talk_ms"] / answered / 1000 if answered else None,
        "ring": found["ring_ms"] / calls / 1000 if calls else None,
        "revenue": found["revenue"] / 100,
        "repeat": calls - found["newcomers"],
        "new_share": found["newcomers"] / calls if calls else None,
    }


def _line(line: Line, asked: Asked, deps: Deps, most: int) -> dict[str, Any]:
    return {
        "words": in_words(asked.by, line.value, deps),
        "value": line.value,
        "below": asked.below(line.value),
        "journal": asked.journal(**{asked.by: filter_of(asked.by, line.value)}),
        "share": 100 * line.sums[1] / most if most else 0,
        "before": _named(line.before) if line.before is not None else None,
        **_named(line.sums),
    }


def _plot(moments: list[Moment], asked: Asked) -> str:
    """What web/static/plot.js draws: labels, and a series of calls, target calls, and calls before; or new and repeat callers,
    one on top of the other. `parts`: of slots that are not whole, place -> how."""
    calls, targets, new = ([each.sums[PLACE[name]] for each in moments] for name in ("calls", "targets", "newcomers"))
    series: list[tuple[str, list[Any]]] = [(_("Calls"), calls), (_("Target calls"), targets)]
    if asked.by == CALLERS:
        repeat = [each - fresh for each, fresh in zip(calls, new, strict=True)]
        series = [(_("New callers"), new), (_("Repeat callers"), repeat)]
    elif any(each.before is not None for each in moments):
        series.append((_(COMPARE[asked.compare]), [each.before for each in moments]))
    return json.dumps(
        {
            "name": f"{asked.by}-{asked.unit}",
            "when": _("When"),
            "labels": [_label(each.at, asked.unit) for each in moments],
            "series": [label for label, _values in series],
            "data": [values for _label, values in series],
            "stacked": asked.by == CALLERS,
            "parts": {place: _part(each) for place, each in enumerate(moments) if each.part},
        },
        ensure_ascii=False,
    )


def _label(at: int, unit: str) -> str:
    if unit == "hour":
        return f"{language.day(at, 'short')}, {language.hour_minute(at)}"
    if unit == "week":
        first = day_of(at, language.zone())
        return language.short_days(first, first + timedelta(days=6))
    return language.month(at) if unit == "month" else language.day(at, "short")


def _heat(grid: list[list[Sums]], days: list[list[int]], place: int) -> list[dict[str, Any]]:
    """For each weekday its hours with what such an hour has on average, and how dark that is, 0 to HEAT_LEVELS: weekdays that a
    period has more of are not busier for it."""
    counts = [[sums[place] for sums in hours] for hours in grid]
    means = [
        [count / max(1, over) for count, over in zip(*pair, strict=True)] for pair in zip(counts, days, strict=True)
    ]
    most = max(map(max, means), default=0)
    digits = int(any(mean % 1 for hours in means for mean in hours) and most < MOST_TENTHS)
    return [
        {
            "cells": [
                {
                    "count": count,
                    "mean": _half_up(mean, digits),
                    "level": math.ceil(mean * HEAT_LEVELS / most) if most else 0,
                }
                for count, mean in zip(counts[day], means[day], strict=True)
            ],
            "digits": digits,
            "days": max(days[day]),
            "count": sum(counts[day]),
            "mean": _half_up(sum(counts[day]) / max(1, *days[day]), digits),
        }
        for day in range(7)
    ]


def _half_up(mean: float, digits: int) -> float:
    """As a person rounds: 0.25 is 0.3. What is less than can be shown stays what it is, so that it is not taken for nothing."""
    return math.floor(mean * 10**digits + 0.5) / 10**digits or mean


def _weekdays(span: Span) -> list[tuple[str, str]]:
    """Monday to Sunday: the whole name, and the short one."""
    monday = day_of(span[0], language.zone())
    at = midnight(monday, language.zone()) + DAY_MS // 2 - monday.weekday() * DAY_MS
    days = [at + day * DAY_MS for day in range(7)]
    return [(language.weekday(day), language.short_weekday(day)) for day in days]
