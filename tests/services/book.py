"""A shop of some weeks with its sums, and a book in which everything in its database is counted row by row."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ctserver.config import Settings
from ctserver.domain import clock, report
from ctserver.domain.clock import DAY_MS
from ctserver.domain.report import DIMENSIONS, MEASURES
from ctserver.domain.rights import Scope
from ctserver.services import reports, rollups
from ctserver.services.demo import shop_of
from ctserver.services.demo.write import days
from ctserver.services.reports import Question
from ctserver.storage import demo
from ctserver.storage import rollups as storage
from ctserver.storage.sqlite import Sqlite

NOW = 1_793_600_000_000
COUNT = 75
ZONES = ["Europe/London", "Asia/Kathmandu", "America/St_Johns", "Europe/Moscow"]


async def summed_shop(db: Sqlite, settings: Settings) -> Sqlite:
    """Some weeks of a shop where little happens, all of it summed."""
    small = replace(shop_of(settings), sessions=5, calls=4)
    for place, site in enumerate(("shop", "other")):
        for day in days(replace(small, site=site), COUNT, NOW, seed=place):
            await db.write(lambda tx, day=day: _insert(tx, day))
    await db.write(lambda tx: rollups.settle(tx, settings))
    await roll(db)
    return db


def _insert(tx: Any, day: Any) -> None:
    demo.insert(tx, demo.SESSION, day.sessions)
    demo.insert(tx, demo.CALL, day.calls)


async def ready(db: Sqlite, span: report.Span = (NOW - COUNT * DAY_MS, NOW)) -> report.Ready:
    return await db.read(lambda tx: storage.valid(tx, span))


async def roll(db: Sqlite, times: int = 1000) -> int:
    done = 0
    while done < times and await rollups.roll(db, NOW):
        done += 1
    return done


# ---- the plain count


def of(site: str, *lines: str) -> Scope:
    return Scope(frozenset([site]) if site else None, frozenset(lines) if lines else None)


RULE = (1, 30_000, 0)  # answered, talk, first


def plain(call: Any, all_calls: list[Any], rule: tuple[int, int, int]) -> dict[str, int]:
    """What reports count of one call, said in another way."""
    earlier = [
        call["arrived_at"] - other["arrived_at"]
        for other in all_calls
        if call["caller"] and (other["caller"], other["site"]) == (call["caller"], call["site"])
    ]
    gaps = [gap for gap in earlier if gap > 0]
    talk = call["ended_at"] - call["answered_at"] if call["answered_at"] else 0
    answered, least, within = rule
    target = (call["answered_at"] or not (answered or least)) and talk >= least
    if within and any(gap <= within for gap in gaps):
        target = False
    return {
        "sessions": 0,
        "calls": 1,
        "answered": int(call["answered_at"] is not None),
        "missed": int(call["outcome"] == "missed"),
        "targets": int(bool(target)),
        "newcomers": int(not gaps),
        "talk_ms": talk,
        "ring_ms": (call["answered_at"] or call["ended_at"]) - call["ringing_at"] if call["ringing_at"] else 0,
        "deals": int(call["value"] is not None),
        "revenue": call["value"] or 0,
    }


def value_of(dimension: str, row: Any, session: Any) -> str:
    """`row` is a call or a session, `session` the session of it."""
    label = f"{row['source']} / {row['medium']}" if row["medium"] not in ("", "(none)") else row["source"]
    place = session and (f"{session['region']}, {session['country']}" if session["region"] else session["country"])
    landing = session["landing_url"].split("?")[0].removeprefix("https://").rstrip("/") if session else ""
    known = {
        "channel": row["source_channel"] if "source_channel" in row else row["channel"],
        "source": label,
        "campaign": row["campaign"],
        "keyword": row["term"],
        "ad": row["content"],
        "landing": landing,
        "region": place or "",
        "device": session["device"] if session else "",
        "person": re.sub(r"^PJSIP/|-[0-9a-f]{8}$", "", row.get("answered_by", "")),
    }
    return known[dimension] if dimension in known else row[COLUMNS[dimension]]


COLUMNS = {"number": "did", "line": "line", "category": "category"}


class Book:
    """Everything in the database, counted row by row."""

    def __init__(self, calls: list[Any], sessions: list[Any], rule: tuple[int, int, int]) -> None:
        self.calls = [dict(row) for row in calls]
        self.sessions = {row["id"]: dict(row) for row in sessions}
        self.measured = [(call, plain(call, self.calls, rule)) for call in self.calls]

    @classmethod
    async def read(cls, db: Sqlite, rule: tuple[int, int, int] = RULE) -> Book:
        return cls(await db.fetch("SELECT * FROM calls"), await db.fetch("SELECT * FROM sessions"), rule)

    def by(self, dimension: str, span: tuple[int, int], site: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for call, measures in self.measured:
            if span[0] <= call["arrived_at"] < span[1] and site in ("", call["site"]):
                value = value_of(dimension, call, self.sessions.get(call["session"]))
                report.add(found.setdefault(value, report.nothing()), [measures[name] for name in MEASURES])
        for session in self.sessions.values():
            inside = span[0] <= session["started_at"] < span[1] and site in ("", session["site"])
            if dimension in report.OF_VISITORS and inside:
                found.setdefault(value_of(dimension, session, session), report.nothing())[0] += 1
        return found

    def slots(self, span: tuple[int, int], starts: list[int], site: str) -> list[list[int]]:
        found = [report.nothing() for _ in starts]
        rows = [(call["arrived_at"], call["site"], [m[name] for name in MEASURES]) for call, m in self.measured]
        one = [1, *report.nothing()[1:]]
        rows += [(session["started_at"], session["site"], one) for session in self.sessions.values()]
        for at, place, sums in rows:
            if span[0] <= at < span[1] and site in ("", place):
                report.add(found[max(i for i, start in enumerate(starts) if start <= at)], sums)
        return found


async def compare(db: Sqlite, dice: random.Random, rule: tuple[int, int, int] = RULE) -> None:
    """A few questions at random."""
    book = await Book.read(db, rule)
    for _ in range(6):
        zone = ZoneInfo(dice.choice(ZONES))
        first = clock.day_of(NOW, zone) - timedelta(days=dice.randrange(1, COUNT))
        until = clock.midnight(first + timedelta(days=dice.randrange(1, COUNT)), zone)
        part = dice.choice((0, 0, 12_345_678, dice.randrange(DAY_MS)))  # a part of a day, as Overview asks
        span = (clock.midnight(first, zone), until - part)
        by, site = dice.choice(DIMENSIONS), dice.choice(["", "shop", "other"])
        unit = dice.choice(report.UNITS)
        found = await reports.ask(db, Question(by, span, unit, zone, of(site)))
        assert {line.value: line.sums for line in found.lines} == book.by(by, span, site), (by, span, site)
        assert [sums for _, sums in found.series] == book.slots(span, [at for at, _ in found.series], site)
        if by in report.OF_VISITORS:
            total = report.nothing()
            for line in found.lines:
                report.add(total, line.sums)
            assert total == found.total
