"""A real web server on a real port, and a client that logs in as a person does."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from ctserver import config
from ctserver.config import Settings
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.http import server
from ctserver.http.deps import Deps, Health, TestCallFailed
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.privacy import caller_data_of
from ctserver.recordings.places import Places
from ctserver.services.blocked import BlackList
from ctserver.services.callbacks import Callbacks
from ctserver.services.facts import Facts
from ctserver.services.live import Live
from ctserver.services.pauses import Pauses, PbxAway
from ctserver.storage import users
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # quick to check


@dataclass
class Site:
    """The running server: what it says, and what stands behind it."""

    client: Any
    db: Sqlite
    settings: Settings
    recordings: Path
    clock: list[int]
    parts: dict[str, str]
    placed: list[str] = field(default_factory=list)
    live: Live = field(default_factory=Live)

    async def get(self, path: str, **kwargs: Any) -> ClientResponse:
        kwargs.setdefault("allow_redirects", False)
        response: ClientResponse = await self.client.get(path, **kwargs)
        return response

    async def post(self, path: str, data: Any = None, **kwargs: Any) -> ClientResponse:
        kwargs.setdefault("allow_redirects", False)
        response: ClientResponse = await self.client.post(path, data=data, **kwargs)
        return response

    async def page(self, path: str) -> str:
        """The text of a page that must be there."""
        response = await self.get(path)
        assert response.status == 200, path
        return await response.text()

    async def form(self) -> str:
        """The CSRF token of the login form."""
        return _csrf(await self.page("/login"))

    async def log_in_as(self, role: str, *, sites: str = "", lines: str = "") -> str:
        """Log in as a user of this role, made for it; the CSRF token of the login."""
        person = Person(role, Role(role), sites=tuple(sites.split()), lines=tuple(lines.split()))
        await self.db.write(lambda tx: users.put_user(tx, f"u-{role}", role, HASH, self.clock[0], person))
        assert (await self.log_in(login=role)).status == 303
        row = await self.db.one("SELECT csrf FROM logins WHERE login = $1", (role,))
        return str(row["csrf"])

    async def log_in(self, password: str = PASSWORD, **fields: str) -> ClientResponse:
        csrf = await self.form()
        return await self.post("/login", {"login": "alice", "password": password, "csrf": csrf, **fields})

    async def csrf(self) -> str:
        """The CSRF token of the one who is logged in."""
        return _csrf(await self.page("/numbers"))


def _csrf(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found
    return found[1]


@pytest.fixture
def overrides() -> dict[str, str]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
def settings(toml: Path, overrides: dict[str, str]) -> Settings:
    return config.load(toml, overrides)


@pytest.fixture
def provider() -> Any:
    """At which people sign in; here none."""
    return None


@pytest.fixture
async def site(db: Sqlite, settings: Settings, provider: Any, now: int, aiohttp_client: Any) -> Site:
    """A server with one user, alice, who is not logged in."""
    clock, parts, placed = [now], {"database": "ok", "AMI": "ok"}, []
    folder = settings.path(settings.recordings.folder)
    folder.mkdir(parents=True)
    await db.write(lambda tx: users.put_user(tx, "u1", "alice", HASH, now))

    async def testcall(number: str) -> None:
        if parts["AMI"] != "ok":
            raise TestCallFailed("the PBX <b>is away</b>")
        placed.append(number)

    async def place(callback: str, channel: str, seconds: int) -> None:
        placed.append(channel)

    async def mute(pbx: str, uniqueid: str, silent: bool) -> None:
        if parts["AMI"] != "ok":
            raise PbxAway
        placed.append(f"{uniqueid} {'silent' if silent else 'heard'}")

    async def health() -> Health:
        return Health(parts)

    live = Live()
    deps = Deps(
        db=db,
        settings=settings,
        uses=config.number_uses(settings),
        testcall=testcall,
        health=health,
        now=lambda: clock[0],
        sounds=Places(settings),
        facts=Facts(settings),
        provider=provider,
        gate=Gate(settings, Geo(None)),
        callbacks=Callbacks(db, settings, place),
        caller_data=caller_data_of(db, settings, Places(settings)),
        pauses=Pauses(db, mute, settings.recordings.pause_seconds, live.changed),
        live=live,
        black_list=BlackList(settings),
    )
    running = TestServer(server.make(deps))
    await running.start_server(lingering_time=0)  # as the command does
    client: TestClient[Any, Any] = await aiohttp_client(running)
    return Site(client, db, settings, folder, clock, parts, placed, deps.live)


@pytest.fixture
async def alice(site: Site) -> Site:
    """The same, with alice logged in."""
    assert (await site.log_in()).status == 303
    return site


@pytest.fixture
def raw(site: Site) -> Callable[..., Awaitable[bytes]]:
    """Bytes to the server's socket, and all that it answers."""

    async def send(*pieces: bytes, seconds: float = PATIENCE) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.client.port)
        answer = b""
        with contextlib.suppress(OSError, TimeoutError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            async with asyncio.timeout(seconds):
                while part := await reader.read(65536):
                    answer += part
        writer.close()
        return answer

    return send
