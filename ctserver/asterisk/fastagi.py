"""The FastAGI server: no client can hold or break it.

A request is answered from memory within REQUEST_SECONDS or closed: the dialplan goes on by itself then. Listens on the
loopback address; what it answers is no secret, and it takes nothing in but a called number. It stands in the way of every
ringing phone, so it is a bare protocol of the event loop, without a stream around it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import cast

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


class Fastagi:
    """Serves `route` (by the called number, the caller's and the PBX that asks) and `callback` (by its id and which side asks):
    sets CT_ROUTE, after whatever else is known of the call."""

    def __init__(self, find_route: FindRoute, find_callback: Find) -> None:
        self._find_route = find_route
        self._find_callback = find_callback
        self._server: asyncio.Server | None = None
        self.clients = 0
        self.served = 0

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Client(self), host, port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def answer(self, headers: Mapping[str, str]) -> Answer | None:
        """None: there is no script of this name."""
        asked = headers.get("agi_network_script", "")
        first, second = (headers.get(name, "")[:MAX_ARGUMENT] for name in ("agi_arg_1", "agi_arg_2"))
        script = asked.partition("?")[0]
        if script == variables.ROUTE_SCRIPT:
            return await self._find_route(first, second, asked.partition(variables.ASKED_BY)[2][:MAX_ARGUMENT])
        if script == variables.CALLBACK_SCRIPT:
            return await self._find_callback(first, second)
        if script:
            log.warning("FastAGI: nothing is called %r here", script[:80])
        return None


class _Client(asyncio.Protocol):
    """One connection: the client's headers, then our commands, each after the reply to the one before. Whatever the other
    side does, it ends."""

    def __init__(self, server: Fastagi) -> None:
        self._server = server
        self._heard = b""
        self._answering: asyncio.Task[None] | None = None
        self._commands: Iterator[bytes] | None = None

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
        elif self._commands is not None:
            self._hear_replies(self._commands)
        elif self._answering is None and b"\n\n" in self._heard:
            block, _, self._heard = self._heard.partition(b"\n\n")
            self._patience.cancel()
            self._wait(REQUEST_SECONDS)
            self._answering = asyncio.create_task(self._answer(_headers(block)))

    def _wait(self, seconds: float) -> None:
        self._patience = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    async def _answer(self, headers: Mapping[str, str]) -> None:
        answer = None
        try:
            answer = await self._server.answer(headers)
        except Exception:
            log.exception("a FastAGI request failed")
        if answer is None:
            self._transport.close()
            return
        self._commands = iter([f"{command}\n".encode() for command in commands(answer)])
        self._say(self._commands)

    def _hear_replies(self, waiting: Iterator[bytes]) -> None:
        *replies, self._heard = self._heard.split(b"\n")
        for reply in replies:
            if not reply.startswith(b"100"):  # trying: the reply itself comes later
                self._say(waiting)

    def _say(self, waiting: Iterator[bytes]) -> None:
        """The next command, or goodbye."""
        command = next(waiting, None)
        if command is not None:
            self._transport.write(command)
        elif not self._transport.is_closing():
            self._server.served += 1
            self._transport.close()


def _headers(block: bytes) -> dict[str, str]:
    """The agi_ headers. Caller names come in any encoding."""
    pairs = (line.partition(": ") for line in block.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def commands(answer: Answer) -> list[str]:
    """CT_ROUTE is the last: it is the proof of an answer."""
    variables_of_call = (*answer.variables.items(), (variables.ROUTE_VARIABLE, answer.route))
    return [set_variable(name, value) for name, value in variables_of_call]


def set_variable(name: str, value: str) -> str:
    """The AGI command, with the value as one quoted argument: no control characters, quote and backslash escaped."""
    clean = "".join(character for character in value if ord(character) >= 32)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'SET VARIABLE {name} "{escaped}"'
