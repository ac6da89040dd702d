"""Calls from us to others, and whether a missed caller was reached by one."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.clock import DAY_MS
from ctserver.storage.db import Row, Transaction

LOOK_AHEAD_MS = 7 * DAY_MS  # a call to him later than this is about something else. Ours.


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call to `number` (E.164). Times are epoch milliseconds."""

    id: str
    pbx: str
    uniqueid: str
    number: str
    staff: str
    callback: str
    began_at: int
    answered_at: int | None = None
    ended_at: int | None = None
    status: str = ""


def save(tx: Transaction, call: Outgoing) -> None:
    """Write it, or what has become known of it since."""
    tx.execute(
        """
        INSERT INTO outgoing (id, pbx, uniqueid, number, staff, callback, began_at, answered_at, ended_at, status)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (pbx, uniqueid) DO UPDATE
        SET answered_at = COALESCE($8, answered_at), ended_at = COALESCE($9, ended_at),
            status = CASE WHEN $10 = '' THEN status ELSE $10 END
        """,
        (
            call.id, call.pbx, call.uniqueid, call.number, call.staff, call.callback, call.began_at, call.answered_at,
            call.ended_at, call.status,
        ),
    )  # fmt: skip


def called_back(tx: Transaction, call: str) -> Outgoing | None:
    """The call that reached this missed caller after he had rung; if none did, the first that tried."""
    row = tx.one(
        """
        SELECT o.* FROM calls c JOIN outgoing o ON o.number = c.caller
        WHERE c.id = $1 AND c.caller <> '' AND o.began_at > c.arrived_at AND o.began_at < c.arrived_at + $2
        ORDER BY CASE WHEN o.answered_at IS NULL THEN 1 ELSE 0 END, o.began_at LIMIT 1
        """,
        (call, LOOK_AHEAD_MS),
    )
    return _outgoing(row) if row else None


def _outgoing(row: Row) -> Outgoing:
    return Outgoing(
        row["id"], row["pbx"], row["uniqueid"], row["number"], row["staff"], row["callback"], row["began_at"],
        row["answered_at"], row["ended_at"], row["status"],
    )  # fmt: skip
