"""How a pool does, how many numbers it takes, and telling a person when it runs short."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from ctserver.config import Settings
from ctserver.domain.clock import DAY_MS, MINUTE_MS
from ctserver.domain.delay import STALE_MS
from ctserver.domain.fact import PoolShort, pool_short
from ctserver.services.facts import Facts
from ctserver.services.simulation import PoolSize, Recorded, pool_size
from ctserver.storage import outbox, pools
from ctserver.storage.db import Database, Row, Transaction

LOOK_BACK_DAYS = 14
REPORT_EVERY_MS = DAY_MS
ENOUGH = 50  # showings; fewer say nothing of a site's days. Ours.


@dataclass(frozen=True, slots=True)
class Question:
    """What `pool_size` is asked about a pool; plain values, so that another process can answer."""

    showings: tuple[Recorded, ...]
    days: float
    numbers: int
    hold_ms: int
    calls: int
    tapped: int

    def answer(self) -> PoolSize:
        """Takes seconds of computing."""
        near = sorted({max(1, self.numbers + step) for step in (-3, -2, -1, 0, 1, 2, 4, 8)})
        return pool_size(
            self.showings,
            self.days,
            self.numbers,
            hold_ms=self.hold_ms,
            calls=self.calls,
            tapped=self.tapped,
            sizes=near,
        )


async def question(db: Database, settings: Settings, pool: str, now: int) -> Question:
    """The pool's own traffic of the last two weeks."""
    since = now - LOOK_BACK_DAYS * DAY_MS
    showings = await db.read(lambda tx: tuple(recorded(row) for row in pools.showings(tx, pool, since)))
    held = settings.pools[pool]
    calls, tapped = await pools.calls_and_taps(db, held.numbers, since)
    days = max(1.0, (now - showings[0].shown_at) / DAY_MS) if showings else 1.0
    return Question(showings, days, len(held.numbers), held.hold_minutes * MINUTE_MS, calls, tapped)


def recorded(row: Row) -> Recorded:
    """A showing as the simulation reads it; without a farewell the page was open until it went silent."""
    until = row["left_at"] if row["left_at"] is not None else row["seen_at"] + STALE_MS
    return Recorded(row["shown_at"], max(0, until - row["shown_at"]), row["device"], row["country"])


async def refresh_reports(
    db: Database, settings: Settings, now: int, compute: Callable[[Question], Awaitable[PoolSize]]
) -> int:
    """Answer anew for pools whose answer is a day old; `compute` does the heavy part elsewhere. Returns how many."""
    done = 0
    for pool in settings.pools:
        latest = await pools.report(db, pool)
        if latest is not None and now - latest["at"] < REPORT_EVERY_MS:
            continue
        asked = await question(db, settings, pool, now)
        if len(asked.showings) < ENOUGH:
            continue
        text = json.dumps(plain(await compute(asked)))
        await db.write(lambda tx, pool=pool, text=text: pools.save_report(tx, pool, now, text))  # type: ignore[misc]
        done += 1
    return done


def plain(size: PoolSize) -> dict[str, Any]:
    """The answer as JSON has it."""
    return {
        "visitors_a_day": size.visitors_a_day,
        "busiest_hour": size.busiest_hour,
        "peak": size.peak,
        "rule_of_thumb": size.rule_of_thumb,
        "exclusive": {str(share): numbers for share, numbers in size.exclusive.items()},
        "simulated": [asdict(result) for result in size.simulated],
        "numbers": size.numbers,
        "one_more": size.one_more,
    }


async def watch(db: Database, settings: Settings, now: int, facts: Facts | None = None) -> list[PoolShort]:
    """Record a fact for every pool that has been short for an hour; returns the new ones."""
    recorder = facts or Facts(settings)

    def unit(tx: Transaction) -> list[PoolShort]:
        found = []
        for pool in settings.pools:
            showings, short = pools.short_in_hour(tx, pool, now)
            fact = pool_short(pool, now, showings, short, outbox.last_fact(tx, "pool_short", pool))
            if fact:
                recorder.record(tx, fact.fact(), now)
                found.append(fact)
        return found

    short = await db.write(unit)
    recorder.wake()
    return short
