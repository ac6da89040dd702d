"""What reports count: ready-made sums where they are valid, the calls and sessions themselves elsewhere.

Which are valid is said by ctserver/storage/rollups.py. So a report is exact whether or not the sums have caught up, only slower.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ctserver import ids
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import DIMENSIONS, OF_VISITORS, Pieces, Span, Sums, add, nothing
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.storage.db import Row, Transaction, Value
from ctserver.storage.sessions import bare_address

Values = dict[tuple[str, str], Sums]  # (site, value) -> sums


def by_value(
    tx: Transaction, dimension: str, pieces: Pieces, scope: Scope = EVERYTHING, *, apart: bool = False
) -> Values:
    """The sums of each value of a dimension (one of domain.report.DIMENSIONS), of what the scope sees; the sites together
    (as site "") unless `apart`.

    Sums know no lines: for a scope of some lines, all pieces must be `rest`.
    """
    found = _rolled(tx, dimension, pieces, scope, _APART if apart else _TOGETHER)
    for span in pieces.hours:
        _add_hours(tx, found, dimension, span, scope, apart=apart)
    for span in pieces.rest:
        _count(tx, found, dimension, span, scope, int(apart))
    if pieces.less or pieces.less_hours:
        outside: Values = {}
        for span in pieces.less_hours:
            _add_hours(tx, outside, dimension, span, scope, apart=apart)
        for span in pieces.less:
            _count(tx, outside, dimension, span, scope, int(apart))
        for key, sums in outside.items():
            _gather(found, key, [-one for one in sums])
        return {key: sums for key, sums in found.items() if any(sums)}
    return found


def _add_hours(tx: Transaction, found: Values, dimension: str, span: Span, scope: Scope, *, apart: bool) -> None:
    """The sums of whole hours."""
    sql = "SELECT sums FROM hour_values WHERE dimension = $1 AND start >= $2 AND start < $3"
    for row in tx.fetch(sql, (dimension, *span)):
        for site, values in json.loads(row["sums"]).items():
            if scope.sees_site(site):
                for value, sums in values.items():
                    _gather(found, (site if apart else "", value), [*sums, *_ZEROS[len(sums) :]])


_ZEROS = nothing()


def _count(tx: Transaction, found: Values, dimension: str, span: Span, scope: Scope, apart: int) -> None:
    """Call by call and session by session."""
    _collect(found, dimension, _calls_by_value(tx, dimension, *span, scope, apart))
    if dimension in OF_VISITORS and scope.lines is None:
        _collect_sessions(found, dimension, _sessions_by_value(tx, dimension, *span, scope, apart))


def by_quarter(tx: Transaction, span: Span, scope: Scope = EVERYTHING) -> dict[tuple[int, str], Sums]:
    """(quarter of an hour, site) -> sums, counted call by call."""
    found: dict[tuple[int, str], Sums] = {}
    since, until = span
    for row in tx.fetch(
        """
        SELECT m.arrived_at - m.arrived_at % 900000 AS start, m.site, 0 AS sessions, COUNT(*) AS calls,
               SUM(m.answered) AS answered, SUM(m.missed) AS missed, SUM(m.target) AS targets,
               SUM(m.newcomer) AS newcomers, SUM(m.talk_ms) AS talk_ms, SUM(m.ring_ms) AS ring_ms, SUM(m.deal) AS deals,
               SUM(m.revenue) AS revenue
        FROM call_measures m WHERE m.arrived_at >= $1 AND m.arrived_at < $2
        AND ($3 = '' OR REPLACE($3, ' ' || m.site || ' ', '') <> $3)
        AND ($4 = '' OR REPLACE($4, ' ' || m.line || ' ', '') <> $4)
        GROUP BY 1, 2
        """,
        (since, until, *scope.values),
    ):
        found[row["start"], row["site"]] = list(row)[2:]
    if scope.lines is not None:
        return found
    for row in tx.fetch(
        """
        SELECT started_at - started_at % 900000 AS start, site, COUNT(*) AS sessions FROM sessions
        WHERE id >= $1 AND id < $2 AND ($3 = '' OR REPLACE($3, ' ' || site || ' ', '') <> $3) GROUP BY 1, 2
        """,
        (ids.first(since), ids.first(until), scope.values[0]),
    ):
        found.setdefault((row["start"], row["site"]), nothing())[0] += row["sessions"]
    return found


def by_slot(tx: Transaction, span: Span, offset: int, slot_ms: int, turn: int, scope: Scope) -> dict[int, Sums]:
    """Of valid days and hours: sums by the clock's hours or days: slot number (since 1970, by local time) modulo `turn`."""
    whole_hours = not any(moment % HOUR_MS for moment in (*span, offset))
    rows = tx.fetch(_OF_HOURS if whole_hours else _OF_QUARTERS, (*span, offset, slot_ms, turn, scope.values[0]))
    return {row[0]: list(row)[1:] for row in rows}


_OF_HOURS = """
    SELECT ((start + $3) / $4) % $5 AS slot, SUM(sessions), SUM(calls), SUM(answered), SUM(missed), SUM(targets),
           SUM(newcomers), SUM(talk_ms), SUM(ring_ms), SUM(deals), SUM(revenue)
    FROM hours
    WHERE start >= $1 AND start < $2 AND ($6 = '' OR REPLACE($6, ' ' || site || ' ', '') <> $6) GROUP BY 1
"""
_OF_QUARTERS = _OF_HOURS.replace("FROM hours", "FROM quarters")  # clocks that differ from UTC by half an hour


def _rolled(tx: Transaction, dimension: str, pieces: Pieces, scope: Scope, sql: str) -> Values:
    """The ready-made sums, several spans in one statement: SQLite adds up faster than we do."""
    found: Values = {}
    spans = pieces.summed
    for first in range(0, len(spans), SPANS):
        some = [*spans[first : first + SPANS], *[("", 0, 0)] * SPANS][:SPANS]
        values: list[Value] = [dimension, scope.values[0], *(part for span in some for part in span)]
        for row in tx.fetch(sql, values):
            site, value, *sums = row
            _gather(found, (site, value), sums)
    return found


SPANS = 8
_APART = """
    WITH spans (kind, since, until) AS (
        VALUES ($3, $4, $5), ($6, $7, $8), ($9, $10, $11), ($12, $13, $14), ($15, $16, $17), ($18, $19, $20), ($21, $22, $23),
               ($24, $25, $26)
    )
    SELECT r.site, r.value, SUM(r.sessions), SUM(r.calls), SUM(r.answered), SUM(r.missed), SUM(r.targets), SUM(r.newcomers),
           SUM(r.talk_ms), SUM(r.ring_ms), SUM(r.deals), SUM(r.revenue)
    FROM spans p CROSS JOIN rollups r
    WHERE r.dimension = $1 AND r.span = p.kind AND r.start >= p.since AND r.start < p.until
      AND ($2 = '' OR REPLACE($2, ' ' || r.site || ' ', '') <> $2)
    GROUP BY r.value, r.site
"""
_TOGETHER = _APART.replace("SELECT r.site,", "SELECT '',").replace("GROUP BY r.value, r.site", "GROUP BY r.value")


def by_every_dimension(tx: Transaction, span: Span) -> dict[str, dict[int, Values]]:
    """Dimension -> beginning of an hour -> sums by value, the sites apart, counted call by call; each call is looked at once.
    Among the dimensions is CLOCK: its values are the beginnings of quarters of an hour."""
    found: dict[str, dict[int, Values]] = {dimension: {} for dimension in (*DIMENSIONS, CLOCK)}
    for dimension, hour, *row in tx.fetch(_ALL_OF_CALLS, span):
        _collect(found[dimension].setdefault(hour, {}), dimension, [row])
    for dimension, hour, *row in tx.fetch(_ALL_OF_SESSIONS, (ids.first(span[0]), ids.first(span[1]))):
        _collect_sessions(found[dimension].setdefault(hour, {}), dimension, [row])
    return found


CLOCK = "clock"


def _calls_by_value(tx: Transaction, dimension: str, since: int, until: int, scope: Scope, apart: int) -> list[Row]:
    """Site, value, sums."""
    return tx.fetch(_ONE_OF_CALLS, (since, until, *scope.values, apart, dimension))


def _sessions_by_value(tx: Transaction, dimension: str, since: int, until: int, scope: Scope, apart: int) -> list[Row]:
    """Site, value, sessions."""
    values = (ids.first(since), ids.first(until), scope.values[0], apart, dimension)
    return tx.fetch(_ONE_OF_SESSIONS, values)


# A dimension's value, `d.name` being its name: of a row of call_measures, and of a session.
_VALUE_OF_CALL = """
    CASE d.name
        WHEN 'channel' THEN m.source_channel
        WHEN 'source' THEN CASE WHEN m.medium IN ('', '(none)') THEN m.source ELSE m.source || ' / ' || m.medium END
        WHEN 'campaign' THEN m.campaign
        WHEN 'keyword' THEN m.term
        WHEN 'ad' THEN m.content
        WHEN 'landing' THEN COALESCE(m.landing_url, '')
        WHEN 'region' THEN CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END
        WHEN 'device' THEN COALESCE(m.device, '')
        WHEN 'number' THEN m.did
        WHEN 'line' THEN m.line
        WHEN 'person' THEN m.person
        WHEN 'clock' THEN CAST(m.arrived_at - m.arrived_at % 900000 AS TEXT)
        ELSE m.category END AS value,
    0 AS sessions, COUNT(*) AS calls, SUM(m.answered) AS answered, SUM(m.missed) AS missed,
    SUM(m.target) AS targets, SUM(m.newcomer) AS newcomers, SUM(m.talk_ms) AS talk_ms,
    SUM(m.ring_ms) AS ring_ms, SUM(m.deal) AS deals, SUM(m.revenue) AS revenue
"""
_VALUE_OF_SESSION = """
    CASE d.name
        WHEN 'channel' THEN s.channel
        WHEN 'source' THEN CASE WHEN s.medium IN ('', '(none)') THEN s.source ELSE s.source || ' / ' || s.medium END
        WHEN 'campaign' THEN s.campaign
        WHEN 'keyword' THEN s.term
        WHEN 'ad' THEN s.content
        WHEN 'landing' THEN s.landing_url
        WHEN 'region' THEN CASE WHEN s.region <> '' THEN s.region || ', ' || s.country ELSE s.country END
        WHEN 'clock' THEN CAST(s.started_at - s.started_at % 900000 AS TEXT)
        ELSE s.device END AS value, COUNT(*) AS sessions
"""
_OF_CALLS = """
    FROM (SELECT $6 AS name) d CROSS JOIN call_measures m
    WHERE m.arrived_at >= $1 AND m.arrived_at < $2 AND ($3 = '' OR REPLACE($3, ' ' || m.site || ' ', '') <> $3)
      AND ($4 = '' OR REPLACE($4, ' ' || m.line || ' ', '') <> $4)
    GROUP BY 1, 2
"""
_OF_SESSIONS = """
    FROM (SELECT $5 AS name) d CROSS JOIN sessions s
    WHERE s.id >= $1 AND s.id < $2 AND ($3 = '' OR REPLACE($3, ' ' || s.site || ' ', '') <> $3)
    GROUP BY 1, 2
"""
# All dimensions at once: a call is measured once, which costs more than the sums.
_EVERY_CALL = """
    WITH m AS MATERIALIZED (SELECT * FROM call_measures WHERE arrived_at >= $1 AND arrived_at < $2),
    d (name) AS (
        VALUES ('channel'), ('source'), ('campaign'), ('keyword'), ('ad'), ('landing'), ('region'), ('device'),
               ('number'), ('line'), ('person'), ('category'), ('clock')
    )
    SELECT d.name, m.arrived_at - m.arrived_at % 3600000, m.site,
"""
_EVERY_SESSION = """
    WITH s AS MATERIALIZED (
        SELECT started_at, site, channel, medium, source, campaign, term, content, landing_url, region, country, device
        FROM sessions WHERE id >= $1 AND id < $2
    ), d (name) AS (
        VALUES ('channel'), ('source'), ('campaign'), ('keyword'), ('ad'), ('landing'), ('region'), ('device'),
               ('clock')
    )
    SELECT d.name, s.started_at - s.started_at % 3600000, s.site,
"""
_ONE_OF_CALLS = "SELECT CASE WHEN $5 = 1 THEN m.site ELSE '' END," + _VALUE_OF_CALL + _OF_CALLS
_ONE_OF_SESSIONS = "SELECT CASE WHEN $4 = 1 THEN s.site ELSE '' END," + _VALUE_OF_SESSION + _OF_SESSIONS
_ALL_OF_CALLS = _EVERY_CALL + _VALUE_OF_CALL + "FROM d CROSS JOIN m GROUP BY 1, 2, 3, 4"
_ALL_OF_SESSIONS = _EVERY_SESSION + _VALUE_OF_SESSION + "FROM d CROSS JOIN s GROUP BY 1, 2, 3, 4"


def _collect(found: Values, dimension: str, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        site, value, *sums = row
        _gather(found, (site, plain(dimension, value)), sums)


def _gather(found: Values, key: tuple[str, str], sums: Sums) -> None:
    if key in found:
        add(found[key], sums)
    else:
        found[key] = sums


def _collect_sessions(found: Values, dimension: str, rows: Iterable[Sequence[Any]]) -> None:
    for site, value, count in rows:
        found.setdefault((site, plain(dimension, value)), nothing())[0] += count


def plain(dimension: str, value: str) -> str:
    """A landing page without what stands after ? and #: of one page, every visitor's address is another."""
    if dimension != "landing":
        return value
    address = bare_address(value)
    return (address.partition("://")[2] or address).rstrip("/")


def first_of(tx: Transaction, scope: Scope) -> int | None:
    """When the first call came that the scope sees, or the first session of its sites began (of some sites: of those that are
    summed); None if there is none."""
    found: list[Row | None] = []
    if scope.sites is None and scope.lines is None:
        found.append(tx.one("SELECT started_at AS at FROM sessions ORDER BY id LIMIT 1"))
        found.append(tx.one("SELECT arrived_at AS at FROM calls ORDER BY arrived_at LIMIT 1"))
    for line in scope.lines or ():
        found.append(tx.one("SELECT arrived_at AS at FROM calls WHERE line = $1 ORDER BY id LIMIT 1", (line,)))
    for site in scope.sites or () if scope.lines is None else ():
        found.append(tx.one("SELECT arrived_at AS at FROM calls WHERE site = $1 ORDER BY id LIMIT 1", (site,)))
        if day := tx.one(_FIRST_SUMS, (site,)):
            found.append(tx.one(_FIRST_SESSION, (ids.first(day["start"]), ids.first(day["start"] + DAY_MS), site)))
    return min((row["at"] for row in found if row), default=None)


_FIRST_SUMS = """
    SELECT start FROM rollups WHERE dimension = 'device' AND span = 'day' AND site = $1 AND sessions > 0 ORDER BY start LIMIT 1
"""
_FIRST_SESSION = "SELECT started_at AS at FROM sessions WHERE id >= $1 AND id < $2 AND site = $3 ORDER BY id LIMIT 1"
