"""What happened in each pool: showings, shortages, calls; and the answers made of it."""

from __future__ import annotations

from collections.abc import Sequence

from ctserver.domain.clock import HOUR_MS
from ctserver.storage.db import Database, Row, Transaction


def showings(tx: Transaction, pool: str, since: int) -> list[Row]:
    """Every showing since then: shown_at, seen_at, left_at, device, country."""
    return tx.fetch(
        """
        SELECT l.shown_at, l.seen_at, l.left_at, s.device, s.country FROM leases l JOIN sessions s ON s.id = l.session
        WHERE l.pool = $1 AND l.shown_at >= $2 ORDER BY l.shown_at LIMIT 200000
        """,
        (pool, since),
    )


async def shown_since(db: Database, pool: str, since: int, most: int) -> int:
    """How often a number of the pool was shown since then, counted up to `most`."""
    row = await db.one(
        "SELECT COUNT(*) AS n FROM (SELECT id FROM leases WHERE pool = $1 AND shown_at >= $2 LIMIT $3) AS found",
        (pool, since, most),
    )
    return int(row["n"]) if row else 0


async def calls_and_taps(db: Database, numbers: Sequence[str], since: int) -> tuple[int, int]:
    """(calls to these numbers since then, those that a tap explains)."""
    wanted = set(numbers)
    rows = await db.fetch(
        """
        WITH late AS MATERIALIZED (SELECT did, attribution FROM calls WHERE arrived_at >= $1)
        SELECT did, COUNT(*) AS calls, SUM(CASE WHEN attribution = 'tapped' THEN 1 ELSE 0 END) AS tapped
        FROM late GROUP BY did
        """,
        (since,),
    )
    ours = [row for row in rows if row["did"] in wanted]
    return sum(row["calls"] for row in ours), sum(row["tapped"] for row in ours)


async def by_hour(db: Database, pool: str, numbers: Sequence[str], since: int) -> dict[int, dict[str, float]]:
    """For each hour (its first millisecond): shown, exclusive, shared, overflowed, calls, named, confidence (sum)."""
    hours: dict[int, dict[str, float]] = {}
    for row in await db.fetch(
        """
        SELECT shown_at - shown_at % $3 AS hour, COUNT(*) AS shown,
               SUM(CASE WHEN how = 'free' THEN 1 ELSE 0 END) AS exclusive,
               SUM(CASE WHEN how = 'free' THEN 0 ELSE 1 END) AS shared
        FROM leases WHERE pool = $1 AND shown_at >= $2 GROUP BY 1
        """,
        (pool, since, HOUR_MS),
    ):
        hours[row["hour"]] = {name: row[name] for name in ("shown", "exclusive", "shared")}
    for row in await db.fetch(
        """
        SELECT at - at % $3 AS hour, COUNT(*) AS overflowed FROM shortages
        WHERE pool = $1 AND at >= $2 AND shown <> 'shared' GROUP BY 1
        """,
        (pool, since, HOUR_MS),
    ):
        hours.setdefault(row["hour"], {})["overflowed"] = row["overflowed"]
    wanted = set(numbers)
    for row in await db.fetch(
        """
        WITH late AS MATERIALIZED (SELECT did, arrived_at, session, confidence FROM calls WHERE arrived_at >= $1)
        SELECT did, arrived_at - arrived_at % $2 AS hour, COUNT(*) AS calls,
               SUM(CASE WHEN session <> '' THEN 1 ELSE 0 END) AS named, SUM(confidence) AS confidence
        FROM late GROUP BY 1, 2
        """,
        (since, HOUR_MS),
    ):
        if row["did"] in wanted:
            hour = hours.setdefault(row["hour"], {})
            for name in ("calls", "named", "confidence"):
                hour[name] = hour.get(name, 0) + row[name]
    return hours


def short_in_hour(tx: Transaction, pool: str, now: int) -> tuple[int, int]:
    """(visitors who wanted a number in the last hour, those who found none free)."""
    since = now - HOUR_MS
    free = tx.one("SELECT COUNT(*) AS n FROM leases WHERE pool = $1 AND shown_at >= $2 AND how = 'free'", (pool, since))
    short = tx.one("SELECT COUNT(*) AS n FROM shortages WHERE pool = $1 AND at >= $2", (pool, since))
    missed = int(short["n"]) if short else 0
    return (int(free["n"]) if free else 0) + missed, missed


async def latest_facts(db: Database, kind: str, since: int) -> dict[str, Row]:
    """The latest fact of this kind since then, by subject."""
    rows = await db.fetch("SELECT subject, at, data FROM facts WHERE kind = $1 AND at >= $2 ORDER BY at", (kind, since))
    return {row["subject"]: row for row in rows}


async def report(db: Database, pool: str) -> Row | None:
    """at and report (JSON) of the latest answer to "how many numbers"."""
    return await db.one("SELECT at, report FROM pool_reports WHERE pool = $1", (pool,))


def save_report(tx: Transaction, pool: str, at: int, report: str) -> None:
    tx.execute(
        """
        INSERT INTO pool_reports (pool, at, report) VALUES ($1, $2, $3)
        ON CONFLICT (pool) DO UPDATE SET at = $2, report = $3
        """,
        (pool, at, report),
    )
