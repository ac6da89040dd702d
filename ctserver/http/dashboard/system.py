"""How the server is: health, disk, versions, and the settings without their secrets."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ctserver.http import render
from ctserver.http.deps import DEPS
from ctserver.services import system
from ctserver.storage import counts


def add_routes(app: web.Application) -> None:
    app.router.add_get("/system", system_page)


async def system_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {
        "page": "system",
        "health": await deps.health(),
        "versions": system.versions(),
        "disks": await asyncio.to_thread(system.disks, deps.settings),
        "settings": system.masked(deps.settings),
        "holds": await counts.largest(deps.db),
        "started_at": deps.started_at,
    }
    return render.page(request, "system.html", context)
