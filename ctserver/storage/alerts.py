"""What an alert must know at the moment it is told."""

from __future__ import annotations

from ctserver.storage.db import Database, Row, Transaction


async def call(db: Database, id: str) -> Row | None:
    """The call, with its recording's file ("" if there is none) and place, how far that is (sound: "" where none is
    expected, waiting, new, kept, failed)."""
    return await db.one(
        """
        SELECT c.*, CASE WHEN r.state = 'ready' THEN r.file ELSE '' END AS file, COALESCE(r.place, '') AS place,
               CASE r.state WHEN 'waiting' THEN 'waiting' WHEN 'ready' THEN r.stage ELSE '' END AS sound
        FROM calls c LEFT JOIN recordings r ON r.call = c.id WHERE c.id = $1
        """,
        (id,),
    )


async def nth(db: Database, caller: str, at: int) -> int:
    """Which call of this caller the one that arrived at `at` is, from 1; 0 for a withheld number, and 100 for all later ones."""
    row = await db.one(
        """
        SELECT COUNT(*) AS n FROM (
            SELECT 1 FROM calls WHERE caller = $1 AND caller <> '' AND arrived_at <= $2 LIMIT 100) AS calls_so_far
        """,
        (caller, at),
    )
    return int(row["n"]) if row else 0


async def seen_to_by(db: Database, call: str) -> str:
    """Who has taken or settled this missed call, or a later one of the same caller to this site; "": nobody."""
    row = await db.one(
        """
        SELECT CASE WHEN w.state <> '' THEN w.login ELSE w.assignee END AS login
        FROM calls c JOIN calls o ON o.id = c.id OR (
            c.caller <> '' AND o.caller = c.caller AND o.site = c.site AND o.arrived_at > c.arrived_at)
        JOIN missed_work w ON w.call = o.id
        WHERE c.id = $1 AND (w.state <> '' OR w.assignee <> '') LIMIT 1
        """,
        (call,),
    )
    return str(row["login"]) if row else ""


async def reached_at(db: Database, caller: str, since: int) -> int | None:
    """When somebody has spoken with this caller after `since`: he got through, or was called back."""
    row = await db.one(
        """
        SELECT MIN(at) AS at FROM (
            SELECT MIN(answered_at) AS at FROM calls
            WHERE caller = $1 AND arrived_at > $2 AND answered_at IS NOT NULL AND routed_by <> 'callback'
            UNION ALL SELECT MIN(answered_at) FROM outgoing WHERE number = $1 AND began_at > $2) AS both_ways
        """,
        (caller, since),
    )
    return int(row["at"]) if row and row["at"] is not None else None


async def told_at(db: Database, sink: str, topic: str, since: int) -> int | None:
    """When this sink was last told of this topic, after `since`."""
    row = await db.one(
        """
        SELECT MAX(settled_at) AS at FROM outbox
        WHERE sink = $1 AND topic = $2 AND state = 'done' AND settled_at > $3
        """,
        (sink, topic, since),
    )
    return int(row["at"]) if row and row["at"] is not None else None


async def texted_at(db: Database, sink: str, topic: str, since: int) -> int | None:
    """When a message of this sink about this topic was last taken, after `since`: also one that is to be sent again."""
    row = await db.one(
        """
        SELECT MAX(t.at) AS at FROM outbox o JOIN tries t ON t.outbox = o.id
        WHERE o.sink = $1 AND o.topic = $2 AND t.outcome = 'done' AND t.at > $3
        """,
        (sink, topic, since),
    )
    return int(row["at"]) if row and row["at"] is not None else None


def take_together(tx: Transaction, id: str, sink: str, topic: str, now: int) -> int:
    """What else waits for this sink about this topic goes with the row `id`; how many go with it in all."""
    tx.execute(
        """
        UPDATE outbox SET state = 'dropped', settled_at = $4, answer = $5
        WHERE sink = $2 AND topic = $3 AND state = 'waiting' AND id <> $1
        """,
        (id, sink, topic, now, _together(id)),
    )
    row = tx.one(
        "SELECT COUNT(*) AS n FROM outbox WHERE sink = $1 AND topic = $2 AND answer = $3", (sink, topic, _together(id))
    )
    return int(row["n"]) if row else 0


def _together(id: str) -> str:
    return f"told together with {id}"
