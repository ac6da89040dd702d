"""What several tests share: settings, a real database file, a small AMI server on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver import config, files
from ctserver.config import Settings
from ctserver.storage import migrate, sqlite
from ctserver.storage.sqlite import Sqlite
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
NOW = 1_700_000_000_000
PATIENCE = 60.0  # seconds that a busy machine may take; nothing waits longer than it must

TOML = """
[server]
listen = "127.0.0.1:0"
demo = true
[fastagi]
listen = "127.0.0.1:0"
[recordings]
min_free_mb = 0
[[asterisk]]
ami = "127.0.0.1:1"
ami_secret_file = "secret"
[lines.office]
name = "Front desk"
dial = "PJSIP/100&PJSIP/101"
[lines.night]
dial = "PJSIP/night"
record = false
[sites.shop]
name = "Shop"
domains = ["shop.example"]
serve_bots = true
number = "+44 20 7946 0000"
pool = "small"
[pools.small]
numbers = ["+44 20 7946 0101", "+44 20 7946 0102", "+44 20 7946 0103"]
[static.billboard]
number = "+44 20 7946 0190"
site = "shop"
source = "billboard"
campaign = "harbour"
line = "night"
"""


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def now() -> int:
    return NOW


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """A small ctserver.toml with its secret beside it."""
    (tmp_path / "secret").write_text("s3cret\n")
    file = tmp_path / "ctserver.toml"
    file.write_text(TOML)
    return file


@pytest.fixture
def settings(toml: Path) -> Settings:
    return config.load(toml)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Sqlite]:
    """A real file with all migrations applied."""
    opened = await sqlite.open(tmp_path / "ctserver.db")
    await migrate.migrate(opened, migrate.read(files.folder("migrations")))
    yield opened
    await opened.close()


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def quickest(do: Callable[[], Awaitable[object]], wanted: float) -> float:
    """Seconds that it took, the quickest of a few times: a busy machine may hold up any of them. One that is `wanted` is enough."""
    best = float("inf")
    for _ in range(5):
        began = time.monotonic()
        await do()
        best = min(best, time.monotonic() - began)
        if best < wanted:
            break
    return best


@pytest.fixture(name="until")
def _until() -> Callable[..., Awaitable[None]]:
    return until


class FakePbx:
    """The AMI side of Asterisk: banner, Login, Ping, events. Lists every action that it was sent."""

    def __init__(self) -> None:
        self.secret = "s3cret"
        self.actions: list[dict[str, str]] = []
        self.links: list[asyncio.StreamWriter] = []
        self.closed_by_client = 0
        self.made = 0
        self.silent = False  # answer nothing any more
        self.mute: set[str] = set()  # actions that are never answered
        self.answers: dict[str, str] = {}  # action -> the whole answer, with @ID@ for its ActionID
        self.server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Close every connection."""
        for link in self.links:
            link.close()
        self.links.clear()

    def say(self, text: str | bytes) -> None:
        """Events to every client; lines end with CR LF on the wire."""
        data = text.encode() if isinstance(text, str) else text
        for link in self.links:
            link.write(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def sent(self, action: str) -> list[dict[str, str]]:
        return [sent for sent in self.actions if sent["Action"] == action]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
                self.actions.append(action)
                self._answer(action, writer)
        self.closed_by_client += 1
        writer.close()

    def _answer(self, action: dict[str, str], writer: asyncio.StreamWriter) -> None:
        name = action["Action"]
        if self.silent or name in self.mute:
            return
        if name == "Login":
            good = action.get("Secret") == self.secret
            text = "Response: Success\nActionID: @ID@\nMessage: Authentication accepted\n\n"
            if good:
                text += "Event: FullyBooted\nPrivilege: system,all\nUptime: 5\nStatus: Fully Booted\n\n"
                self.links.append(writer)
            else:
                text = "Response: Error\nActionID: @ID@\nMessage: Authentication failed\n\n"
        elif name in self.answers:
            text = self.answers[name]
        elif name == "CoreShowChannels":
            text = (
                "Response: Success\nActionID: @ID@\nEventList: start\nMessage: Channels will follow\n\n"
                "Event: CoreShowChannelsComplete\nActionID: @ID@\nEventList: Complete\nListItems: 0\n\n"
            )
        else:
            text = "Response: Success\nActionID: @ID@\nPing: Pong\n\n"
        writer.write(text.replace("@ID@", action.get("ActionID", "")).replace("\n", "\r\n").encode())
        if name == "Login" and action.get("Secret") != self.secret:
            writer.close()


@pytest.fixture
async def pbx() -> AsyncIterator[FakePbx]:
    """A running FakePbx."""
    made = FakePbx()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _no_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CTSERVER_AMI_SECRET", "CTSERVER_AMI_SECRET_PBX", "CTSERVER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


# ---- the outside


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start a web server on a real socket that answers everything with one handler; gives its address."""
    runners: list[web.AppRunner] = []

    async def start(answer: Callable[[web.Request], Any], tls: ssl.SSLContext | None = None) -> str:
        async def handler(request: web.Request) -> web.StreamResponse:
            made = answer(request)
            return await made if inspect.isawaitable(made) else made

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.005)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        return f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A port that nobody listens at."""
    return free_port()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that only itself vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    words += ["-subj", "/CN=localhost", "-addext", names, "-keyout", str(key), "-out", str(made)]
    subprocess.run(words, check=True, capture_output=True)
    return made, key
