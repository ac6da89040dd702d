"""How much the database holds."""

from __future__ import annotations

from ctserver.storage.db import Database


async def largest(db: Database) -> dict[str, int]:
    """Rows of what grows: calls, recordings, sessions, and the time of the first call."""
    row = await db.read(lambda tx: tx.one(_COUNTS))
    return {name: row[name] for name in ("calls", "recordings", "sessions", "since")} if row else {}


_COUNTS = """
    SELECT (SELECT COUNT(*) FROM calls) AS calls,
           (SELECT COUNT(*) FROM recordings WHERE state = 'ready') AS recordings,
           (SELECT COUNT(*) FROM sessions) AS sessions,
           (SELECT COALESCE(MIN(arrived_at), 0) FROM calls) AS since
"""
