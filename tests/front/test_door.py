"""The visitors' own web server at a real socket: what comes in one piece and what does not is answered alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from ctserver import config, ids
from ctserver.http import front
from ctserver.http.asked import MAX_BODY
from ctserver.http.desk import Desk
from ctserver.http.door import Server
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.services.reception import Here
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE

BODY = json.dumps({"s": "shop", "v": "", "u": "https://shop.example/?gclid=1", "n": ["main"]}).encode()
LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEALTHY = b'{"ok": true}'


def post(*headers: str, body: bytes = BODY, path: str = "/v1/visit", length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Origin: https://shop.example", *headers]
    if length is None or length >= 0:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def split(heard: bytes) -> list[bytes]:
    return re.split(rb"(?<!^)(?=HTTP/1\.[01] )", heard) if heard else []


def is_last(answers: list[bytes]) -> bool:
    head, end, body = answers[-1].partition(b"\r\n\r\n") if answers else (b"", b"", b"")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end and b"Connection: close" in head and length and len(body) == int(length[1]))


@dataclass
class Street:
    """A door, and the bytes one sends to it."""

    port: int
    server: Server
    db: Sqlite

    async def send(self, *pieces: bytes, pause: float = 0.02) -> list[bytes]:
        """Each answer until one says that it is the last, as that to a question of our own after all pieces does."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        heard = b""

        async def listen() -> None:
            nonlocal heard
            with contextlib.suppress(OSError):
                while not is_last(split(heard)) and (part := await reader.read(65536)):
                    heard += part

        async with asyncio.timeout(PATIENCE):
            listening = asyncio.create_task(listen())
            with contextlib.suppress(OSError):
                for number, piece in enumerate([*pieces, LAST]):
                    await asyncio.sleep(pause if number else 0)
                    writer.write(piece)
                    await writer.drain()
            await listening
        writer.close()
        answers = split(heard)
        return answers[:-1] if answers and answers[-1].endswith(HEALTHY) else answers

    async def visits(self) -> int:
        row = await self.db.one("SELECT COUNT(*) FROM visits")
        return int(row[0]) if row else 0


@pytest.fixture
def idle_seconds() -> float:
    """A connection on which nothing is said may stay for so long."""
    return PATIENCE


@pytest.fixture
async def street(db: Sqlite, toml: Path, idle_seconds: float) -> AsyncIterator[Street]:
    settings = config.load(toml)
    here = Here(db, settings, None, lambda: None, ids.now_ms)
    server = Server(
        Desk(settings, Gate(settings, Geo(None)), config.number_uses(settings), here, ids.now_ms), idle_seconds
    )
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield Street(port, server, db)
    await runner.cleanup()


def parts(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    named = dict(line.decode().split(": ", 1) for line in lines)
    return first, {name: text for name, text in named.items() if name not in ("Date", "Server", "Connection")}, body


@pytest.mark.parametrize(
    "pieces",
    [
        (post()[:-1], post()[-1:]),
        tuple(post()[at : at + 100] for at in range(0, len(post()), 100)),
        (post("Connection: close"),),
        (post("Expect: 100-continue")[: -len(BODY)], BODY),
        (post("Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), length=-1),),
        (post("Content-Encoding: deflate", body=zlib.compress(BODY)),),
        (b"\r\n" + post(),),
        (post(path="/v1/visit?x=1"),),
        (post().replace(b"HTTP/1.1", b"HTTP/1.0"),),
    ],
    ids=["two pieces", "many", "close", "expect", "chunked", "deflate", "an empty line first", "query", "HTTP 1.0"],
)
async def test_a_question_that_comes_otherwise_is_answered_alike(street: Street, pieces: tuple[bytes, ...]) -> None:
    [whole] = await street.send(post())
    *_, other = await street.send(*pieces)
    first, headers, body = parts(whole)
    assert (first, json.loads(body)["n"]["main"]["n"]) == (b"HTTP/1.1 200 OK", "+442079460101")
    assert parts(other)[0].endswith(b" 200 OK")
    assert parts(other)[1] == headers
    assert json.loads(parts(other)[2]).keys() == json.loads(body).keys()
    assert await street.visits() == 2


async def test_an_origin_that_is_no_text_is_answered_alike(street: Street) -> None:
    odd = post().replace(b"https://shop.example\r\n", b"https://shop.example/\xff\xfe\r\n")
    [whole], [other] = await street.send(odd), await street.send(odd[:-1], odd[-1:])
    assert parts(whole)[0] == b"HTTP/1.1 200 OK"
    assert parts(whole)[:2] == parts(other)[:2]


async def test_a_body_packed_in_a_way_that_it_is_not_is_no_fault_of_ours(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    answers = await street.send(post("Content-Encoding: deflate"))
    assert parts(answers[0])[0] == b"HTTP/1.1 400 Bad Request"
    assert not caplog.records


async def test_a_connection_is_kept_and_may_go_on_otherwise(street: Street) -> None:
    answers = await street.send(post(), post(), b"GET /ct.js?site=shop HTTP/1.1\r\nHost: x\r\n\r\n", post(), pause=0.1)
    assert [parts(answer)[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 4
    assert b"ct-test" in answers[2]


async def test_questions_sent_all_at_once_are_answered_in_turn(street: Street) -> None:
    answers = await street.send(post() * 5)
    assert [parts(answer)[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 5
    answers = await street.send(post(), post(), post() + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", pause=0)
    assert parts(answers[-1])[2] == b'{"ok": true}'
    assert len(answers) == 4
    assert await street.visits() == 8


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(body=b" " * (MAX_BODY + 1)), b"413"),
        (post(length=1 << 30), b"413"),
        (post(length=-1) + b"nonsense", b"400"),
        (post("Bad Header: x"), b"400"),
        (post("Content-Length: 7"), b"400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (post(path="/v1/other"), b"404"),
        (b"GET /v1/visit HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
)
async def test_what_is_no_question_is_refused_and_the_next_is_answered(
    street: Street, sent: bytes, status: bytes
) -> None:
    for pieces in ((sent,), (post(), sent)):
        answers = await street.send(*pieces, pause=0.1)
        assert status in [answer.split(b" ")[1] for answer in answers]
    assert parts((await street.send(post()))[0])[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("idle_seconds", [0.3])
async def test_who_says_nothing_is_let_go(street: Street) -> None:
    for sent in (b"", post(), post()[:50]):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", street.port)
            writer.write(sent)
            while await reader.read(65536):
                pass
            writer.close()
    assert not street.server.doors


CHUNKED = post("Transfer-Encoding: chunked", body=b"5\r\nabc", length=-1)


@pytest.mark.parametrize("sent", [post(body=b"{", length=100), CHUNKED, post() + post()[:-1]])
async def test_a_body_that_does_not_come_is_not_waited_for(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.2)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", street.port)
        writer.write(sent)
        *_, last = split(await reader.read())
        writer.close()
    assert parts(last)[0] == b"HTTP/1.1 408 Request Timeout"
    assert b"Connection: close" in last
    assert not street.server.connections
    assert not caplog.records


@pytest.mark.parametrize("sent", [post(body=b"{", length=100), CHUNKED])
async def test_who_goes_in_the_middle_of_a_body_is_no_fault_of_ours(
    street: Street, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with asyncio.timeout(PATIENCE):
        for is_rude in (False, True):
            _, writer = await asyncio.open_connection("127.0.0.1", street.port)
            writer.write(sent)
            while not street.server.connections:
                await asyncio.sleep(0.01)
            writer.transport.abort() if is_rude else writer.close()
            while street.server.connections:
                await asyncio.sleep(0.01)
        [answer] = await street.send(post())
    assert parts(answer)[0] == b"HTTP/1.1 200 OK"
    assert not caplog.records


async def test_a_body_that_comes_slowly_is_waited_for(street: Street) -> None:
    [answer] = await street.send(*(post()[at : at + 50] for at in range(0, len(post()), 50)), pause=0.1)
    assert parts(answer)[0] == b"HTTP/1.1 200 OK"


async def test_an_answer_under_way_is_given_when_the_server_stops(street: Street) -> None:
    asked = asyncio.create_task(street.send(post(), pause=1))
    while not any(door.answering for door in street.server.doors):
        await asyncio.sleep(0)
    street.server.pre_shutdown()
    await street.server.shutdown(2)
    [answer] = await asked
    assert parts(answer)[0] == b"HTTP/1.1 200 OK"
    assert not street.server.doors
