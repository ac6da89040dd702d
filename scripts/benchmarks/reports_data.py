"""A year of two busy sites in one SQLite file: a million calls and five million page views, with all that hangs on them.

Rows come from the shop of `ctserver demo-data`; legs, tags, notes, deliveries and the like are made of them in SQL. Indexes and
triggers are made when the rows are in, and the sums that reports use as the server makes them. None of the settings that make
this fast (no journal, no flush) is any the server uses. A file is kept for later runs under the name of its schema.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ctserver import config, files
from ctserver.services import rollups
from ctserver.services.demo import Day, Shop, shop_of
from ctserver.services.demo.write import days
from ctserver.storage import demo, migrate, sqlite
from ctserver.storage.db import StorageError

DAYS = 365
DAY_MS = 86_400_000
TABLES = {
    "sessions": demo.SESSION,
    "visits": demo.VISIT,
    "leases": demo.LEASE,
    "calls": demo.CALL,
    "legs": demo.LEG,
    "credits": demo.CREDIT,
}
FAST = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -600000", "threads = 2",
        "temp_store = MEMORY")  # fmt: skip
# What hangs on calls and sessions; the dice are the last digits of their ids. ?1: now.
MORE = (
    "UPDATE calls SET updated_at = ended_at + rowid % 7, talk_ms = COALESCE(ended_at - answered_at, 0), "
    "ring_ms = COALESCE(answered_at, ended_at) - ringing_at, wait_ms = COALESCE(answered_at, ended_at) - arrived_at",
    "INSERT INTO recordings (call, state, file, bytes, millis, due_at, stage) SELECT id, 'ready', id || '.wav', 1, "
    "ended_at - answered_at, ended_at, 'kept' FROM calls WHERE answered_at IS NOT NULL",
    "INSERT INTO call_tags (call, tag, login, at) SELECT id, 'tag ' || (rowid % 40), 'bench', ended_at FROM calls "
    "WHERE rowid % 10 = 0",
    "INSERT INTO call_tags (call, tag, login, at) SELECT id, 'rare', 'bench', ended_at FROM calls WHERE rowid % 9973 = 0",
    "INSERT INTO call_notes (call, text, login, at) SELECT id, 'wants a quote', 'bench', ended_at FROM calls WHERE rowid % 30 = 0",
    "INSERT INTO call_scores (call, criterion, score, login, at) SELECT id, 'greeting', 1 + rowid % 5, 'bench', ended_at "
    "FROM calls WHERE outcome = 'answered' AND rowid % 50 = 0",
    "INSERT INTO model_calls (call, why, login, at) SELECT id, 'calm', 'bench', ended_at FROM calls WHERE rowid % 10007 = 0",
    "INSERT INTO missed_work (call, assignee, state, login, at) SELECT id, 'bench', CASE rowid % 3 WHEN 0 THEN '' WHEN 1 THEN "
    "'called_back' ELSE 'given_up' END, 'bench', ended_at + 600000 FROM calls WHERE outcome = 'missed' AND rowid % 2 = 0",
    "INSERT INTO outgoing (id, pbx, uniqueid, number, staff, callback, began_at, answered_at, ended_at, status) SELECT id, pbx, id, "
    "caller, '100', '', ended_at + 900000, ended_at + 910000, ended_at + 990000, 'ANSWER' FROM calls "
    "WHERE outcome = 'missed' AND caller <> '' AND rowid % 5 = 0",
    "INSERT INTO signals (id, session, number, kind, at) SELECT id, session, number, 'tapped', shown_at + 15000 FROM leases "
    "WHERE rowid % 20 = 0",
    "INSERT INTO facts (id, at, kind, subject, detail, once, call, data) SELECT id, ended_at, 'call.ended', id, '', "
    "id || ' call.ended', id, '{\"call\": \"' || id || '\"}' FROM calls WHERE ended_at > ?1 - 7776000000",
    "INSERT INTO outbox (id, fact, sink, via, addressee, lane, place, topic, state, written_at, due_at, claim, claimed_until, tries, "
    "settled_at, said, answer) SELECT id, id, 'crm', 'crm', '', call, at * 10, '', CASE WHEN rowid % 500 = 0 THEN 'failed' ELSE 'done' END, "
    "at, at, '', 0, 1, at, '', '200' FROM facts",
    "INSERT INTO report_hours (hour, changes, rolled) SELECT started_at - started_at % 3600000, 1, 0 FROM sessions "
    "UNION SELECT arrived_at - arrived_at % 3600000, 1, 0 FROM calls",
)


def kept(folder: Path, settings: config.Settings, calls: int, now: int, say: Callable[[str], None]) -> Path:
    """The file of this schema and size in `folder`; made if it is not there, in place of those of other schemas."""
    steps = migrate.read(files.folder("migrations"))
    schema = hashlib.sha256("".join(step.hash for step in steps).encode()).hexdigest()[:10]
    file = folder / f"bench-reports-{calls}-{schema}.db"
    if file.exists():
        say(
            f"{file} is there, {(time.time() - file.stat().st_mtime) / 3600:.1f} hours old; remove it to have it made anew"
        )
        return file
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"bench-reports-{calls}-*"):
        say(f"removing {old.name}: it has another schema, or was not made to the end")
        old.unlink()
    say(f"making {file}, some {calls * 6 // 1_000_000 + 1} GB")
    make(file, settings, calls, now, say)
    return file


def make(file: Path, settings: config.Settings, calls: int, now: int, say: Callable[[str], None]) -> None:
    """Fill `file`; it has its name only when all is in it."""
    part, began = file.with_suffix(".part"), time.monotonic()

    def took(what: str) -> None:
        say(f"{what} after {time.monotonic() - began:.0f} s")

    asyncio.run(_schema(part))
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        for pragma in FAST:
            connection.execute(f"PRAGMA {pragma}")
        later = _put_off(connection)
        connection.execute("BEGIN")
        done = 0
        for number, day in enumerate(_days(settings, calls, now), 1):
            _insert(connection, day)
            done += len(day.calls)
            if number % 146 == 0:
                took(f"{done} calls")
        for sql in MORE:
            connection.execute(sql, (now,) if "?1" in sql else ())
        connection.execute("COMMIT")
        took("all rows")
        for sql in later:
            connection.execute(sql)
    took("all indexes")
    asyncio.run(_roll(part, settings, now))
    took("all sums")
    part.rename(file)


def shops(settings: config.Settings, calls: int) -> list[Shop]:
    """A large site and a small one; the sizes that give `calls` calls and five times as many page views in a year."""
    base = shop_of(settings)
    a_day = calls / DAYS
    numbers = [f"+44207946{number:04}" for number in range(150)]
    people = [f"PJSIP/{number}" for number in range(100, 145)]
    lines = ["office", "sales", "workshop", "hire", "night", "returns", "trade", "vip"]
    large = replace(base, numbers=numbers, people=people, lines=lines, way={}, phones={}, variety=25)
    shares = {"demo": 0.9, "hire": 0.1}
    return [
        replace(large, site=site, sessions=2.6 * a_day * share, calls=1.13 * a_day * share)
        for site, share in shares.items()
    ]


def _days(settings: config.Settings, calls: int, now: int) -> Iterator[Day]:
    for seed, shop in enumerate(shops(settings, calls), 1):
        yield from days(shop, DAYS, now, seed)


def _insert(connection: sqlite3.Connection, day: Day) -> None:
    for name, sql in TABLES.items():
        connection.executemany(re.sub(r"\$(\d+)", r"?\1", sql), getattr(day, name))


def _put_off(connection: sqlite3.Connection) -> list[str]:
    """Drop indexes and triggers; what makes them again."""
    made = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type"
    ).fetchall()
    for kind, name, _ in made:
        connection.execute(f"DROP {kind} {name}")
    return [sql for _, _, sql in made]


async def _schema(file: Path) -> None:
    db = await sqlite.open(file)
    try:
        await migrate.migrate(db, migrate.read(files.folder("migrations")))
    finally:
        await db.close()


async def _roll(file: Path, settings: config.Settings, now: int) -> None:
    db = await sqlite.open(file)
    try:
        await db.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))
        await db.write(lambda tx: rollups.settle(tx, settings))
        while await rollups.roll(db, now):
            pass
    finally:
        await db.close()


async def checked(file: Path) -> None:
    """Raises RuntimeError if the file has not the schema of this ctserver."""
    db = await sqlite.open(file)
    try:
        await migrate.verify(db, migrate.read(files.folder("migrations")))
    except StorageError as error:
        raise RuntimeError(f"{file}: {error}\nname another --database, or none to have one made") from error
    finally:
        await db.close()
