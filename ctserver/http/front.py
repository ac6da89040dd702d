"""What visitors' pages ask for: the script, the visit, the signals, the callback widget; and how aiohttp's requests come to it."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from ctserver.http import callback, collect
from ctserver.http.asked import MAX_BODY, NOT_NOW, Answer, Asked
from ctserver.http.desk import Asking, Desk, Route
from ctserver.storage.db import StorageError

log = logging.getLogger(__name__)

ROUTES = collect.ROUTES + callback.ROUTES
BODY_SECONDS = 30.0  # for all of a body; a connection on which nothing is asked may stay as long


def ask(route: Route, desk: Desk, asked: Asked) -> Answer | Asking:
    """What the route says, or what it waits for. Whatever fails, the page keeps its own number."""
    try:
        return route.handler(desk, asked)
    except Exception as error:
        return _not_now(route, error)


def tell(route: Route, asking: Asking) -> Answer:
    """The same, when the reply is there."""
    try:
        return asking.told(asking.reply)
    except (Exception, asyncio.CancelledError) as error:
        return _not_now(route, error)


def _not_now(route: Route, error: BaseException) -> Answer:
    if isinstance(error, StorageError):
        log.error("%s %s: %s", route.method, route.path, error)
    else:
        log.error("%s %s failed", route.method, route.path, exc_info=error)
    return NOT_NOW


async def carry(route: Route, desk: Desk, request: web.BaseRequest) -> web.Response:
    """The same for a request of aiohttp's. Raises its HTTPException when the body is too large or broken."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except OSError:  # too slow (a TimeoutError), or he has gone in the middle, which is no fault
        return _too_slow()
    asked = Asked(request.headers, request.remote or "", request.query, body)
    said = ask(route, desk, asked)
    if isinstance(said, Asking):
        await asyncio.wait([said.reply])
        said = tell(route, said)
    carried = response(said)
    if route.method == "GET":
        carried.enable_compression()
        carried.headers["Vary"] = "Accept-Encoding"  # for caches between us and the page
    return carried


def response(told: Answer) -> web.Response:
    return web.Response(status=told.status, headers=told.headers, body=told.body)


def _too_slow() -> web.Response:
    """The connection closed: what is left of the body is not waited for."""
    refused = web.Response(status=408, text=f"not all of it came within {BODY_SECONDS:g} seconds\n")
    refused.force_close()
    return refused


def too_large() -> web.Response:
    """Before any of the body is read, and the connection closed."""
    refused = web.Response(status=413, text=f"at most {MAX_BODY} bytes\n")
    refused.force_close()
    return refused
