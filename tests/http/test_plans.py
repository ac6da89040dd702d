"""Every page, list and piece of upkeep finds what it shows by an index: nothing walks through all calls, visits or whatever else
grows with the years. SQLite plans without statistics as it does for a million calls, so a few calls are enough to see it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ctserver import ids
from ctserver.domain.events import Arrived, CallerHungUp
from ctserver.services import digest, pools, rollups
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.demo import shop_of
from ctserver.services.demo.write import days
from ctserver.services.facts import Facts
from ctserver.services.watch import Watch
from ctserver.storage import calls, demo, outbox, recordings
from ctserver.storage.db import Row, Transaction, Value
from ctserver.storage.sqlite import Sqlite

T = TypeVar("T")
DAY_MS = 86_400_000
GROWING = {
    "calls", "legs", "steps", "credits", "recordings", "sessions", "visits", "leases", "signals", "shortages", "facts", "outbox",
    "tries", "audit", "call_tags", "call_notes", "call_scores", "missed_work", "outgoing", "callbacks", "rollups", "quarters", "hours", "hour_values",
}  # fmt: skip
COUNTS_ALL = {
    "SELECT tag, COUNT(*) AS calls FROM call_tags WHERE $1 = $2": "how often each tag is used: a list by itself",
    "tag FROM call_tags ORDER BY call DESC LIMIT 5000)": "the latest few thousand",
    "SELECT (SELECT COUNT(*) FROM calls) AS calls": "what the page System says of the file; a long read",
    "SELECT via, state, COUNT(*) AS n FROM outbox GROUP BY via, state": "by an index that holds it all, kept for 90 days",
}

JOURNAL = ["", "from=2023-11-01", "to=2023-11-02", "from=2023-11-01&to=2023-11-02", "period=30d", "site=shop", "channel=direct",
           "source=google", "source=google+/+cpc", "source=-", "campaign=brand", "keyword=-", "number=%2B442079460101", "line=office",
           "person=x", "outcome=missed", "reason=busy", "category=order", "ad=x", "landing=a.example/b", "region=GB", "device=phone", "tag=vip", "talk_min=60", "talk_max=5", "caller=new",
           "caller=repeat", "target=yes", "target=no", "sure=90", "unsure=10", "q=google", "q=%2B447700900123", "q=900123",
           "before=7", "outcome=missed&before=7"]  # fmt: skip
BY = ("channel", "source", "campaign", "keyword", "ad", "landing", "region", "device", "number", "line", "person", "category",
      "time", "hours")  # fmt: skip
PAGES = [
    "/", "/live", "/missed", "/missed?days=30&show=done", "/visitors", "/visitors?called=1", "/visitors?site=shop&q=google",
    *(f"/quality?queue={queue}" for queue in ("long", "short", "missed", "low", "rated", "models")), "/pools", "/numbers",
    "/deliveries", "/deliveries?state=failed", "/deliveries?state=done", "/audit", "/system", "/calls/suggest",
    *(f"/calls?{query}" for query in JOURNAL),
    *(f"/reports?by={by}&period={period}&compare=previous" for by in BY for period in ("today", "12m")),
    *(f"/reports?by=campaign&period={period}&{query}" for query in JOURNAL[5:] for period in ("today", "12m")),
    "/calls/export.csv", "/calls/export.ndjson?outcome=missed",
]  # fmt: skip
LISTS = [
    "/api/v1/calls", "/api/v1/calls?outcome=missed", "/api/v1/calls?updated_after=2023-01-01T00:00:00Z",
    *(f"/api/v1/calls?{name}=x" for name in ("did", "caller", "source", "campaign", "site", "line")),
    "/api/v1/sessions", "/api/v1/sessions?visitor=x", "/api/v1/sessions?site=shop", "/api/v1/visitors", "/api/v1/visitors?cursor=7",
    "/api/v1/tags", "/api/v1/feeds/calls.json", "/api/v1/feeds/calls.csv", "/odata/v4/Calls", "/metrics",
    "/api/v1/numbers", "/api/v1/pools", "/api/v1/reports?by=source&since=2023-11-01T00:00:00Z",
]  # fmt: skip


class Noted:
    """A transaction that notes what it is asked."""

    def __init__(self, tx: Transaction, asked: dict[str, Sequence[Value]]) -> None:
        self._tx, self._asked = tx, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def execute(self, sql: str, values: Sequence[Value] = ()) -> int:
        self._asked[sql] = values
        return self._tx.execute(sql, values)

    def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        self._asked[sql] = values
        return self._tx.fetch(sql, values)

    def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        self._asked[sql] = values
        return self._tx.one(sql, values)


class Watched:
    """A database that notes what it is asked."""

    def __init__(self, db: Sqlite) -> None:
        self._db = db
        self.asked: dict[str, Sequence[Value]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def fetch(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        self.asked[sql] = values
        return await self._db.fetch(sql, values)

    async def one(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        self.asked[sql] = values
        return await self._db.one(sql, values)

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        return await self._db.read(lambda tx: unit(Noted(tx, self.asked)))

    def write(self, unit: Callable[[Transaction], T]) -> asyncio.Future[T]:
        return self._db.write(lambda tx: unit(Noted(tx, self.asked)))


@pytest.fixture
async def db(db: Sqlite) -> Any:
    return Watched(db)


@pytest.fixture
def scans(db: Any, tmp_path: Path) -> Callable[[], list[str]]:
    """What was asked since the last time and walks through a table that grows."""

    def found() -> list[str]:
        wrong = []
        with closing(sqlite3.connect(tmp_path / "ctserver.db")) as connection:
            for sql, values in db.asked.items():
                wrong += [f"{line}: {' '.join(sql.split())}" for line in _walks(connection, sql, values)]
        db.asked.clear()
        return wrong

    return found


def _walks(connection: sqlite3.Connection, sql: str, values: Sequence[Value]) -> list[str]:
    text = " ".join(sql.split())
    if any(allowed in text for allowed in COUNTS_ALL) or re.search(r" FROM \w+ ORDER BY [\w, ]+ LIMIT 1$", text):
        return []  # the first or last of an index is no walk
    names = dict(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)\s+(?:AS\s+)?(\w+)", sql))
    aliases = {alias: table for table, alias in names.items()}
    plan = connection.execute("EXPLAIN QUERY PLAN " + re.sub(r"\$(\d+)", r"?\1", sql), values).fetchall()
    lines = [row[3] for row in plan if row[3].startswith("SCAN ")]
    return [line for line in lines if {line.split()[1], aliases.get(line.split()[1])} & GROWING]


async def _a_day(db: Any, settings: Any, now: int) -> None:
    small = replace(shop_of(settings), sessions=40, calls=12)
    for day in days(small, 2, now):

        def unit(tx: Transaction, day: Any = day) -> None:
            for sql, rows in ((demo.SESSION, day.sessions), (demo.VISIT, day.visits), (demo.LEASE, day.leases),
                              (demo.CALL, day.calls), (demo.LEG, day.legs), (demo.CREDIT, day.credits)):  # fmt: skip
                demo.insert(tx, sql, rows)

        await db.write(unit)
    await db.write(lambda tx: rollups.settle(tx, settings))


async def test_the_check_sees_a_walk_through_all_calls(alice: Any, db: Any, scans: Any) -> None:
    scans()
    await db.fetch("SELECT c.did, COUNT(*) FROM calls c WHERE c.arrived_at > $1 GROUP BY c.did", (1,))
    await db.fetch("SELECT * FROM visits WHERE title = $1", ("x",))
    assert [line.split(":")[0] for line in scans()] == ["SCAN c USING INDEX calls_did", "SCAN visits"]


async def test_no_page_walks_through_what_grows(alice: Any, db: Any, scans: Any, settings: Any, now: int) -> None:
    await _a_day(db, settings, now)
    while await rollups.roll(db, now):
        pass
    call = await db.one("SELECT id, session FROM calls WHERE session <> '' ORDER BY id DESC LIMIT 1")
    visitor = await db.one("SELECT visitor FROM sessions WHERE id = $1", (call["session"],))
    scans()
    wrong = []
    for path in [*PAGES, *LISTS, f"/calls/{call['id']}", f"/visitors/{call['session']}", f"/api/v1/calls/{call['id']}",
                 f"/api/v1/visitors/{visitor['visitor']}"]:  # fmt: skip
        response = await alice.get(path)
        assert response.status == 200, path
        await response.read()
        wrong += [f"{path}: {walk}" for walk in scans()]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "part", "searched"),
    [
        ("/reports?by=keyword&period=12m", "FROM spans p", "r USING PRIMARY KEY (dimension=? AND span=? AND start>? AND start<?)"),
        ("/reports?by=time&period=12m", "FROM hours", "hours USING PRIMARY KEY (start>? AND start<?)"),
        ("/reports?by=landing&period=30d", "FROM hour_values", "hour_values USING PRIMARY KEY (dimension=? AND start>? AND start<?)"),
        ("/live", "ORDER BY id DESC LIMIT $3", "leases USING COVERING INDEX sqlite_autoindex_leases_1 (id>?)"),
    ],
)  # fmt: skip
async def test_what_is_read_is_bounded(
    alice: Any, db: Any, tmp_path: Path, settings: Any, now: int, path: str, part: str, searched: str
) -> None:
    await _a_day(db, settings, now)
    while await rollups.roll(db, now):
        pass
    assert (await alice.get(path)).status == 200
    sql, values = next((sql, values) for sql, values in db.asked.items() if part in sql)
    with closing(sqlite3.connect(tmp_path / "ctserver.db")) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN " + re.sub(r"\$(\d+)", r"?\1", sql), values).fetchall()
    assert f"SEARCH {searched}" in [row[3] for row in plan]


async def test_no_upkeep_walks_through_what_grows(site: Any, db: Any, scans: Any, settings: Any, now: int) -> None:
    await _a_day(db, settings, now)
    told = Facts(settings)
    scans()
    while await rollups.roll(db, now):
        pass
    await (await Attributor.load(db, settings)).learn(db, now)
    await Watch(db, settings, told).look({}, now)
    await digest.of_days(db, settings, date(2023, 11, 13), date(2023, 11, 14))
    await pools.watch(db, settings, now, told)
    await pools.question(db, settings, "small", now)
    await calls.open_calls(db, "pbx")
    await recordings.lately(db, now - DAY_MS)
    await recordings.to_keep(db, now)
    await db.write(lambda tx: outbox.forget(tx, now))
    await db.write(lambda tx: outbox.release(tx, now))
    assert not scans()


async def test_a_visit_and_a_call_walk_through_nothing(site: Any, db: Any, scans: Any, settings: Any, now: int) -> None:
    await _a_day(db, settings, now)
    scans()
    body = '{"s": "shop", "v": "", "u": "https://shop.example/", "r": "", "t": "", "n": ["main"]}'
    headers = {"Origin": "https://shop.example", "User-Agent": "Mozilla/5.0 (X11) Gecko/20100101 Firefox/140.0"}
    assert (await site.post("/v1/visit", body, headers=headers)).status == 200
    assert db.asked
    journal = Journal(db, settings, await Attributor.load(db, settings), "pbx", Facts(settings))
    id = "1700000000.1"
    await journal.apply([Arrived(id, now, id, "PJSIP/trunk-1", "+442079460101", "+447700900123", "")])
    await journal.apply([CallerHungUp(id, now + 9000, 16)])
    assert len(
        await db.fetch("SELECT id FROM calls WHERE id >= $1 AND caller = '+447700900123'", (ids.first(now - 1),))
    )
    assert not scans()
