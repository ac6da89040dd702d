"""What the address of a report asks for, and the addresses of those beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver import language
from ctserver.domain.clock import DAY_MS, day_of
from ctserver.domain.report import DIMENSIONS, PLACE, Span
from ctserver.domain.rights import Scope
from ctserver.domain.words import N_
from ctserver.http.dashboard import filters as words
from ctserver.http.dashboard import period
from ctserver.http.dashboard.filters import filter_of
from ctserver.http.deps import DEPS, scope_of
from ctserver.services.reports import Question
from ctserver.storage.search import Filters

HOURS, TIME, CALLERS = "hours", "time", "callers"
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
    CALLERS: N_("New and repeat"),
    HOURS: N_("Day and hour"),
}
UNITS = {"hour": N_("Hours"), "day": N_("Days"), "week": N_("Weeks"), "month": N_("Months")}
COMPARE = {"previous": N_("Previous period"), "year": N_("A year earlier")}
WHO_BRINGS = ("source", "campaign", "keyword", "landing")  # the way down, from a row to what it is made of
WAY_DOWN = {"channel": WHO_BRINGS, **{name: WHO_BRINGS[place + 1 :] for place, name in enumerate(WHO_BRINGS)},
            "ad": ("landing",), "line": ("person", "category"), "person": ("category", *WHO_BRINGS)}  # fmt: skip
MEASURED = {"calls": N_("Calls"), "missed": N_("Missed"), "targets": N_("Target calls"), "sessions": N_("Sessions")}
MOST_HOURS, MOST_DAYS = 32, 400  # what a plot by the hour or by the day can show


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for."""

    by: str
    period: period.Period
    span: Span
    unit: str
    compare: str
    before: Span | None
    site: str
    texts: dict[str, str]
    filters: Filters
    sort: str
    measure: str
    all_rows: bool

    def query(self, **changes: str) -> str:
        """The address of the same with changes; "" takes a filter away."""
        kept = {
            "by": self.by,
            **self._time(),
            "unit": self.unit,
            "compare": self.compare,
            "site": self.site,
            **self.texts,
            "sort": "" if self.sort == "calls" else self.sort,
            "measure": "" if self.measure == "calls" else self.measure,
            **changes,
        }
        return urlencode({name: value for name, value in kept.items() if value})

    def journal(self, **changes: str) -> str:
        """The address of the calls that are counted."""
        kept = {**self._time(), "site": self.site, **self.texts, **changes}
        return "/calls?" + urlencode({name: value for name, value in kept.items() if value})

    def below(self, value: str) -> str:
        """The query of the report of what a row counts, by what is asked next."""
        way = (name for name in WAY_DOWN.get(self.by, WHO_BRINGS) if name not in self.texts)
        return self.query(by=next(way, TIME), sort="", **{self.by: filter_of(self.by, value)})

    def _time(self) -> dict[str, str]:
        if self.period.name:
            return {"period": self.period.name}
        days = {"from": self.period.first, "to": self.period.last}
        return {name: day.isoformat() for name, day in days.items() if day}


def asked_of(request: web.Request) -> Asked:
    """Whatever an address says that is not known or not allowed is as if it were not there."""
    query, deps, scope = request.query, request.app[DEPS], scope_of(request)
    span = period.asked(query.get("period", ""), query.get("from", ""), query.get("to", ""), deps.now())
    if not span.name and not (span.first and span.last):
        today = day_of(deps.now(), language.zone())
        named = period.named("30d", deps.now())
        span = replace(span, first=span.first, last=today) if span.first else named
    since, until = span.since or 0, span.until or deps.now()
    since = max(since, until - 3650 * DAY_MS)
    site, told = query.get("site", ""), words.read(query, [], deps)
    compare = _one_of(query.get("compare", ""), COMPARE, "")
    return Asked(
        by=_one_of(query.get("by", ""), BY, "source"),
        period=span,
        span=(since, until),
        unit=_unit(query.get("unit", ""), (since, until)),
        compare=compare,
        before=period.before((since, until), compare, deps.now(), span.name),
        site=site if site in deps.settings.sites and scope.sees_site(site) else "",
        texts={name: text for name, text in told.texts.items() if name not in ("period", "from", "to", "site")},
        filters=replace(told.filters, since=None, until=None, site=""),
        sort=_one_of(query.get("sort", ""), {**PLACE, "value": 0, "conversion": 0}, "calls"),
        measure=_one_of(query.get("measure", ""), MEASURED, "calls"),
        all_rows=query.get("rows") == "all",
    )


def _one_of(text: str, known: Any, usual: str) -> str:
    return text if text in known else usual


def days_of(span: Span) -> int:
    """How many days a span is, one at least."""
    return max(1, round((span[1] - span[0]) / DAY_MS))


def fits(unit: str, span: Span) -> bool:
    """Can a plot show the span by this unit?"""
    days = days_of(span)
    return {"hour": days <= MOST_HOURS, "day": days <= MOST_DAYS, "week": days > 7, "month": days > 31}[unit]


def _unit(text: str, span: Span) -> str:
    """The one that was asked for if it fits, else one that makes a plot one can read."""
    if text in UNITS and fits(text, span):
        return text
    days = days_of(span)
    return "hour" if days <= 2 else "day" if days <= 95 else "week" if days <= MOST_DAYS else "month"


def of_site(scope: Scope, asked: Asked) -> Scope:
    """The scope, of the site that was asked for alone."""
    return replace(scope, sites=frozenset([asked.site])) if asked.site else scope


def question_of(scope: Scope, asked: Asked) -> Question:
    by = asked.by if asked.by in DIMENSIONS else "channel"
    return Question(by, asked.span, asked.unit, language.zone(), of_site(scope, asked), asked.before, asked.filters)
