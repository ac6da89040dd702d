"""Errors for programs: problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

PROGRAMS = ("/api/", "/odata/", "/metrics")  # addresses that programs ask; /api/docs is for people


def is_for_programs(request: web.BaseRequest) -> bool:
    return request.path.startswith(PROGRAMS) and request.path != "/api/docs"


def problem(status: int, detail: str) -> web.Response:
    """`detail` says what to do about it."""
    body = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


def too_large(most: int) -> web.Response:
    """Before any of the body is read, and the connection closed."""
    refused = problem(413, f"send {most} bytes at most")
    refused.force_close()
    return refused


_DETAILS = {
    400: "the request cannot be read",
    401: "send a token: Authorization: Bearer ct_...",
    403: "this token has not the right to do that",
    404: "there is no such thing here",
    405: "this address does not take that method",
    429: "too many requests with this token; wait a little",
    503: "the server could not do that now; try again in a moment",
}


def of(error: web.HTTPException) -> web.Response:
    """The same error for a program."""
    response = problem(error.status, _DETAILS.get(error.status, error.reason))
    for name in ("WWW-Authenticate", "Allow", "Retry-After"):
        if name in error.headers:
            response.headers[name] = error.headers[name]
    return response
