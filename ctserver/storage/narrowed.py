"""What reports count of a part: of the calls that the journal's filters find, and of the sessions that they would be of.

Ready-made sums know one dimension at a time, so all is counted here call by call; the journal's leading filter has an index that
holds its calls in the order of their ids, which is nearly that of their times. Sessions have none: of what is rare, the sums tell in
which hours there is any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ctserver import ids
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import OF_VISITORS, Span, Sums, day_start, nothing
from ctserver.domain.rights import Scope
from ctserver.storage import search
from ctserver.storage.db import Row, Transaction
from ctserver.storage.reports import plain
from ctserver.storage.rollups import valid
from ctserver.storage.search import Filters

OF_SESSIONS = frozenset(("since", "until", "site", *OF_VISITORS))  # the other filters say nothing of sessions
_BESIDE = frozenset(("landing", "region", "device"))  # what a call's session says; the others are columns of the call
_REST = frozenset((
    "q", "outcome", "reason", "tag", "talk_min", "talk_max", "caller", "target", "sure", "unsure"))  # fmt: skip


def narrows(filters: Filters) -> bool:
    """Is there more than a time and a site?"""
    return not filters.given <= {"since", "until", "site"}


def counts_sessions(dimension: str, scope: Scope, filters: Filters) -> bool:
    return dimension in OF_VISITORS and scope.lines is None and filters.given <= OF_SESSIONS


def count(
    tx: Transaction, dimension: str, span: Span, offset: int, slot_ms: int, turn: int, scope: Scope, filters: Filters
) -> Iterator[tuple[str, int, Sums]]:
    """(value of the dimension, number of the slot, sums) of the calls and sessions of the span; as storage.reports.by_slot,
    the slot's number is modulo `turn`. A value and slot may come twice."""
    since, until = span
    asked = (*search.values_of(scope, filters), offset, slot_ms, turn, dimension)
    near = ids.first(max(0, since - DAY_MS)), ids.first(until + DAY_MS)  # an id's time is near that of its call
    rows = tx.fetch(_calls(dimension, scope, filters), (*span, *near, *asked, int(bool(filters.given & _REST))))
    for value, slot, *sums in rows:
        yield plain(dimension, value), slot, [0, *sums]
    if counts_sessions(dimension, scope, filters):
        for first, end in _with_sessions(tx, span, filters):
            for value, slot, sessions in tx.fetch(_SESSIONS, (first, end, ids.first(first), ids.first(end), *asked)):
                yield plain(dimension, value), slot, [sessions, *nothing()[1:]]


def _with_sessions(tx: Transaction, span: Span, filters: Filters) -> list[Span]:
    """The parts of a span in which there may be sessions that the filters find."""
    name = next((name for name in _RARE if getattr(filters, name)), "")
    if not name or span[0] >= span[1]:
        return [span]
    value = str(search.known(getattr(filters, name)))
    days, around = valid(tx, span).days, (day_start(span[0]), day_start(span[1] - 1) + DAY_MS)
    some = {row["start"] for row in tx.fetch(_DAYS_WITH, (*around, name, value))}
    stale = {row["hour"] for row in tx.fetch(_STALE, around)}
    hours: list[int] = []
    for day in range(*around, DAY_MS):
        if day not in days or day in some:
            found = {row["start"] for row in tx.fetch(_HOURS_WITH, (name, day, day + DAY_MS)) if _has(row, value)}
            hours += [hour for hour in range(day, day + DAY_MS, HOUR_MS) if hour in found or hour in stale]
    return _joined(hours, span)


def _has(row: Row, value: str) -> bool:
    """Are there sessions of the value in the sums of an hour?"""
    return any(of_site.get(value, (0,))[0] for of_site in json.loads(row["sums"]).values())


def _joined(hours: Iterable[int], span: Span) -> list[Span]:
    """What the span has of these hours, neighbours as one."""
    found: list[Span] = []
    for hour in hours:
        since, until = max(hour, span[0]), min(hour + HOUR_MS, span[1])
        if found and found[-1][1] == since:
            since = found.pop()[0]
        if since < until:
            found.append((since, until))
    return found


_RARE = ("keyword", "ad", "campaign")  # filters that are the value of a dimension, of which there may be thousands
_STALE = "SELECT hour FROM report_hours WHERE changes <> rolled AND hour >= $1 AND hour < $2"
_HOURS_WITH = "SELECT start, sums FROM hour_values WHERE dimension = $1 AND start >= $2 AND start < $3"
_DAYS_WITH = """
    SELECT DISTINCT r.start FROM (
        SELECT DISTINCT start, site FROM rollups WHERE dimension = 'device' AND span = 'day' AND start >= $1 AND start < $2
    ) s CROSS JOIN rollups r
    WHERE r.dimension = $3 AND r.span = 'day' AND r.start = s.start AND r.site = s.site AND r.value = $4 AND r.sessions > 0
"""


def _calls(dimension: str, scope: Scope, filters: Filters) -> str:
    """Sessions are looked up where they are asked for: that is a third of the work."""
    value = _BY_SESSION if dimension in _BESIDE else _BY_CALL
    part = _PART + _PART_OF_SESSIONS if filters.given & _BESIDE else _PART
    return value + _SUMS + _FROM[search.lead_of(scope, filters)] + part + "GROUP BY 1, 2"


# $36 offset, $37 length of a slot, $38 turn, $39 dimension, $40: is one of _REST set?
_BY_CALL = """
    SELECT CASE $39
        WHEN 'channel' THEN m.source_channel
        WHEN 'source' THEN CASE WHEN m.medium IN ('', '(none)') THEN m.source ELSE m.source || ' / ' || m.medium END
        WHEN 'campaign' THEN m.campaign
        WHEN 'keyword' THEN m.term
        WHEN 'ad' THEN m.content
        WHEN 'number' THEN m.did
        WHEN 'line' THEN m.line
        WHEN 'person' THEN m.person
        ELSE m.category END AS value,
"""
_BY_SESSION = """
    SELECT CASE $39
        WHEN 'landing' THEN COALESCE(m.landing_url, '')
        WHEN 'region' THEN CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END
        ELSE COALESCE(m.device, '') END AS value,
"""
_SUMS = """
    (m.arrived_at + $36) / $37 % $38 AS slot,
    COUNT(*), SUM(m.answered), SUM(m.missed), SUM(m.target), SUM(m.newcomer), SUM(m.talk_ms), SUM(m.ring_ms),
    SUM(m.deal), SUM(m.revenue)
"""
_CALLS_BY_ID = "FROM call_measures m WHERE m.id >= $3 AND m.id < $4"
_OTHER_TABLE = "FROM calls l CROSS JOIN call_measures m WHERE m.id = l.id AND l.id >= $3 AND l.id < $4"
_OF_CALLER = """
    FROM calls l CROSS JOIN call_measures m WHERE m.id = l.id AND l.arrived_at >= $1 AND l.arrived_at < $2 AND l.caller = $18
"""
_TAGGED = "FROM call_tags l CROSS JOIN call_measures m WHERE m.id = l.call AND l.call >= $3 AND l.call < $4"
_PART = """
    AND ($5 = '' OR REPLACE($5, ' ' || m.site || ' ', '') <> $5)
    AND ($6 = '' OR REPLACE($6, ' ' || m.line || ' ', '') <> $6)
    AND m.arrived_at >= $1 AND m.arrived_at < $2
    AND ($19 IS NULL OR m.site = $19)
    AND ($20 IS NULL OR m.source_channel = $20)
    AND ($21 IS NULL OR m.source = $21)
    AND ($22 IS NULL OR m.medium = $22 OR $22 = '' AND m.medium = '(none)')
    AND ($23 IS NULL OR m.campaign = $23)
    AND ($24 IS NULL OR m.term = $24)
    AND ($25 IS NULL OR m.did = $25)
    AND ($26 IS NULL OR m.line = $26)
    AND ($27 IS NULL OR m.person = $27)
    AND ($30 IS NULL OR m.category = $30)
    AND ($14 IS NULL OR m.newcomer = $14)
    AND ($15 IS NULL OR m.target = $15)
    AND ($32 IS NULL OR m.content = $32)
    AND ($40 = 0 OR EXISTS (
        SELECT 1 FROM calls c WHERE c.id = m.id
        AND ($28 IS NULL OR c.outcome = $28)
        AND ($29 IS NULL OR c.reason = $29)
        AND ($7 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at >= $7)
        AND ($8 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at <= $8)
        AND ($9 IS NULL OR c.confidence >= $9)
        AND ($10 IS NULL OR c.confidence <= $10)
        AND ($11 IS NULL OR c.did LIKE $11 ESCAPE '\\' OR c.source LIKE $11 ESCAPE '\\' OR c.campaign LIKE $11 ESCAPE '\\'
             OR c.term LIKE $11 ESCAPE '\\' OR c.did LIKE $12 ESCAPE '\\'
             OR $13 = 1 AND (c.caller LIKE $11 ESCAPE '\\' OR c.caller LIKE $12 ESCAPE '\\'
                             OR c.caller_name LIKE $11 ESCAPE '\\'))
        AND ($18 IS NULL OR c.caller = $18)
        AND ($31 IS NULL OR EXISTS (SELECT 1 FROM call_tags g WHERE g.call = c.id AND g.tag = $31))))
"""
_PART_OF_SESSIONS = """
    AND ($34 IS NULL
         OR CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END = $34)
    AND ($35 IS NULL OR COALESCE(m.device, '') = $35)
    AND ($33 IS NULL OR $33 = '' AND COALESCE(m.landing_url, '') = ''
         OR $33 <> '' AND (
             SUBSTR(m.landing_url, 1, LENGTH($33) + 8) = 'https://' || $33
             AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($33) + 9), '/'), 1, 1) IN ('', '?', '#')
             OR SUBSTR(m.landing_url, 1, LENGTH($33) + 7) = 'http://' || $33
             AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($33) + 8), '/'), 1, 1) IN ('', '?', '#')))
"""
_FROM = {
    "": "FROM call_measures m WHERE m.arrived_at >= $1 AND m.arrived_at < $2",
    "tag": _TAGGED + " AND l.tag = $31",
    "caller_number": _OF_CALLER,
    "reason": _OTHER_TABLE + " AND l.reason = $29",
    "outcome": _OTHER_TABLE + " AND l.outcome = $28",
    "keyword": _CALLS_BY_ID + " AND m.term = $24",
    "campaign": _CALLS_BY_ID + " AND m.campaign = $23",
    "number": _CALLS_BY_ID + " AND m.did = $25",
    "person": _CALLS_BY_ID + " AND m.person = $27",
    "category": _CALLS_BY_ID + " AND m.category = $30",
    "line": _CALLS_BY_ID + " AND m.line = $26",
    "source": _CALLS_BY_ID + " AND m.source = $21",
    "channel": _CALLS_BY_ID + " AND m.source_channel = $20",
    "site": _CALLS_BY_ID + " AND m.site = $19",
}
_SESSIONS = """
    SELECT CASE $39
        WHEN 'channel' THEN s.channel
        WHEN 'source' THEN CASE WHEN s.medium IN ('', '(none)') THEN s.source ELSE s.source || ' / ' || s.medium END
        WHEN 'campaign' THEN s.campaign
        WHEN 'keyword' THEN s.term
        WHEN 'ad' THEN s.content
        WHEN 'landing' THEN s.landing_url
        WHEN 'region' THEN CASE WHEN s.region <> '' THEN s.region || ', ' || s.country ELSE s.country END
        ELSE s.device END AS value,
    (s.started_at + $36) / $37 % $38 AS slot, COUNT(*) AS sessions
    FROM sessions s WHERE s.id >= $3 AND s.id < $4
    AND ($5 = '' OR REPLACE($5, ' ' || s.site || ' ', '') <> $5)
    AND ($19 IS NULL OR s.site = $19)
    AND ($20 IS NULL OR s.channel = $20)
    AND ($21 IS NULL OR s.source = $21)
    AND ($22 IS NULL OR s.medium = $22 OR $22 = '' AND s.medium = '(none)')
    AND ($23 IS NULL OR s.campaign = $23)
    AND ($24 IS NULL OR s.term = $24)
    AND ($32 IS NULL OR s.content = $32)
    AND ($34 IS NULL OR CASE WHEN s.region <> '' THEN s.region || ', ' || s.country ELSE s.country END = $34)
    AND ($35 IS NULL OR s.device = $35)
    AND ($33 IS NULL OR $33 = '' AND s.landing_url = ''
         OR $33 <> '' AND (
             SUBSTR(s.landing_url, 1, LENGTH($33) + 8) = 'https://' || $33
             AND SUBSTR(LTRIM(SUBSTR(s.landing_url, LENGTH($33) + 9), '/'), 1, 1) IN ('', '?', '#')
             OR SUBSTR(s.landing_url, 1, LENGTH($33) + 7) = 'http://' || $33
             AND SUBSTR(LTRIM(SUBSTR(s.landing_url, LENGTH($33) + 8), '/'), 1, 1) IN ('', '?', '#')))
    GROUP BY 1, 2
"""
