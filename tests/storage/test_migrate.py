"""Migrations are applied whole or not at all; a database that is not what it should be is refused in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ctserver import files
from ctserver.storage import migrate, sqlite
from ctserver.storage.db import WrongSchema
from ctserver.storage.migrate import Migration, statements
from ctserver.storage.sqlite import Sqlite

FIRST = Migration(1, "first", "CREATE TABLE a (x TEXT);\nCREATE INDEX a_x ON a (x);\n")
SECOND = Migration(2, "second", "CREATE TABLE b (x TEXT);\nINSERT INTO a VALUES ('one; two');\n")
FAILING = Migration(
    3, "failing", "CREATE TABLE c (x TEXT);\nINSERT INTO a VALUES ('lost');\nINSERT INTO nowhere VALUES (1);\n"
)


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Sqlite]:
    opened = await sqlite.open(tmp_path / "x.db")
    yield opened
    await opened.close()


async def tables(db: Sqlite) -> set[str]:
    return {row["name"] for row in await db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def by_hand(db: Sqlite, sql: str) -> None:
    await db.run(lambda connection: connection.execute(sql).close())


async def test_what_is_missing_is_applied_once_and_in_order(empty: Sqlite) -> None:
    assert await migrate.migrate(empty, [FIRST]) == [FIRST]
    assert await migrate.migrate(empty, [FIRST, SECOND]) == [SECOND]
    assert await migrate.migrate(empty, [FIRST, SECOND]) == []
    assert await tables(empty) == {"a", "b", "schema_migrations"}
    assert [row["x"] for row in await empty.fetch("SELECT x FROM a")] == ["one; two"]


async def test_a_failing_migration_leaves_no_tables_and_no_rows(empty: Sqlite) -> None:
    with pytest.raises(WrongSchema, match=r"migration 0003 \(failing\) failed and was undone: no such table: nowhere"):
        await migrate.migrate(empty, [FIRST, SECOND, FAILING])
    assert await tables(empty) == {"a", "b", "schema_migrations"}
    assert len(await empty.fetch("SELECT x FROM a")) == 1
    assert await migrate.migrate(empty, [FIRST, SECOND]) == []


async def test_a_first_migration_that_fails_leaves_an_empty_file(empty: Sqlite) -> None:
    with pytest.raises(WrongSchema, match="undone"):
        await migrate.migrate(empty, [Migration(1, "bad", "CREATE TABLE a (x TEXT); CREATE TABLE a (x TEXT);")])
    assert await tables(empty) == set()


async def test_the_last_statement_needs_no_semicolon(empty: Sqlite) -> None:
    await migrate.migrate(empty, [Migration(1, "x", "CREATE TABLE a (x TEXT);\nCREATE TABLE b (x TEXT)\n-- the end\n")])
    assert {"a", "b"} <= await tables(empty)


async def test_a_database_of_a_newer_version_is_refused(empty: Sqlite) -> None:
    await migrate.migrate(empty, [FIRST, SECOND])
    with pytest.raises(WrongSchema, match=r"newer ctserver .* Install that version again"):
        await migrate.migrate(empty, [FIRST])


async def test_a_changed_migration_is_refused(empty: Sqlite) -> None:
    await migrate.migrate(empty, [FIRST])
    with pytest.raises(WrongSchema, match=r"migration 0001 \(first\) is not the one"):
        await migrate.migrate(empty, [Migration(1, "first", FIRST.sql + "-- changed"), SECOND])


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE a ADD COLUMN y TEXT", "DROP TABLE a", "CREATE TABLE mine (x)", "CREATE VIEW v AS SELECT 1",
     "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; END"],
)  # fmt: skip
async def test_tables_changed_by_hand_are_refused(empty: Sqlite, change: str) -> None:
    await migrate.migrate(empty, [FIRST])
    await by_hand(empty, change)
    for refuse in (migrate.migrate, migrate.verify):
        with pytest.raises(WrongSchema, match=r"changed by something other .* restore a backup"):
            await refuse(empty, [FIRST])


async def test_an_index_added_by_hand_does_no_harm(empty: Sqlite) -> None:
    await migrate.migrate(empty, [FIRST])
    await by_hand(empty, "CREATE INDEX mine ON a (x)")
    await migrate.verify(empty, [FIRST])


@pytest.mark.parametrize("table", ["orders (id)", "schema_migrations (version VARCHAR)"])
async def test_a_database_of_another_program_is_refused_and_left_alone(empty: Sqlite, table: str) -> None:
    await by_hand(empty, f"CREATE TABLE {table}")
    with pytest.raises(WrongSchema, match="tables of another program"):
        await migrate.migrate(empty, [FIRST])
    assert len(await tables(empty)) == 1


async def test_an_older_database_is_refused_where_nothing_may_change(empty: Sqlite) -> None:
    with pytest.raises(WrongSchema, match=r"the database is still empty. Start the server once"):
        await migrate.verify(empty, [FIRST])
    await migrate.migrate(empty, [FIRST])
    with pytest.raises(WrongSchema, match=r"step 1 of 2: an older ctserver made it. Start the server once"):
        await migrate.verify(empty, [FIRST, SECOND])


def test_the_shipped_migrations_are_numbered_without_a_gap() -> None:
    assert migrate.read(files.folder("migrations"))


def test_a_gap_in_the_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "0003_b.sql").write_text("SELECT 1;")
    with pytest.raises(WrongSchema, match="without a gap"):
        migrate.read(tmp_path)


def test_semicolons_in_strings_and_triggers_do_not_cut() -> None:
    script = "INSERT INTO a VALUES ('x;y');\nCREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; SELECT 1; END;\n"
    assert len(statements(script)) == 2
