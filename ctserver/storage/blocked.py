"""Callers who are kept out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctserver.storage.db import Database, Row, Transaction

_ALL = "SELECT number, why, login, at FROM blocked_callers ORDER BY at DESC, number"


@dataclass(frozen=True, slots=True)
class Entry:
    """`login` has named this number at epoch milliseconds `at`."""

    number: str
    why: str
    login: str
    at: int


async def everybody(db: Database) -> list[Entry]:
    """The latest first."""
    return [_entry(row) for row in await db.fetch(_ALL)]


def listed(tx: Transaction) -> list[Entry]:
    """The same, within a unit of work."""
    return [_entry(row) for row in tx.fetch(_ALL)]


def _entry(row: Row) -> Entry:
    return Entry(row["number"], row["why"], row["login"], row["at"])


def put(tx: Transaction, entry: Entry) -> None:
    """Who is named twice stays with the first entry, and its new reason."""
    tx.execute(
        """
        INSERT INTO blocked_callers (number, why, login, at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (number) DO UPDATE SET why = $2
        """,
        (entry.number, entry.why, entry.login, entry.at),
    )


def remove(tx: Transaction, number: str) -> bool:
    """False if he was not listed."""
    return tx.execute("DELETE FROM blocked_callers WHERE number = $1", (number,)) == 1


def replace_refusals(tx: Transaction, ways: Mapping[str, str]) -> None:
    """Digits -> what the dialplan does."""
    tx.execute("DELETE FROM refusals")
    for digits, way in ways.items():
        tx.execute("INSERT INTO refusals (digits, way) VALUES ($1, $2)", (digits, way))
