"""Pages over a year of two busy sites: a million calls and five million page views in one SQLite file. Every page is asked of a
real ctserver over HTTP as a browser asks for it, beside the bare SQL of the same question on the same file, while visits
are written and long reports run."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import json
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from argon2 import PasswordHasher

from benchmarks import reports_data
from benchmarks.common import CHECKOUT, Ctserver, Figure, free_port, percentile
from ctserver import config, files, ids
from ctserver.domain.delay import PUBLISHED
from ctserver.storage import attribution, migrate, pools, sqlite, users
from ctserver.storage.db import Transaction

ABOUT = "pages of journal, reports and live over a million calls, beside bare SQL, while visits are written"
DAY_MS = 86_400_000
PERIODS = ("today", "7d", "30d", "90d", "12m")
COMPARED = ("", "previous")
DIMENSIONS = ("channel", "source", "campaign", "keyword", "ad", "landing", "region", "device", "number", "line", "person",
              "category", "time", "hours")  # fmt: skip
COLUMNS = {"keyword": "term", "campaign": "campaign", "number": "did", "person": "answered_by", "reason": "reason",
           "line": "line", "source": "source", "channel": "source_channel", "category": "category"}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database", type=Path, default=CHECKOUT / "var" / "bench-reports.db", help="made if it is not there"
    )
    parser.add_argument("--calls", type=int, default=1_000_000, help="of the database that is made, in a year")
    parser.add_argument("--requests", type=int, default=300, help="of each kind of page")
    parser.add_argument("--writes", type=float, default=20, help="page views posted a second meanwhile")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """Raises RuntimeError."""
    settings = config.load(CHECKOUT / "ctserver.toml")
    if not options.database.exists():
        options.database.parent.mkdir(parents=True, exist_ok=True)
        say(f"making {options.database}, some 4 GB")
        reports_data.make(options.database, settings, options.calls, ids.now_ms(), say)
    folder = options.database.parent
    secret = folder / "bench-ami-secret"
    secret.write_text("nobody asks for it\n", encoding="utf-8")
    overrides = {"asterisk.pbx.ami": f"127.0.0.1:{free_port()}", "asterisk.pbx.ami_secret_file": str(secret)}
    overrides |= {"database.path": str(options.database), "limits.new_visitors_per_minute": "0"}
    cookie = asyncio.run(_prepare(options.database))
    server = Ctserver(folder, overrides)
    server.start(wanted=(200, 503), seconds=120)
    try:
        return _measured(server, cookie, options, say)
    finally:
        server.stop()


# ---- what is measured


@dataclass
class Times:
    """Milliseconds of a kind of request, with what was asked."""

    asked: list[tuple[float, str]] = field(default_factory=list)

    def p95(self) -> float:
        return round(percentile([time for time, _ in self.asked], 95), 1)

    def p50(self) -> float:
        return round(percentile([time for time, _ in self.asked], 50), 1)

    def slowest(self) -> str:
        return "; ".join(f"{time:.0f} ms {what}" for time, what in sorted(self.asked, reverse=True)[:3])


class Browser:
    """One logged-in connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Cookie": cookie}

    def get(self, path: str) -> float:
        """Milliseconds until the whole page is there."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return (time.perf_counter() - began) * 1000


def _measured(server: Ctserver, cookie: str, options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    dice = random.Random(1)
    browser = Browser(server.port, cookie)
    journal, reports = _journal_pages(options.database, dice), _report_pages()
    raw_journal, raw_report, raw_live = _bare(options.database, dice, options.requests // 5)
    writer, began = Writer(server.port, options.writes), ids.first(ids.now_ms())
    writer.start()
    try:
        for path in ("/", "/live", "/calls", "/reports"):
            browser.get(path)
        figures = {}
        for name, pages in (("journal", journal), ("report", reports), ("live", ["/live"]), ("overview", ["/"])):
            figures[name] = _ask(browser, pages, options.requests, dice)
            say(f"{name}: p95 {figures[name].p95()} ms; slowest: {figures[name].slowest()}")
        busy = Busy(server.port, cookie, reports)
        busy.start()
        beside = _ask(browser, journal, options.requests, dice)
        busy.stop()
        say(f"journal beside {busy.done} long reports: p95 {beside.p95()} ms; slowest: {beside.slowest()}")
    finally:
        writer.stop()
    rss = _rss_mb(server.pid)
    written = _count(options.database, "SELECT COUNT(*) FROM visits WHERE id >= ? AND title = 'bench'", (began,))
    return [
        Figure("journal_p95_ms", figures["journal"].p95(), "a page of the journal with any one filter", "<= 60"),
        Figure("journal_p50_ms", figures["journal"].p50(), ""),
        Figure("journal_sql_p95_ms", raw_journal.p95(), "bare SQL: the same filter, the same rows"),
        Figure(
            "report_p95_ms", figures["report"].p95(), "any report, today to twelve months, compared or not", "<= 200"
        ),
        Figure("report_p50_ms", figures["report"].p50(), ""),
        Figure("report_sql_p95_ms", raw_report.p95(), "bare SQL: calls and sessions by the same dimension and span"),
        Figure("live_p95_ms", figures["live"].p95(), "", "<= 30"),
        Figure("live_sql_p95_ms", raw_live.p95(), "bare SQL: open calls and held numbers"),
        Figure("overview_p95_ms", figures["overview"].p95(), ""),
        Figure("journal_beside_reports_p95_ms", beside.p95(), "the journal while others read reports without a pause"),
        Figure("rss_mb", rss, "of the server, at its highest", "<= 200"),
        Figure("write_p95_ms", round(percentile(writer.times, 95), 1), "a page view posted meanwhile, on disk"),
        Figure("writes", len(writer.times), "page views posted meanwhile"),
        Figure("lost", max(0, len(writer.times) - written), "answered, and not in the database", "= 0", must=True),
        Figure("refused", writer.refused, "page views not answered by 200", "= 0", must=True),
    ]


def _ask(browser: Browser, pages: list[str], count: int, dice: random.Random) -> Times:
    found = Times()
    for _ in range(count):
        path = dice.choice(pages)
        found.asked.append((browser.get(path), path))
    return found


async def _prepare(database: Path) -> str:
    """A login of its own, put straight into the database: the cookie. What the server does once a day (learning, measuring
    pools) was done just now: it is not what is measured."""
    token, now = ids.token(), ids.now_ms()
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("bench")
    digest = hashlib.sha256(token.encode()).hexdigest()
    db = await sqlite.open(database)
    await migrate.migrate(db, migrate.read(files.folder("migrations")))

    def unit(tx: Transaction) -> None:
        users.put_user(tx, "bench", "bench", hashed, now)
        tx.execute(
            """
            INSERT INTO logins (token_hash, login, csrf, expires_at, id, created_at, seen_at)
            VALUES ($1, 'bench', 'x', $2, $3, $4, $4)
            """,
            (digest, now + DAY_MS, ids.new(now), now),
        )
        attribution.save_model(tx, "demo", PUBLISHED.counts, now)
        pools.save_report(tx, "demo", now, "{}")

    await db.write(unit)
    await db.close()
    return f"ct_login={token}"


# ---- the pages


def _journal_pages(database: Path, dice: random.Random) -> list[str]:
    """The journal with one filter each: rare, usual and frequent values; dates; what has no index."""
    now = ids.now_ms()
    pages = [{}, {"site": "hire"}, {"outcome": "missed"}, {"caller": "new"}, {"caller": "repeat"}, {"target": "yes"}]
    pages += [
        {"target": "no"},
        {"talk_min": "60"},
        {"talk_min": "2300"},
        {"talk_max": "8"},
        {"sure": "99"},
        {"unsure": "30"},
    ]
    pages += [{"q": "900123"}, {"q": "Вавилов"}, {"q": "nobody of this name"}, {"q": "google"}, {"tag": "none"}]
    for back in (1, 30, 200, 340):
        day = time.strftime("%Y-%m-%d", time.gmtime((now - back * DAY_MS) / 1000))
        pages += [{"from": day}, {"to": day}, {"from": day, "to": day}]
    for name, column in COLUMNS.items():
        found = _rows(database, f"SELECT {column}, COUNT(*) FROM calls WHERE {column} <> '' GROUP BY 1 ORDER BY 2")
        values = [row[0] for row in found]
        pages += [{name: value} for value in {values[0], values[len(values) // 2], values[-1], dice.choice(values)}]
    callers = _rows(database, "SELECT caller FROM calls WHERE caller <> '' ORDER BY id DESC LIMIT 1")
    pages.append({"q": callers[0][0]})
    return [f"/calls?{urlencode(page)}" for page in pages]


def _report_pages() -> list[str]:
    return [
        "/reports?" + urlencode({"by": by, "period": period, "compare": compare})
        for by in DIMENSIONS
        for period in PERIODS
        for compare in COMPARED
    ]


# ---- bare SQL


def _bare(database: Path, dice: random.Random, count: int) -> tuple[Times, Times, Times]:
    """The same questions without a server, on a connection of their own."""
    journal, report, live = Times(), Times(), Times()
    now = ids.now_ms()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:

        def timed(times: Times, sql: str, values: tuple[object, ...]) -> None:
            began = time.perf_counter()
            connection.execute(sql, values).fetchall()
            times.asked.append(((time.perf_counter() - began) * 1000, sql))

        for column in [*COLUMNS.values()] * max(1, count // len(COLUMNS)):
            value = connection.execute(
                f"SELECT {column} FROM calls ORDER BY id DESC LIMIT 1 OFFSET {dice.randrange(9999)}"
            )
            newest = f"SELECT * FROM calls WHERE {column} = ? ORDER BY id DESC LIMIT 51"
            timed(journal, newest, value.fetchone())
        for _ in range(max(5, count // 6)):
            column, since = dice.choice(("source", "campaign", "term")), now - dice.choice((1, 7, 30, 90, 365)) * DAY_MS
            calls = (
                f"SELECT {column}, COUNT(*), SUM(answered_at IS NOT NULL) FROM calls WHERE arrived_at >= ? GROUP BY 1"
            )
            sessions = f"SELECT {column}, COUNT(*) FROM sessions WHERE id >= ? GROUP BY 1"
            began = time.perf_counter()
            connection.execute(calls, (since,)).fetchall()
            connection.execute(sessions, (ids.first(since),)).fetchall()
            report.asked.append(((time.perf_counter() - began) * 1000, calls))
        for _ in range(count):
            timed(live, "SELECT * FROM calls WHERE state <> 'ended'", ())
            timed(live, "SELECT * FROM numbers n JOIN sessions s ON s.id = n.session WHERE n.until > ?", (now,))
    return journal, report, live


def _rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _count(database: Path, sql: str, values: tuple[object, ...]) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(sql, values).fetchone()[0])


# ---- what goes on meanwhile


class Writer(threading.Thread):
    """Posts page views at a steady pace."""

    def __init__(self, port: int, a_second: float) -> None:
        super().__init__(daemon=True)
        self._port, self._pause = port, 1 / a_second
        self._headers = {
            "Origin": "http://127.0.0.1:8080",
            "User-Agent": "Mozilla/5.0 (X11) Gecko/20100101 Firefox/140.0",
        }
        self._ended = threading.Event()
        self.times: list[float] = []
        self.refused = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._ended.wait(self._pause):
            page = {
                "s": "demo",
                "v": "",
                "u": "http://127.0.0.1:8080/?utm_source=bench",
                "r": "",
                "t": "bench",
                "n": ["main"],
            }
            began = time.perf_counter()
            connection.request("POST", "/v1/visit", json.dumps(page), self._headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                self.times.append((time.perf_counter() - began) * 1000)
            else:
                self.refused += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


class Busy:
    """Two people who read long reports without a pause."""

    def __init__(self, port: int, cookie: str, pages: list[str]) -> None:
        self._ended = threading.Event()
        self.done = 0
        long = [page for page in pages if re.search("12m|90d", page)]
        self._threads = [threading.Thread(target=self._read, args=(Browser(port, cookie), long[n::2])) for n in (0, 1)]

    def _read(self, browser: Browser, pages: list[str]) -> None:
        while not self._ended.is_set():
            browser.get(pages[self.done % len(pages)])
            self.done += 1

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def _rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return round(int(found[1]) / 1000, 1) if found else 0.0
