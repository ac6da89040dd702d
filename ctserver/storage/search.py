"""The journal by filters, newest first, in pages.

One filter leads: the one that says most goes first in SQL and has an index that holds its calls in the order of their ids; the
others are tried on what it finds. Nobody waits for a filter that finds little: a page looks through so many calls of the
leading filter and no more, and says how far it has come.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctserver import ids
from ctserver.domain import phone
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row, Value

LOOKS_THROUGH = 20_000  # calls of the leading filter, for one page
NONE = "-"  # as a filter: where it is not known
LAST = "~"  # sorts after every id
DAY_MS = 86_400_000  # how far an id's time may be from its call's


@dataclass(frozen=True, slots=True)
class Filters:
    """Of the journal; "" and None: everything, "-": where it is not known.

    `since` and `until` are epoch milliseconds, talks are in seconds, `source` is like "google / cpc", "google" (whatever the
    medium) or "google / -" (without one); `landing` is an address without its scheme, query and last slash, `region` like "Kent, GB"
    or "GB"; `caller` is new or repeat, `target` yes or no; `sure` is the least confidence and `unsure` the most, 0 to 1.
    """

    q: str = ""
    since: int | None = None
    until: int | None = None
    site: str = ""
    channel: str = ""
    source: str = ""
    campaign: str = ""
    keyword: str = ""
    ad: str = ""
    landing: str = ""
    region: str = ""
    device: str = ""
    number: str = ""
    line: str = ""
    person: str = ""
    outcome: str = ""
    reason: str = ""
    category: str = ""
    tag: str = ""
    talk_min: int | None = None
    talk_max: int | None = None
    caller: str = ""
    target: str = ""
    sure: float | None = None
    unsure: float | None = None

    @property
    def given(self) -> frozenset[str]:
        """The names of those that are set."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) not in ("", None))


@dataclass(frozen=True, slots=True)
class Page:
    """`older`: the id to go on before, None at the end; `looked_to`: how far back was looked (epoch milliseconds), if the
    page ends there for having looked through enough."""

    rows: list[Row]
    older: str | None
    looked_to: int | None


async def page(db: Database, scope: Scope, filters: Filters, *, before: str = "", limit: int = 50) -> Page:
    """The calls before the one with id `before`, or the newest, with the state of their recording."""
    leading = lead(scope, filters)
    first, last = bounds(filters, before)
    low = await db.one(_FLOORS[leading], (*_led(scope, filters, leading), first, last, LOOKS_THROUGH))
    floor = low["id"] if low else ""
    rows = await db.fetch(_PAGES[leading], (max(floor, first), last, *scope.values, *values(scope, filters), limit + 1))
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1]["id"], None)
    if not floor:
        return Page(rows, None, None)
    return Page(rows, floor, low["arrived_at"] if low else None)


async def common(db: Database, scope: Scope, dimension: str, now: int) -> list[str]:
    """The values of a dimension that brought most calls in the last month, for suggestions."""
    if scope.lines is not None:
        return []
    rows = await db.fetch(
        """
        SELECT value, SUM(calls) AS calls FROM rollups
        WHERE dimension = $2 AND span = 'day' AND start >= $3 AND value <> '' AND calls > 0
          AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
        GROUP BY value ORDER BY calls DESC LIMIT 200
        """,
        (scope.values[0], dimension, now - 31 * DAY_MS),
    )
    return [row["value"] for row in rows]


def bounds(filters: Filters, before: str = "") -> tuple[str, str]:
    """[first, last) of ids: an id holds the time it was made, which is near that of the call."""
    first = ids.first(max(0, filters.since - DAY_MS)) if filters.since is not None else ""
    last = ids.first(filters.until + DAY_MS) if filters.until is not None else LAST
    return first, min(last, before or LAST)


# ---- the leading filter


_PREFERRED = ("caller_number", "tag", "keyword", "campaign", "number", "person", "reason", "category", "line", "source",
              "channel", "site", "outcome")  # fmt: skip


def lead(scope: Scope, filters: Filters) -> str:
    """The filter that says most of those that have an index; "" if none is set."""
    given = {"caller_number": _whole_number(scope, filters.q), "site": filters.site or scope.only_site}
    return next((name for name in _PREFERRED if given.get(name) or getattr(filters, name, "")), "")


def _led(scope: Scope, filters: Filters, leading: str) -> tuple[Value, ...]:
    """The value of the leading filter."""
    if not leading:
        return ()
    if leading == "caller_number":
        return (_whole_number(scope, filters.q),)
    if leading == "source":
        return (_source(filters.source)[0],)
    if leading == "site":
        return (_known(filters.site or scope.only_site),)
    return (_known(getattr(filters, leading)),)


def _whole_number(scope: Scope, text: str) -> str:
    """The number that somebody typed whole, with its country."""
    if not scope.callers or not text.startswith("+"):
        return ""
    try:
        return phone.e164(text, "ZZ")
    except phone.NotANumber:
        return ""


def _known(text: str) -> str | None:
    return None if not text else "" if text == NONE else text


def _source(label: str) -> tuple[str | None, str | None]:
    """(source, medium) of a label like "google / cpc"."""
    source, _, medium = label.partition(" / ")
    return _known(source), _known(medium)


def values(scope: Scope, filters: Filters) -> tuple[Value, ...]:
    """$5 to $33 of the SQL that filters."""
    whole = _whole_number(scope, filters.q)
    text = "" if whole else filters.q
    digits = "".join(character for character in text if character.isdigit())
    numeric = len(digits) >= 3 and not any(character.isalpha() for character in text)
    return (
        filters.since if filters.since is not None else 0,
        filters.until if filters.until is not None else 1 << 50,
        _known(filters.site or scope.only_site),
        _known(filters.channel),
        *_source(filters.source),
        _known(filters.campaign),
        _known(filters.keyword),
        _known(filters.number),
        _known(filters.line),
        _known(filters.person),
        _known(filters.outcome),
        _known(filters.reason),
        _known(filters.category),
        filters.talk_min * 1000 if filters.talk_min is not None else None,
        filters.talk_max * 1000 if filters.talk_max is not None else None,
        {"new": 1, "repeat": 0}.get(filters.caller),
        {"yes": 1, "no": 0}.get(filters.target),
        filters.sure,
        filters.unsure,
        _like(text) if text else None,
        _like(digits) if numeric else None,
        int(scope.callers),
        whole or None,
        filters.tag or None,
        _known(filters.ad),
        _known(filters.landing),
        _known(filters.region),
        _known(filters.device),
    )


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


_HEAD = """
    SELECT c.*, r.state AS recording, m.newcomer, m.target
    FROM calls c JOIN call_measures m ON m.id = c.id LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id >= $1 AND c.id < $2
"""
_REST = """
      AND ($3 = '' OR REPLACE($3, ' ' || c.site || ' ', '') <> $3)
      AND ($4 = '' OR REPLACE($4, ' ' || c.line || ' ', '') <> $4)
      AND c.arrived_at >= $5 AND c.arrived_at < $6
      AND ($7 IS NULL OR c.site = $7)
      AND ($8 IS NULL OR c.source_channel = $8)
      AND ($9 IS NULL OR c.source = $9)
      AND ($10 IS NULL OR c.medium = $10 OR $10 = '' AND c.medium = '(none)')
      AND ($11 IS NULL OR c.campaign = $11)
      AND ($12 IS NULL OR c.term = $12)
      AND ($13 IS NULL OR c.did = $13)
      AND ($14 IS NULL OR c.line = $14)
      AND ($15 IS NULL OR c.answered_by = $15)
      AND ($16 IS NULL OR c.outcome = $16)
      AND ($17 IS NULL OR c.reason = $17)
      AND ($18 IS NULL OR c.category = $18)
      AND ($19 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at >= $19)
      AND ($20 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at <= $20)
      AND ($23 IS NULL OR c.confidence >= $23)
      AND ($24 IS NULL OR c.confidence <= $24)
      AND ($25 IS NULL OR c.did LIKE $25 ESCAPE '\\' OR c.source LIKE $25 ESCAPE '\\' OR c.campaign LIKE $25 ESCAPE '\\'
           OR c.term LIKE $25 ESCAPE '\\' OR c.did LIKE $26 ESCAPE '\\'
           OR $27 = 1 AND (c.caller LIKE $25 ESCAPE '\\' OR c.caller LIKE $26 ESCAPE '\\'
                           OR c.caller_name LIKE $25 ESCAPE '\\'))
      AND ($21 IS NULL OR m.newcomer = $21)
      AND ($22 IS NULL OR m.target = $22)
      AND ($28 IS NULL OR c.caller = $28)
      AND ($29 IS NULL OR EXISTS (SELECT 1 FROM call_tags g WHERE g.call = c.id AND g.tag = $29))
      AND ($30 IS NULL OR c.content = $30)
      AND ($32 IS NULL
           OR CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END = $32)
      AND ($33 IS NULL OR COALESCE(m.device, '') = $33)
      AND ($31 IS NULL OR $31 = '' AND COALESCE(m.landing_url, '') = ''
           OR $31 <> '' AND (
               SUBSTR(m.landing_url, 1, LENGTH($31) + 8) = 'https://' || $31
               AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($31) + 9), '/'), 1, 1) IN ('', '?', '#')
               OR SUBSTR(m.landing_url, 1, LENGTH($31) + 7) = 'http://' || $31
               AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($31) + 8), '/'), 1, 1) IN ('', '?', '#')))
"""
_NEWEST = "ORDER BY c.id DESC LIMIT $34"
_TAGGED = """
    SELECT c.*, r.state AS recording, m.newcomer, m.target
    FROM call_tags t CROSS JOIN calls c JOIN call_measures m ON m.id = c.id LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id = t.call AND t.tag = $29 AND t.call >= $1 AND t.call < $2
"""
_PAGES = {
    "": _HEAD + _REST + _NEWEST,
    "tag": _TAGGED + _REST + "ORDER BY t.call DESC LIMIT $34",
    "caller_number": _HEAD + "AND c.caller = $28" + _REST + _NEWEST,
    "keyword": _HEAD + "AND c.term = $12" + _REST + _NEWEST,
    "campaign": _HEAD + "AND c.campaign = $11" + _REST + _NEWEST,
    "number": _HEAD + "AND c.did = $13" + _REST + _NEWEST,
    "person": _HEAD + "AND c.answered_by = $15" + _REST + _NEWEST,
    "reason": _HEAD + "AND c.reason = $17" + _REST + _NEWEST,
    "category": _HEAD + "AND c.category = $18" + _REST + _NEWEST,
    "line": _HEAD + "AND c.line = $14" + _REST + _NEWEST,
    "source": _HEAD + "AND c.source = $9" + _REST + _NEWEST,
    "channel": _HEAD + "AND c.source_channel = $8" + _REST + _NEWEST,
    "site": _HEAD + "AND c.site = $7" + _REST + _NEWEST,
    "outcome": _HEAD + "AND c.outcome = $16" + _REST + _NEWEST,
}
# The call that LOOKS_THROUGH others come before, of the leading filter.
_FLOORS = {
    "": "SELECT id, arrived_at FROM calls WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3",
    "tag": """
        SELECT id, arrived_at FROM calls WHERE id = (
            SELECT call FROM call_tags WHERE tag = $1 AND call >= $2 AND call < $3 ORDER BY call DESC LIMIT 1 OFFSET $4)
    """,
    "caller_number": "SELECT id, arrived_at FROM calls WHERE caller = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "keyword": "SELECT id, arrived_at FROM calls WHERE term = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "campaign": "SELECT id, arrived_at FROM calls WHERE campaign = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "number": "SELECT id, arrived_at FROM calls WHERE did = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "person": "SELECT id, arrived_at FROM calls WHERE answered_by = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "reason": "SELECT id, arrived_at FROM calls WHERE reason = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "category": "SELECT id, arrived_at FROM calls WHERE category = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "line": "SELECT id, arrived_at FROM calls WHERE line = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "source": "SELECT id, arrived_at FROM calls WHERE source = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "channel": "SELECT id, arrived_at FROM calls WHERE source_channel = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "site": "SELECT id, arrived_at FROM calls WHERE site = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "outcome": "SELECT id, arrived_at FROM calls WHERE outcome = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4",
}
