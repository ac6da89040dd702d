"""Pages over a year of two busy sites: a million calls and five million page views in one SQLite file. Every page is asked of a
real ctserver over HTTP as a browser asks for it, beside the bare SQL of the same question on the same file, while visits
are written; and what is written, and the question of a phone call, is timed alone and beside long reports."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from benchmarks import reports_data, reports_load, reports_pages
from benchmarks.common import CHECKOUT, Ctserver, Figure, children, cpu_seconds, free_port, percentile
from benchmarks.reports_load import Browser, Load, Readers
from benchmarks.reports_pages import JOURNAL_MS, REPORT_MS, Kind
from ctserver import config, ids
from ctserver.domain.delay import PUBLISHED
from ctserver.services.pools import plain
from ctserver.services.simulation import PoolSize
from ctserver.storage import attribution, pools, sqlite, users
from ctserver.storage.db import Transaction

ABOUT = "every page over a million calls, beside bare SQL, while visits are written; writes beside long reports"
DAY_MS = 86_400_000
RSS_MB = 200
EXPORT_SECONDS = 15
ZONE = "Europe/Moscow"  # where no day is one of UTC's, as it is for most who look at reports


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database", type=Path, help="a file that an earlier run made; default: one in --folder")
    parser.add_argument(
        "--folder", type=Path, default=CHECKOUT / "var", help="where the database is kept for later runs"
    )
    parser.add_argument("--calls", type=int, default=1_000_000, help="of the database that is made, in a year")
    parser.add_argument("--requests", type=int, default=60, help="of each kind of page")
    parser.add_argument("--writes", type=float, default=20, help="page views posted a second meanwhile")
    parser.add_argument(
        "--no-sql", dest="sql", action="store_false", help="leave out the bare SQL, which takes longest"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long writes are timed, alone and beside reports")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """Raises RuntimeError."""
    settings = config.load(CHECKOUT / "ctserver.toml")
    database = options.database or reports_data.kept(options.folder, settings, options.calls, ids.now_ms(), say)
    asyncio.run(reports_data.checked(database))
    cookie = asyncio.run(_prepare(database))
    server = _server(options.folder, database)
    began = time.monotonic()
    server.start(wanted=(200, 503), seconds=120)
    say(f"the server was ready after {time.monotonic() - began:.1f} s")
    try:
        return _measured(server, cookie, database, options, say)
    finally:
        server.stop()


def _server(folder: Path, database: Path) -> Ctserver:
    """Without a PBX: nobody asks for the secret."""
    secret = folder / "bench-ami-secret"
    secret.write_text("nobody asks for it\n", encoding="utf-8")
    overrides = {"asterisk.pbx.ami": f"127.0.0.1:{free_port()}", "asterisk.pbx.ami_secret_file": str(secret)}
    return Ctserver(
        folder,
        {
            **overrides,
            "database.path": str(database),
            "limits.new_visitors_per_minute": "0",
            "pools.demo.numbers": reports_load.POOL,
            "server.time_zone": ZONE,
        },
    )


# ---- what is measured


@dataclass
class Measured:
    """Milliseconds of a kind of page, with the addresses, and of its bare SQL; and what one page cost the server's CPU,
    which does not depend on who else uses the machine."""

    kind: Kind
    asked: list[tuple[float, str]]
    bare: list[float]
    cpu: float

    def figure(self, part: str) -> Figure:
        times = [time for time, _ in self.asked]
        text = f"p50 {percentile(times, 50):.1f}; CPU {self.cpu:.0f}"
        if self.bare:
            text += f"; bare SQL p50 {percentile(self.bare, 50):.1f}, p95 {percentile(self.bare, 95):.1f}"
        worst, path = max(self.asked)
        text += f"; slowest {worst:.0f}" + (f" {path}" if worst > (self.kind.most_ms or JOURNAL_MS) else "")
        name = f"{part}_{re.sub('[^a-z]+', '_', self.kind.name)}_p95_ms"
        aim = f"<= {self.kind.most_ms}" if self.kind.most_ms else ""
        return Figure(name, round(percentile(times, 95), 1), text, aim)


def _measured(
    server: Ctserver, cookie: str, database: Path, options: argparse.Namespace, say: Callable[[str], None]
) -> list[Figure]:
    now, dice = ids.now_ms(), random.Random(1)
    browser = Browser(server.port, cookie)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        parts = {
            "journal": list(reports_pages.journal(connection, now)),
            "report": list(reports_pages.reports(now)),
            "page": list(reports_pages.others(connection, now)),
            "api": list(reports_pages.programs(connection)),
        }
        calls = [row[0] for row in connection.execute("SELECT id FROM calls ORDER BY id DESC LIMIT 500")]
        bare = {
            (part, kind.name): _bare(connection, kind) if options.sql else []
            for part, kinds in parts.items()
            for kind in kinds
        }
    say("bare SQL: measured")
    for kind in (kind for kinds in parts.values() for kind in kinds):
        browser.get(kind.pages[0])
    say("every kind of page was looked at once")
    load = Load(server, cookie, calls, options.writes)
    alone = load.measure(options.seconds)
    figures = []
    for part, kinds in parts.items():
        with load.going_on():
            asked = [_ask(browser, kind.pages, options.requests, dice) for kind in kinds]
        found = [
            Measured(kind, times, bare[part, kind.name], _cpu_ms(server, browser, kind))
            for kind, times in zip(kinds, asked, strict=True)
        ]
        new = [one.figure(part) for one in found] + _together(part, found)
        figures += new
        for figure in new:
            say(f"{figure.name} {figure.value} ({figure.text})")
    with load.going_on():
        figures += [_first_bytes(server.port, cookie), *_export(server, cookie)]
    long = [page for kind in parts["report"] for page in kind.pages if re.search("12m|90d", page)]
    with Readers(server.port, cookie, long) as readers:
        beside = load.measure(options.seconds)
        browser = Browser(server.port, cookie)  # the server closes what nobody used for long
        journal = _ask(browser, [page for kind in parts["journal"] for page in kind.pages], options.requests, dice)
    figures += _writes(alone, beside, readers.done)
    figures.append(
        Figure("journal_beside_reports_p95_ms", round(percentile([ms for ms, _ in journal], 95), 1), "any filter")
    )
    figures.append(
        Figure("rss_mb", _rss_mb(server.pid), "of the server and its processes, at their highest", f"<= {RSS_MB}")
    )
    return [*figures, *load.lost(database)]


def _cpu_ms(server: Ctserver, browser: Browser, kind: Kind) -> float:
    """What a page costs the server while nothing else goes on."""
    pages = kind.pages[:10]
    before = cpu_seconds(server.pid)
    for page in pages:
        browser.get(page)
    return (cpu_seconds(server.pid) - before) * 1000 / len(pages)


def _together(part: str, found: list[Measured]) -> list[Figure]:
    """All kinds of the part as one."""
    most = {"journal": JOURNAL_MS, "report": REPORT_MS}.get(part)
    if most is None:
        return []
    times = [ms for one in found for ms, _ in one.asked]
    text = f"all of them; p50 {percentile(times, 50):.1f}, p99 {percentile(times, 99):.1f}"
    return [Figure(f"{part}_p95_ms", round(percentile(times, 95), 1), text, f"<= {most}")]


def _writes(alone: dict[str, list[float]], beside: dict[str, list[float]], reports: int) -> list[Figure]:
    figures = []
    for name, times in alone.items():
        text = f"{len(times)} of them; p50 {percentile(times, 50):.1f}"
        figures.append(Figure(f"{name}_alone_p99_ms", round(percentile(times, 99), 1), text))
        times = beside[name]
        text = f"{len(times)} beside {reports} long reports; p50 {percentile(times, 50):.1f}, most {max(times):.1f}"
        figures.append(Figure(f"{name}_beside_reports_p99_ms", round(percentile(times, 99), 1), text))
    return figures


def _ask(browser: Browser, pages: list[str], count: int, dice: random.Random) -> list[tuple[float, str]]:
    """Each page at least once, then by the dice."""
    wanted = [*pages, *(dice.choice(pages) for _ in range(count - len(pages)))]
    return [(browser.get(path), path) for path in wanted]


def _bare(connection: sqlite3.Connection, kind: Kind) -> list[float]:
    """The same questions without a server, each for a fifth of a second, eight times at most."""
    found: list[float] = []
    for sql, values in kind.bare:
        spent = 0.0
        while spent < 200 and (spent == 0 or len(found) < 8 * len(kind.bare)):
            began = time.perf_counter()
            connection.execute(sql, values).fetchall()
            found.append((time.perf_counter() - began) * 1000)
            spent += found[-1]
    return found


def _first_bytes(port: int, cookie: str) -> Figure:
    times = [(Browser(port, cookie).first_byte(path), path) for path in reports_pages.FILES for _ in range(3)]
    worst, path = max(times)
    return Figure("file_first_byte_p95_ms", round(percentile([ms for ms, _ in times], 95), 1),
                  f"until a file of all calls begins to arrive; slowest {worst:.0f} {path}")  # fmt: skip


def _export(server: Ctserver, cookie: str) -> list[Figure]:
    """All calls as CSV, as far as it comes."""
    before = _rss_mb(server.pid)
    lines, took = Browser(server.port, cookie).lines("/calls/export.csv", EXPORT_SECONDS)
    text = f"{lines} calls in {took:.0f} s; the server's RSS grew by {_rss_mb(server.pid) - before:.0f} MB"
    return [Figure("export_calls_per_second", round(lines / took), text)]


async def _prepare(database: Path) -> str:
    """A login of its own, put straight into the database: the cookie; and something that goes on now. What the server does
    once a day (learning, measuring pools) was done just now: it is not what is measured here."""
    token, now = ids.token(), ids.now_ms()
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("bench")
    digest = hashlib.sha256(token.encode()).hexdigest()
    db = await sqlite.open(database)

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
        pools.save_report(tx, "demo", now, json.dumps(plain(PoolSize(7000, 900, 150, 70, {0.95: 150}, (), 150, 0.0))))
        reports_load.forget_earlier(tx)
        reports_load.go_on(tx, now)

    try:
        await db.write(unit)
    finally:
        await db.close()
    return f"ct_login={token}"


def _rss_mb(pid: int) -> float:
    """The highest that the server and what it has started ever held, each by itself, together; pages of files count too."""
    kilobytes = 0
    for process in [pid, *children(pid)]:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        kilobytes += int(found[1]) if found else 0
    return round(kilobytes / 1000, 1)
