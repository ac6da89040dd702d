"""What programs read: calls and sessions in the order of time, from a place on. `$1` and `$2` are Scope.values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctserver import ids
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row, Transaction

Place = tuple[int, str]


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


async def newest(db: Database, scope: Scope, wanted: Wanted, before: Place, limit: int) -> list[Row]:
    """Calls before the place (arrived_at, id), newest first."""
    return await db.read(lambda tx: _calls(tx, _NEWEST, scope, wanted, before, limit))


async def oldest(db: Database, scope: Scope, wanted: Wanted, after: Place, limit: int) -> list[Row]:
    """Calls after the place (arrived_at, id), oldest first."""
    return await db.read(lambda tx: _calls(tx, _OLDEST, scope, wanted, after, limit))


async def changed(db: Database, scope: Scope, wanted: Wanted, after: Place, limit: int) -> list[Row]:
    """Calls that changed after the place (updated_at, id), in the order of their last change."""
    return await db.read(lambda tx: _calls(tx, _CHANGED, scope, wanted, after, limit))


def _calls(tx: Transaction, order: str, scope: Scope, wanted: Wanted, place: Place, limit: int) -> list[Row]:
    rare = next((name for name in _RARE if getattr(wanted, name) and _is_rare(tx, name, getattr(wanted, name))), "")
    sql = _CALLS + _RARE.get(rare, "") + order
    return tx.fetch(sql, (*scope.values, *wanted.values, *place, limit))


def _is_rare(tx: Transaction, name: str, value: str) -> bool:
    """Are its calls few enough to be put into order all of them? If not, the calls in their order soon have some of his."""
    row = tx.one(_COUNTS[name], (value, RARE + 1))
    return row is not None and int(row["n"]) <= RARE


RARE = 5_000
_CALLS = """
    SELECT c.*, r.state AS recording, n.text AS note
    FROM calls c LEFT JOIN recordings r ON r.call = c.id LEFT JOIN call_notes n ON n.call = c.id
    WHERE ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
      AND ($5 = '' OR c.site = $5) AND ($6 = '' OR c.line = $6)
      AND ($7 = '' OR c.did = $7) AND ($8 = '' OR c.caller = $8) AND ($9 = '' OR c.outcome = $9)
      AND ($10 = '' OR c.source = $10) AND ($11 = '' OR c.campaign = $11)
"""
_NEWEST = "AND c.arrived_at >= $3 AND c.arrived_at < $4 AND (c.arrived_at, c.id) < ($12, $13) ORDER BY c.arrived_at DESC, c.id DESC LIMIT $14"
_OLDEST = "AND c.arrived_at >= $3 AND c.arrived_at < $4 AND (c.arrived_at, c.id) > ($12, $13) ORDER BY c.arrived_at, c.id LIMIT $14"
# + 0: not by the index of arrivals, whose calls would all have to be put into order.
_CHANGED = """
    AND c.arrived_at + 0 >= $3 AND c.arrived_at + 0 < $4
    AND (c.updated_at, c.id) > ($12, $13) ORDER BY c.updated_at, c.id LIMIT $14
"""
_RARE = {
    "caller": "AND c.id IN (SELECT id FROM calls WHERE caller = $8) ",
    "did": "AND c.id IN (SELECT id FROM calls WHERE did = $7) ",
    "campaign": "AND c.id IN (SELECT id FROM calls WHERE campaign = $11) ",
    "source": "AND c.id IN (SELECT id FROM calls WHERE source = $10) ",
}
_COUNTS = {
    "caller": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE caller = $1 LIMIT $2) AS some",
    "did": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE did = $1 LIMIT $2) AS some",
    "campaign": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE campaign = $1 LIMIT $2) AS some",
    "source": "SELECT COUNT(*) AS n FROM (SELECT 1 FROM calls WHERE source = $1 LIMIT $2) AS some",
}


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
) -> list[Row]:
    """Sessions that began in [since, until), newest first, before the one with this id ("": from the newest)."""
    last = ids.first(until)
    values = (scope.values[0], ids.first(since), min(before, last) if before else last, site, limit)
    if visitor:
        return await db.fetch(_SESSIONS + "AND visitor = $6 ORDER BY id DESC LIMIT $5", (*values, visitor))
    return await db.read(lambda tx: tx.fetch(_SESSIONS + "ORDER BY id DESC LIMIT $5", values))


_SESSIONS = """
    SELECT * FROM sessions WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1) AND id >= $2 AND id < $3
      AND ($4 = '' OR site = $4)
"""


async def visitors(db: Database, scope: Scope, before: str, limit: int) -> list[Row]:
    """visitor, first_seen_at, last_seen_at, sessions; by their ids, which sort by time, newest first."""
    sql = _VISITORS + "AND visitor < $2 GROUP BY visitor ORDER BY visitor DESC LIMIT $3"
    return await db.fetch(sql, (scope.values[0], before or _LAST, limit))


async def visitor(db: Database, scope: Scope, id: str) -> Row | None:
    """The same of one."""
    return await db.one(_VISITORS + "AND visitor = $2 GROUP BY visitor", (scope.values[0], id))


_VISITORS = """
    SELECT visitor, MIN(started_at) AS first_seen_at, MAX(last_seen_at) AS last_seen_at, COUNT(*) AS sessions
    FROM sessions WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
"""
_LAST = "~"  # sorts after every id


async def session(db: Database, scope: Scope, id: str) -> Row | None:
    return await db.one(
        "SELECT * FROM sessions WHERE id = $2 AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)",
        (scope.values[0], id),
    )
