"""POST /v1/visit of a real ctserver (SQLite, synchronous=FULL) against a bare aiohttp JSON handler: the same client,
the same requests, rounds in turn. Every answered visit must be in the database."""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import CHECKOUT, Ctserver, Figure, family_cpu_seconds, free_port, percentile, stop

ABOUT = "visits a second through POST /v1/visit, everything on disk, against a bare aiohttp JSON handler"
WARM_UP_SECONDS = 1.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--connections", type=int, default=64, help="keep-alive connections, each posts as it is answered"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each server, in turn")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--returning", type=float, default=0.5, help="share of page views by returning visitors")
    parser.add_argument("--one-process", action="store_true", help="ctserver without a front ([visitors] listen)")
    parser.add_argument("--numbers", type=int, default=30, help="numbers in the pool")


@dataclass
class Side:
    """One of the two servers, and what its rounds gave."""

    port: int
    pid: int
    rates: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    answered: int = 0
    new: int = 0
    refused: int = 0
    cpu: float = 0.0
    client_cpu: float = 0.0
    seconds: float = 0.0

    def round(self, options: argparse.Namespace, seconds: float, *, measured: bool = True) -> None:
        before = family_cpu_seconds(self.pid)
        arguments = [self.port, options.connections, seconds, options.returning]
        command = [sys.executable, "-m", "benchmarks.visit_client", *map(str, arguments)]
        done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, timeout=seconds + 60, check=True)
        found = json.loads(done.stdout)
        times = found["times_ms"]
        self.answered += len(times)
        self.new += found["new"]
        self.refused += found["refused"]
        if measured:
            self.cpu += family_cpu_seconds(self.pid) - before
            self.client_cpu += found["cpu_seconds"]
            self.seconds += found["seconds"]
            self.rates.append(len(times) / found["seconds"])
            self.times_ms += times


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="ctserver-bench-") as name, contextlib.ExitStack() as ends:
        folder = Path(name)
        secret = folder / "ami-secret"
        secret.write_text("nobody asks for it\n", encoding="utf-8")
        numbers = json.dumps([f"+4420794601{number:02}" for number in range(options.numbers)])
        front_port = free_port()
        front = {} if options.one_process else {"visitors.listen": f"127.0.0.1:{front_port}"}
        server = Ctserver(
            folder,
            {
                **front,
                "asterisk.pbx.ami": f"127.0.0.1:{free_port()}",
                "asterisk.pbx.ami_secret_file": str(secret),
                "pools.demo.numbers": numbers,
                "limits.new_visitors_per_minute": "0",
                "limits.visits_per_site_per_minute": "0",
            },
        )
        server.start(wanted=(200, 503))  # there is no PBX
        ends.callback(server.stop)
        bare_port = free_port()
        bare_process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_handler", str(bare_port)], cwd=CHECKOUT)
        ends.callback(stop, bare_process)
        _wait(bare_port)
        ours, bare = Side(front_port if front else server.port, server.pid), Side(bare_port, bare_process.pid)
        _wait(ours.port)
        for side in (ours, bare):
            side.round(options, WARM_UP_SECONDS, measured=False)
        for number in range(options.rounds):
            for side in (ours, bare) if number % 2 else (bare, ours):
                side.round(options, options.seconds)
            say(f"round {number + 1} of {options.rounds}: {ours.rates[-1]:.0f} visits/s, bare {bare.rates[-1]:.0f}")
        server.stop()
        return _figures(ours, bare, _on_disk(server.database))


def _on_disk(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM visits").fetchone()[0])


def _figures(ours: Side, bare: Side, on_disk: int) -> list[Figure]:
    ratios = [own / other for own, other in zip(ours.rates, bare.rates, strict=True)]
    ours_cpu, bare_cpu = (1000 * side.cpu / len(side.times_ms) for side in (ours, bare))
    return [
        Figure(
            "visits_ratio", round(statistics.median(ratios), 3), "visits/s against bare, median of rounds", ">= 0.5"
        ),
        Figure("lowest_round_ratio", round(min(ratios), 3), "the worst round"),
        Figure("highest_round_ratio", round(max(ratios), 3), "the best round"),
        Figure("visits_per_second", round(statistics.median(ours.rates)), "ctserver, median of rounds"),
        Figure("bare_per_second", round(statistics.median(bare.rates)), "bare handler, median of rounds"),
        Figure("p50_ms", round(percentile(ours.times_ms, 50), 1), "ctserver"),
        Figure("p99_ms", round(percentile(ours.times_ms, 99), 1), "ctserver", "<= 30"),
        Figure("bare_p50_ms", round(percentile(bare.times_ms, 50), 1), "bare handler"),
        Figure("bare_p99_ms", round(percentile(bare.times_ms, 99), 1), "bare handler"),
        Figure("cpu_per_visit_ms", round(ours_cpu, 3), "ctserver, all its threads"),
        Figure("bare_cpu_per_visit_ms", round(bare_cpu, 3), "bare handler"),
        Figure(
            "cpu_ratio",
            round(bare_cpu / ours_cpu, 3),
            "bare against ours: steadier than visits_ratio on a busy machine",
        ),
        Figure("client_busy_ratio", round(bare.client_cpu / bare.seconds, 2), "of one core, at the bare handler"),
        Figure("answered", ours.answered, "visits answered by ctserver, warm-up included"),
        Figure("new_visitors_ratio", round(ours.new / ours.answered, 2), "of them by new visitors"),
        Figure("refused", ours.refused + bare.refused, "requests not answered by 200", "= 0", must=True),
        Figure("lost", ours.answered - on_disk, "answered, and not in the database", "= 0", must=True),
    ]


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens at port {port}")
