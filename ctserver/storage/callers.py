"""What the journal knows of a caller."""

from __future__ import annotations

from ctserver.storage.db import Database


async def last_answered_by(db: Database, caller: str) -> str:
    """The channel that answered this caller's latest answered call; empty: none."""
    row = await db.one(
        """
        SELECT answered_by FROM calls WHERE caller = $1 AND answered_at IS NOT NULL ORDER BY arrived_at DESC LIMIT 1
        """,
        (caller,),
    )
    return str(row["answered_by"]) if row else ""
