"""What is known of each call's recording: waiting (Asterisk writes it), ready, missing, expired; and what has become of
the sound since (stage)."""

from __future__ import annotations

from ctserver.storage.calls import touch
from ctserver.storage.db import Database, Row, Transaction


def expect(tx: Transaction, call: str, due_at: int) -> None:
    """The call has ended: its recording is to be looked for from `due_at` on."""
    tx.later(
        """
        INSERT INTO recordings (call, state, file, bytes, millis, due_at) VALUES ($1, 'waiting', '', 0, 0, $2)
        ON CONFLICT (call) DO NOTHING
        """,
        call,
        (call, due_at),
    )


async def due(db: Database, now: int) -> list[Row]:
    """Recordings to look for now: call, pbx, uniqueid, answered_at, ended_at, reason."""
    return await db.fetch(
        """
        SELECT r.call, c.pbx, c.uniqueid, c.answered_at, c.ended_at, c.reason FROM recordings r JOIN calls c ON c.id = r.call
        WHERE r.state = 'waiting' AND r.due_at <= $1 ORDER BY r.due_at LIMIT 50
        """,
        (now,),
    )


def adopted(tx: Transaction, call: str, file: str, size: int, millis: int) -> None:
    """It can be heard: who fetches changes sees the call once more, since it ended before."""
    tx.execute(
        "UPDATE recordings SET state = 'ready', file = $2, bytes = $3, millis = $4 WHERE call = $1",
        (call, file, size, millis),
    )
    touch(tx, call)


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
        WITH late AS MATERIALIZED (SELECT id, line FROM calls WHERE arrived_at >= $1 AND answered_at IS NOT NULL)
        SELECT c.line, SUM(CASE WHEN r.state = 'missing' THEN 1 ELSE 0 END) AS missing,
               SUM(CASE WHEN r.state = 'ready' THEN 1 ELSE 0 END) AS ready
        FROM late c CROSS JOIN recordings r WHERE r.call = c.id GROUP BY c.line
        """,
        (since,),
    )
    return {row["line"]: (row["missing"], row["ready"]) for row in rows}


# ---- once it is joined


async def to_keep(db: Database, now: int) -> list[Row]:
    """Recordings that are to be made small and put away: call, file, millis, tries."""
    return await db.fetch(
        """
        SELECT call, file, millis, tries FROM recordings
        WHERE stage = 'new' AND state = 'ready' AND due_at <= $1 ORDER BY due_at LIMIT 5
        """,
        (now,),
    )


def kept(tx: Transaction, call: str, file: str, format: str, place: str, size: int, sha256: str) -> bool:
    """It is small, proved and put away. False if it was removed meanwhile."""
    changed = tx.execute(
        """
        UPDATE recordings SET stage = 'kept', file = $2, format = $3, place = $4, bytes = $5, sha256 = $6, problem = ''
        WHERE call = $1 AND state = 'ready'
        """,
        (call, file, format, place, size, sha256),
    )
    return changed == 1


def not_kept(tx: Transaction, call: str, stage: str, tries: int, problem: str, due_at: int) -> None:
    """Putting it away has failed; stage new: again from `due_at` on."""
    tx.execute(
        "UPDATE recordings SET stage = $2, tries = $3, problem = $4, due_at = $5 WHERE call = $1",
        (call, stage, tries, problem, due_at),
    )


async def too_old(db: Database, site: str, before: int) -> list[Row]:
    """Recordings of a site's calls that arrived before then: call, file, place."""
    return await db.fetch(
        """
        SELECT r.call, r.file, r.place FROM calls c JOIN recordings r ON r.call = c.id
        WHERE c.site = $1 AND c.arrived_at < $2 AND r.state = 'ready' ORDER BY c.arrived_at LIMIT 500
        """,
        (site, before),
    )


def expired(tx: Transaction, call: str) -> None:
    """The sound is removed; that there was one stays known."""
    tx.execute("UPDATE recordings SET state = 'expired', file = '', bytes = 0 WHERE call = $1", (call,))


def keep_again(tx: Transaction, suffix: str) -> int:
    """Kept recordings of the folder whose names do not end so are put away once more; how many."""
    return tx.execute(
        """
        UPDATE recordings SET stage = 'new', tries = 0, due_at = 0
        WHERE stage = 'kept' AND state = 'ready' AND place = 'disk' AND file NOT LIKE '%' || $1
        """,
        (suffix,),
    )
