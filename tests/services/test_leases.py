"""The laws of leases, for any order of visits, signals, closed pages, restarts and times: on a real database."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ctserver import files
from ctserver.config import Settings
from ctserver.domain.model import Source
from ctserver.services import visits
from ctserver.services.visits import Note, PageView
from ctserver.storage import migrate, sqlite
from ctserver.storage.db import Transaction
from ctserver.storage.present import pool_now
from ctserver.storage.sqlite import Sqlite

POOL = ("+442079460101", "+442079460102", "+442079460103")
HOLD_MS = 30 * 60_000
RELEASE_MS = 3 * 60_000
HELD_TWICE = """
    SELECT number FROM leases WHERE until > $1 AND how <> 'shared' GROUP BY number HAVING COUNT(DISTINCT session) > 1
"""
SOURCES = [Source("cpc", "google", "spring"), Source("email", "newsletter", "may")]

step = st.tuples(
    st.integers(0, 9),  # which visitor
    st.sampled_from(
        ["view", "view", "campaign", "campaign", "beat", "tapped", "left", "left", "lost beacon", "restart"]
    ),
    st.sampled_from([0, 1, 1_000, 1_000, 60_000, 4 * 60_000, 31 * 60_000]),
)


@dataclass
class Person:
    """What one browser knows, and until when its number is certainly its own."""

    visitor: str = ""
    session: str = ""
    number: str = ""
    campaign: int = 0
    sure_until: int = 0


@dataclass
class Site:
    db: Sqlite
    settings: Settings
    now: int
    people: list[Person] = field(default_factory=lambda: [Person() for _ in range(10)])

    async def step(self, who: int, action: str, after: int) -> None:
        self.now += after
        person = self.people[who]
        if action == "restart":
            await self.db.write(lambda tx: tx.memory.clear())
        elif action in ("view", "campaign"):
            person.campaign ^= action == "campaign"
            await self._view(person)
        elif person.session and action != "lost beacon":
            await visits.note(self.db, self.settings, Note(person.visitor, person.session, action), self.now)
            held = person.sure_until > self.now
            if action == "left":
                person.sure_until = min(person.sure_until, self.now + RELEASE_MS)
            elif held:
                person.sure_until = self.now + HOLD_MS

    async def _view(self, person: Person) -> None:
        view = PageView(
            "shop", person.visitor, "https://shop.example/", "", "", ("main",), source=SOURCES[person.campaign]
        )
        held = await self.db.fetch("SELECT id, number, session FROM leases WHERE until > $1", (self.now,))
        shown = await visits.record(self.db, self.settings, [], view, self.now)
        number = shown.numbers["main"]
        if shown.session == person.session and person.sure_until > self.now:
            assert number == person.number, "within its time a session keeps its number"
        latest = await self.db.one(
            "SELECT id, how FROM leases WHERE session = $1 AND number = $2 ORDER BY id DESC LIMIT 1",
            (shown.session, number),
        )
        assert latest is not None
        others = {row["session"] for row in held if row["number"] == number} - {shown.session}
        if latest["how"] == "free" and latest["id"] not in {row["id"] for row in held}:
            assert not others, "a number given as free is held by nobody else"
        person.visitor, person.session, person.number = shown.visitor, shown.session, number
        person.sure_until = self.now + HOLD_MS


def remembered(tx: Transaction) -> tuple[object, object]:
    """The state of the pool as the writer remembers it, and as the tables say."""
    memory = pool_now(tx, "small").states(POOL)
    tx.memory.clear()
    return memory, pool_now(tx, "small").states(POOL)


@given(st.lists(step, min_size=1, max_size=40))
@hypothesis_settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_leases_keep_their_laws_in_any_order_of_events(settings: Settings, steps: list[tuple[int, str, int]]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            db = await sqlite.open(Path(folder) / "leases.db")
            try:
                await migrate.migrate(db, migrate.read(files.folder("migrations")))
                site = Site(db, settings, 1_800_000_000_000)
                for who, action, after in steps:
                    await site.step(who, action, after)
                    assert await db.fetch(HELD_TWICE, (site.now,)) == [], "a number is nobody's alone twice"
                memory, tables = await db.write(remembered)
                assert memory == tables
            finally:
                await db.close()

    asyncio.run(live())
