"""Server-sent events: what every stream of them obeys, whatever it tells."""

from __future__ import annotations

import asyncio

from aiohttp import web

BEAT_SECONDS = 15.0  # of silence at most: shorter than any proxy's patience
LIFE_SECONDS = 300.0  # then the other side connects again
SEND_SECONDS = 10.0


async def opened(request: web.Request) -> web.StreamResponse:
    """The answer's head is sent: no cache keeps it, and no proxy holds it back."""
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


async def send(response: web.StreamResponse, text: str) -> None:
    """Raises ConnectionError or TimeoutError where nobody takes it."""
    await asyncio.wait_for(response.write(text.encode()), SEND_SECONDS)
