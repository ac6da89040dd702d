"""Work that is done for as long as somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")

LOOK_SECONDS = 0.5


async def while_there(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives. It is cancelled when the one who asked has gone, who gets no answer (HTTPRequestTimeout): so somebody who
    changes a filter again and again has one report counted, not all of them."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
            if not task.done() and request.transport is None:
                raise web.HTTPRequestTimeout
    finally:
        task.cancel()
    return await task
