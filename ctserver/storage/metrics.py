"""What /metrics counts. Each is a look at an index or a small table: it is asked every few seconds."""

from __future__ import annotations

from ctserver.domain.clock import DAY_MS
from ctserver.storage.db import Database, Transaction


async def counts(db: Database, now: int) -> dict[str, dict[str, int]]:
    """calls_day: by outcome, of the last 24 hours ("" goes on); open_calls: by state; held: numbers by pool; outbox: by state."""

    def read(tx: Transaction) -> dict[str, dict[str, int]]:
        calls = tx.fetch(
            """
            WITH late AS MATERIALIZED (SELECT outcome FROM calls WHERE arrived_at >= $1)
            SELECT outcome AS name, COUNT(*) AS n FROM late GROUP BY 1
            """,
            (now - DAY_MS,),
        )
        open_calls = tx.fetch(
            "SELECT state AS name, COUNT(*) AS n FROM calls WHERE state IN ('arrived', 'ringing', 'talking') GROUP BY 1"
        )
        held = tx.fetch("SELECT pool AS name, COUNT(*) AS n FROM numbers WHERE until > $1 GROUP BY 1", (now,))
        outbox = tx.fetch(
            "SELECT state AS name, COUNT(*) AS n FROM outbox WHERE state IN ('waiting', 'sending', 'failed') GROUP BY 1"
        )
        tables = {"calls_day": calls, "open_calls": open_calls, "held": held, "outbox": outbox}
        return {name: {row["name"]: row["n"] for row in rows} for name, rows in tables.items()}

    return await db.read(read)
