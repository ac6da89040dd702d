"""What a database is to the rest: reads that do not wait for writers, and writes as units of work.

A unit is a plain function of a transaction. It may be run again (after a conflict, or one by one when a group of
units failed), so it does nothing but read and write through its transaction.

    StorageError
        WrongSchema      the file was made by another ctserver, or changed by hand
        Unavailable      the database cannot be reached, is full or broken; the message says how
        TooSlow          a read took longer than its asker waits
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

Row: TypeAlias = Any  # columns by name and by position: row["id"], row[0]
Value: TypeAlias = str | int | float | None
T = TypeVar("T")


class StorageError(Exception):
    """The root of what storage raises."""


class WrongSchema(StorageError):
    """The tables are not those that this ctserver knows."""


class Unavailable(StorageError):
    """The database did not do what it should."""


class TooSlow(StorageError):
    """A read was given up: it took, with those before it, longer than its asker waits."""


class Transaction(Protocol):
    """One transaction, inside a unit of work. Placeholders are `$1`, `$2`, ..."""

    memory: dict[str, Any]
    """What units know of the tables and tell the next ones. It is emptied when a transaction is undone, and when another
    program has written; a unit that changes rows by other ways than their own module's functions empties it."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Rows changed."""

    def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """All rows."""

    def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        """The first row, or None."""

    def later(self, sql: str, key: str, values: Sequence[Value], *, rank: int = 1) -> None:
        """A row to write before the next statement at the latest, together with others of the same SQL, which has one
        `VALUES ($1, $2, ...)`, each placeholder once and in order. Of several with one key, the last counts. Lower ranks
        go first: 0 for rows that others refer to, 2 for changes of rows that may be waiting themselves."""


class Database(Protocol):
    """A database; SQLite today."""

    async def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """All rows of a read."""

    async def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        """The first row of a read, or None."""

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """Run several reads on one state of the database: what is written meanwhile is not seen. For reports and other
        long work; it leaves `fetch` and `one` a reader of their own."""

    async def clear_log(self) -> bool:
        """What was changed or removed is no more in the log beside the tables. False: somebody reads what was before."""

    async def read_slow(self, unit: Callable[[Transaction], T], seconds: float) -> T:
        """As `read`, for what may take many seconds: one at a time, so that logins and pages need not wait for it. It stops when its
        asker goes, and after so many seconds, those in which it waited for others among them. Raises TooSlow then."""

    def write(self, unit: Callable[[Transaction], T]) -> asyncio.Future[T]:
        """Run a unit of work; done when its changes are on disk."""

    def write_each(self, units: Sequence[Callable[[Transaction], Any]]) -> asyncio.Future[list[Any]]:
        """Several units, each for itself as with `write`, and one answer for all: it is there when all are on disk or have failed.
        In the place of one that failed is its exception."""
