"""What the dashboard reads about calls."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.storage.db import Database, Row


@dataclass(frozen=True, slots=True)
class Filters:
    """Of the journal; empty text: everything."""

    outcome: str = ""
    site: str = ""
    q: str = ""


async def page(db: Database, filters: Filters, *, before: str, limit: int) -> list[Row]:
    """The calls before the one with id `before` (or the newest), newest first, with the state of their recording."""
    pattern = "%" + filters.q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" if filters.q else ""
    return await db.fetch(
        """
        SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE ($1 = '' OR c.id < $1)
          AND ($2 = '' OR c.outcome = $2)
          AND ($3 = '' OR c.site = $3)
          AND ($4 = '' OR c.caller LIKE $4 ESCAPE '\\' OR c.did LIKE $4 ESCAPE '\\' OR c.caller_name LIKE $4 ESCAPE '\\'
               OR c.source LIKE $4 ESCAPE '\\' OR c.campaign LIKE $4 ESCAPE '\\' OR c.term LIKE $4 ESCAPE '\\')
        ORDER BY c.id DESC LIMIT $5
        """,
        (before, filters.outcome, filters.site, pattern, limit),
    )


async def one(db: Database, id: str) -> Row | None:
    return await db.one(
        "SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id WHERE c.id = $1", (id,)
    )


async def neighbours(db: Database, id: str) -> tuple[str | None, str | None]:
    """(the newer call's id, the older call's id)."""
    newer = await db.one("SELECT id FROM calls WHERE id > $1 ORDER BY id LIMIT 1", (id,))
    older = await db.one("SELECT id FROM calls WHERE id < $1 ORDER BY id DESC LIMIT 1", (id,))
    return (newer["id"] if newer else None), (older["id"] if older else None)


async def earlier(db: Database, caller: str, id: str) -> list[Row]:
    """Earlier calls from the same number, newest first."""
    return await db.fetch(
        """
        SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.caller = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT 20
        """,
        (caller, id),
    )


async def counts(db: Database, since: int, until: int) -> tuple[int, int, int]:
    """(calls, answered, missed) that arrived in [since, until)."""
    row = await db.one(
        """
        SELECT COUNT(*) AS calls,
               COALESCE(SUM(CASE WHEN answered_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS answered,
               COALESCE(SUM(CASE WHEN outcome = 'missed' THEN 1 ELSE 0 END), 0) AS missed
        FROM calls WHERE arrived_at >= $1 AND arrived_at < $2
        """,
        (since, until),
    )
    return (row["calls"], row["answered"], row["missed"]) if row else (0, 0, 0)


async def by_number(db: Database, since: int) -> dict[str, tuple[int, int, int]]:
    """For each DID called since then: (calls, open calls, arrival of the last)."""
    rows = await db.fetch(
        """
        SELECT did, COUNT(*) AS calls, SUM(CASE WHEN state <> 'ended' THEN 1 ELSE 0 END) AS open, MAX(arrived_at) AS last
        FROM calls WHERE arrived_at >= $1 GROUP BY did
        """,
        (since,),
    )
    return {row["did"]: (row["calls"], row["open"], row["last"]) for row in rows}
