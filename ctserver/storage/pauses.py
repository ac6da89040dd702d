"""Pauses of recordings while calls go on."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.storage.db import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Open:
    """A recording that is paused. `over`: the call has ended meanwhile."""

    call: str
    began_at: int
    until: int | None
    login: str
    pbx: str
    uniqueid: str
    over: bool


def begin(tx: Transaction, call: str, now: int, until: int | None, login: str) -> bool:
    """False if it is paused already."""
    sql = """
        INSERT INTO pauses (call, began_at, until, login) VALUES ($1, $2, $3, $4)
        ON CONFLICT (call) WHERE ended_at IS NULL DO NOTHING
    """
    return tx.execute(sql, (call, now, until, login)) == 1


def end(tx: Transaction, call: str, now: int, login: str) -> bool:
    """False if it was not paused."""
    sql = "UPDATE pauses SET ended_at = $2, resumed_by = $3 WHERE call = $1 AND ended_at IS NULL"
    return tx.execute(sql, (call, now, login)) == 1


def forget(tx: Transaction, call: str) -> None:
    """The PBX was asked to pause it and did not."""
    tx.execute("DELETE FROM pauses WHERE call = $1 AND ended_at IS NULL", (call,))


async def open_ones(db: Database) -> list[Open]:
    rows = await db.fetch(
        """
        SELECT p.call, p.began_at, p.until, p.login, c.pbx, c.uniqueid, c.state
        FROM pauses p JOIN calls c ON c.id = p.call WHERE p.ended_at IS NULL ORDER BY p.began_at LIMIT 500
        """
    )
    return [
        Open(
            row["call"],
            row["began_at"],
            row["until"],
            row["login"],
            row["pbx"],
            row["uniqueid"],
            row["state"] == "ended",
        )
        for row in rows
    ]


async def of_call(db: Database, call: str) -> list[Row]:
    """began_at, until, ended_at (None while it is paused), login, resumed_by; the first one first."""
    return await db.fetch(
        "SELECT began_at, until, ended_at, login, resumed_by FROM pauses WHERE call = $1 ORDER BY began_at", (call,)
    )
