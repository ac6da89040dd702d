"""What the dashboard reads about calls, within what a person may see: `$1` and `$2` are Scope.values."""

from __future__ import annotations

from typing import NamedTuple

from ctserver.domain.clock import HOUR_MS
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row


async def one(db: Database, scope: Scope, id: str) -> Row | None:
    return await db.one(
        """
        SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.id = $3 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        """,
        (*scope.values, id),
    )


async def neighbours(db: Database, scope: Scope, id: str) -> tuple[str | None, str | None]:
    """(the newer call's id, the older call's id)."""
    newer = await db.one(
        """
        SELECT id FROM calls WHERE id > $3 AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || line || ' ', '') <> $2) ORDER BY id LIMIT 1
        """,
        (*scope.values, id),
    )
    older = await db.one(
        """
        SELECT id FROM calls WHERE id < $3 AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || line || ' ', '') <> $2) ORDER BY id DESC LIMIT 1
        """,
        (*scope.values, id),
    )
    return (newer["id"] if newer else None), (older["id"] if older else None)


async def earlier(db: Database, scope: Scope, call: Row) -> list[Row]:
    """Earlier calls from the same number, newest first; `call` is a row of calls."""
    return await db.fetch(_EARLIER, (*scope.values, call["caller"], call["arrived_at"], call["id"]))


_EARLIER = """
    SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.caller = $3 AND (c.arrived_at, c.id) < ($4, $5) AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
    ORDER BY c.arrived_at DESC, c.id DESC LIMIT 20
"""


async def counts(db: Database, scope: Scope, since: int, until: int) -> tuple[int, int, int, int]:
    """(calls, answered, missed, ringing) that arrived in [since, until); those that are blocked are none of the three."""
    first, last = -(-since // HOUR_MS) * HOUR_MS, until // HOUR_MS * HOUR_MS  # whole hours; sums know no lines
    if first >= last or scope.lines is not None:
        first = last = until
    row = await db.one(_COUNTS, (*scope.values, since, until, first, last))
    return (row["calls"], row["answered"], row["missed"], row["ringing"]) if row else (0, 0, 0, 0)


# Of hours whose sums are valid, these; of the others and of what is no whole hour, the calls.
_COUNTS = """
    WITH spans (since, until) AS (
        SELECT hour, hour + 3600000 FROM report_hours WHERE hour >= $5 AND hour < $6 AND changes <> rolled
        UNION ALL VALUES ($3, $5), ($6, $4)
    ), parts (calls, answered, missed) AS (
        SELECT h.calls, h.answered, h.missed FROM hours h
        WHERE h.start >= $5 AND h.start < $6 AND ($1 = '' OR REPLACE($1, ' ' || h.site || ' ', '') <> $1)
          AND NOT EXISTS (SELECT 1 FROM report_hours r WHERE r.hour = h.start AND r.changes <> r.rolled)
        UNION ALL
        SELECT 1, CASE WHEN c.answered_at IS NOT NULL THEN 1 ELSE 0 END, CASE WHEN c.outcome = 'missed' THEN 1 ELSE 0 END
        FROM spans s CROSS JOIN calls c
        WHERE c.arrived_at >= s.since AND c.arrived_at < s.until AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
    )
    SELECT COALESCE(SUM(p.calls), 0) AS calls, COALESCE(SUM(p.answered), 0) AS answered, COALESCE(SUM(p.missed), 0) AS missed,
           (SELECT COUNT(*) FROM calls c
            WHERE c.state IN ('arrived', 'ringing', 'talking') AND c.ended_at IS NULL AND c.answered_at IS NULL
              AND c.arrived_at >= $3 AND c.arrived_at < $4 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
              AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)) AS ringing
    FROM parts p
"""


class OnNumber(NamedTuple):
    """The calls to a number: all, those that ring and that talk now, when the last one arrived."""

    calls: int
    ringing: int
    talking: int
    last: int


async def by_number(db: Database, scope: Scope, since: int) -> dict[str, OnNumber]:
    """For each DID called since then."""
    rows = await db.fetch(_BY_NUMBER, (*scope.values, since))
    return {row["did"]: OnNumber(row["calls"], row["ringing"], row["talking"], row["last"]) for row in rows}


_BY_NUMBER = """
    WITH late AS MATERIALIZED (SELECT did, state, arrived_at, site, line FROM calls WHERE arrived_at >= $3)
    SELECT did, COUNT(*) AS calls, SUM(CASE WHEN state IN ('arrived', 'ringing') THEN 1 ELSE 0 END) AS ringing,
           SUM(CASE WHEN state = 'talking' THEN 1 ELSE 0 END) AS talking, MAX(arrived_at) AS last
    FROM late WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || line || ' ', '') <> $2)
    GROUP BY did
"""
