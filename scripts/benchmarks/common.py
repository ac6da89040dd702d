"""What the benchmarks share: figures, percentiles, free ports, CPU times, and a ctserver process of their own."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """One measured number. Names end in `_ratio` (against the bare equivalent), `_ms`, or say what is counted.

    `aim` is like "<= 5"; an aim that is a `must` is no matter of speed: missing it fails the benchmark.
    """

    name: str
    value: float
    text: str
    aim: str = ""
    must: bool = False

    @property
    def reached(self) -> bool:
        if not self.aim:
            return True
        sign, wanted = self.aim.split()
        return {"<=": self.value <= float(wanted), ">=": self.value >= float(wanted), "=": self.value == float(wanted)}[
            sign
        ]


def say(text: str) -> None:
    print(f"-- {text}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    if not values:
        raise RuntimeError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family_cpu_seconds(pid: int) -> float:
    """Of a process and of those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return cpu_seconds(pid) + sum(cpu_seconds(int(child)) for child in children)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(id) for file in Path(f"/proc/{pid}/task").glob("*/children") for id in file.read_text().split()]


class Ctserver:
    """A real `ctserver serve` with the shipped settings and these overrides, everything it writes below `folder`."""

    def __init__(self, folder: Path, overrides: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.fastagi = f"127.0.0.1:{free_port()}"
        self.database = folder / "ctserver.db"
        settings = {
            "server.listen": f"127.0.0.1:{self.port}",
            "server.public_url": f"http://127.0.0.1:{self.port}",
            "fastagi.listen": self.fastagi,
            "database.path": str(self.database),
            "recordings.folder": str(folder / "recordings"),
            "recordings.min_free_mb": "0",
            "log.level": "warning",
            **overrides,
        }
        pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        self._tail = ["--config", str(CHECKOUT / "ctserver.toml"), *pairs]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("ctserver is not running")
        return self._process.pid

    def dialplan(self, folder: Path) -> None:
        """What Asterisk is given, written into `folder`."""
        command = [sys.executable, "-m", "ctserver", "dialplan", *self._tail, "--write", str(folder)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def start(self, *, wanted: Sequence[int] = (200,), seconds: float = 30) -> None:
        """Returns when /health answers with one of the `wanted` statuses."""
        log = self.folder / "ctserver.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ctserver", "serve", *self._tail],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._health() in wanted:
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"ctserver did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")

    def stop(self) -> None:
        if self._process is None:
            return
        stop(self._process)
        self._process = None

    def _health(self) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for what does not listen."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
