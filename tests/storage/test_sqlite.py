"""One writer with group commit, readers beside it, on a real file."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ctserver.storage import sqlite
from ctserver.storage.db import TooSlow, Transaction, Unavailable
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, until


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Sqlite]:
    opened = await sqlite.open(tmp_path / "a b%20ё?.db")
    await opened.run(lambda connection: connection.execute("CREATE TABLE t (n BIGINT PRIMARY KEY, text TEXT)").close())
    yield opened
    await opened.close()


def insert(number: int, text: str = "") -> Callable[[Transaction], int]:
    def unit(tx: Transaction) -> int:
        tx.execute("INSERT INTO t (n, text) VALUES ($1, $2)", (number, text))
        return number

    return unit


async def numbers(store: Sqlite) -> list[int]:
    return [row["n"] for row in await store.fetch("SELECT n FROM t ORDER BY n")]


async def test_concurrent_writes_are_all_on_disk_and_each_gets_its_own_result(store: Sqlite, tmp_path: Path) -> None:
    results = await asyncio.gather(*(store.write(insert(number)) for number in range(1500)))
    assert results == list(range(1500))
    with sqlite3.connect(next(tmp_path.glob("*.db"))) as other:
        assert other.execute("SELECT COUNT(*) FROM t").fetchone()[0] == 1500
    other.close()


async def test_many_writes_share_one_commit(store: Sqlite) -> None:
    groups: list[int] = []

    def unit(tx: Transaction) -> None:
        tx.execute("INSERT INTO t (n) SELECT COALESCE(MAX(n), 0) + 1 FROM t")
        groups.append(threading.get_ident())

    began = await store.run(lambda connection: connection.total_changes)
    await asyncio.gather(*(store.write(unit) for _ in range(300)))
    assert await store.run(lambda connection: connection.total_changes) - began == 300
    assert len(groups) == 300
    assert len(set(groups)) == 1


async def test_a_unit_that_fails_undoes_itself_and_nothing_else(store: Sqlite) -> None:
    def half(tx: Transaction) -> None:
        tx.execute("INSERT INTO t (n) VALUES (1000)")
        raise LookupError("half done")

    units = [insert(1), insert(2), insert(1), half, insert(3)]
    results = await asyncio.gather(*(store.write(unit) for unit in units), return_exceptions=True)
    assert [type(result) for result in results] == [int, int, sqlite3.IntegrityError, LookupError, int]
    assert await numbers(store) == [1, 2, 3]


async def test_units_written_together_are_each_for_itself(store: Sqlite) -> None:
    def half(tx: Transaction) -> None:
        tx.execute("INSERT INTO t (n) VALUES (1000)")
        raise LookupError("half done")

    alone = store.write(insert(7))
    found = await store.write_each([insert(1), half, insert(2), insert(1), insert(7)])
    assert await alone == 7
    assert [type(result) for result in found] == [int, LookupError, int, sqlite3.IntegrityError, sqlite3.IntegrityError]
    assert (found[0], found[2], await numbers(store)) == (1, 2, [1, 2, 7])
    assert await store.write_each([]) == []


async def test_of_units_whose_asker_has_gone_all_is_written(store: Sqlite) -> None:
    gone = store.write_each([insert(1), insert(2)])
    gone.cancel()
    assert await store.write_each([insert(3)]) == [3]
    assert await numbers(store) == [1, 2, 3]


async def test_one_unit_alone_that_fails_leaves_nothing(store: Sqlite) -> None:
    with pytest.raises(Unavailable, match="no such table"):
        await store.write(lambda tx: tx.execute("INSERT INTO nowhere VALUES (1)"))
    assert await store.write(insert(1)) == 1


async def test_a_full_disk_is_told_and_over_when_there_is_room(store: Sqlite) -> None:
    pages = await store.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await store.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    with pytest.raises(Unavailable, match="full"):
        await store.write(insert(1, "x" * 100_000))
    await store.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())
    await store.write(insert(1, "x" * 100_000))
    assert await numbers(store) == [1]


async def test_a_read_does_not_wait_for_a_long_write_and_sees_what_was_before(store: Sqlite) -> None:
    await store.write(insert(1))
    held, writing = threading.Event(), threading.Event()

    def long(tx: Transaction) -> None:
        tx.execute("INSERT INTO t (n) VALUES (2)")
        writing.set()
        assert held.wait(PATIENCE)

    task = store.write(long)
    await asyncio.to_thread(writing.wait, PATIENCE)
    assert await asyncio.wait_for(numbers(store), PATIENCE) == [1]
    held.set()
    await task
    assert await numbers(store) == [1, 2]


async def test_one_who_no_longer_waits_loses_nothing(store: Sqlite) -> None:
    task = store.write(insert(1))
    await asyncio.sleep(0)
    task.cancel()
    await store.write(insert(2))
    assert await numbers(store) == [1, 2]


async def test_the_log_is_cleared_when_nobody_reads_what_was_before_and_writers_do_not_wait_for_it(
    store: Sqlite, tmp_path: Path
) -> None:
    file = next(tmp_path.glob("*.db"))
    log = file.with_name(f"{file.name}-wal")
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM t").fetchone()
    await store.write(insert(1))
    clearing = asyncio.create_task(store.clear_log())
    for n in range(2, 30):
        await asyncio.wait_for(store.write(insert(n)), 2)
    assert log.stat().st_size > 0
    reader.execute("ROLLBACK")
    assert await clearing
    assert log.stat().st_size == 0
    reader.close()


async def test_closing_writes_what_waits(store: Sqlite, tmp_path: Path) -> None:
    second = await sqlite.open(next(tmp_path.glob("*.db")))
    tasks = [second.write(insert(number)) for number in range(50)]
    await asyncio.sleep(0)
    await second.close()
    assert await asyncio.gather(*tasks) == list(range(50))
    assert len(await numbers(store)) == 50


async def test_while_another_program_writes_all_are_told_so_after_one_wait(store: Sqlite, tmp_path: Path) -> None:
    await store.run(lambda connection: connection.execute("PRAGMA busy_timeout = 200").fetchall())
    with contextlib.closing(sqlite3.connect(next(tmp_path.glob("*.db")), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        alone = [store.write(insert(number)) for number in range(20)]
        together = store.write_each([insert(number) for number in range(100, 120)])
        async with asyncio.timeout(4):  # one by one they would wait for 8 s
            told = [*await asyncio.gather(*alone, return_exceptions=True), *await together]
    assert [str(one) for one in told if isinstance(one, Unavailable)] == ["database is locked"] * 40
    assert await store.write(insert(1)) == 1
    assert await numbers(store) == [1]


async def test_reads_are_answered_or_told_when_the_database_closes(tmp_path: Path) -> None:
    closing = await sqlite.open(tmp_path / "closing.db")
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))
    held, begun = threading.Event(), threading.Event()

    def long(tx: Transaction) -> int:
        begun.set()
        assert held.wait(PATIENCE)
        return int(tx.fetch("SELECT 1 AS n")[0]["n"])

    reads = [asyncio.create_task(closing.read(long)) for _ in range(sqlite.READERS + 2)]
    await asyncio.to_thread(begun.wait, PATIENCE)
    ending = asyncio.create_task(closing.close())
    await asyncio.sleep(0.05)
    held.set()
    found = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), PATIENCE)
    await ending
    assert [str(one) for one in found] == ["1"] * (sqlite.READERS - 1) + ["the database is closed"] * 3
    with pytest.raises(Unavailable, match="closed"):
        await asyncio.wait_for(closing.one("SELECT 1"), PATIENCE)
    assert not failures


async def test_a_close_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    stuck = await sqlite.open(tmp_path / "stuck.db")
    held = threading.Event()
    gone = stuck.write(lambda tx: held.wait(PATIENCE))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stuck.close(), 0.1)
    held.set()
    await until(lambda: set(threading.enumerate()) <= before)
    assert gone.done()


async def test_a_write_after_the_end_fails_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    closed = await sqlite.open(tmp_path / "closed.db")
    await closed.close()
    with pytest.raises(Unavailable, match="closed"):
        await asyncio.wait_for(closed.write(insert(1)), PATIENCE)


async def test_the_reader_cannot_write(store: Sqlite) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await store.fetch("INSERT INTO t (n) VALUES (1) RETURNING n")


async def test_every_commit_reaches_the_disk(store: Sqlite) -> None:
    assert await store.run(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0]) == 2
    assert await store.run(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"


async def test_placeholders_are_bound_by_number(store: Sqlite) -> None:
    row = await store.one("SELECT $2 AS b, $1 AS a, $11 AS c", ("a", "b", *"cdefghij", "k"))
    assert row is not None
    assert (row["a"], row["b"], row["c"]) == ("a", "b", "k")


@pytest.mark.parametrize("content", [b"this is no database" * 100])
async def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(Unavailable, match=r"x\.db cannot be opened: file is not a database"):
        await sqlite.open(tmp_path / "x.db")


async def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        await sqlite.open(tmp_path / "file" / "x.db")


LATER = "INSERT INTO t (n, text) VALUES ($1, $2) ON CONFLICT (n) DO UPDATE SET text = excluded.text"


async def test_rows_for_later_are_there_for_the_next_statement_and_the_last_of_a_key_counts(store: Sqlite) -> None:
    def unit(tx: Transaction) -> list[tuple[int, str]]:
        for number in range(150):  # more than one statement holds
            tx.later(LATER, str(number), (number, "first"))
        tx.later(LATER, "7", (7, "second"))
        return [tuple(row) for row in tx.fetch("SELECT n, text FROM t WHERE n < 9 OR n > 148 ORDER BY n")]

    found = await store.write(unit)
    assert found == [*((number, "first") for number in range(7)), (7, "second"), (8, "first"), (149, "first")]
    assert len(await numbers(store)) == 150


async def test_rows_for_later_are_undone_with_their_unit(store: Sqlite) -> None:
    def failing(tx: Transaction) -> None:
        tx.later(LATER, "1", (1, "never"))
        raise LookupError

    results = await asyncio.gather(store.write(insert(2)), store.write(failing), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], LookupError)
    assert await numbers(store) == [2]


async def test_rows_for_later_that_cannot_be_written_undo_their_unit_even_if_it_goes_on(store: Sqlite) -> None:
    def careless(tx: Transaction) -> str:
        insert(1)(tx)
        tx.later("INSERT INTO t (n, text) VALUES ($1, $2)", "1", (1, "the same number again"))
        with contextlib.suppress(Exception):
            tx.fetch("SELECT n FROM t")
        return "nothing wrong"

    with pytest.raises(sqlite3.IntegrityError):
        await store.write(careless)
    assert await numbers(store) == []


async def test_what_units_remember_is_forgotten_when_it_may_be_wrong(store: Sqlite, tmp_path: Path) -> None:
    def remember(tx: Transaction) -> None:
        tx.memory["known"] = True

    def known(tx: Transaction) -> bool:
        return "known" in tx.memory

    await store.write(remember)
    assert await store.write(known)
    with pytest.raises(sqlite3.IntegrityError):
        await asyncio.gather(store.write(insert(1)), store.write(insert(1)))
    assert not await store.write(known)

    await store.write(remember)
    with sqlite3.connect(next(tmp_path.glob("*.db"))) as other:
        other.execute("INSERT INTO t (n) VALUES (99)")
    other.close()
    assert not await store.write(known)


async def test_long_reads_leave_a_reader_to_the_short_ones(store: Sqlite) -> None:
    held, begun = threading.Event(), threading.Semaphore(0)

    def long(tx: Transaction) -> int:
        begun.release()
        assert held.wait(PATIENCE)
        return len(tx.fetch("SELECT n FROM t"))

    tasks = [asyncio.create_task(store.read(long)) for _ in range(sqlite.READERS + 2)]
    for _ in range(sqlite.READERS - 1):
        assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE)
    assert await asyncio.wait_for(numbers(store), PATIENCE) == []
    tasks.pop().cancel()
    held.set()
    assert await asyncio.gather(*tasks) == [0] * len(tasks)


async def test_one_read_sees_one_state(store: Sqlite) -> None:
    counted, written = threading.Event(), threading.Event()

    def twice(tx: Transaction) -> tuple[int, int]:
        first = len(tx.fetch("SELECT n FROM t"))
        counted.set()
        assert written.wait(PATIENCE)
        return first, len(tx.fetch("SELECT n FROM t"))

    task = asyncio.create_task(store.read(twice))
    await asyncio.to_thread(counted.wait, PATIENCE)
    await store.write(insert(1))
    written.set()
    assert await task == (0, 0)
    assert await numbers(store) == [1]


async def test_a_read_that_nobody_waits_for_any_more_keeps_its_reader_until_it_ends(store: Sqlite) -> None:
    held, begun = threading.Event(), threading.Event()

    def long(tx: Transaction) -> None:
        begun.set()
        assert held.wait(PATIENCE)

    task = asyncio.create_task(store.read(long))
    await asyncio.to_thread(begun.wait, PATIENCE)
    task.cancel()
    await asyncio.sleep(0)
    found = await asyncio.wait_for(asyncio.gather(*(numbers(store) for _ in range(8))), PATIENCE)
    assert found == [[]] * 8
    held.set()


def endless(tx: Transaction) -> None:
    tx.fetch("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n")


async def test_slow_reads_go_one_at_a_time_and_leave_room_for_others(store: Sqlite) -> None:
    tasks = [asyncio.create_task(store.read_slow(endless, 60)) for _ in range(sqlite.READERS + 1)]
    await asyncio.sleep(0.1)
    for _ in range(3):
        assert await asyncio.wait_for(store.read(lambda tx: len(tx.fetch("SELECT n FROM t"))), 2) == 0
        assert await asyncio.wait_for(numbers(store), 2) == []
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await asyncio.wait_for(store.read_slow(lambda tx: len(tx.fetch("SELECT n FROM t")), 60), 2) == 0


async def test_a_slow_read_is_stopped_in_time_and_its_reader_serves_others(store: Sqlite) -> None:
    for _ in range(sqlite.READERS + 1):
        with pytest.raises(TooSlow, match=r"0\.1 s"):
            await store.read_slow(endless, 0.1)
    reads = [store.read(lambda tx: tx.fetch("SELECT n FROM t")) for _ in range(sqlite.READERS)]
    assert await asyncio.wait_for(asyncio.gather(*reads), 2) == [[]] * sqlite.READERS


async def test_a_read_is_stopped_between_its_statements_too(store: Sqlite) -> None:
    ended = threading.Event()

    def many(tx: Transaction) -> None:
        try:
            while True:
                tx.fetch("SELECT n FROM t")
        finally:
            ended.set()

    task = asyncio.create_task(store.read(many))
    await asyncio.sleep(0.1)
    task.cancel()
    assert await asyncio.to_thread(ended.wait, 20)
