"""SQLite through aiosqlite: one writer with group commit, and readers beside it.

Everything that waits to be written is committed together, so that a hundred visits cost one flush to disk
(`synchronous=FULL`). When a unit of a group fails, the group is undone and its units are run one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

import aiosqlite

from ctserver.storage.db import Row, TooSlow, Transaction, Unavailable, Value

T = TypeVar("T")

MAX_WAITING = 20_000
MAX_GROUP = 512
ROWS = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)  # in one statement: few sizes, so that statements stay prepared
BUSY_MS = 5_000
WRITER_PRAGMAS = [
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = 1",  # what was erased does not stay in the file's free places
]
CLEAR_TRIES, CLEAR_SECONDS = 20, 0.25  # a report may be reading
READERS = 3  # connections that read; all but one may be busy with long reads, of which one may be slow
STOP_SECONDS = 0.05  # a reader whose asker has gone is told so again and again: between statements it does not hear


class _Connection(sqlite3.Connection):
    """Where `stopped` is set, transactions begin no further statement."""

    stopped = False


class _Worker(aiosqlite.Connection):
    """aiosqlite's connection, with whole functions run in its thread: a hop for each statement would cost more than
    the statement."""

    async def run(self, function: Callable[[_Connection], T]) -> T:
        return await self._execute(lambda: function(self._ours))  # type: ignore[no-any-return, no-untyped-call]

    def stop_unit(self) -> None:
        """The statement that runs, if any, fails at once, and the transaction's next one too."""
        self._ours.stopped = True
        self._ours.interrupt()

    def ready_again(self) -> None:
        """It has ended; the next one runs."""
        self._ours.stopped = False

    @property
    def _ours(self) -> _Connection:
        return cast(_Connection, self._conn)


class _Order:
    """Units that wait to be written, and who is told of each."""

    __slots__ = ("done", "units")

    def __init__(self, units: Sequence[Callable[[Transaction], Any]], loop: asyncio.AbstractEventLoop) -> None:
        self.units = units
        self.done: asyncio.Future[Any] = loop.create_future()

    def settle(self, results: list[Any]) -> None:
        """Each result, or the exception that undid the unit."""
        if not self.done.done():  # else the one who asked has gone; the change is on disk all the same
            self.done.set_result(results)


class _Single(_Order):
    """The only unit's result is the answer, or its exception."""

    __slots__ = ()

    def settle(self, results: list[Any]) -> None:
        [result] = results
        if not isinstance(result, Exception):
            super().settle(result)
        elif not self.done.done():
            self.done.set_exception(result)


class SqliteTransaction:
    """See storage.db.Transaction. Rows that may be written later are written many at once: each statement hands the
    interpreter's lock to and fro, which costs more than the row."""

    def __init__(self, connection: _Connection, memory: dict[str, Any]) -> None:
        self.memory = memory
        self._connection = connection
        self._later: tuple[dict[str, dict[str, Sequence[Value]]], ...] = ({}, {}, {})  # by rank
        self._waiting = False

    def execute(self, sql: str, values: Sequence[Value] = ()) -> int:
        return self._run(sql, values).rowcount

    def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._run(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        return self._run(sql, values).fetchone()

    def later(self, sql: str, key: str, values: Sequence[Value], *, rank: int = 1) -> None:
        self._waiting = True
        self._later[rank].setdefault(sql, {})[key] = values

    def flush(self) -> None:
        """Write the rows that were left for later. They are let go when all are written: one that fails must fail again at
        the end, also where a unit takes the error for its own and goes on."""
        for sql, keyed in chain.from_iterable(rank.items() for rank in self._later):
            rows = list(keyed.values())
            while rows:
                count = next(size for size in ROWS if size <= len(rows))
                self._connection.execute(_for_rows(sql, count), list(chain.from_iterable(rows[:count])))
                del rows[:count]
        self._later, self._waiting = ({}, {}, {}), False

    def _run(self, sql: str, values: Sequence[Value]) -> sqlite3.Cursor:
        if self._waiting:
            self.flush()
        if self._connection.stopped:
            raise sqlite3.OperationalError("interrupted")
        return self._connection.execute(_numbered(sql), values)


class Sqlite:
    """See storage.db.Database. Make it with `await open(path)`."""

    def __init__(self, writer: _Worker, readers: Sequence[_Worker]) -> None:
        self._writer = writer
        self._readers = readers
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._long = asyncio.Semaphore(len(readers) - 1)
        self._slow = asyncio.Semaphore(1)
        self._closed = False
        self._memory = _Memory()
        self._waiting: deque[_Order] = deque()
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._write_groups(), name="database writer")

    async def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return await self._read(lambda connection: connection.execute(_numbered(sql), values).fetchall())

    async def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        return await self._read(lambda connection: connection.execute(_numbered(sql), values).fetchone())

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        async with self._long:
            return await self._read(partial(_snapshot, unit))

    async def read_slow(self, unit: Callable[[Transaction], T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds), self._slow:
                return await self.read(unit)
        except TimeoutError as error:
            raise TooSlow(f"a read was given up after {seconds:g} s") from error

    def write(self, unit: Callable[[Transaction], T]) -> asyncio.Future[T]:
        return self._order(_Single([unit], self._loop))

    def write_each(self, units: Sequence[Callable[[Transaction], Any]]) -> asyncio.Future[list[Any]]:
        return self._order(_Order(units, self._loop))

    def _order(self, order: _Order) -> asyncio.Future[Any]:
        if self._closed:
            order.done.set_exception(Unavailable("the database is closed"))
        elif len(self._waiting) >= MAX_WAITING:
            order.done.set_exception(Unavailable(f"{MAX_WAITING} writes are waiting for the disk"))
        else:
            self._waiting.append(order)
            self._wanted.set()
        return order.done

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """A function in the writer's thread, outside any transaction (migrations)."""
        try:
            return await self._writer.run(function)
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    async def clear_log(self) -> bool:
        for _ in range(CLEAR_TRIES):
            if await self.run(_clear_log):
                return True
            await asyncio.sleep(CLEAR_SECONDS)
        return False

    async def close(self) -> None:
        """Writes what waits, then closes."""
        self._closed = True
        self._wanted.set()
        try:
            await self._task
            for reader in [await self._idle.get() for _ in self._readers]:
                await reader.close()
                self._idle.put_nowait(reader)  # for those who still wait for one: they are told
            await self._writer.close()
        finally:
            for worker in (*self._readers, self._writer):
                worker.stop()  # also where it took too long: a thread that waits would keep the process

    async def _read(self, function: Callable[[_Connection], T]) -> T:
        """By a reader that is idle. One whose asker has gone is stopped, and idle only when it has finished."""
        reader = await self._idle.get()
        if self._closed:
            self._idle.put_nowait(reader)
            raise Unavailable("the database is closed")
        running = asyncio.ensure_future(reader.run(function))
        running.add_done_callback(partial(self._rest, reader))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stop(reader, running)
            raise
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def _stop(self, reader: _Worker, running: asyncio.Future[Any]) -> None:
        """Nobody else has the reader before `running` is done."""
        if not running.done():
            reader.stop_unit()
            self._loop.call_later(STOP_SECONDS, self._stop, reader, running)

    def _rest(self, reader: _Worker, done: asyncio.Future[Any]) -> None:
        reader.ready_again()
        self._idle.put_nowait(reader)
        if not done.cancelled():
            done.exception()  # its asker may have gone

    async def _write_groups(self) -> None:
        while await self._something_waits():
            await self._writer.run(self._commit_groups)

    async def _something_waits(self) -> bool:
        """Sooner or later; not when all is written and the database is closed."""
        while not self._waiting and not self._closed:
            self._wanted.clear()
            await self._wanted.wait()
        return bool(self._waiting)

    def _commit_groups(self, connection: _Connection) -> None:
        """In the writer's thread, one group after another: what has come meanwhile is the next."""
        while self._waiting:
            group: list[_Order] = []
            units: list[Callable[[Transaction], Any]] = []
            while self._waiting and len(units) < MAX_GROUP:
                group.append(order := self._waiting.popleft())
                units += order.units
            results = _commit(units, self._memory, connection)
            self._loop.call_soon_threadsafe(_settle, group, results)


async def open(path: Path) -> Sqlite:
    """Open or make the file. Raises Unavailable, with what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = await _connect(path, WRITER_PRAGMAS)
        readers = [await _connect(path, ["PRAGMA query_only = 1"]) for _ in range(READERS)]
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the database {path} cannot be opened: {error}") from error
    return Sqlite(writer, readers)


async def _connect(path: Path, pragmas: list[str]) -> _Worker:
    address = "file:" + quote(str(path.resolve()))
    connector = partial(
        sqlite3.connect,
        address,
        uri=True,
        isolation_level=None,
        timeout=BUSY_MS / 1000,
        cached_statements=256,
        factory=_Connection,
    )
    worker = _Worker(connector, 64)
    try:
        await worker
        await worker.run(partial(_prepare, pragmas=[*pragmas, "PRAGMA foreign_keys = 1"]))
    except BaseException:
        with contextlib.suppress(Exception):
            await worker.close()
        raise
    return worker


def _prepare(connection: sqlite3.Connection, pragmas: list[str]) -> None:
    connection.row_factory = sqlite3.Row
    for pragma in pragmas:
        connection.execute(pragma)


def _snapshot(unit: Callable[[Transaction], T], connection: _Connection) -> T:
    connection.execute("BEGIN")
    try:
        return unit(SqliteTransaction(connection, {}))
    finally:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:  # `stop_unit` has struck this one; it comes but twenty times a second
            connection.execute("ROLLBACK")


def _clear_log(connection: sqlite3.Connection) -> bool:
    """Without waiting for anybody: those who write would wait as well."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")


class _Memory:
    """What units remember (storage.db.Transaction.memory), and the state of the file it belongs to."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self._version: int | None = None

    def check(self, connection: sqlite3.Connection) -> None:
        """Forget everything if another program has written since."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self.known.clear()


def _commit(units: list[Callable[[Transaction], Any]], memory: _Memory, connection: _Connection) -> list[Any]:
    """The result of each unit, or the exception that undid it."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:  # another program writes: it would keep each of them waiting as long
        _undo(connection)
        return [Unavailable(str(error)) for _ in units]
    try:
        memory.check(connection)
        transaction = SqliteTransaction(connection, memory.known)
        results = [unit(transaction) for unit in units]
        transaction.flush()
        connection.execute("COMMIT")
    except Exception as error:
        memory.known.clear()
        _undo(connection)
        if len(units) > 1:
            return [_commit([unit], memory, connection)[0] for unit in units]
        return [Unavailable(str(error)) if isinstance(error, sqlite3.OperationalError) else error]
    return results


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _settle(group: list[_Order], results: list[Any]) -> None:
    at = 0
    for order in group:
        end = at + len(order.units)
        order.settle(results[at:end])
        at = end


@lru_cache(maxsize=512)
def _numbered(sql: str) -> str:
    """`$1` -> `?1`, which sqlite3 binds by position."""
    return re.sub(r"\$(\d+)", r"?\1", sql)


_ROW = re.compile(r"VALUES\s*(\((?:[^()]|\([^()]*\))*\))")


@lru_cache(maxsize=512)
def _for_rows(sql: str, count: int) -> str:
    """The same statement with its one row of VALUES `count` times."""
    row = re.sub(r"\$\d+", "?", _ROW.search(sql)[1])  # type: ignore[index]
    return _ROW.sub(lambda _: "VALUES " + ", ".join([row] * count), sql, count=1)
