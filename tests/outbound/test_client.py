"""The one HTTP client, against real servers that are slow, huge, rude, private, or not who they claim to be."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver.outbound import GiveUp, OutboundError, Retry
from ctserver.outbound.client import ANSWER_BYTES, Client, public, retry_after, shown

SECRET = "sec/ret+1"
NOON = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client(["127.0.0.0/8"], seconds=30)
    yield made
    await made.close()


async def refused(client: Client, url: str, *, secrets: tuple[str, ...] = (SECRET,)) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        (await client.request("GET", url, secrets=secrets)).accept()
    return caught.value


async def test_a_good_answer_is_read(client: Client, serve: Any) -> None:
    url = await serve(lambda _: web.json_response({"a": 1}))
    assert (await client.request("GET", url)).record() == {"a": 1}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_who_is_busy_or_broken_is_asked_again(client: Client, serve: Any, status: int) -> None:
    error = await refused(client, await serve(lambda _: web.Response(status=status, text="later")))
    assert isinstance(error, Retry)
    assert error.after is None
    assert f"answered {status}" in str(error)
    assert "later" in str(error)


async def test_who_names_a_time_is_asked_again_then(client: Client, serve: Any) -> None:
    error = await refused(client, await serve(lambda _: web.Response(status=429, headers={"Retry-After": "17"})))
    assert isinstance(error, Retry)
    assert error.after == 17


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1e9", None),
        ("nan", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, NOON) == seconds


@pytest.mark.parametrize(
    ("status", "unauthorised"), [(400, False), (401, True), (403, True), (404, False), (410, False)]
)
async def test_who_refuses_is_not_asked_again(client: Client, serve: Any, status: int, unauthorised: bool) -> None:
    error = await refused(client, await serve(lambda _: web.Response(status=status, text=f"bad {SECRET}")))
    assert isinstance(error, GiveUp)
    assert error.unauthorised is unauthorised
    assert str(error).endswith("bad ***")


async def test_a_redirect_is_not_followed(client: Client, serve: Any) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    error = await refused(client, await serve(answer))
    assert isinstance(error, GiveUp)
    assert "redirects are not followed" in str(error)
    assert asked == ["/"]


async def test_an_answer_that_has_no_end_is_cut(client: Client, serve: Any) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    answer = await client.request("GET", await serve(endless))
    assert len(answer.body) == ANSWER_BYTES
    assert len(answer.words) <= 300


async def test_a_small_packet_does_not_become_a_large_answer(client: Client, serve: Any) -> None:
    def bomb(_: web.Request) -> web.Response:
        response = web.Response(body=b" " * 20_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def bombard(request: web.Request) -> web.StreamResponse:
        response = bomb(request)
        response._compression_force = web.ContentCoding.gzip  # whatever the client asked for
        return response

    answer = await client.request("GET", await serve(bombard))
    assert len(answer.body) <= ANSWER_BYTES


async def test_who_does_not_answer_is_asked_again(client: Client, serve: Any) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    url = await serve(slow)
    with pytest.raises(Retry, match=r"no answer within 0\.2 s"):
        await client.request("GET", url, seconds=0.2)


async def test_who_is_not_there_is_asked_again(client: Client, free_port: int) -> None:
    assert isinstance(await refused(client, f"http://127.0.0.1:{free_port}/"), Retry)


async def test_a_connection_cut_in_mid_answer_is_tried_again(client: Client) -> None:
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
        assert isinstance(await refused(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"), Retry)


async def test_a_name_that_nobody_knows_is_tried_again(client: Client) -> None:
    error = await refused(client, "http://nobody.invalid/")
    assert isinstance(error, Retry)
    assert "nobody.invalid" in str(error)


async def test_a_false_certificate_is_told(client: Client, serve: Any, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    url = await serve(lambda _: web.Response(), context)
    error = await refused(client, url)
    assert isinstance(error, Retry)
    assert "certificate is not good" in str(error)


async def test_who_speaks_no_tls_is_told(client: Client, serve: Any) -> None:
    url = await serve(lambda _: web.Response())
    assert "TLS" in str(await refused(client, url.replace("http:", "https:")))


@pytest.mark.parametrize("body", ["<html>Welcome to the hotel</html>", "", "{", "[" * 200_000])
async def test_what_is_not_json_is_asked_again(client: Client, serve: Any, body: str) -> None:
    answer = await client.request("GET", await serve(lambda _: web.Response(text=body)))
    with pytest.raises(Retry, match="not JSON"):
        answer.json()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])
async def test_a_private_address_is_refused_whatever_its_name(host: str, serve: Any) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    port = (await serve(answer)).rsplit(":", 1)[1]
    strict = Client(seconds=2)
    error = await refused(strict, f"http://{host}:{port}")
    await strict.close()
    assert isinstance(error, GiveUp)
    assert asked == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "127.0.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "fe80::1", "fc00::1", "ff02::1", "::", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"),
    ],
)
def test_private_addresses_are_known(text: str) -> None:
    assert not public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_known(text: str) -> None:
    assert public(ip_address(text))


def test_a_secret_is_hidden_however_it_is_written() -> None:
    text = f"{SECRET} sec%2Fret%2B1 sec/ret%2B1 \x1b[2J\nend"
    assert shown(text, [SECRET]) == "*** *** *** [2J end"


async def test_a_password_is_hidden_when_it_comes_back(client: Client, serve: Any) -> None:
    url = await serve(lambda request: web.Response(status=400, text=str(request.headers["Authorization"])))
    answer = await client.request("GET", url, user=("me", "hunter2"))
    assert answer.words == "Basic ***"
