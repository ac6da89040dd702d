"""Calls that we place, and calls of staff to others. See migrations/0003_lines.sql."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.storage.db import Database, Row, Transaction

CHANNEL = "callback-"  # what the ids of our channels begin with: callback-ID-ATTEMPT


@dataclass(frozen=True, slots=True)
class Callback:
    """A row of callbacks. `results` has one word for each attempt that has ended."""

    id: str
    kind: str
    site: str
    session: str
    answers: str
    number: str
    line: str
    page: str
    login: str
    address: str
    asked_at: int
    due_at: int
    state: str = "waiting"
    attempts: int = 0
    started_at: int | None = None
    channel: str = ""
    results: tuple[str, ...] = ()


def add(tx: Transaction, callback: Callback) -> None:
    """A new one, not dialled yet."""
    tx.execute(
        """
        INSERT INTO callbacks (id, kind, site, session, answers, number, line, page, login, address, asked_at, due_at,
                               state, attempts, started_at, channel, result)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'waiting', 0, NULL, '', '')
        """,
        (
            callback.id, callback.kind, callback.site, callback.session, callback.answers, callback.number,
            callback.line, callback.page, callback.login, callback.address, callback.asked_at, callback.due_at,
        ),
    )  # fmt: skip


def open_for(tx: Transaction, number: str) -> Callback | None:
    """One for this number that is not over."""
    row = tx.one("SELECT * FROM callbacks WHERE number = $1 AND state IN ('waiting', 'calling') LIMIT 1", (number,))
    return _callback(row) if row else None


def asked_since(tx: Transaction, number: str, address: str, site: str, day: int, hour: int) -> tuple[int, int, int]:
    """How many were asked for: for the number since `day`, from the address and on the site since `hour`."""
    row = tx.one(
        """
        SELECT (SELECT COUNT(*) FROM callbacks WHERE kind = 'site' AND number = $1 AND asked_at > $4) AS by_number,
               (SELECT COUNT(*) FROM callbacks WHERE kind = 'site' AND site = $3 AND asked_at > $5 AND address = $2)
               AS by_address,
               (SELECT COUNT(*) FROM callbacks WHERE kind = 'site' AND site = $3 AND asked_at > $5) AS by_site
        """,
        (number, address, site, day, hour),
    )
    return (row["by_number"], row["by_address"], row["by_site"]) if row else (0, 0, 0)


def due(tx: Transaction, now: int, at_once: int) -> list[Callback]:
    """Those to be placed now, so that no more than `at_once` are being called."""
    row = tx.one("SELECT COUNT(*) AS calling FROM callbacks WHERE state = 'calling'")
    free = at_once - (row["calling"] if row else 0)
    rows = tx.fetch(
        "SELECT * FROM callbacks WHERE state = 'waiting' AND due_at <= $1 ORDER BY due_at LIMIT $2", (now, max(0, free))
    )
    return [_callback(row) for row in rows]


def claim(tx: Transaction, callback: Callback, channel: str, now: int) -> bool:
    """Is the next attempt ours to make? Nobody else can make it then."""
    changed = tx.execute(
        """
        UPDATE callbacks SET state = 'calling', attempts = attempts + 1, started_at = $3, channel = $4
        WHERE id = $1 AND state = 'waiting' AND attempts = $2
        """,
        (callback.id, callback.attempts, now, channel),
    )
    return changed == 1


def postpone(tx: Transaction, id: str, due_at: int) -> None:
    """Not now: it waits until then."""
    tx.execute("UPDATE callbacks SET due_at = $2 WHERE id = $1 AND state = 'waiting'", (id, due_at))


def settle(tx: Transaction, callback: Callback, result: str, state: str, due_at: int) -> bool:
    """What came of the attempt that this row tells of; False if that is known already."""
    results = " ".join((*callback.results, result))
    changed = tx.execute(
        """
        UPDATE callbacks SET state = $3, due_at = $4, result = $5
        WHERE id = $1 AND state = 'calling' AND channel = $2
        """,
        (callback.id, callback.channel, state, due_at, results),
    )
    return changed == 1


def by_id(tx: Transaction, id: str) -> Callback | None:
    row = tx.one("SELECT * FROM callbacks WHERE id = $1", (id,))
    return _callback(row) if row else None


def by_channel(tx: Transaction, channel: str) -> Callback | None:
    """The one whose latest attempt has this channel."""
    row = tx.one("SELECT * FROM callbacks WHERE channel = $1", (channel,))
    return _callback(row) if row else None


def of_channel(tx: Transaction, channel: str) -> Callback | None:
    """The one that this channel was made for, by the id in its name."""
    return by_id(tx, channel.removeprefix(CHANNEL).partition("-")[0]) if channel.startswith(CHANNEL) else None


def lost(tx: Transaction, before: int) -> list[Callback]:
    """Attempts that began before then and have no end."""
    rows = tx.fetch("SELECT * FROM callbacks WHERE state = 'calling' AND started_at < $1", (before,))
    return [_callback(row) for row in rows]


async def open_ones(db: Database, most: int) -> list[Callback]:
    """Those that wait or are being called, the next one first."""
    rows = await db.fetch(
        "SELECT * FROM callbacks WHERE state IN ('waiting', 'calling') ORDER BY due_at, id LIMIT $1", (most,)
    )
    return [_callback(row) for row in rows]


def cancel(tx: Transaction, id: str) -> bool:
    """It is not to be called any more; False when it is being called, or over."""
    return tx.execute("UPDATE callbacks SET state = 'failed' WHERE id = $1 AND state = 'waiting'", (id,)) == 1


def _callback(row: Row) -> Callback:
    return Callback(
        row["id"], row["kind"], row["site"], row["session"], row["answers"], row["number"], row["line"], row["page"],
        row["login"], row["address"], row["asked_at"], row["due_at"], row["state"], row["attempts"], row["started_at"],
        row["channel"], tuple(row["result"].split()),
    )  # fmt: skip
