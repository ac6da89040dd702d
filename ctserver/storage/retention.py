"""What is removed when its time is over: each function does one batch, small enough that no other writer waits long."""

from __future__ import annotations

from collections.abc import Sequence

from ctserver import ids
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.sessions import bare_address

# ---- calls


async def calls_before(db: Database, before: int, limit: int) -> list[Row]:
    """Calls that arrived before then and are over: id, and state, file and place of their recording (or None)."""
    return await db.fetch(
        """
        SELECT c.id AS call, r.state, r.file, r.place FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.arrived_at < $1 AND c.state = 'ended' ORDER BY c.arrived_at LIMIT $2
        """,
        (before, limit),
    )


def remove_calls(tx: Transaction, calls: Sequence[str]) -> int:
    """These calls with everything that hangs on them."""
    for sql in (
        "DELETE FROM tries WHERE outbox IN (SELECT o.id FROM outbox o JOIN facts f ON f.id = o.fact WHERE f.call = $1)",
        "DELETE FROM outbox WHERE fact IN (SELECT id FROM facts WHERE call = $1)",
        "DELETE FROM facts WHERE call = $1",
        "DELETE FROM recordings WHERE call = $1",
        "DELETE FROM legs WHERE call = $1",
        "DELETE FROM credits WHERE call = $1",
        "DELETE FROM steps WHERE call = $1",
        "DELETE FROM pauses WHERE call = $1",
        "DELETE FROM call_tags WHERE call = $1",
        "DELETE FROM call_notes WHERE call = $1",
        "DELETE FROM missed_work WHERE call = $1",
        "DELETE FROM call_scores WHERE call = $1",
        "DELETE FROM model_calls WHERE call = $1",
        "DELETE FROM shares WHERE call = $1",
    ):
        for call in calls:
            tx.execute(sql, (call,))
    return sum(tx.execute("DELETE FROM calls WHERE id = $1", (call,)) for call in calls)


# ---- visitors


async def sessions_before(db: Database, before: int, limit: int) -> list[str]:
    """Sessions that began before then, the oldest first."""
    rows = await db.fetch("SELECT id FROM sessions WHERE id < $1 ORDER BY id LIMIT $2", (ids.first(before), limit))
    return [row["id"] for row in rows]


async def visited_before(db: Database, before: int, limit: int) -> list[str]:
    """Sessions that began before then and still have page views, the oldest first."""
    rows = await db.fetch(
        "SELECT DISTINCT session FROM visits WHERE session < $1 ORDER BY session LIMIT $2", (ids.first(before), limit)
    )
    return [row["session"] for row in rows]


def remove_sessions(tx: Transaction, sessions: Sequence[str]) -> int:
    """These sessions with everything that hangs on them."""
    for session in sessions:
        tx.execute("DELETE FROM visits WHERE session = $1", (session,))
        tx.execute("DELETE FROM signals WHERE session = $1", (session,))
        tx.execute("DELETE FROM leases WHERE session = $1", (session,))
        tx.execute("DELETE FROM sessions WHERE id = $1", (session,))
    tx.memory.clear()  # it may know of sessions that are gone
    return len(sessions)


def strip_sessions(tx: Transaction, sessions: Sequence[str]) -> int:
    """Of these sessions stays what reports count: when, on which site, by which source, to which landing page, from which
    region and kind of device. Nothing of it leads to a person, or from one session to another."""
    for session in sessions:
        tx.execute("DELETE FROM visits WHERE session = $1", (session,))
        tx.execute("DELETE FROM signals WHERE session = $1", (session,))
        tx.execute(
            "DELETE FROM leases WHERE session = $1 AND NOT EXISTS (SELECT 1 FROM numbers n WHERE n.lease = leases.id)",
            (session,),
        )
        _strip(tx, session)
    tx.memory.clear()
    return len(sessions)


def _strip(tx: Transaction, session: str) -> None:
    tx.execute(
        """
        UPDATE sessions SET visitor = id, referrer = '', click_ids = '{}', city = '', browser = '', os = '', ip = '',
                            ids = '{}', properties = '{}' WHERE id = $1
        """,
        (session,),
    )
    row = tx.one("SELECT landing_url FROM sessions WHERE id = $1", (session,))
    if row and (bare := bare_address(row["landing_url"])) != row["landing_url"]:
        tx.execute("UPDATE sessions SET landing_url = $2 WHERE id = $1", (session, bare))


def forget_shortages(tx: Transaction, before: int, limit: int) -> int:
    return tx.execute(
        "DELETE FROM shortages WHERE id IN (SELECT id FROM shortages WHERE id < $1 ORDER BY id LIMIT $2)",
        (ids.first(before), limit),
    )


# ---- IP addresses


async def addressed_before(db: Database, after: str, before: int, limit: int) -> list[str]:
    """Sessions behind the id `after` that began before then and hold an IP address, the oldest first."""
    rows = await db.fetch(
        "SELECT id FROM sessions WHERE id > $1 AND id < $2 AND ip <> '' ORDER BY id LIMIT $3",
        (after, ids.first(before), limit),
    )
    return [row["id"] for row in rows]


def forget_addresses(tx: Transaction, sessions: Sequence[str]) -> int:
    for session in sessions:
        tx.execute("UPDATE sessions SET ip = '' WHERE id = $1", (session,))
    tx.memory.clear()
    return len(sessions)


def forget_callback_addresses(tx: Transaction, before: int, limit: int) -> int:
    return tx.execute(
        """
        UPDATE callbacks SET address = '' WHERE id IN (
            SELECT id FROM callbacks WHERE id < $1 AND address <> '' ORDER BY id LIMIT $2)
        """,
        (ids.first(before), limit),
    )


def forget_audit_addresses(tx: Transaction, before: int, limit: int) -> int:
    return tx.execute(
        "UPDATE audit SET address = '' WHERE id IN (SELECT id FROM audit WHERE id < $1 AND address <> '' LIMIT $2)",
        (ids.first(before), limit),
    )


# ---- the rest


def forget_callbacks(tx: Transaction, before: int, limit: int) -> int:
    """Callbacks that are over."""
    return tx.execute(
        """
        DELETE FROM callbacks WHERE id IN (
            SELECT id FROM callbacks WHERE id < $1 AND state IN ('done', 'failed') ORDER BY id LIMIT $2)
        """,
        (ids.first(before), limit),
    )


def forget_outgoing(tx: Transaction, before: int, limit: int) -> int:
    """Calls from us to others."""
    return tx.execute(
        "DELETE FROM outgoing WHERE id IN (SELECT id FROM outgoing WHERE began_at < $1 LIMIT $2)", (before, limit)
    )


def forget_audit(tx: Transaction, before: int, limit: int) -> int:
    return tx.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)",
        (ids.first(before), limit),
    )
