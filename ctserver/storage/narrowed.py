"""What reports count of a part: of the calls that the journal's filters find, and of the sessions that they would be of.

Ready-made sums know one dimension at a time, so all is counted here call by call; the journal's leading filter has an index that
holds its calls in the order of their ids, which is nearly that of their times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctserver import ids
from ctserver.domain.report import OF_VISITORS, Span, Sums, nothing
from ctserver.domain.rights import Scope
from ctserver.storage import search
from ctserver.storage.db import Transaction
from ctserver.storage.reports import plain
from ctserver.storage.search import Filters

OF_SESSIONS = frozenset(("since", "until", "site", *OF_VISITORS))  # the other filters say nothing of sessions
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
    filters = replace(filters, since=span[0], until=span[1])
    slots = offset, slot_ms, turn, dimension
    first, last = search.bounds(filters)
    values = (first, last, *scope.values, *search.values(scope, filters), *slots, int(bool(filters.given & _REST)))
    for value, slot, *sums in tx.fetch(_CALLS[search.lead(scope, filters)], values):
        yield plain(dimension, value), slot, [0, *sums]
    if counts_sessions(dimension, scope, filters):
        values = (ids.first(span[0]), ids.first(span[1]), *scope.values, *search.values(scope, filters), *slots)
        for value, slot, sessions in tx.fetch(_SESSIONS, values):
            yield plain(dimension, value), slot, [sessions, *nothing()[1:]]


# $34 offset, $35 length of a slot, $36 turn, $37 dimension, $38: is one of _REST set?
_MEASURES = """
    SELECT CASE $37
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
        WHEN 'person' THEN m.answered_by
        ELSE m.category END AS value,
    (m.arrived_at + $34) / $35 % $36 AS slot,
    COUNT(*), SUM(m.answered), SUM(m.missed), SUM(m.target), SUM(m.newcomer), SUM(m.talk_ms), SUM(m.ring_ms),
    SUM(m.deal), SUM(m.revenue)
"""
_CALLS_BY_ID = "FROM call_measures m WHERE m.id >= $1 AND m.id < $2"
_OTHER_TABLE = "FROM calls l CROSS JOIN call_measures m WHERE m.id = l.id AND l.id >= $1 AND l.id < $2"
_TAGGED = "FROM call_tags l CROSS JOIN call_measures m WHERE m.id = l.call AND l.call >= $1 AND l.call < $2"
_PART = """
    AND ($3 = '' OR REPLACE($3, ' ' || m.site || ' ', '') <> $3)
    AND ($4 = '' OR REPLACE($4, ' ' || m.line || ' ', '') <> $4)
    AND m.arrived_at >= $5 AND m.arrived_at < $6
    AND ($7 IS NULL OR m.site = $7)
    AND ($8 IS NULL OR m.source_channel = $8)
    AND ($9 IS NULL OR m.source = $9)
    AND ($10 IS NULL OR m.medium = $10 OR $10 = '' AND m.medium = '(none)')
    AND ($11 IS NULL OR m.campaign = $11)
    AND ($12 IS NULL OR m.term = $12)
    AND ($13 IS NULL OR m.did = $13)
    AND ($14 IS NULL OR m.line = $14)
    AND ($15 IS NULL OR m.answered_by = $15)
    AND ($18 IS NULL OR m.category = $18)
    AND ($21 IS NULL OR m.newcomer = $21)
    AND ($22 IS NULL OR m.target = $22)
    AND ($30 IS NULL OR m.content = $30)
    AND ($32 IS NULL
         OR CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END = $32)
    AND ($33 IS NULL OR COALESCE(m.device, '') = $33)
    AND ($31 IS NULL OR $31 = '' AND COALESCE(m.landing_url, '') = ''
         OR $31 <> '' AND (
             SUBSTR(m.landing_url, 1, LENGTH($31) + 8) = 'https://' || $31
             AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($31) + 9), '/'), 1, 1) IN ('', '?', '#')
             OR SUBSTR(m.landing_url, 1, LENGTH($31) + 7) = 'http://' || $31
             AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($31) + 8), '/'), 1, 1) IN ('', '?', '#')))
    AND ($38 = 0 OR EXISTS (
        SELECT 1 FROM calls c WHERE c.id = m.id
        AND ($16 IS NULL OR c.outcome = $16)
        AND ($17 IS NULL OR c.reason = $17)
        AND ($19 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at >= $19)
        AND ($20 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at <= $20)
        AND ($23 IS NULL OR c.confidence >= $23)
        AND ($24 IS NULL OR c.confidence <= $24)
        AND ($25 IS NULL OR c.did LIKE $25 ESCAPE '\\' OR c.source LIKE $25 ESCAPE '\\' OR c.campaign LIKE $25 ESCAPE '\\'
             OR c.term LIKE $25 ESCAPE '\\' OR c.did LIKE $26 ESCAPE '\\'
             OR $27 = 1 AND (c.caller LIKE $25 ESCAPE '\\' OR c.caller LIKE $26 ESCAPE '\\'
                             OR c.caller_name LIKE $25 ESCAPE '\\'))
        AND ($28 IS NULL OR c.caller = $28)
        AND ($29 IS NULL OR EXISTS (SELECT 1 FROM call_tags g WHERE g.call = c.id AND g.tag = $29))))
    GROUP BY 1, 2
"""
_CALLS = {
    "": _MEASURES + _CALLS_BY_ID + _PART,
    "tag": _MEASURES + _TAGGED + " AND l.tag = $29" + _PART,
    "caller_number": _MEASURES + _OTHER_TABLE + " AND l.caller = $28" + _PART,
    "reason": _MEASURES + _OTHER_TABLE + " AND l.reason = $17" + _PART,
    "outcome": _MEASURES + _OTHER_TABLE + " AND l.outcome = $16" + _PART,
    "keyword": _MEASURES + _CALLS_BY_ID + " AND m.term = $12" + _PART,
    "campaign": _MEASURES + _CALLS_BY_ID + " AND m.campaign = $11" + _PART,
    "number": _MEASURES + _CALLS_BY_ID + " AND m.did = $13" + _PART,
    "person": _MEASURES + _CALLS_BY_ID + " AND m.answered_by = $15" + _PART,
    "category": _MEASURES + _CALLS_BY_ID + " AND m.category = $18" + _PART,
    "line": _MEASURES + _CALLS_BY_ID + " AND m.line = $14" + _PART,
    "source": _MEASURES + _CALLS_BY_ID + " AND m.source = $9" + _PART,
    "channel": _MEASURES + _CALLS_BY_ID + " AND m.source_channel = $8" + _PART,
    "site": _MEASURES + _CALLS_BY_ID + " AND m.site = $7" + _PART,
}
_SESSIONS = """
    SELECT CASE $37
        WHEN 'channel' THEN s.channel
        WHEN 'source' THEN CASE WHEN s.medium IN ('', '(none)') THEN s.source ELSE s.source || ' / ' || s.medium END
        WHEN 'campaign' THEN s.campaign
        WHEN 'keyword' THEN s.term
        WHEN 'ad' THEN s.content
        WHEN 'landing' THEN s.landing_url
        WHEN 'region' THEN CASE WHEN s.region <> '' THEN s.region || ', ' || s.country ELSE s.country END
        ELSE s.device END AS value,
    (s.started_at + $34) / $35 % $36 AS slot, COUNT(*) AS sessions
    FROM sessions s WHERE s.id >= $1 AND s.id < $2
    AND ($3 = '' OR REPLACE($3, ' ' || s.site || ' ', '') <> $3)
    AND ($7 IS NULL OR s.site = $7)
    AND ($8 IS NULL OR s.channel = $8)
    AND ($9 IS NULL OR s.source = $9)
    AND ($10 IS NULL OR s.medium = $10 OR $10 = '' AND s.medium = '(none)')
    AND ($11 IS NULL OR s.campaign = $11)
    AND ($12 IS NULL OR s.term = $12)
    AND ($30 IS NULL OR s.content = $30)
    AND ($32 IS NULL OR CASE WHEN s.region <> '' THEN s.region || ', ' || s.country ELSE s.country END = $32)
    AND ($33 IS NULL OR s.device = $33)
    AND ($31 IS NULL OR $31 = '' AND s.landing_url = ''
         OR $31 <> '' AND (
             SUBSTR(s.landing_url, 1, LENGTH($31) + 8) = 'https://' || $31
             AND SUBSTR(LTRIM(SUBSTR(s.landing_url, LENGTH($31) + 9), '/'), 1, 1) IN ('', '?', '#')
             OR SUBSTR(s.landing_url, 1, LENGTH($31) + 7) = 'http://' || $31
             AND SUBSTR(LTRIM(SUBSTR(s.landing_url, LENGTH($31) + 8), '/'), 1, 1) IN ('', '?', '#')))
    GROUP BY 1, 2
"""
