"""Pages of other websites may ask only where `[api] origins` names them, and then with a token: cookies are not taken."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from ctserver.http.deps import DEPS

CORS: web.RequestKey[dict[str, str]] = web.RequestKey("cors", dict)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers the browser's question beforehand, and signs every answer of the API."""
    if not request.path.startswith("/api/v1/"):
        return await handler(request)
    origin = request.headers.get("Origin", "")
    allowed = origin in request.app[DEPS].settings.api.origins
    if allowed and request.method == "OPTIONS":
        return web.Response(status=204, headers={**_signature(origin), **_PREFLIGHT})
    if allowed:
        request[CORS] = _signature(origin)
    return await handler(request)


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Streams and errors too: called as a response is prepared."""
    response.headers.update(request.get(CORS) or {})


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}


def _signature(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "ETag", "Vary": "Origin"}
