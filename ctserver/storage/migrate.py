"""Applies migrations/ in order, each whole or not at all, and refuses a database that is not what it should be.

The table schema_migrations holds what was applied: the number, the hash of the file's text, and a fingerprint of all
tables after it. A fingerprint that no longer fits means that somebody changed the tables by hand.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ctserver.storage.db import WrongSchema
from ctserver.storage.sqlite import Sqlite

_BOOK = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number      BIGINT PRIMARY KEY,
    name        TEXT   NOT NULL,
    hash        TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(folder: Path) -> list[Migration]:
    """The migrations of a folder, in order: files named 0001_what_it_does.sql."""
    found = [
        Migration(int(file.name[:4]), file.stem[5:], file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    ]
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise WrongSchema(f"the migrations in {folder} are not numbered 0001, 0002, ... without a gap")
    return found


async def migrate(database: Sqlite, migrations: list[Migration]) -> list[Migration]:
    """Apply what is missing; returns what was applied. Raises WrongSchema; a failed migration leaves nothing behind."""
    return await database.run(lambda connection: _migrate(connection, migrations))


async def verify(database: Sqlite, migrations: list[Migration]) -> None:
    """Raise WrongSchema unless the database is exactly at the last of `migrations`; changes nothing."""
    applied = await database.run(lambda connection: _verified(connection, migrations))
    if applied < len(migrations):
        why = f"is at step {applied} of {len(migrations)}: an older ctserver made it" if applied else "is still empty"
        raise WrongSchema(
            f"the database {why}. Start the server once (ctserver serve), it brings the tables up to date"
        )


def _migrate(connection: sqlite3.Connection, migrations: list[Migration]) -> list[Migration]:
    missing = migrations[_verified(connection, migrations) :]
    for migration in missing:
        _apply(connection, migration)
    return missing


def _verified(connection: sqlite3.Connection, migrations: list[Migration]) -> int:
    """How many of `migrations` are applied, all of them unchanged."""
    rows = _applied(connection)
    if not rows and _tables(connection):
        raise WrongSchema("the file holds tables of another program. Name another file in [database] path")
    if len(rows) > len(migrations):
        raise WrongSchema(
            f"the database was made by a newer ctserver (step {len(rows)}, this one knows {len(migrations)}). "
            "Install that version again, or restore the backup made before it"
        )
    for row, migration in zip(rows, migrations, strict=False):
        if row["hash"] != migration.hash:
            raise WrongSchema(
                f"migration {migration.number:04} ({migration.name}) is not the one this database was made with. "
                "Restore the file from the release that you installed"
            )
    if rows and rows[-1]["fingerprint"] != _fingerprint(connection):
        raise WrongSchema(
            "the tables were changed by something other than ctserver's migrations. "
            "Undo that change, or restore a backup"
        )
    return len(rows)


def _applied(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    columns = [row["name"] for row in connection.execute("PRAGMA table_info (schema_migrations)")]
    if columns != ["number", "name", "hash", "fingerprint"]:
        return []
    return connection.execute("SELECT * FROM schema_migrations ORDER BY number").fetchall()


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_BOOK)
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations (number, name, hash, fingerprint) VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.hash, _fingerprint(connection)),
        )
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.execute("ROLLBACK")
        raise WrongSchema(
            f"migration {migration.number:04} ({migration.name}) failed and was undone: {error}"
        ) from error


def statements(sql: str) -> list[str]:
    """The single statements of a script; semicolons inside strings and triggers do not cut."""
    found: list[str] = []
    rest = ""
    for part in re.split(r"(?<=;)", sql):
        rest += part
        if sqlite3.complete_statement(rest):
            found.append(rest.strip())
            rest = ""
    return [*found, rest.strip()] if rest.strip() else found


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [row[0] for row in rows.fetchall()]


def _fingerprint(connection: sqlite3.Connection) -> str:
    """Of tables, views and triggers; indexes may be added by hand without harm."""
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type <> 'index' AND name NOT LIKE 'sqlite_%' ORDER BY type, name"
    ).fetchall()
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()
