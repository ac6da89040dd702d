"""The FastAGI server: panoramisk's Application, behind connections that no client can hold or break.

A request is answered from memory within REQUEST_SECONDS or closed: the dialplan goes on by itself then. Listens on the
loopback address; what it answers is no secret, and it takes nothing in but a called number. It stands in the way of every
ringing phone: what panoramisk's Request reads from and writes to is the bare connection, without streams around it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from panoramisk.fast_agi import Application, Request

from ctserver.asterisk import variables
from ctserver.services.routing import Answer

log = logging.getLogger(__name__)

HEADER_SECONDS = 1.0
REQUEST_SECONDS = 0.3
MAX_HEADERS = 32 * 1024
MAX_CLIENTS = 500
MAX_ARGUMENT = 64


Find = Callable[[str, str], Awaitable[Answer]]
FindRoute = Callable[[str, str, str], Awaitable[Answer]]


class Fastagi(Application):  # type: ignore[misc]
    """Serves `route` (by the called number, the caller's and the PBX that asks) and `callback` (by its id and which side asks):
    sets CT_ROUTE, after whatever else is known of the call."""

    def __init__(self, find_route: FindRoute, find_callback: Find) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._find_route = find_route
        self._find_callback = find_callback
        self._server: asyncio.Server | None = None
        self.clients = 0
        self.served = 0
        self.add_route(variables.ROUTE_SCRIPT, self._answer_route)
        self.add_route(variables.CALLBACK_SCRIPT, self._answer_callback)

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._server = await self.loop.create_server(lambda: _Client(self), host, port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def answer(self, headers: Mapping[str, str], client: _Client) -> None:
        script = headers.get("agi_network_script", "").partition("?")[0]
        endpoint = self._route.get(script)
        if endpoint is not None:
            await endpoint(Request(app=self, headers=headers, reader=client, writer=client))
        elif script:
            log.warning("FastAGI: nothing is called %r here", script[:80])

    async def _answer_route(self, request: Request) -> None:
        pbx = request.headers["agi_network_script"].partition(variables.ASKED_BY)[2]
        await self._tell(request, await self._find_route(*_arguments(request), pbx[:MAX_ARGUMENT]))

    async def _answer_callback(self, request: Request) -> None:
        await self._tell(request, await self._find_callback(*_arguments(request)))

    async def _tell(self, request: Request, answer: Answer) -> None:
        for name, value in answer.variables.items():
            await request.send_command(set_variable(name, value))
        await request.send_command(set_variable(variables.ROUTE_VARIABLE, answer.route))  # last: it is the proof
        self.served += 1


class _Client(asyncio.Protocol):
    """One connection: the client's headers, then our commands, each after the reply to the one before. Whatever the other
    side does, it ends. To panoramisk's Request it is reader and writer."""

    def __init__(self, server: Fastagi) -> None:
        self._server = server
        self._heard = b""
        self._answering: asyncio.Task[None] | None = None
        self._line: asyncio.Future[None] | None = None  # done when there may be one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.clients += 1
        self._wait(HEADER_SECONDS)
        if self._server.clients > MAX_CLIENTS:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.clients -= 1
        self._patience.cancel()
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if len(self._heard) > MAX_HEADERS:
            self._transport.abort()
        elif self._line is not None and not self._line.done():
            self._line.set_result(None)
        elif self._answering is None and b"\n\n" in self._heard:
            block, _, self._heard = self._heard.partition(b"\n\n")
            self._patience.cancel()
            self._wait(REQUEST_SECONDS)
            self._answering = self._server.loop.create_task(self._answer(_headers(block)))

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        """Few and short commands: they need no waiting."""

    async def readline(self) -> bytes:
        while b"\n" not in self._heard:
            self._line = self._server.loop.create_future()
            await self._line
        line, _, self._heard = self._heard.partition(b"\n")
        return line + b"\n"

    def _wait(self, seconds: float) -> None:
        self._patience = self._server.loop.call_later(seconds, self._transport.abort)

    async def _answer(self, headers: Mapping[str, str]) -> None:
        try:
            await self._server.answer(headers, self)
        except Exception:
            log.exception("a FastAGI request failed")
        self._transport.close()


def _arguments(request: Request) -> tuple[str, str]:
    return request.headers.get("agi_arg_1", "")[:MAX_ARGUMENT], request.headers.get("agi_arg_2", "")[:MAX_ARGUMENT]


def _headers(block: bytes) -> dict[str, str]:
    """The agi_ headers. Caller names come in any encoding."""
    pairs = (line.partition(": ") for line in block.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def set_variable(name: str, value: str) -> str:
    """The AGI command, with the value as one quoted argument: no control characters, quote and backslash escaped."""
    clean = "".join(character for character in value if ord(character) >= 32)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'SET VARIABLE {name} "{escaped}"'
