"""The web server at the visitors' own address. It answers what visitors' pages ask, and nothing else.

What they ask most often, a small POST that arrives in one piece, goes from the parser straight to its route and back: a
rush of visitors is mostly that, and aiohttp's way through request, response and writer costs twice as much as all that is
done for it. With anything else, from a body in two pieces to rubbish, the connection becomes aiohttp's own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from multidict import CIMultiDict

from ctserver.http import front
from ctserver.http.asked import MAX_BODY, Answer, Asked
from ctserver.http.desk import Asking, Desk, Route

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
_NO_QUERY: CIMultiDict[str] = CIMultiDict()
_FIRST_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Server(web.Server):
    """All connections; one that is silent for `idle_seconds` is closed. `/health` says that there is a server; how it is,
    is told at the dashboard's address."""

    def __init__(self, desk: Desk, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(
            self._serve,
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=idle_seconds,
            lingering_time=0,  # of a body that is refused no more is read
        )
        self.desk = desk
        self.routes = {(route.method, route.path): route for route in front.ROUTES}
        self.doors: set[_Door] = set()
        self.is_closing = False
        self._idle_seconds = idle_seconds
        self._here = asyncio.get_running_loop()
        self._sweep()

    def __call__(self) -> _Door:  # type: ignore[override]
        return _Door(self, self._here)

    def plain_connection(self) -> web.RequestHandler:
        """A connection as aiohttp keeps it."""
        return super().__call__()

    def pre_shutdown(self) -> None:
        """No further request is taken; what was asked is still answered."""
        self.is_closing = True
        self._sweeping.cancel()
        for door in tuple(self.doors):
            door.close_if_idle()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        answers = [door.answering for door in self.doors if door.answering]
        if answers:
            await asyncio.wait(answers, timeout=timeout)
        for door in tuple(self.doors):
            door.close()
        await super().shutdown(timeout)

    def _sweep(self) -> None:
        idle_since = self._here.time() - self._idle_seconds
        for door in tuple(self.doors):
            door.close_if_idle(idle_since)
        self._sweeping = self._here.call_later(self._idle_seconds / 6, self._sweep)

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._here, client_max_size=MAX_BODY)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if (request.content_length or 0) > MAX_BODY:
            return front.too_large()
        route = self.routes.get((request.method, request.path))
        if route is None:
            return web.json_response({"ok": True}) if request.path == "/health" else web.Response(status=404)
        try:
            return await front.carry(route, self.desk, request)
        except web.RequestPayloadError:  # packed in a way that it is not
            raise web.HTTPBadRequest from None


class _Door(BaseProtocol):
    """One connection, as long as nothing but small POSTs comes through it."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, HttpRequestParser(self, loop, 2 * MAX_BODY, auto_decompress=False))
        self.answering: asyncio.Future[Any] | None = None
        self._server = server
        self._early = b""  # what came before the last answer went
        self._remote = ""
        self._used_at = loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if peer else ""
        self._server.doors.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._server.doors.discard(self)

    def pause_reading(self) -> None:
        """The parser asks for it when a body grows: aiohttp's connection is about to take over."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing was paused."""

    def close_if_idle(self, since: float = float("inf")) -> None:
        if self.answering is None and self._used_at < since:
            self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.answering is not None:
            self._early += data
            if len(self._early) > MAX_BODY:
                self.close()
            return
        asked = self._asked(data)
        if asked is None:
            self._hand_over(data)
            return
        route, question = asked
        self._used_at = self._loop.time()
        said = front.ask(route, self._server.desk, question)
        if isinstance(said, Asking):
            self.answering = said.reply
            said.reply.add_done_callback(lambda _: self._tell(front.tell(route, said)))
        else:
            self._tell(said)

    def _asked(self, data: bytes) -> tuple[Route, Asked] | None:
        """The question, if this is a small POST to one of the routes, all of it and nothing more."""
        try:
            messages, upgraded, _ = self._parser.feed_data(data)  # type: ignore[union-attr]
        except HttpProcessingError:  # aiohttp's connection meets it again, and knows the right answer
            return None
        if len(messages) != 1 or upgraded:
            return None
        message, payload = messages[0]
        route = self._server.routes.get((message.method, message.path))
        if route is None or route.method != "POST" or not payload.is_eof() or not _is_plain(message, data):
            return None
        return route, Asked(message.headers, self._remote, _NO_QUERY, payload.read_nowait())

    def _hand_over(self, data: bytes) -> None:
        transport = cast(asyncio.Transport, self.transport)
        self._server.doors.discard(self)
        handler = self._server.plain_connection()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    def _tell(self, answer: Answer) -> None:
        self.answering = None
        if self.transport is None or self.transport.is_closing():
            return
        try:
            self.transport.write(_written(answer))
        except ValueError as error:
            log.error("no answer could be given: %r", error)
            self.close()
            return
        if self._server.is_closing or self.writing_paused:  # who does not read what he asks for is no browser
            self.close()
        elif self._early:
            self._hand_over(self._early)


def _is_plain(message: RawRequestMessage, data: bytes) -> bool:
    if message.version != HttpVersion11 or message.should_close or message.chunked or message.compression:
        return False
    if "Expect" in message.headers:
        return False
    length = int(message.headers.get("Content-Length", 0))
    return length <= MAX_BODY and data.find(b"\r\n\r\n") + 4 + length == len(data)


def _written(answer: Answer) -> bytes:
    """Raises ValueError where a header would end too early."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in answer.headers.items()])
    if lines.count("\n") != len(answer.headers) or lines.count("\r") != len(answer.headers):
        raise ValueError("a header of two lines")
    size = "" if answer.status in (204, 304) else f"Content-Length: {len(answer.body)}\r\n"
    head = f"{_FIRST_LINES[answer.status]}{lines}{size}Date: {_date(int(time.time()))}\r\n\r\n"
    return head.encode(errors="ignore") + answer.body  # bytes of the question that are no UTF-8: aiohttp drops them too


@lru_cache(2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
