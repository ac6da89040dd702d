"""Work that nobody waits for any more ends."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from ctserver.http.patience import while_there


async def test_work_ends_when_the_one_who_asked_has_gone_and_not_before() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await while_there(request, work()))

    app = web.Application()
    app.router.add_get("/", handler)
    async with TestServer(app) as server:
        _reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(begun.wait(), 5)
        await asyncio.sleep(0.7)
        assert not ended.is_set()
        writer.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_work_gives_what_it_found_or_how_it_failed() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await while_there(request, work(request.query["n"])))

    async def work(text: str) -> str:
        await asyncio.sleep(0)
        if not text.isdigit():
            raise web.HTTPConflict
        return str(int(text) + 1)

    app = web.Application()
    app.router.add_get("/", handler)
    async with TestServer(app) as server, ClientSession() as client:
        assert await (await client.get(server.make_url("/?n=41"))).text() == "42"
        assert (await client.get(server.make_url("/?n=x"))).status == 409
