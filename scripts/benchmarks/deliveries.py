"""Web hooks from the outbox (SQLite, synchronous=FULL) to a receiver on this machine, against a bare aiohttp client that
posts the same bodies and keeps nothing; and how long a fresh fact takes while thousands wait for a dead hook."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from benchmarks.common import CHECKOUT, Figure, free_port, percentile, stop
from ctserver import config, files, ids
from ctserver.domain.fact import ENDED, Fact
from ctserver.sinks import Sinks
from ctserver.storage import migrate, sqlite
from ctserver.storage.db import Transaction
from ctserver.storage.sqlite import Sqlite

ABOUT = "web hooks delivered a second, and from fact to arrival, against a bare aiohttp client"
FRESH_EVERY = 0.02  # seconds between fresh facts
SECRET = "whsec_" + "A" * 44


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--facts", type=int, default=10_000, help="to deliver, and then to leave waiting")
    parser.add_argument("--fresh", type=int, default=300, help="facts whose way is timed while the others wait")
    parser.add_argument("--at-once", type=int, default=8, help="deliveries to one hook at a time")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="ctserver-bench-") as name, contextlib.ExitStack() as ends:
        port = free_port()
        receiver = subprocess.Popen([sys.executable, "-m", "benchmarks.hook_receiver", str(port)], cwd=CHECKOUT)
        ends.callback(stop, receiver)
        return asyncio.run(_Bench(options, Path(name), port, say).run())


class _Bench:
    def __init__(self, options: argparse.Namespace, folder: Path, port: int, say: Callable[[str], None]) -> None:
        self.options, self.folder, self.port, self.say = options, folder, port, say
        self.url = f"http://127.0.0.1:{port}"

    async def run(self) -> list[Figure]:
        async with aiohttp.ClientSession() as client:
            self.client = client
            await self._up()
            bare = await self._bare()
            self.say(f"bare client: {bare:.0f} a second")
            ours = await self._drain()
            self.say(f"outbox: {ours:.0f} a second")
            delays, lost = await self._fresh()
        return [
            Figure("deliveries_ratio", round(ours / bare, 3), "deliveries/s against the bare client"),
            Figure("deliveries_per_second", round(ours), f"outbox, {self.options.facts} waiting at the start"),
            Figure("bare_per_second", round(bare), "bare client, as many at once"),
            Figure(
                "fresh_p50_ms", round(percentile(delays, 50), 1), "from fact to arrival, others wait for a dead hook"
            ),
            Figure("fresh_p99_ms", round(percentile(delays, 99), 1), "the same"),
            Figure("lost", lost, "facts that did not arrive", "= 0", must=True),
        ]

    async def _up(self) -> None:
        for _ in range(200):
            try:
                async with self.client.post(f"{self.url}/forget"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
        raise RuntimeError("the receiver did not start")

    async def _times(self) -> dict[str, float]:
        async with self.client.get(f"{self.url}/figures") as answer:
            return dict((await answer.json())["times"])

    async def _bare(self) -> float:
        numbers = iter(range(self.options.facts))

        async def post() -> None:
            for number in numbers:
                body = json.dumps({"type": ENDED, "data": _data(f"bare{number}")})
                async with self.client.post(f"{self.url}/hook", data=body) as answer:
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(self.options.at_once)))
        return self.options.facts / (time.perf_counter() - began)

    async def _drain(self) -> float:
        async with self._sinks("drain", [f"{self.url}/hook"]) as (db, sinks):
            await _record(db, sinks, [f"drain{number}" for number in range(self.options.facts)])
            began = time.perf_counter()
            await sinks.start()
            await self._arrived("drain", self.options.facts)
            return self.options.facts / (time.perf_counter() - began)

    async def _fresh(self) -> tuple[list[float], int]:
        """Milliseconds from each fact's commit to its arrival, and how many did not arrive."""
        dead = f"http://127.0.0.1:{free_port()}/hook"
        async with self._sinks("fresh", [f"{self.url}/hook", dead]) as (db, sinks):
            await _record(db, sinks, [f"old{number}" for number in range(self.options.facts)])
            await sinks.start()
            await self._arrived("old", self.options.facts)
            told: dict[str, float] = {}
            for number in range(self.options.fresh):
                name = f"fresh{number}"
                told[name] = time.time()
                await _record(db, sinks, [name])
                sinks.facts.wake()
                await asyncio.sleep(FRESH_EVERY)
            await self._arrived("fresh", self.options.fresh)
            times = await self._times()
        return [1000 * (times[name] - at) for name, at in told.items() if name in times], len(
            told.keys() - times.keys()
        )

    async def _arrived(self, prefix: str, count: int) -> None:
        deadline = time.monotonic() + 30 + count / 50
        while sum(name.startswith(prefix) for name in await self._times()) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{prefix}: not everything arrived")
            await asyncio.sleep(0.2)

    @contextlib.asynccontextmanager
    async def _sinks(self, name: str, urls: list[str]):  # type: ignore[no-untyped-def]
        secret = self.folder / "hook-secret"
        secret.write_text(SECRET + "\n", encoding="utf-8")
        overrides: dict[str, str] = {}
        for number, url in enumerate(urls):
            own = {"url": url, "secret_file": str(secret), "allow_private": "true", "events": f'["{ENDED}"]'}
            own["at_once"] = str(self.options.at_once)
            overrides |= {f"webhooks.hook{number}.{key}": value for key, value in own.items()}
        settings = config.load(CHECKOUT / "ctserver.toml", overrides)
        db = await sqlite.open(self.folder / f"{name}.db")
        await migrate.migrate(db, migrate.read(files.folder("migrations")))
        sinks = Sinks(db, settings)
        try:
            yield db, sinks
        finally:
            await sinks.stop()
            await db.close()


async def _record(db: Sqlite, sinks: Sinks, names: list[str]) -> None:
    def unit(tx: Transaction) -> None:
        for name in names:
            now = ids.now_ms()
            sinks.facts.record(tx, Fact(ENDED, now, name, data=_data(name)), now)

    await db.write(unit)


def _data(name: str) -> dict[str, object]:
    """Of the size of a real call's."""
    known = {"caller": "+447700900123", "source": "google", "medium": "cpc", "campaign": "spring", "outcome": "missed"}
    return {
        "number": name,
        "site": "demo",
        "line": "office",
        **known,
        "url": "https://calls.example.com/calls/" + "0" * 26,
    }
