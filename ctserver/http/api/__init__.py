"""The API for programs. Operations register themselves (registry.py); the description of it all is made from the same models
(openapi.py). Errors are problem+json."""

from __future__ import annotations

from aiohttp import web

from ctserver.http.api import (
    blocked,
    calls,
    cors,
    deliveries,
    docs,
    events,
    feeds,
    numbers,
    odata,
    registry,
    reports,
    visitors,
)

__all__ = ["add_routes", "cors"]

_PARTS = (
    calls,
    blocked,
    visitors,
    numbers,
    reports,
    deliveries,
    feeds,
)  # each registers its operations when it is read


def add_routes(app: web.Application) -> None:
    for operation in registry.OPERATIONS:
        app.router.add_route(operation.method, operation.path, operation.answer)
    events.add_routes(app)
    docs.add_routes(app)
    odata.add_routes(app)
