"""Sums kept ready for reports: which are valid, which are to be made anew, and how they are put down.

The triggers of migration 0013 count each hour's changes, whoever makes them; an hour's sums are valid as long as the count is
the one they were made at, and those of longer spans as long as the sum of their hours' counts is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from ctserver import ids
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import FIRST, Ready, Span, Sums, add, day_start, next_season, nothing, season_of, spans_of
from ctserver.storage.db import Database, Transaction
from ctserver.storage.reports import Values


def valid(tx: Transaction, span: Span) -> Ready:
    """What of a span is summed, and has not changed since."""
    around = season_of(span[0]), next_season(season_of(span[1]))
    changes: dict[tuple[str, int], int] = {}
    for row in tx.fetch(_CHANGES_OF_DAYS, around):
        for longer in spans_of(row["day"]):
            changes[longer] = changes.get(longer, 0) + row["changes"]
    found: dict[str, set[int]] = {kind: set() for kind in FIRST}
    for row in tx.fetch("SELECT span, start, changes FROM report_spans WHERE start >= $1 AND start < $2", around):
        if changes.get((row["span"], row["start"]), 0) == row["changes"]:
            found[row["span"]].add(row["start"])
    return Ready(found["day"], found["week"], found["month"], found["season"], _hours(tx, span, found["day"]))


_CHANGES_OF_DAYS = """
    SELECT hour - hour % 86400000 AS day, SUM(changes) AS changes FROM report_hours WHERE hour >= $1 AND hour < $2 GROUP BY 1
"""


def _hours(tx: Transaction, span: Span, days: Collection[int]) -> set[int]:
    """The hours whose sums are valid, of the days at both ends of a span and of those in it that are not valid."""
    first, last = day_start(span[0]), day_start(span[1])
    found: set[int] = set()
    for day in range(first, last + 1, DAY_MS):
        if day in (first, last) or day not in days:
            found.update(range(day, day + DAY_MS, HOUR_MS))
    sql = "SELECT hour FROM report_hours WHERE changes <> rolled AND hour >= $1 AND hour < $2"
    return found.difference(row["hour"] for row in tx.fetch(sql, (first, last + DAY_MS)))


def first_hour(tx: Transaction) -> int | None:
    """The day of the first hour in which anything happened, whether or not that was removed since."""
    row = tx.one("SELECT hour FROM report_hours ORDER BY hour LIMIT 1")
    return day_start(row["hour"]) if row else None


def stale(tx: Transaction, until: int) -> Span | None:
    """Of the latest day with hours that are over by then and whose sums are not valid: from the first of them to the last."""
    sql = "SELECT MIN(hour) AS first, MAX(hour) AS last FROM report_hours WHERE changes <> rolled AND hour >= $1 AND hour <= $2"
    last = until - HOUR_MS
    row = tx.one(
        "SELECT hour FROM report_hours WHERE changes <> rolled AND hour <= $1 ORDER BY hour DESC LIMIT 1", (last,)
    )
    row = tx.one(sql, (day_start(row["hour"]), row["hour"])) if row else None
    return (row["first"], row["last"] + HOUR_MS) if row else None


async def stale_hours(db: Database, span: Span) -> int:
    """How many hours of a span have no valid sums."""
    sql = "SELECT COUNT(*) AS n FROM report_hours WHERE changes <> rolled AND hour >= $1 AND hour < $2"
    row = await db.one(sql, span)
    return int(row["n"]) if row else 0


def changes_of(tx: Transaction, span: Span) -> dict[int, int]:
    """The changes so far of each hour in which something happened."""
    sql = "SELECT hour, changes FROM report_hours WHERE hour >= $1 AND hour < $2"
    return {row["hour"]: row["changes"] for row in tx.fetch(sql, span)}


def sessions_in(tx: Transaction, span: Span) -> int:
    """How many began in a span."""
    row = tx.one(
        "SELECT COUNT(*) AS n FROM sessions WHERE id >= $1 AND id < $2", (ids.first(span[0]), ids.first(span[1]))
    )
    return int(row["n"]) if row else 0


def put_hours(tx: Transaction, dimension: str, span: Span, hours: Mapping[int, Values]) -> None:
    """Sums of the hours of a span by one dimension, in place of older ones."""
    tx.execute("DELETE FROM hour_values WHERE dimension = $1 AND start >= $2 AND start < $3", (dimension, *span))
    for start, values in hours.items():
        of_sites: dict[str, dict[str, Sums]] = {}
        for (site, value), sums in values.items():
            of_sites.setdefault(site, {})[value] = _short(sums)
        text = json.dumps(of_sites, ensure_ascii=False, separators=(",", ":"))
        sql = "INSERT INTO hour_values (dimension, start, sums) VALUES ($1, $2, $3)"
        tx.later(sql, f"{dimension}\0{start}", (dimension, start, text))


def _short(sums: Sums) -> Sums:
    """Without the zeros at the end."""
    length = len(sums)
    while length and not sums[length - 1]:
        length -= 1
    return sums[:length]


def put(tx: Transaction, dimension: str, kind: str, start: int, values: Values) -> None:
    """Sums of one day, week, month or season by one dimension, in place of older ones."""
    tx.execute("DELETE FROM rollups WHERE dimension = $1 AND span = $2 AND start = $3", (dimension, kind, start))
    for (site, value), sums in values.items():
        tx.later(
            """
            INSERT INTO rollups (dimension, span, start, site, value, sessions, calls, answered, missed, targets, newcomers,
                                 talk_ms, ring_ms, deals, revenue)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            """,
            f"{dimension}\0{kind}\0{start}\0{site}\0{value}",
            (dimension, kind, start, site, value, *sums),
        )


def put_quarters(tx: Transaction, span: Span, quarters: Mapping[int, Values]) -> None:
    """The sums of the quarters of the hours of a span (as of CLOCK) and of these hours, in place of older ones."""
    tx.execute("DELETE FROM quarters WHERE start >= $1 AND start < $2", span)
    tx.execute("DELETE FROM hours WHERE start >= $1 AND start < $2", span)
    for hour, values in quarters.items():
        sites: dict[str, Sums] = {}
        for (site, start), sums in values.items():
            add(sites.setdefault(site, nothing()), sums)
            tx.later(_PUT_QUARTER, f"{start}\0{site}", (int(start), site, *sums))
        for site, sums in sites.items():
            tx.later(_PUT_HOUR, f"{hour}\0{site}", (hour, site, *sums))


_PUT_HOUR = """
    INSERT INTO hours (start, site, sessions, calls, answered, missed, targets, newcomers, talk_ms, ring_ms, deals, revenue)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_PUT_QUARTER = _PUT_HOUR.replace("INTO hours", "INTO quarters")


def hours_are_ready(tx: Transaction, changes: Mapping[int, int]) -> None:
    """Each hour's sums are those of this count of changes; if there were more meanwhile, they are not valid."""
    for hour, count in changes.items():
        tx.execute("UPDATE report_hours SET rolled = $2 WHERE hour = $1", (hour, count))


def span_is_ready(tx: Transaction, kind: str, start: int, changes: int) -> None:
    """As `hours_are_ready`, for a day, a week, a month or a season and the sum of its hours' changes."""
    tx.execute(
        """
        INSERT INTO report_spans (span, start, changes) VALUES ($1, $2, $3)
        ON CONFLICT (span, start) DO UPDATE SET changes = $3
        """,
        (kind, start, changes),
    )


def settle_rules(tx: Transaction, rules: Mapping[str, tuple[int, int, int]]) -> bool:
    """What counts as a target call: site -> (answered, talk_ms, first_ms). Another rule makes all sums be made again."""
    rows = tx.fetch("SELECT site, answered, talk_ms, first_ms FROM target_rules")
    if {row["site"]: tuple(row)[1:] for row in rows} == dict(rules):
        return False
    tx.execute("DELETE FROM target_rules")
    for site, rule in rules.items():
        tx.execute(
            "INSERT INTO target_rules (site, answered, talk_ms, first_ms) VALUES ($1, $2, $3, $4)", (site, *rule)
        )
    tx.execute("UPDATE report_hours SET changes = changes + 1")
    return True
