"""Reports: what is counted, by one dimension, over a span of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from ctserver import language
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import DIMENSIONS, MEASURES, Sums
from ctserver.http.api.registry import Asked, Model, Nothing, Problem, Taken, operation
from ctserver.http.api.types import Moment, Time
from ctserver.http.patience import while_there
from ctserver.services import reports
from ctserver.services.reports import Question
from ctserver.storage.db import TooSlow
from ctserver.storage.search import Filters

MOST_SLOTS = 5000
_SLOT_MS = {"hour": HOUR_MS, "day": DAY_MS, "week": 7 * DAY_MS, "month": 28 * DAY_MS}


class ReportQuery(Taken):
    by: Literal[
        "channel", "source", "campaign", "keyword", "ad", "landing", "region", "device", "number", "line", "person", "category"
    ] = "source"  # fmt: skip
    since: Moment | None = Field(default=None, description="default: 30 days before `until`")
    until: Moment | None = Field(default=None, description="default: now")
    unit: Literal["hour", "day", "week", "month"] = Field(default="day", description="of the series")
    zone: str = Field(default="UTC", max_length=60, description="IANA time zone of the days")
    site: str = Field(default="", max_length=100)
    channel: str = Field(
        default="",
        max_length=200,
        description='this channel alone; of this and the others below, "-" is what is not known',
    )
    source: str = Field(default="", max_length=410, description='like "google / cpc", or "google" whatever the medium')
    campaign: str = Field(default="", max_length=200)
    keyword: str = Field(default="", max_length=200)
    ad: str = Field(default="", max_length=200)
    landing: str = Field(default="", max_length=2000, description="landing page, as the report by it writes them")
    region: str = Field(
        default="", max_length=200, description='like "Kent, GB", or "GB" where only the country is known'
    )
    device: str = Field(default="", max_length=200)
    number: str = Field(default="", max_length=200, description="dialled number, E.164")
    line: str = Field(default="", max_length=200)
    person: str = Field(default="", max_length=200, description="who answered")
    category: str = Field(default="", max_length=200)

    def filters(self) -> Filters:
        """Sessions are counted as far as the filters can be asked of them."""
        return Filters(**{name: getattr(self, name) for name in DIMENSIONS})


class Counts(Model):
    """Times in milliseconds, revenue in hundredths."""

    sessions: int = Field(description="0 where the filters, or lines that somebody was given, have calls only")
    calls: int
    answered: int
    missed: int
    targets: int
    newcomers: int
    talk_ms: int
    ring_ms: int
    deals: int
    revenue: int


class Line(Counts):
    value: str = Field(description='of the dimension; "" what is not known')


class Slot(Counts):
    start: Time


class Report(Model):
    lines: list[Line] = Field(description="most calls first")
    total: Counts
    series: list[Slot]


@operation(
    "GET",
    "/reports",
    "Calls and sessions by one dimension, and over time",
    part="Reports",
    takes=ReportQuery,
    gives=Report,
)
async def get_report(asked: Asked[ReportQuery, Nothing]) -> Report:
    query, scope, deps = asked.query, asked.scope, asked.deps
    if query.site and not (query.site in deps.settings.sites and scope.sees_site(query.site)):
        raise Problem(404, "there is no such site")
    if query.site:
        scope = replace(scope, sites=frozenset({query.site}))
    if query.zone not in language.zones():
        raise Problem(400, "zone: no time zone of that name; write it like Europe/London")
    until = query.until if query.until is not None else deps.now()
    since = query.since if query.since is not None else max(0, until - 30 * DAY_MS)
    if until <= since or (until - since) // _SLOT_MS[query.unit] > MOST_SLOTS:
        raise Problem(400, f"since, until: a span of 1 to {MOST_SLOTS} units")
    zone = ZoneInfo(query.zone)
    question = Question(query.by, (since, until), query.unit, zone, scope, filters=query.filters())
    try:
        found = await while_there(asked.request, reports.ask(deps.db, question))
    except TooSlow as error:
        raise Problem(503, "the report takes too long: ask for less time, or again in a minute") from error
    return Report(
        lines=[Line(value=line.value, **_counts(line.sums)) for line in found.lines],
        total=Counts(**_counts(found.total)),
        series=[Slot(start=start, **_counts(sums)) for start, sums in found.series],
    )


def _counts(sums: Sums) -> dict[str, int]:
    return dict(zip(MEASURES, sums, strict=True))
