"""A program of somebody else's: a real HTTP server that takes messages, refuses them, or drops the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Got:
    """One request, and what it was answered (None: the connection was dropped)."""

    headers: dict[str, str]
    body: bytes
    status: int | None
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`answer` says what to do with a request: a status, (status, headers), or None to drop the connection."""

    answer: Callable[[Got], int | tuple[int, dict[str, str]] | None] = lambda _: 200
    seconds: float = 0.0
    got: list[Got] = field(default_factory=list)
    port: int = 0
    text: str = "taken"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def taken(self) -> list[Got]:
        return [one for one in self.got if one.status == 200]

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        at = asyncio.get_running_loop().time()
        headers = {name.lower(): value for name, value in request.headers.items()}
        said = self.answer(Got(headers, body, None, at))
        status, extra = said if isinstance(said, tuple) else (said, {})
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.got.append(Got(headers, body, status, at))
        if status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 500, text=self.text, headers=extra)


@contextlib.asynccontextmanager
async def receiver(**own: Any) -> AsyncIterator[Receiver]:
    made = Receiver(**own)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
