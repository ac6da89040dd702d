"""The FastAGI server: panoramisk's Application with a handler that no client can hold or break.

A request is answered from memory within REQUEST_SECONDS or closed: the dialplan goes on by itself then. Listens on the
loopback address; what it answers is no secret, and it takes nothing in but a called number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

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
        self._clients = 0
        self.served = 0
        self._server: asyncio.Server | None = None
        self.add_route(variables.ROUTE_SCRIPT, self._answer_route)
        self.add_route(variables.CALLBACK_SCRIPT, self._answer_callback)

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._server = await asyncio.start_server(self.handler, host, port, limit=MAX_HEADERS)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. Whatever the other side does, it ends."""
        self._clients += 1
        try:
            if self._clients <= MAX_CLIENTS:
                async with asyncio.timeout(HEADER_SECONDS):
                    headers = await _headers(reader)
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._dispatch(headers, reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a FastAGI client left or was let go: %r", error)
        except Exception:
            log.exception("a FastAGI request failed")
        finally:
            self._clients -= 1
            with contextlib.suppress(Exception):
                writer.close()

    async def _dispatch(
        self, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        script = headers.get("agi_network_script", "").split("?")[0]
        endpoint = self._route.get(script)
        if endpoint is not None:
            await endpoint(Request(app=self, headers=headers, reader=reader, writer=writer))
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


def _arguments(request: Request) -> tuple[str, str]:
    return request.headers.get("agi_arg_1", "")[:MAX_ARGUMENT], request.headers.get("agi_arg_2", "")[:MAX_ARGUMENT]


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    """The agi_ headers up to the empty line. Caller names come in any encoding."""
    block = await reader.readuntil(b"\n\n")
    pairs = (line.partition(": ") for line in block.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def set_variable(name: str, value: str) -> str:
    """The AGI command, with the value as one quoted argument: no control characters, quote and backslash escaped."""
    clean = "".join(character for character in value if ord(character) >= 32)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'SET VARIABLE {name} "{escaped}"'
