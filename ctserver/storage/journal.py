"""What the dashboard reads about calls, within what a person may see: `$1` and `$2` are Scope.values."""

from __future__ import annotations

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
    row = await db.one(_COUNTS, (*scope.values, since, until))
    return (row["calls"], row["answered"], row["missed"], row["ringing"]) if row else (0, 0, 0, 0)


_COUNTS = """
    SELECT COUNT(*) AS calls,
           COALESCE(SUM(CASE WHEN answered_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS answered,
           COALESCE(SUM(CASE WHEN outcome = 'missed' THEN 1 ELSE 0 END), 0) AS missed,
           COALESCE(SUM(CASE WHEN ended_at IS NULL AND answered_at IS NULL THEN 1 ELSE 0 END), 0) AS ringing
    FROM calls WHERE arrived_at >= $3 AND arrived_at < $4
      AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || line || ' ', '') <> $2)
"""


async def by_number(db: Database, scope: Scope, since: int) -> dict[str, tuple[int, int, int]]:
    """For each DID called since then: (calls, open calls, arrival of the last)."""
    rows = await db.fetch(_BY_NUMBER, (*scope.values, since))
    return {row["did"]: (row["calls"], row["open"], row["last"]) for row in rows}


_BY_NUMBER = """
    WITH late AS MATERIALIZED (SELECT did, state, arrived_at, site, line FROM calls WHERE arrived_at >= $3)
    SELECT did, COUNT(*) AS calls, SUM(CASE WHEN state <> 'ended' THEN 1 ELSE 0 END) AS open, MAX(arrived_at) AS last
    FROM late WHERE ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || line || ' ', '') <> $2)
    GROUP BY did
"""
