"""The front as a real process beside a real database: what it answers, and what becomes of it when it or the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from ctserver import config, ids
from ctserver.front import wire
from ctserver.front.keeper import Front
from ctserver.front.remote import MAX_ASKED, Remote
from ctserver.http.asked import MAX_BODY
from ctserver.services.callbacks import Callbacks
from ctserver.services.reception import Here
from ctserver.services.visits import Note, PageView, Shown
from ctserver.storage.db import Unavailable
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, until
from tests.ports import free_port

ORIGIN = {"Origin": "https://www.shop.example"}
VIEW = {"s": "shop", "v": "", "u": "https://shop.example/?gclid=1", "r": "", "t": "Bikes", "n": ["main"]}
CALLBACKS = '[callbacks]\ndial = "PJSIP/{number}@trunk"\nsites = ["shop"]\n'


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def children() -> set[int]:
    """The processes that this one has started; a browser's may be among them."""
    return set(map(int, Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()))


@dataclass
class Place:
    """The front, and what stands behind it."""

    front: Front
    db: Sqlite
    url: str
    client: aiohttp.ClientSession
    changes: list[int] = field(default_factory=list)
    asked: list[PageView | Note] = field(default_factory=list)
    others: set[int] = field(default_factory=set)

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Status, and the answer as far as there is one."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        async with self.client.post(self.url + path, data=data, headers={**ORIGIN, **headers}) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else answer.headers.get("X-Ct-Refused", text)

    @property
    def process(self) -> int:
        return max(children() - self.others)

    async def until_it_answers(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with self.client.get(self.url + "/health") as answer:
                        assert await answer.json() == {"ok": True}
                        return
                await asyncio.sleep(0.1)


@pytest.fixture
async def place(db: Sqlite, toml: Path) -> AsyncIterator[Place]:
    toml.write_text(toml.read_text() + CALLBACKS)
    address = free_address()
    settings = config.load(toml, {"visitors.listen": address, "visitors.url": "https://numbers.example"})
    changes: list[int] = []
    asked: list[PageView | Note] = []

    class Heard(Here):
        def several(self, said: Sequence[PageView | Note]) -> asyncio.Future[list[Shown | Exception | None]]:
            asked.extend(said)
            return super().several(said)

    async def ring(callback: str, channel: str, seconds: int) -> None: ...

    callbacks = Callbacks(db, settings, ring)
    front = Front(settings, Heard(db, settings, callbacks, lambda: changes.append(1), ids.now_ms))
    others = children()
    await front.start()
    async with aiohttp.ClientSession() as client:
        place = Place(front, db, f"http://{address}", client, changes, asked, others)
        await place.until_it_answers()
        yield place
    await front.stop()


async def test_visitors_are_served_there_and_nothing_else_is(place: Place) -> None:
    status, shown = await place.post("/v1/visit", VIEW)
    assert (status, shown["n"]["main"]["n"]) == (200, "+442079460101")
    row = await place.db.one("SELECT visitor, source, landing_url FROM sessions")
    assert row is not None
    assert tuple(row) == (shown["v"], "google", VIEW["u"])
    assert place.changes, "who watches Live is told"

    same = {**VIEW, "v": shown["v"], "u": "https://shop.example/b"}
    assert (await place.post("/v1/visit", same))[1]["n"] == shown["n"], "he keeps his number"
    tap = {"s": "shop", "v": shown["v"], "e": shown["e"], "k": "tapped", "n": "+442079460101"}
    assert (await place.post("/v1/signal", tap))[0] == 204
    assert [row["kind"] for row in await place.db.fetch("SELECT kind FROM signals")] == ["tapped"]

    wish = {"s": "shop", "v": shown["v"], "e": shown["e"], "n": "07400 123456", "w": 4, "x": "", "u": VIEW["u"]}
    assert "at" in (await place.post("/v1/callback", wish))[1]
    assert await place.post("/v1/callback", {**wish, "n": "999"}) == (200, {"no": "number"})

    for path in ("/", "/login", "/calls", "/api/v1/calls", "/static/app.css", "/metrics", "/v1/other"):
        async with place.client.get(place.url + path, allow_redirects=False) as answer:
            assert (answer.status, await answer.text()) == (404, "")
    assert (await place.post("/v1/visit", {**VIEW, "s": "other"})) == (204, "no such site")
    assert (await place.post("/v1/visit", b" " * (MAX_BODY + 1)))[0] == 413
    assert (await place.post("/v1/visit", VIEW, Purpose="prefetch", **{"User-Agent": "x"}))[0] == 200, (
        "bots are served here"
    )


async def test_half_a_character_is_no_fault(place: Place) -> None:
    odd = json.dumps({**VIEW, "t": "\ud83d", "p": {"\ud83d\0": "\ud83d\0"}, "i": ["_fbp=\ud83d", "\ud83d"]}).encode()
    status, shown = await place.post("/v1/visit", odd)
    assert (status, shown["n"]["main"]["n"]) == (200, "+442079460101")
    tap = {"s": "shop", "v": shown["v"], "e": shown["e"], "k": "tapped", "p": {"plan\ud83d": "b"}}
    assert (await place.post("/v1/signal", json.dumps(tap).encode()))[0] == 204
    row = await place.db.one("SELECT ids, properties FROM sessions")
    assert row is not None
    assert (json.loads(row["ids"]), json.loads(row["properties"])) == ({"fbp": "?"}, {"?": "?", "plan?": "b"})


async def test_what_cannot_be_sent_to_the_server_takes_no_place_of_others() -> None:
    loop = asyncio.get_running_loop()
    ours, its = socket.socketpair()
    transport, remote = await loop.create_connection(Remote, sock=ours)
    for _ in range(MAX_ASKED):
        with pytest.raises(UnicodeEncodeError):
            remote.signal(Note("", "", "\ud83d"))
    answer = remote.signal(Note("", "", "tapped"))
    assert not answer.done()
    its.close()
    with pytest.raises(Unavailable, match="gone"):
        await answer
    transport.close()


def test_an_answer_to_a_front_that_has_died_is_dropped() -> None:
    async def answer() -> None:
        ours, its = socket.socketpair()
        transport, link = await asyncio.get_running_loop().create_connection(wire.Link, sock=ours)
        its.close()
        transport.close()
        await asyncio.sleep(0.05)
        for id in range(wire.TOGETHER + 1):
            link.send(id, wire.TAKEN, None)
        await asyncio.sleep(0)

    uvloop.run(answer())  # it raises where asyncio's own loop says nothing


async def test_the_script_asks_at_the_address_of_the_front(place: Place) -> None:
    for name in ("ct.js", "ct-callback.js"):
        async with place.client.get(f"{place.url}/{name}?site=shop") as answer:
            assert answer.status == 200
            assert "https://numbers.example" in await answer.text()


async def test_many_at_once_are_all_answered_from_the_disk(place: Place) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(*(place.post("/v1/visit", VIEW) for _ in range(300)))
    opened = {shown["e"] for status, shown in answers if status == 200}
    more = math.ceil(time.monotonic() - began)  # one a second
    assert 60 <= len(opened) <= 60 + more < 300, "[limits] new_visitors_per_minute holds there too"
    assert {row["id"] for row in await place.db.fetch("SELECT id FROM sessions")} == opened


async def test_a_front_that_dies_is_replaced_and_its_address_stays(place: Place) -> None:
    before = place.process
    os.kill(before, signal.SIGKILL)
    await until(lambda: place.front.state != "ok")
    assert place.front.state == "1 of 1 processes not running"
    status, _ = await asyncio.wait_for(place.post("/v1/visit", VIEW), PATIENCE)  # it waits at the door
    assert status == 200
    assert place.process != before
    assert place.front.state == "ok"


async def test_a_front_that_is_told_to_end_by_a_terminal_stays_until_the_server_ends(place: Place) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(place.process, number)
    await asyncio.sleep(0.2)
    assert (await place.post("/v1/visit", VIEW))[0] == 200


async def test_what_was_asked_is_answered_when_the_server_stops(place: Place) -> None:
    gate = threading.Event()
    slow = place.db.write(lambda tx: gate.wait(PATIENCE))
    asked = [asyncio.create_task(place.post("/v1/visit", VIEW)) for _ in range(20)]
    await until(lambda: len(place.asked) == 20)
    assert not any(one.done() for one in asked)
    stopping = asyncio.create_task(place.front.stop())
    await asyncio.sleep(0.2)
    gate.set()
    assert {status for status, _ in await asyncio.gather(*asked)} == {200}
    await stopping
    await slow
    with pytest.raises(aiohttp.ClientError):
        await place.post("/v1/visit", VIEW)


async def test_without_a_database_pages_keep_their_own_number(place: Place) -> None:
    await place.db.close()
    assert await place.post("/v1/visit", VIEW) == (503, "not now\n")
    assert place.front.state == "ok"


async def test_no_front_outlives_a_server_that_is_killed(toml: Path) -> None:
    at, visitors_at = free_address(), free_address()
    pairs = [f"server.listen={at}", f"visitors.listen={visitors_at}"]
    arguments = [
        "-m",
        "ctserver",
        "serve",
        "--config",
        str(toml),
        *(word for pair in pairs for word in ("--set", pair)),
    ]
    server = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as client:
            parts = await _health(client, at)
            assert parts["front"] == "ok"
        front = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0])
    finally:
        server.kill()
        await server.wait()
    await until(lambda: not Path(f"/proc/{front}").exists())
    host, port = visitors_at.split(":")
    socket.create_server((host, int(port))).close()  # the next server can have the address


async def test_what_is_no_http_leaves_nothing_in_the_log(toml: Path) -> None:
    both = free_address(), free_address()
    pairs = ["--set", f"server.listen={both[0]}", "--set", f"visitors.listen={both[1]}"]
    arguments = ["-m", "ctserver", "serve", "--config", str(toml), *pairs]
    server = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.PIPE)
    for address in both:
        async with aiohttp.ClientSession() as client:
            await _health(client, address)
        reader, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(b"POST /v1/visit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\nsecret")
        assert b" 400 " in await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        await writer.wait_closed()
    server.terminate()
    _, said = await asyncio.wait_for(server.communicate(), PATIENCE)
    assert "is ready at" in said.decode()
    assert "Traceback" not in said.decode()
    assert "secret" not in said.decode()


async def _health(client: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(f"http://{address}/health") as answer:
                    parts: dict[str, Any] = await answer.json()
                    return parts
            await asyncio.sleep(0.1)


async def test_several_processes_share_the_address(db: Sqlite, toml: Path) -> None:
    address = free_address()
    settings = config.load(toml, {"visitors.listen": address, "visitors.processes": "2"})
    front = Front(settings, Here(db, settings, None, lambda: None, ids.now_ms))
    before = children()
    await front.start()
    try:
        await until(lambda: front.state == "ok")
        assert len(children() - before) == 2
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client:
            place = Place(front, db, f"http://{address}", client, others=before)
            answers = await asyncio.gather(*(place.post("/v1/visit", VIEW) for _ in range(32)))
            assert {status for status, _ in answers} == {200}
            os.kill(place.process, signal.SIGKILL)
            answers = await asyncio.gather(*(place.post("/v1/visit", VIEW) for _ in range(16)), return_exceptions=True)
        served = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(served) >= 8, "but for what the dead one had accepted, all are served"
    finally:
        await front.stop()
    assert children() == before


async def test_a_taken_address_of_the_front_is_told(toml: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["-m", "ctserver", "serve", "--config", str(toml), "--set", f"visitors.listen={address}"]
        server = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.PIPE)
        _, said = await asyncio.wait_for(server.communicate(), PATIENCE)
    assert server.returncode == 2
    assert f"the front cannot listen at {address}" in said.decode()
    assert "[visitors] listen" in said.decode()
