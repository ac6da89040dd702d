"""Reports: what brought sessions, calls and deals, by one dimension; over time; and by the hours of the week."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver import language
from ctserver.domain import report
from ctserver.domain.report import DAY_MS, DIMENSIONS, MEASURES, OF_VISITORS, Span, Sums
from ctserver.domain.rights import Right, Scope
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.dashboard import period
from ctserver.http.dashboard.filters import in_words
from ctserver.http.dashboard.journal import export_kind, send
from ctserver.http.dashboard.rows import colour, distinct
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.services import export, reports
from ctserver.services.reports import Line, Question, Report

ROWS = 100
ALL_ROWS = 5_000
HOURS, TIME = "hours", "time"
BY = {
    "channel": N_("Channel"),
    "source": N_("Source"),
    "campaign": N_("Campaign"),
    "keyword": N_("Keyword"),
    "ad": N_("Ad"),
    "landing": N_("Landing page"),
    "region": N_("Region"),
    "device": N_("Device"),
    "number": N_("Number"),
    "line": N_("Line"),
    "person": N_("Answered by"),
    "category": N_("Category"),
    TIME: N_("Over time"),
    HOURS: N_("Hours of the week"),
}
UNITS = {"hour": N_("Hours"), "day": N_("Days"), "week": N_("Weeks"), "month": N_("Months")}
COMPARE = {"previous": N_("Previous period"), "year": N_("A year earlier")}
IN_JOURNAL = ("channel", "source", "campaign", "keyword", "number", "line", "person", "category")
MEASURED = {"calls": N_("Calls"), "missed": N_("Missed"), "targets": N_("Target calls"), "sessions": N_("Sessions")}
HEAT_LEVELS = 8
MOST_HOURS, MOST_DAYS = 32, 400  # what a plot by the hour or by the day can show
PLACE = {name: place for place, name in enumerate(MEASURES)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for."""

    by: str
    period: period.Period
    span: Span
    unit: str
    compare: str
    site: str
    line: str
    sort: str
    measure: str
    all_rows: bool

    def query(self, **changes: str) -> str:
        days = {"from": self.period.first, "to": self.period.last}
        kept = {
            "by": self.by,
            "period": self.period.name,
            **({} if self.period.name else {name: day.isoformat() for name, day in days.items() if day}),
            "unit": self.unit,
            "compare": self.compare,
            "site": self.site,
            "line": self.line,
            "sort": "" if self.sort == "calls" else self.sort,
            "measure": "" if self.measure == "calls" else self.measure,
            **changes,
        }
        return urlencode({name: value for name, value in kept.items() if value})


def add_routes(app: web.Application) -> None:
    app.router.add_get("/reports", reports_page)
    app.router.add_get("/reports/export.{kind:[a-z]+}", export_report)


async def reports_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    asked = _asked(request)
    context: dict[str, Any] = {
        "page": "reports",
        "health": await deps.health(),
        "asked": asked,
        "by": BY,
        "periods": period.PERIODS,
        "units": {unit: label for unit, label in UNITS.items() if _fits(unit, asked.span)},
        "compare": COMPARE,
        "measures": MEASURED,
        "sites": {id: site.name or id for id, site in deps.settings.sites.items() if scope.sees_site(id)},
        "lines_of": _lines_of(deps, scope),
        "query": asked.query,
        "may_export": request[USER].may(Right.EXPORT),
        "days": _days(asked.span),
        "of_visitors": asked.by in (*OF_VISITORS, TIME, HOURS) and scope.lines is None and not asked.line,
    }
    if asked.by == HOURS:
        grid = await reports.heat(deps.db, asked.span, language.zone(), _narrowed(scope, asked))
        context |= {"heat": _heat(grid, PLACE[asked.measure]), "weekdays": _weekdays(asked.span)}
        return render.page(request, "reports.html", context | {"report": None})
    found = await reports.ask(deps.db, _question(scope, asked))
    return render.page(request, "reports.html", context | _context(found, asked, deps))


async def export_report(request: web.Request) -> web.StreamResponse:
    """The whole report as a file."""
    deps, scope, asked = request.app[DEPS], scope_of(request), _asked(request)
    kind = export_kind(request)
    await audit.write(request, "exported", "report", asked.query())
    if asked.by == HOURS:
        grid = await reports.heat(deps.db, asked.span, language.zone(), _narrowed(scope, asked))
        rows = [(day + 1, hour, *sums) for day, hours in enumerate(grid) for hour, sums in enumerate(hours)]
        head: tuple[str, ...] = ("weekday", "hour", *MEASURES)
    else:
        found = await reports.ask(deps.db, _question(scope, asked))
        rows, head = _table(found, asked)
    return await send(request, kind, f"report-{asked.by}.{kind}", head, _one(rows))


def _table(found: Report, asked: Asked) -> tuple[list[Any], tuple[str, ...]]:
    if asked.by == TIME:
        moments = [(render.local(at).isoformat(timespec="minutes"), *sums) for at, sums in found.series]
        return moments, ("from", *MEASURES)
    lines = [(line.value, *line.sums, *(line.before or ())) for line in found.lines]
    before = tuple(f"{name}_before" for name in MEASURES) if found.before is not None else ()
    return lines, (asked.by, *MEASURES, *before)


async def _one(rows: list[Any]) -> AsyncIterator[export.Rows]:
    yield rows


# ---- the address


def _asked(request: web.Request) -> Asked:
    query, deps, scope = request.query, request.app[DEPS], scope_of(request)
    span = period.asked(query.get("period", ""), query.get("from", ""), query.get("to", ""), deps.now())
    if not span.name and not (span.first and span.last):
        today = report.day_of(deps.now(), language.zone())
        named = period.named("30d", deps.now())
        span = replace(span, first=span.first, last=today) if span.first else named
    since, until = span.since or 0, span.until or deps.now()
    since = max(since, until - 3650 * DAY_MS)
    site, line = query.get("site", ""), query.get("line", "")
    return Asked(
        by=_one_of(query.get("by", ""), BY, "source"),
        period=span,
        span=(since, until),
        unit=_unit(query.get("unit", ""), (since, until)),
        compare=_one_of(query.get("compare", ""), COMPARE, ""),
        site=site if site in deps.settings.sites and scope.sees_site(site) else "",
        line=line if line in deps.settings.lines and (scope.lines is None or line in scope.lines) else "",
        sort=_one_of(query.get("sort", ""), {**PLACE, "value": 0, "conversion": 0}, "calls"),
        measure=_one_of(query.get("measure", ""), MEASURED, "calls"),
        all_rows=query.get("rows") == "all",
    )


def _one_of(text: str, known: Any, usual: str) -> str:
    return text if text in known else usual


def _days(span: Span) -> int:
    return max(1, round((span[1] - span[0]) / DAY_MS))


def _fits(unit: str, span: Span) -> bool:
    days = _days(span)
    return {"hour": days <= MOST_HOURS, "day": days <= MOST_DAYS, "week": days > 7, "month": days > 31}[unit]


def _unit(text: str, span: Span) -> str:
    """The one that was asked for if it fits, else one that makes a plot one can read."""
    if text in UNITS and _fits(text, span):
        return text
    days = _days(span)
    return "hour" if days <= 2 else "day" if days <= 95 else "week" if days <= MOST_DAYS else "month"


def _lines_of(deps: Deps, scope: Scope) -> dict[str, str]:
    lines = deps.settings.lines.items()
    return {id: line.name or id for id, line in lines if scope.lines is None or id in scope.lines}


def _narrowed(scope: Scope, asked: Asked) -> Scope:
    sites = frozenset([asked.site]) if asked.site else scope.sites
    return replace(scope, sites=sites, lines=frozenset([asked.line]) if asked.line else scope.lines)


def _question(scope: Scope, asked: Asked) -> Question:
    by = asked.by if asked.by in DIMENSIONS else "channel"
    before = period.before(asked.span, asked.compare)
    return Question(by, asked.span, asked.unit, language.zone(), _narrowed(scope, asked), before)


# ---- what the page shows


def _context(found: Report, asked: Asked, deps: Deps) -> dict[str, Any]:
    lines = [line for line in found.lines if any(line.sums[:2]) or (line.before and any(line.before[:2]))]
    lines.sort(key=_order(asked.sort, lambda line: in_words(asked.by, line.value, deps).lower()))
    shown = lines[: ALL_ROWS if asked.all_rows else ROWS]
    most = max((line.sums[1] for line in lines), default=0)
    colours = distinct([colour(line.value) if asked.by == "source" else None for line in shown])
    return {
        "report": found,
        "total": _named(found.total),
        "before": _named(found.before) if found.before is not None else None,
        "lines": [
            {**_line(line, asked, deps, most), "colour": dyed} for line, dyed in zip(shown, colours, strict=True)
        ],
        "hidden": len(lines) - len(shown),
        "plot": _plot(found, asked),
        "moments": [{"label": _moment(at, asked.unit), **_named(sums)} for at, sums in found.series],
    }


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
    }


def _line(line: Line, asked: Asked, deps: Deps, most: int) -> dict[str, Any]:
    link = ""
    if asked.by in IN_JOURNAL:
        days = {"from": asked.period.first, "to": asked.period.last}
        query = {"period": asked.period.name} if asked.period.name else {n: d.isoformat() for n, d in days.items() if d}
        link = "/calls?" + urlencode({**query, "site": asked.site, "line": asked.line, asked.by: line.value or "-"})
    return {
        "words": in_words(asked.by, line.value, deps),
        "known": bool(line.value),
        "link": link.replace("site=&", "").replace("line=&", ""),
        "share": 100 * line.sums[1] / most if most else 0,
        "before": _named(line.before) if line.before is not None else None,
        **_named(line.sums),
    }


def _plot(found: Report, asked: Asked) -> str:
    """What web/static/plot.js draws: labels, and a series of calls, target calls, and calls before."""
    names = [(_("Calls"), "calls", found.series), (_("Target calls"), "targets", found.series)]
    if found.series_before:
        names.append((_(COMPARE[asked.compare]), "calls", found.series_before))
    length = len(found.series)
    data = [[sums[PLACE[name]] for _, sums in series][:length] for _, name, series in names]
    return json.dumps(
        {
            "name": f"{asked.by}-{asked.unit}",
            "when": _("When"),
            "labels": [_moment(at, asked.unit) for at, _ in found.series],
            "series": [label for label, _, _ in names],
            "data": [values + [None] * (length - len(values)) for values in data],
        },
        ensure_ascii=False,
    )


def _moment(at: int, unit: str) -> str:
    if unit == "hour":
        return f"{language.day(at, 'short')}, {language.hour_minute(at)}"
    return language.month(at) if unit == "month" else language.day(at, "short")


def _heat(grid: list[list[Sums]], place: int) -> list[list[dict[str, int]]]:
    """Counts with their levels, 0 to HEAT_LEVELS."""
    most = max((sums[place] for day in grid for sums in day), default=0)
    return [
        [{"count": sums[place], "level": -(-sums[place] * HEAT_LEVELS // most) if most else 0} for sums in day]
        for day in grid
    ]


def _weekdays(span: Span) -> list[tuple[str, str]]:
    """Monday to Sunday: the whole name, and the short one."""
    monday = report.day_of(span[0], language.zone())
    at = report.midnight(monday, language.zone()) + DAY_MS // 2 - monday.weekday() * DAY_MS
    days = [at + day * DAY_MS for day in range(7)]
    return [(language.weekday(day), language.short_weekday(day)) for day in days]
