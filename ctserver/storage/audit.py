"""The audit log: who did what, when, to what, from where."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver import ids
from ctserver.domain.clock import MINUTE_MS
from ctserver.storage.db import Database, Row, Transaction

AGAIN_MS = 10 * MINUTE_MS  # a player asks for its file piece by piece: that is one listening


@dataclass(frozen=True, slots=True)
class Entry:
    """`action` is a word such as "listened"; `subject` what it was done to (a call's id, a login, a number); `via`: page, api,
    command, or phone (`login` is the phone then: PJSIP/101)."""

    at: int
    login: str
    via: str
    action: str
    subject: str = ""
    detail: str = ""
    address: str = ""


def add(tx: Transaction, entry: Entry) -> None:
    tx.execute(
        "INSERT INTO audit (id, at, login, via, action, subject, detail, address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        (
            ids.new(entry.at),
            entry.at,
            entry.login[:200],
            entry.via,
            entry.action,
            entry.subject[:500],
            entry.detail[:2000],
            entry.address,
        ),
    )


def add_once(tx: Transaction, entry: Entry) -> None:
    """Unless the same person did the same lately."""
    since = ids.new(entry.at - AGAIN_MS)[:10]  # ids begin with the time
    known = tx.one(
        "SELECT 1 FROM audit WHERE login = $1 AND id >= $2 AND action = $3 AND subject = $4",
        (entry.login, since, entry.action, entry.subject),
    )
    if known is None:
        add(tx, entry)


async def page(db: Database, login: str, action: str, subject: str, before: str, limit: int) -> list[Row]:
    """Entries before the one with id `before`, newest first; "" asks for any."""
    return await db.fetch(
        """
        SELECT * FROM audit
        WHERE ($1 = '' OR login = $1) AND ($2 = '' OR action = $2) AND ($3 = '' OR subject = $3) AND id < $4
        ORDER BY id DESC LIMIT $5
        """,
        (login, action, subject, before or ids.LAST, limit),
    )
