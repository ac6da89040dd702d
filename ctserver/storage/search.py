"""The journal by filters, newest first, in pages.

One filter leads: the one that says most goes first in SQL and has an index that holds its calls in the order of the page; the
others are tried on what it finds. Without one, the calls are looked through in an index that holds all that such filters ask for.
Nobody waits for a filter that finds little: a page looks through so many calls of the leading filter and no more, and says how
far it has come.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctserver import ids
from ctserver.domain import phone
from ctserver.domain.clock import DAY_MS
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row, Value

LOOKS_THROUGH = 20_000  # calls of the leading filter, for one page
FIRST_LOOK = 1_000  # of them: these fill most pages
LOOKS_UP = 5_000  # where what is asked for stands elsewhere, with the call or its session
FAR = frozenset({"ad", "landing", "region", "device"})
SLOW_TO_COUNT = FAR | {"caller", "target"}  # each call takes a look at another row
COUNTS_TO = 1_000
NONE = "-"  # as a filter: where it is not known
END = 1 << 50  # later than every call, epoch milliseconds


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


async def page(
    db: Database, scope: Scope, filters: Filters, *, before: str = "", limit: int = 50, measured: bool = True
) -> Page:
    """The calls before the one with id `before`, or the newest, with the state of their recording; `newcomer` and `target` are
    None unless they are to be `measured`."""
    lead = lead_of(scope, filters)
    span = await _span(db, filters, before, lead)
    values = values_of(scope, filters, limit + 1, measured=measured)
    low: Row | None = None
    for looks in _looks(scope, filters, lead, limit):
        within = span if lead in BY_ARRIVAL else span[2:]
        low = await db.one(_FLOORS[lead], (*within, *_led(scope, filters, lead), looks)) if looks else None
        rows = await db.fetch(_PAGES[lead], (*_above(span, low, lead), *values))
        if len(rows) > limit:
            return Page(rows[:limit], rows[limit - 1]["id"], None)
        if low is None:
            break
    return Page(rows, low["id"], low["arrived_at"]) if low else Page(rows, None, None)


async def count(db: Database, scope: Scope, filters: Filters) -> tuple[int, bool]:
    """(how many calls fit, True), or (so many at least, False): counting ends at COUNTS_TO, and at what a page looks through."""
    lead = lead_of(scope, filters)
    span = await _span(db, filters, "", lead)
    within = span if lead in BY_ARRIVAL else span[2:]
    low: Row | None = None
    if looks := _looks(scope, filters, lead, COUNTS_TO)[-1]:
        low = await db.one(_FLOORS[lead], (*within, *_led(scope, filters, lead), looks))
    elif lead and (lead in BY_ARRIVAL or not filters.given & {"since", "until"}):
        # Its index says it, without the calls.
        row = await db.one(_COUNTS_LED[lead], (*within, *_led(scope, filters, lead), COUNTS_TO + 1))
        return min(row["found"], COUNTS_TO) if row else 0, row is None or row["found"] <= COUNTS_TO
    row = await db.one(_COUNTS[lead], (*_above(span, low, lead), *values_of(scope, filters, COUNTS_TO + 1)))
    found = int(row["found"]) if row else 0
    return min(found, COUNTS_TO), low is None and found <= COUNTS_TO


async def common(db: Database, scope: Scope, dimension: str, now: int) -> list[str]:
    """The values of a dimension that brought most calls in the last month, for suggestions."""
    if scope.lines is not None:
        return []
    rows = await db.fetch(_COMMON, (scope.values[0], dimension, now - 31 * DAY_MS))
    return [row["value"] for row in rows]


# By whole weeks, and by the days that belong to none yet.
_COMMON = """
    SELECT value, SUM(calls) AS calls FROM (
        SELECT value, calls, site FROM rollups WHERE dimension = $2 AND span = 'week' AND start >= $3
        UNION ALL
        SELECT value, calls, site FROM rollups WHERE dimension = $2 AND span = 'day' AND start >= COALESCE((
            SELECT MAX(w.start) + 604800000 FROM rollups w WHERE w.dimension = $2 AND w.span = 'week' AND w.start >= $3), $3)
    ) AS lately
    WHERE value <> '' AND calls > 0 AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
    GROUP BY value ORDER BY calls DESC LIMIT 200
"""


Span = tuple[int, int, str, str]  # `$1` to `$4` of the pages' SQL: arrived in [$1, $2), ids in [$3, $4)


async def _span(db: Database, filters: Filters, before: str, lead: str) -> Span:
    """Where the calls lie. Those in the order of their arrival: from ($1, $3) to ($2, $4). Others are in the order of their
    ids; an id holds the time it was made, which is near that of the call."""
    since = filters.since if filters.since is not None else 0
    until = filters.until if filters.until is not None else END
    if lead in BY_ARRIVAL:
        last = await db.one(_PLACE, (before,)) if before else None
        at, id = min((until, ""), (last["arrived_at"] if last else 0, before) if before else (END, ""))
        return since, at, "", id
    first = ids.first(max(0, since - DAY_MS)) if since else ""  # an id's time is near that of its call
    end = ids.first(until + DAY_MS) if until < END else ids.LAST
    return since, until, first, min(end, before or ids.LAST)


def _above(span: Span, low: Row | None, lead: str) -> Span:
    """Of the span, what is not older than the call `low`."""
    if low is None:
        return span
    since, until, _, last = span
    return (low["arrived_at"] if lead in BY_ARRIVAL else since), until, low["id"], last


def _looks(scope: Scope, filters: Filters, lead: str, limit: int) -> tuple[int, ...]:
    """How many calls of the leading filter are looked through."""
    most = min(LOOKS_UP, LOOKS_THROUGH) if FAR & filters.given else LOOKS_THROUGH
    return looks_of(any(scope.values) or _tried(filters, lead), limit, most)


def looks_of(tries: bool, limit: int, most: int | None = None) -> tuple[int, ...]:
    """How many rows are looked through, at first and at most, where each is tried; 0 where each fits."""
    if not tries:
        return (0,)
    most = most or LOOKS_THROUGH
    return (FIRST_LOOK, most) if limit < FIRST_LOOK else (most,)


def _tried(filters: Filters, lead: str) -> bool:
    """Are there filters that the leading one's calls may not pass? Few are lost to the dates."""
    led = "q" if lead == "caller_number" else lead
    others = (getattr(filters, name.name) for name in fields(filters) if name.name not in (led, "since", "until"))
    return any(value not in ("", None) for value in others) or " / " in filters.source


# ---- the leading filter


_PREFERRED = ("caller_number", "tag", "keyword", "campaign", "number", "person", "reason", "category", "line", "source",
              "channel", "site", "outcome")  # fmt: skip


def lead_of(scope: Scope, filters: Filters) -> str:
    """The filter that says most of those that have an index; "" if none is set."""
    given = {"caller_number": _whole_number(scope, filters.q), "site": filters.site or scope.only_site}
    return next((name for name in _PREFERRED if given.get(name) or getattr(filters, name, "")), "")


def _led(scope: Scope, filters: Filters, lead: str) -> tuple[Value, ...]:
    """The value of the leading filter."""
    if not lead:
        return ()
    if lead == "caller_number":
        return (_whole_number(scope, filters.q),)
    if lead == "source":
        return (_source(filters.source)[0],)
    if lead == "site":
        return (known(filters.site or scope.only_site),)
    return (known(getattr(filters, lead)),)


def _whole_number(scope: Scope, text: str) -> str:
    """The number that somebody typed whole, with its country."""
    if not scope.callers or not text.startswith("+"):
        return ""
    try:
        return phone.e164(text, "ZZ")
    except phone.NotANumber:
        return ""


def known(text: str) -> str | None:
    """What a filter stands for: NONE is the empty value, "" is no filter (None)."""
    return None if not text else "" if text == NONE else text


def _source(label: str) -> tuple[str | None, str | None]:
    """(source, medium) of a label like "google / cpc"."""
    source, _, medium = label.partition(" / ")
    return known(source), known(medium)


def values_of(scope: Scope, filters: Filters, limit: int = 0, *, measured: bool = False) -> tuple[Value, ...]:
    """`$5` to `$35` of the SQL that filters."""
    whole = _whole_number(scope, filters.q)
    text = "" if whole else filters.q
    digits = "".join(character for character in text if character.isdigit())
    numeric = len(digits) >= 3 and not any(character.isalpha() for character in text)
    return (
        *scope.values,
        filters.talk_min * 1000 if filters.talk_min is not None else None,
        filters.talk_max * 1000 if filters.talk_max is not None else None,
        filters.sure,
        filters.unsure,
        like(text) if text else None,
        like(digits) if numeric else None,
        int(scope.callers),
        {"new": 1, "repeat": 0}.get(filters.caller),
        {"yes": 1, "no": 0}.get(filters.target),
        limit,
        int(measured),
        whole or None,
        known(filters.site or scope.only_site),
        known(filters.channel),
        *_source(filters.source),
        known(filters.campaign),
        known(filters.keyword),
        known(filters.number),
        known(filters.line),
        known(filters.person),
        known(filters.outcome),
        known(filters.reason),
        known(filters.category),
        filters.tag or None,
        known(filters.ad),
        known(filters.landing),
        known(filters.region),
        known(filters.device),
    )


def like(text: str) -> str:
    """A pattern for LIKE ... ESCAPE '\\': whatever holds this text."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


_CALLS = """
    SELECT c.*, r.state AS recording,
           CASE WHEN $17 = 1 THEN (SELECT m.newcomer FROM call_measures m WHERE m.id = c.id) END AS newcomer,
           CASE WHEN $17 = 1 THEN (SELECT m.target FROM call_measures m WHERE m.id = c.id) END AS target
"""
_LOOSE_FILTERS = """
      AND ($5 = '' OR REPLACE($5, ' ' || c.site || ' ', '') <> $5)
      AND ($6 = '' OR REPLACE($6, ' ' || c.line || ' ', '') <> $6)
      AND ($7 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at >= $7)
      AND ($8 IS NULL OR c.answered_at IS NOT NULL AND c.ended_at - c.answered_at <= $8)
      AND ($9 IS NULL OR c.confidence >= $9)
      AND ($10 IS NULL OR c.confidence <= $10)
      AND ($11 IS NULL OR c.did LIKE $11 ESCAPE '\\' OR c.source LIKE $11 ESCAPE '\\' OR c.campaign LIKE $11 ESCAPE '\\'
           OR c.term LIKE $11 ESCAPE '\\' OR c.did LIKE $12 ESCAPE '\\'
           OR $13 = 1 AND (c.caller LIKE $11 ESCAPE '\\' OR c.caller LIKE $12 ESCAPE '\\'
                           OR c.caller_name LIKE $11 ESCAPE '\\'))
      AND ($14 IS NULL OR EXISTS (SELECT 1 FROM call_measures m WHERE m.id = c.id AND m.newcomer = $14))
      AND ($15 IS NULL OR EXISTS (SELECT 1 FROM call_measures m WHERE m.id = c.id AND m.target = $15))
      AND ($32 IS NULL OR EXISTS (SELECT 1 FROM calls k WHERE k.id = c.id AND k.content = $32))
      AND ($33 IS NULL AND $34 IS NULL AND $35 IS NULL OR EXISTS (
          SELECT 1 FROM call_measures m WHERE m.id = c.id
          AND ($34 IS NULL
               OR CASE WHEN m.region <> '' THEN m.region || ', ' || m.country ELSE COALESCE(m.country, '') END = $34)
          AND ($35 IS NULL OR COALESCE(m.device, '') = $35)
          AND ($33 IS NULL OR $33 = '' AND COALESCE(m.landing_url, '') = ''
               OR $33 <> '' AND (
                   SUBSTR(m.landing_url, 1, LENGTH($33) + 8) = 'https://' || $33
                   AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($33) + 9), '/'), 1, 1) IN ('', '?', '#')
                   OR SUBSTR(m.landing_url, 1, LENGTH($33) + 7) = 'http://' || $33
                   AND SUBSTR(LTRIM(SUBSTR(m.landing_url, LENGTH($33) + 8), '/'), 1, 1) IN ('', '?', '#')))))
"""
_FIRM_FILTERS = """
      AND ($18 IS NULL OR c.caller = $18)
      AND ($19 IS NULL OR c.site = $19)
      AND ($20 IS NULL OR c.source_channel = $20)
      AND ($21 IS NULL OR c.source = $21)
      AND ($22 IS NULL OR c.medium = $22 OR $22 = '' AND c.medium = '(none)')
      AND ($23 IS NULL OR c.campaign = $23)
      AND ($24 IS NULL OR c.term = $24)
      AND ($25 IS NULL OR c.did = $25)
      AND ($26 IS NULL OR c.line = $26)
      AND ($27 IS NULL OR c.person = $27)
      AND ($28 IS NULL OR c.outcome = $28)
      AND ($29 IS NULL OR c.reason = $29)
      AND ($30 IS NULL OR c.category = $30)
      AND ($31 IS NULL OR EXISTS (SELECT 1 FROM call_tags g WHERE g.call = c.id AND g.tag = $31))
"""
_FILTERS = _LOOSE_FILTERS + _FIRM_FILTERS
_BY_ID = (
    _CALLS
    + """
    FROM calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id >= $3 AND c.id < $4 AND c.arrived_at >= $1 AND c.arrived_at < $2
"""
)
_NEWEST = _FILTERS + "ORDER BY c.id DESC LIMIT $16"
_LATEST = "ORDER BY c.arrived_at DESC, c.id DESC LIMIT $16"
# What fits is found in the index of arrivals alone, then shown.
_FOUND = "SELECT c.id FROM calls c WHERE (c.arrived_at, c.id) >= ($1, $3) AND (c.arrived_at, c.id) < ($2, $4)"
_LOOKED_THROUGH = (
    _CALLS
    + "FROM ("
    + _FOUND
    + _LOOSE_FILTERS
    + _LATEST
    + """) AS found CROSS JOIN calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id = found.id ORDER BY c.arrived_at DESC, c.id DESC
"""
)
_OF_CALLER = (
    _CALLS
    + """
    FROM calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.caller = $18 AND (c.arrived_at, c.id) >= ($1, $3) AND (c.arrived_at, c.id) < ($2, $4)
"""
    + _FILTERS
    + _LATEST
)
_TAGGED = (
    _CALLS
    + """
    FROM call_tags t CROSS JOIN calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id = t.call AND t.tag = $31 AND t.call >= $3 AND t.call < $4 AND c.arrived_at >= $1 AND c.arrived_at < $2
"""
    + _FILTERS
    + "ORDER BY t.call DESC LIMIT $16"
)
BY_ARRIVAL = ("", "caller_number")  # the others lead in the order of the ids
_PAGES = {
    "": _LOOKED_THROUGH,
    "caller_number": _OF_CALLER,
    "tag": _TAGGED,
    "keyword": _BY_ID + "AND c.term = $24" + _NEWEST,
    "campaign": _BY_ID + "AND c.campaign = $23" + _NEWEST,
    "number": _BY_ID + "AND c.did = $25" + _NEWEST,
    "person": _BY_ID + "AND c.person = $27" + _NEWEST,
    "reason": _BY_ID + "AND c.reason = $29" + _NEWEST,
    "category": _BY_ID + "AND c.category = $30" + _NEWEST,
    "line": _BY_ID + "AND c.line = $26" + _NEWEST,
    "source": _BY_ID + "AND c.source = $21" + _NEWEST,
    "channel": _BY_ID + "AND c.source_channel = $20" + _NEWEST,
    "site": _BY_ID + "AND c.site = $19" + _NEWEST,
    "outcome": _BY_ID + "AND c.outcome = $28" + _NEWEST,
}
# The call that so many others of the leading filter come before.
_FLOORS = {
    "": """
        SELECT id, arrived_at FROM calls WHERE (arrived_at, id) >= ($1, $3) AND (arrived_at, id) < ($2, $4)
        ORDER BY arrived_at DESC, id DESC LIMIT 1 OFFSET $5
    """,
    "caller_number": """
        SELECT id, arrived_at FROM calls WHERE caller = $5 AND (arrived_at, id) >= ($1, $3) AND (arrived_at, id) < ($2, $4)
        ORDER BY arrived_at DESC, id DESC LIMIT 1 OFFSET $6
    """,
    "tag": """
        SELECT id, arrived_at FROM calls WHERE id = (
            SELECT call FROM call_tags WHERE tag = $3 AND call >= $1 AND call < $2 ORDER BY call DESC LIMIT 1 OFFSET $4)
    """,
    "keyword": "SELECT id, arrived_at FROM calls WHERE term = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "campaign": "SELECT id, arrived_at FROM calls WHERE campaign = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "number": "SELECT id, arrived_at FROM calls WHERE did = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "person": "SELECT id, arrived_at FROM calls WHERE person = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "reason": "SELECT id, arrived_at FROM calls WHERE reason = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "category": "SELECT id, arrived_at FROM calls WHERE category = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "line": "SELECT id, arrived_at FROM calls WHERE line = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "source": "SELECT id, arrived_at FROM calls WHERE source = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "channel": "SELECT id, arrived_at FROM calls WHERE source_channel = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "site": "SELECT id, arrived_at FROM calls WHERE site = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
    "outcome": "SELECT id, arrived_at FROM calls WHERE outcome = $3 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $4",
}


def _counted(sql: str) -> str:
    """How many rows it finds."""
    return "SELECT COUNT(*) AS found FROM (" + sql + ") AS fits"  # noqa: S608 - a constant


_COUNTS = {lead: _counted(sql) for lead, sql in _PAGES.items()} | {"": _counted(_FOUND + _LOOSE_FILTERS + _LATEST)}
_OF_INDEX = {
    lead: sql.replace("id, arrived_at", "id").replace("ORDER BY id DESC LIMIT 1 OFFSET $4", "LIMIT $4")
    for lead, sql in _FLOORS.items()
} | {
    "tag": "SELECT call FROM call_tags WHERE tag = $3 AND call >= $1 AND call < $2 LIMIT $4",
    "caller_number": """
        SELECT id FROM calls WHERE caller = $5 AND (arrived_at, id) >= ($1, $3) AND (arrived_at, id) < ($2, $4) LIMIT $6
    """,
}
_COUNTS_LED = {lead: _counted(sql) for lead, sql in _OF_INDEX.items()}
_PLACE = "SELECT arrived_at FROM calls WHERE id <= $1 ORDER BY id DESC LIMIT 1"  # the call itself, or the one before it if it has gone
