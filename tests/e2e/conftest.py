"""A real Asterisk, a real ctserver and a real Chromium for the ways that matter. What a machine cannot do is said loudly
by scripts/test, which chooses what to run; nothing is skipped in here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, async_playwright, expect

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import pbx
import sipp

from tests.conftest import PATIENCE
from tests.ports import free_port

COMPANY = "+442079460000"
expect.set_options(timeout=1000 * PATIENCE)

POOL = ["+442079460101", "+442079460102", "+442079460103"]
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]

TOML = """
[server]
listen = "127.0.0.1:{web}"
public_url = "http://127.0.0.1:{web}"
country = "GB"
demo = true
[database]
path = "ctserver.db"
[fastagi]
listen = "127.0.0.1:{fastagi}"
[recordings]
folder = "recordings"
min_free_mb = 0
pause_seconds = 2
never_callers = ["+44 7700 900888", "+4479*"]
[[asterisk]]
ami = "127.0.0.1:{ami}"
ami_secret_file = "ami-secret"
[lines.office]
name = "Front desk"
dial = "PJSIP/ct-out/sip:office@127.0.0.1:{phone}"
ring_seconds = 20
[sites.demo]
name = "Lighthouse Bicycles"
domains = ["127.0.0.1"]
serve_bots = true
number = "+44 20 7946 0000"
pool = "demo"
[pools.demo]
numbers = ["+44 20 7946 0101", "+44 20 7946 0102", "+44 20 7946 0103"]
[static.billboard]
number = "+44 20 7946 0190"
site = "demo"
source = "billboard"
"""


class Stack:
    """Asterisk and ctserver below one folder, each started and stopped at will."""

    toml = TOML

    def __init__(self, folder: Path, more: str = "", ami: int | None = None, calls: int = 20) -> None:
        """`more` settings; `ami`: where ctserver finds AMI, if not at Asterisk itself; `calls` at once, at most."""
        self.folder = folder
        self.ports = {name: free_port() for name in ("web", "fastagi", "ami", "sip", "phone")}
        self.config = folder / "ctserver.toml"
        ports = self.ports | {"ami": ami or self.ports["ami"]}
        self.config.write_text((self.toml + more).format(**ports), encoding="utf-8")
        self.url = f"http://127.0.0.1:{self.ports['web']}"
        self.recordings = folder / "recordings"
        self.recordings.mkdir()
        (folder / "ami-secret").write_text("a secret for tests\n", encoding="utf-8")
        binary = pbx.find()
        assert binary, "there is no Asterisk; scripts/test makes one"
        low = 21000 + os.getpid() % 100 * 100
        own = pbx.Ports(self.ports["sip"], self.ports["ami"], low, low + 5 * calls - 2)
        self.pbx = pbx.Pbx(folder / "pbx", binary, own)
        self.server: subprocess.Popen[bytes] | None = None
        self.caller_tone = sipp.tone(folder / "caller.ulaw", 440)
        self.company_tone = sipp.tone(folder / "company.ulaw", 1000)

    def ctserver(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ctserver", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)

    def start_pbx(self) -> None:
        self.configure_pbx()
        self.pbx.start()

    def configure_pbx(self) -> None:
        written = self.ctserver("dialplan", "--write", str(self.folder / "asterisk"))
        assert written.returncode == 0, written.stderr
        self.pbx.write("a secret for tests", self.folder / "asterisk")

    def start_server(self) -> None:
        log = (self.folder / "ctserver.log").open("ab")
        command = [sys.executable, "-m", "ctserver", "serve", "--config", str(self.config)]
        self.server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()

    def signal(self, number: int) -> None:
        assert self.server is not None
        self.server.send_signal(number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            self.server.wait(PATIENCE)
            self.server = None

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        self.pbx.stop()

    async def healthy(self, seconds: float = PATIENCE) -> None:
        """Waits until everything is ok, the AMI link included."""
        deadline = time.monotonic() + seconds
        state = ""
        async with aiohttp.ClientSession() as client:
            while time.monotonic() < deadline:
                try:
                    async with client.get(f"{self.url}/health", timeout=aiohttp.ClientTimeout(2)) as answer:
                        state = await answer.text()
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError(f"not healthy: {state}; {self.log()[-2000:]}")

    async def health_of(self, part: str, seconds: float = PATIENCE) -> str:
        """What a server that starts says of this part, when its AMI link is up."""
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as client:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with client.get(f"{self.url}/health") as answer:
                        parts = await answer.json()
                        if parts["AMI"] == "ok":
                            return str(parts[part])
                await asyncio.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "ctserver.log").read_text(encoding="utf-8")

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self.folder / "ctserver.db", timeout=PATIENCE)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    async def eventually(self, sql: str, *values: object, seconds: float = PATIENCE) -> list[sqlite3.Row]:
        """The rows of a query, as soon as there are any."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if rows := self.rows(sql, *values):
                return rows
            await asyncio.sleep(0.2)
        raise AssertionError(f"nothing came of {sql} {values}; {self.log()[-3000:]}")

    async def call(self, number: str, **own: object) -> sipp.Outcome:
        port = free_port()
        return await sipp.call(
            self.folder,
            self.ports["sip"],
            number,
            self.caller_tone,
            port=port,
            rtp_port=_rtp(),
            **own,  # type: ignore[arg-type]
        )

    @contextmanager
    def phone(self, **own: int) -> Iterator[sipp.Phone]:
        """The company's phone, ready to be rung."""
        answering = sipp.Phone(self.folder, self.ports["phone"], self.company_tone, rtp_port=_rtp(), **own)
        try:
            yield answering
        finally:
            answering.close()

    def login(self) -> tuple[str, str]:
        name, _, password = (self.folder / "first-login.txt").read_text(encoding="utf-8").strip().partition(" ")
        return name, password


_next_rtp = iter(range(30000 + os.getpid() % 250 * 100, 60000, 10))  # several runs on one machine keep apart


def _rtp() -> int:
    return next(_next_rtp)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Asterisk and ctserver, running."""
    made = Stack(tmp_path_factory.mktemp("stack"))
    try:
        made.start_pbx()
        made.start_server()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield chromium
        await chromium.close()
