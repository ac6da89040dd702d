"""Rows of the demonstration: written in quantity, and taken away again by their marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctserver.storage.db import Transaction

SESSION = """
    INSERT INTO sessions (id, site, visitor, started_at, last_seen_at, landing_url, referrer, medium, source, campaign,
                          term, content, click_ids, channel, country, region, city, device, browser, os, ip, ids, properties)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
"""
VISIT = "INSERT INTO visits (id, session, at, url, title, referrer) VALUES ($1, $2, $3, $4, $5, $6)"
LEASE = """
    INSERT INTO leases (id, number, pool, session, how, shown_at, seen_at, until) VALUES ($1, $2, $3, $4, 'free', $5, $6, $7)
"""
CALL = """
    INSERT INTO calls (id, pbx, linkedid, uniqueid, channel, site, did, caller, caller_name, line, routed_by, state,
                       arrived_at, ringing_at, answered_at, ended_at, outcome, reason, hangup_cause, dial_status,
                       caller_gave_up, answered_by, attribution, confidence, why, session, medium, source, campaign, term,
                       content, click_ids, source_channel, category, value)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)
"""
LEG = """
    INSERT INTO legs (call, uniqueid, channel, started_at, ringing_at, answered_at, ended_at, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
CREDIT = "INSERT INTO credits (call, session, share) VALUES ($1, $2, $3)"
RECORDING = """
    INSERT INTO recordings (call, state, file, bytes, millis, due_at) VALUES ($1, 'ready', $2, $3, $4, $5)
"""


def insert(tx: Transaction, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """`sql` is one of the statements above."""
    for row in rows:
        tx.execute(sql, row)


def files(tx: Transaction, mark: str) -> list[str]:
    """The recordings of the calls that carry the mark."""
    rows = tx.fetch("SELECT r.file FROM recordings r JOIN calls c ON c.id = r.call WHERE c.pbx = $1", (mark,))
    return [row["file"] for row in rows]


def remove_calls(tx: Transaction, mark: str) -> int:
    """The calls that carry the mark, and what hangs on them; returns how many."""
    for sql in (
        "DELETE FROM recordings WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM pauses WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM legs WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM credits WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM steps WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM call_tags WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM call_notes WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM missed_work WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM call_scores WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM model_calls WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM shares WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
        "DELETE FROM callbacks WHERE answers IN (SELECT id FROM calls WHERE pbx = $1)",
        """
        DELETE FROM tries WHERE outbox IN (
            SELECT o.id FROM calls c JOIN facts f ON f.call = c.id JOIN outbox o ON o.fact = f.id WHERE c.pbx = $1)
        """,
        "DELETE FROM outbox WHERE fact IN (SELECT f.id FROM calls c JOIN facts f ON f.call = c.id WHERE c.pbx = $1)",
        "DELETE FROM facts WHERE call IN (SELECT id FROM calls WHERE pbx = $1)",
    ):
        tx.execute(sql, (mark,))
    tx.execute("DELETE FROM outgoing WHERE pbx = $1", (mark,))
    return tx.execute("DELETE FROM calls WHERE pbx = $1", (mark,))


def show_numbers(tx: Transaction) -> None:
    """Each number as it was shown last, where a visitor of the demo was the last."""
    tx.execute(
        """
        INSERT INTO numbers (number, pool, lease, session, shown_at, until)
        SELECT l.number, l.pool, l.id, l.session, l.shown_at, l.until FROM leases l
        WHERE l.id = (SELECT x.id FROM leases x WHERE x.number = l.number ORDER BY x.shown_at DESC LIMIT 1)
        ON CONFLICT (number) DO UPDATE SET pool = excluded.pool, lease = excluded.lease, session = excluded.session,
                                           shown_at = excluded.shown_at, until = excluded.until
        WHERE excluded.shown_at > numbers.shown_at
        """
    )
    tx.memory.clear()  # it knows of other showings


def remove_visitors(tx: Transaction, prefix: str, limit: int) -> int:
    """At most `limit` sessions of visitors whose ids begin so, with their visits and leases; returns how many."""
    rows = tx.fetch(
        "SELECT id FROM sessions WHERE visitor >= $1 AND visitor < $2 LIMIT $3", (prefix, prefix + "\uffff", limit)
    )
    for row in rows:
        id = (row["id"],)
        tx.execute("DELETE FROM visits WHERE session = $1", id)
        tx.execute("DELETE FROM leases WHERE session = $1", id)
        tx.execute("DELETE FROM signals WHERE session = $1", id)
        tx.execute("DELETE FROM numbers WHERE session = $1", id)
        tx.execute("DELETE FROM sessions WHERE id = $1", id)
    tx.memory.clear()  # it knows of sessions that are gone
    return len(rows)
