"""A year of two busy sites in one SQLite file: a million calls and five million page views, made in a few minutes.

Indexes and triggers are made when the rows are in; the sums that reports use are then made as the server makes them.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ctserver import config, files
from ctserver.services import reports
from ctserver.services.demo import Day, Shop, shop_of
from ctserver.services.demo.write import days
from ctserver.storage import demo, migrate, sqlite

DAYS = 365
TABLES = {
    "sessions": demo.SESSION,
    "visits": demo.VISIT,
    "leases": demo.LEASE,
    "calls": demo.CALL,
    "credits": demo.CREDIT,
}
READY = "INSERT INTO recordings (call, state, file, bytes, millis, due_at) VALUES (?, 'ready', ?, 1, 1, ?)"


def shops(settings: config.Settings, calls: int) -> list[Shop]:
    """A large site and a small one; the sizes that give `calls` calls and five times as many page views in a year."""
    base = shop_of(settings)
    a_day = calls / DAYS
    numbers = [f"+44207946{number:04}" for number in range(150)]
    people = [f"PJSIP/{number}" for number in range(100, 145)]
    lines = ["office", "sales", "workshop", "hire", "night", "returns", "trade", "vip"]
    large = replace(base, numbers=numbers, people=people, lines=lines, variety=25)
    shares = {"demo": 0.9, "hire": 0.1}
    return [
        replace(large, site=site, sessions=2.6 * a_day * share, calls=1.13 * a_day * share)
        for site, share in shares.items()
    ]


def make(file: Path, settings: config.Settings, calls: int, now: int, say: Callable[[str], None]) -> None:
    """Fill `file`, which must not exist."""
    asyncio.run(_schema(file))
    began = time.monotonic()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        later = _put_off(connection)
        connection.execute("BEGIN")
        done = 0
        for number, day in enumerate(_days(settings, calls, now), 1):
            _insert(connection, day)
            done += len(day.calls)
            if number % 146 == 0:
                say(f"{done} calls after {time.monotonic() - began:.0f} s")
        connection.execute("COMMIT")
        for sql in later:
            connection.execute(sql)
        connection.execute(
            "INSERT INTO report_days (day, changes, rolled) "
            "SELECT DISTINCT started_at - started_at % 86400000, 1, 0 FROM sessions"
        )
    say(f"{done} calls and all indexes after {time.monotonic() - began:.0f} s; now the sums")
    asyncio.run(_roll(file, settings, now))
    say(f"all in {time.monotonic() - began:.0f} s")


def _days(settings: config.Settings, calls: int, now: int) -> Iterator[Day]:
    for seed, shop in enumerate(shops(settings, calls), 1):
        yield from days(shop, DAYS, now, seed)


def _insert(connection: sqlite3.Connection, day: Day) -> None:
    for name, sql in TABLES.items():
        connection.executemany(re.sub(r"\$(\d+)", r"?\1", sql), getattr(day, name))
    answered = [(row[0], f"{row[0]}.wav", row[15]) for row in day.calls if row[14] is not None]
    connection.executemany(READY, answered)


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
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    await db.close()


async def _roll(file: Path, settings: config.Settings, now: int) -> None:
    db = await sqlite.open(file)
    await db.write(lambda tx: reports.settle(tx, settings))
    while await reports.roll(db, now):
        pass
    await db.close()
