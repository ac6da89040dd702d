"""What visitors' pages ask for, and the web server at an address of its own that answers nothing else: the script, the visit,
the signals, the callback widget. Few routes, asked often: aiohttp's plain server, without an application's guards."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from ctserver.http import callback, collect
from ctserver.http.desk import Desk
from ctserver.storage.db import StorageError

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
ROUTES = collect.ROUTES + callback.ROUTES


def make(desk: Desk) -> web.Server:
    """The server, ready to run. `/health` says that there is one; how it is, is told at the dashboard's address."""
    loop = asyncio.get_running_loop()
    handlers = {(route.method, route.path): route.handler for route in ROUTES}

    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if (request.content_length or 0) > MAX_BODY:
            return too_large()
        handler = handlers.get((request.method, request.path))
        if handler is None:
            return web.json_response({"ok": True}) if request.path == "/health" else web.Response(status=404)
        try:
            return await handler(desk, request)
        except web.HTTPException:
            raise
        except StorageError as error:
            log.error("%s %s: %s", request.method, request.path, error)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
        return not_now()

    return web.Server(serve, request_factory=request, access_log=None, keepalive_timeout=30)


def too_large() -> web.Response:
    """Before any of the body is read, and the connection closed."""
    response = web.Response(status=413, text=f"at most {MAX_BODY} bytes\n")
    response.force_close()
    return response


def not_now() -> web.Response:
    """What a page gets while nothing can be written: it keeps its own number."""
    return web.Response(status=503, text="not now\n", headers={"Access-Control-Allow-Origin": "*"})
