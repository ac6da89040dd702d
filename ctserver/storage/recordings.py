"""What is known of each call's recording: waiting (Asterisk writes it), ready, missing."""

from __future__ import annotations

from ctserver.storage.db import Database, Row, Transaction


def expect(tx: Transaction, call: str, due_at: int) -> None:
    """The call has ended: its recording is to be looked for from `due_at` on."""
    tx.execute(
        """
        INSERT INTO recordings (call, state, file, bytes, millis, due_at) VALUES ($1, 'waiting', '', 0, 0, $2)
        ON CONFLICT (call) DO NOTHING
        """,
        (call, due_at),
    )


async def due(db: Database, now: int) -> list[Row]:
    """Recordings to look for now: call, pbx, uniqueid, answered_at, ended_at."""
    return await db.fetch(
        """
        SELECT r.call, c.pbx, c.uniqueid, c.answered_at, c.ended_at FROM recordings r JOIN calls c ON c.id = r.call
        WHERE r.state = 'waiting' AND r.due_at <= $1 ORDER BY r.due_at LIMIT 50
        """,
        (now,),
    )


def adopted(tx: Transaction, call: str, file: str, size: int, millis: int) -> None:
    tx.execute(
        "UPDATE recordings SET state = 'ready', file = $2, bytes = $3, millis = $4 WHERE call = $1",
        (call, file, size, millis),
    )


def missing(tx: Transaction, call: str) -> None:
    tx.execute("UPDATE recordings SET state = 'missing' WHERE call = $1", (call,))


def later(tx: Transaction, call: str, due_at: int) -> None:
    tx.execute("UPDATE recordings SET due_at = $2 WHERE call = $1", (call, due_at))


async def of_call(db: Database, call: str) -> Row | None:
    return await db.one("SELECT * FROM recordings WHERE call = $1", (call,))


async def lately(db: Database, since: int) -> dict[str, tuple[int, int]]:
    """Of the answered calls that arrived since then: line -> (missing, ready) recordings."""
    rows = await db.fetch(
        """
        SELECT c.line, SUM(CASE WHEN r.state = 'missing' THEN 1 ELSE 0 END) AS missing,
               SUM(CASE WHEN r.state = 'ready' THEN 1 ELSE 0 END) AS ready
        FROM calls c JOIN recordings r ON r.call = c.id
        WHERE c.arrived_at >= $1 AND c.answered_at IS NOT NULL GROUP BY c.line
        """,
        (since,),
    )
    return {row["line"]: (row["missing"], row["ready"]) for row in rows}
