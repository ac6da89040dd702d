"""The description of the API: as OpenAPI for programs, as a page for people."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from aiohttp import web

from ctserver.domain.words import N_
from ctserver.http import render
from ctserver.http.api import openapi
from ctserver.http.api.registry import with_etag
from ctserver.http.deps import DEPS

N_("Feeds")  # the other parts of the API are called as their pages are


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/openapi.json", document)
    app.router.add_get("/api/docs", page)


async def document(request: web.Request) -> web.StreamResponse:
    return with_etag(request, _text())


async def page(request: web.Request) -> web.StreamResponse:
    whole = openapi.document()
    context = {
        "page": "account",
        "health": await request.app[DEPS].health(),
        "operations": _operations(whole),
        "schemas": whole["components"]["schemas"],
        "url": request.app[DEPS].settings.server.public_url,
    }
    return render.page(request, "api.html", context)


def _operations(whole: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(part, its operations) in their order."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for path, methods in whole["paths"].items():
        for method, one in methods.items():
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            [good] = one["responses"]["200"]["content"].values()
            row = {
                **one,
                "path": path,
                "method": method.upper(),
                "body": _name(body),
                "gives": _name(good.get("schema", {})),
            }
            parts.setdefault(one["tags"][0], []).append(row)
    return list(parts.items())


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


@lru_cache(maxsize=1)
def _text() -> bytes:
    return json.dumps(openapi.document(), ensure_ascii=False).encode()
