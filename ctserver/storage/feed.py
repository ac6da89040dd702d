"""What programs read: calls and sessions in the order of time, from a place on. `$1` and `$2` are Scope.values.

Nobody waits for what is rare: a page looks through so many calls or sessions and no more, so it may hold fewer than were asked for,
even none, and say where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctserver import ids
from ctserver.domain.rights import Scope
from ctserver.storage import search
from ctserver.storage.db import Database, Row, Transaction

Place = tuple[int, str]
LATEST = 253_402_300_799_999  # the end of the year 9999
END: Place = (LATEST + 1, "")  # after every call
FEW = 1_000  # calls with one value that are put into order all of them


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of calls that arrived in [since, until); empty text: any. `caller` is E.164."""

    since: int
    until: int
    site: str = ""
    line: str = ""
    did: str = ""
    caller: str = ""
    outcome: str = ""
    source: str = ""
    campaign: str = ""

    @property
    def values(self) -> tuple[int | str, ...]:
        """`$3` to `$11`."""
        return (
            self.since, self.until, self.site, self.line, self.did, self.caller, self.outcome, self.source, self.campaign,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """`place` is where the next page goes on, if there are `more`."""

    rows: list[Row]
    place: Place
    more: bool


async def newest(db: Database, scope: Scope, wanted: Wanted, before: Place, limit: int) -> Page:
    """Calls before the place (arrived_at, id), newest first."""
    span = (wanted.since, ""), min(before, (wanted.until, ""))
    return await db.read(lambda tx: _page(tx, _NEWEST, scope, wanted, span, limit))


async def oldest(db: Database, scope: Scope, wanted: Wanted, after: Place, limit: int) -> Page:
    """Calls after the place (arrived_at, id), oldest first."""
    span = max(after, (wanted.since, "")), (wanted.until, "")
    return await db.read(lambda tx: _page(tx, _OLDEST, scope, wanted, span, limit))


async def changed(db: Database, scope: Scope, wanted: Wanted, after: Place, limit: int) -> Page:
    """Calls that changed after the place (updated_at, id), in the order of their last change."""
    return await db.read(lambda tx: _page(tx, _CHANGED, scope, wanted, (after, END), limit))


@dataclass(frozen=True, slots=True)
class _Order:
    """`by` is the time of a place; `pages` finds calls, by the filter that leads; `place` is so many calls on. `of_callers`: one
    caller's calls are found in this order, however many they are."""

    by: str
    falls: bool
    of_callers: bool
    pages: Mapping[str, str]
    place: str


def _page(tx: Transaction, order: _Order, scope: Scope, wanted: Wanted, span: tuple[Place, Place], limit: int) -> Page:
    lead = _lead(tx, order, wanted)
    place: Place | None = None
    for looks in _looks(order, scope, wanted, lead, limit):
        place = _place(tx, order, span, looks) if looks else None
        low, high = _cut(order, span, place)
        rows = tx.fetch(order.pages[lead], (*scope.values, *wanted.values, *low, *high, limit + 1))
        if len(rows) > limit:
            last = rows[limit - 1]
            return Page(rows[:limit], (last[order.by], last["id"]), more=True)
        if place is None:
            break
    end = (rows[-1][order.by], rows[-1]["id"]) if rows else span[order.falls]
    return Page(rows, place or end, more=place is not None)


def _lead(tx: Transaction, order: _Order, wanted: Wanted) -> str:
    """The filter whose calls are looked at alone; "": there is none, or each has too many."""
    if wanted.caller and order.of_callers:
        return "caller"
    return next((name for name in _COUNTS if getattr(wanted, name) and _has_few(tx, name, getattr(wanted, name))), "")


def _has_few(tx: Transaction, name: str, value: str) -> bool:
    row = tx.one(_COUNTS[name], (value, FEW + 1))
    return row is not None and int(row["n"]) <= FEW


def _looks(order: _Order, scope: Scope, wanted: Wanted, lead: str, limit: int) -> tuple[int, ...]:
    """How many calls are looked through."""
    texts = wanted.values[2:]
    dated = order.by != "arrived_at" and (wanted.since > 0 or wanted.until < LATEST)
    return search.looks_of(not lead and (any(scope.values) or any(texts) or dated), limit)


def _place(tx: Transaction, order: _Order, span: tuple[Place, Place], looks: int) -> Place | None:
    row = tx.one(order.place, (*span[0], *span[1], looks - 1))
    return (row["at"], row["id"]) if row else None


def _cut(order: _Order, span: tuple[Place, Place], place: Place | None) -> tuple[Place, Place]:
    low, high = span
    if place is None:
        return span
    return (place, high) if order.falls else (low, place)


_CALLS = "SELECT c.*, r.state AS recording, n.text AS note FROM ("
# + 0: not by this, but by the place.
_FILTERS = """
    AND c.arrived_at + 0 >= $3 AND c.arrived_at + 0 < $4
    AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
    AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
    AND ($5 = '' OR c.site = $5) AND ($6 = '' OR c.line = $6)
    AND ($7 = '' OR c.did = $7) AND ($8 = '' OR c.caller = $8) AND ($9 = '' OR c.outcome = $9)
    AND ($10 = '' OR c.source = $10) AND ($11 = '' OR c.campaign = $11)
"""
_SHOWN = """
    ) AS found CROSS JOIN calls c LEFT JOIN recordings r ON r.call = c.id LEFT JOIN call_notes n ON n.call = c.id
    WHERE c.id = found.id
"""
_ANY = "SELECT c.id FROM calls c WHERE "
_OF_CALLER = "SELECT c.id FROM calls c WHERE c.caller = $8 AND "
_OF_FEW = {
    "caller": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.caller = $8 AND c.id = few.id AND ",
    "did": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.did = $7 AND c.id = few.id AND ",
    "campaign": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.campaign = $11 AND c.id = few.id AND ",
    "source": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.source = $10 AND c.id = few.id AND ",
    "line": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.line = $6 AND c.id = few.id AND ",
    "site": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.site = $5 AND c.id = few.id AND ",
    "outcome": "SELECT c.id FROM calls few CROSS JOIN calls c WHERE few.outcome = $9 AND c.id = few.id AND ",
}
_COUNTS = {
    "caller": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE caller = $1 LIMIT $2) AS some",
    "did": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE did = $1 LIMIT $2) AS some",
    "campaign": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE campaign = $1 LIMIT $2) AS some",
    "source": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE source = $1 LIMIT $2) AS some",
    "line": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE line = $1 LIMIT $2) AS some",
    "site": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE site = $1 LIMIT $2) AS some",
    "outcome": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE outcome = $1 LIMIT $2) AS some",
}


def _order(by: str, between: str, order: str, place: str, *, falls: bool = False) -> _Order:
    """Its statements: what is found in this order between two places, and shown in it."""

    def sql(found: str) -> str:
        return _CALLS + found + between + _FILTERS + order + " LIMIT $16" + _SHOWN + order

    of_callers = by == "arrived_at"
    pages = {"": sql(_ANY)} | {name: sql(found) for name, found in _OF_FEW.items()}
    return _Order(by, falls, of_callers, pages | ({"caller": sql(_OF_CALLER)} if of_callers else {}), place)


_NEWEST = _order(
    "arrived_at",
    "(c.arrived_at, c.id) >= ($12, $13) AND (c.arrived_at, c.id) < ($14, $15)",
    "ORDER BY c.arrived_at DESC, c.id DESC",
    """
    SELECT arrived_at AS at, id FROM calls WHERE (arrived_at, id) >= ($1, $2) AND (arrived_at, id) < ($3, $4)
    ORDER BY arrived_at DESC, id DESC LIMIT 1 OFFSET $5
    """,
    falls=True,
)
_OLDEST = _order(
    "arrived_at",
    "(c.arrived_at, c.id) > ($12, $13) AND (c.arrived_at, c.id) <= ($14, $15)",
    "ORDER BY c.arrived_at, c.id",
    """
    SELECT arrived_at AS at, id FROM calls WHERE (arrived_at, id) > ($1, $2) AND (arrived_at, id) <= ($3, $4)
    ORDER BY arrived_at, id LIMIT 1 OFFSET $5
    """,
)
_CHANGED = _order(
    "updated_at",
    "(c.updated_at, c.id) > ($12, $13) AND (c.updated_at, c.id) <= ($14, $15)",
    "ORDER BY c.updated_at, c.id",
    """
    SELECT updated_at AS at, id FROM calls WHERE (updated_at, id) > ($1, $2) AND (updated_at, id) <= ($3, $4)
    ORDER BY updated_at, id LIMIT 1 OFFSET $5
    """,
)


async def one(db: Database, scope: Scope, id: str) -> Row | None:
    return await db.one(
        """
        SELECT c.*, r.state AS recording, n.text AS note
        FROM calls c LEFT JOIN recordings r ON r.call = c.id LEFT JOIN call_notes n ON n.call = c.id
        WHERE c.id = $3 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        """,
        (*scope.values, id),
    )


async def tags_of(db: Database, calls: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each of these calls that has some, in the order in which they were given."""

    def read(tx: Transaction) -> dict[str, list[str]]:
        sql = "SELECT tag FROM call_tags WHERE call = $1 ORDER BY at, tag"
        found = {call: [row["tag"] for row in tx.fetch(sql, (call,))] for call in calls}
        return {call: tags for call, tags in found.items() if tags}

    return await db.read(read)


async def last_change(db: Database) -> Place:
    """The place of the latest change of any call."""
    row = await db.one("SELECT updated_at, id FROM calls ORDER BY updated_at DESC, id DESC LIMIT 1")
    return (row["updated_at"], row["id"]) if row else (0, "")


async def tags(db: Database, scope: Scope) -> list[Row]:
    """tag and calls (how many), the most used first."""
    return await db.read(lambda tx: tx.fetch(_TAGS if any(scope.values) else _ALL_TAGS, scope.values))


_ALL_TAGS = (
    "SELECT tag, COUNT(*) AS calls FROM call_tags WHERE $1 = $2 GROUP BY tag ORDER BY calls DESC, tag LIMIT 1000"
)
_TAGS = """
    SELECT t.tag, COUNT(*) AS calls FROM call_tags t JOIN calls c ON c.id = t.call
    WHERE ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
    GROUP BY t.tag ORDER BY calls DESC, t.tag LIMIT 1000
"""


async def notes(db: Database, scope: Scope, before: str, limit: int) -> list[Row]:
    """call, text, login, at of notes: of the newest calls first, before that with the id `before` ("": from the newest)."""
    return await db.fetch(
        """
        SELECT n.call, n.text, n.login, n.at FROM call_notes n JOIN calls c ON c.id = n.call
        WHERE ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
          AND ($3 = '' OR n.call < $3)
        ORDER BY n.call DESC LIMIT $4
        """,
        (*scope.values, before, limit),
    )


async def sessions(
    db: Database, scope: Scope, since: int, until: int, site: str, visitor: str, before: str, limit: int
) -> tuple[list[Row], str | None]:
    """Sessions that began in [since, until), newest first, before the one with this id ("": from the newest); and the id to go on
    before, None at the end."""
    last = ids.first(until)
    last = min(before, last) if before else last
    first, shown = ids.first(since), (scope.values[0], site, limit + 1)

    def unit(tx: Transaction) -> tuple[list[Row], str | None]:
        if visitor:
            rows, floor = tx.fetch(_OF_VISITOR, (*shown, first, last, visitor)), ""
        else:
            floor = _floor(tx, _SESSION_FLOOR, (first, last)) if scope.values[0] or site else ""
            rows = tx.fetch(_SESSIONS, (*shown, floor or first, last))
        return _cut_off(rows, "id", limit, floor)

    return await db.read(unit)


def _floor(tx: Transaction, sql: str, span: tuple[str, str]) -> str:
    """The id that search.LOOKS_THROUGH others come before in the span; "": there are not so many."""
    row = tx.one(sql, (*span, search.LOOKS_THROUGH - 1))
    return str(row["id"]) if row else ""


def _cut_off(rows: list[Row], key: str, limit: int, floor: str) -> tuple[list[Row], str | None]:
    if len(rows) > limit:
        return rows[:limit], str(rows[limit - 1][key])
    return rows, floor or None


_WITHIN = """
    SELECT * FROM sessions WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1) AND ($2 = '' OR site = $2)
      AND id >= $4 AND id < $5
"""
_SESSIONS = _WITHIN + "ORDER BY id DESC LIMIT $3"
_OF_VISITOR = _WITHIN + "AND visitor = $6 ORDER BY id DESC LIMIT $3"
_SESSION_FLOOR = "SELECT id FROM sessions WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3"


async def visitors(db: Database, scope: Scope, before: str, limit: int) -> tuple[list[Row], str | None]:
    """visitor, first_seen_at, last_seen_at, sessions; by their ids, which sort by time, newest first; and the id to go on before,
    None at the end."""

    def unit(tx: Transaction) -> tuple[list[Row], str | None]:
        last = before or ids.LAST
        floor = _floor(tx, _VISITOR_FLOOR, ("", last)) if scope.values[0] else ""
        rows = tx.fetch(_NEWEST_VISITORS, (scope.values[0], last, limit + 1, floor))
        return _cut_off(rows, "visitor", limit, floor)

    return await db.read(unit)


async def visitor(db: Database, scope: Scope, id: str) -> Row | None:
    """The same of one."""
    return await db.one(_VISITORS + "AND visitor = $2 GROUP BY visitor", (scope.values[0], id))


_VISITORS = """
    SELECT visitor, MIN(started_at) AS first_seen_at, MAX(last_seen_at) AS last_seen_at, COUNT(*) AS sessions
    FROM sessions WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
"""
_NEWEST_VISITORS = _VISITORS + "AND visitor < $2 AND visitor >= $4 GROUP BY visitor ORDER BY visitor DESC LIMIT $3"
_VISITOR_FLOOR = (
    "SELECT visitor AS id FROM sessions WHERE visitor >= $1 AND visitor < $2 ORDER BY visitor DESC LIMIT 1 OFFSET $3"
)
