"""What is going on now, and the stream of server-sent events that keeps every open page true.

A stream begins with how things stand and says it anew after each change, so a browser that was away (or whose server
was started again) needs nothing but a new connection.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ctserver.domain import call as machine
from ctserver.domain.rights import Right
from ctserver.http import render
from ctserver.http.dashboard import missed
from ctserver.http.dashboard.calls import path_of
from ctserver.http.dashboard.rows import CallRow, call_row, colour, label_of
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.services.live import Shared
from ctserver.storage import live, pauses, sessions
from ctserver.storage.db import Row

CALM_SECONDS = 0.25  # a burst of changes is told once
BEAT_SECONDS = 15.0  # shorter than any proxy's patience
LIFE_SECONDS = 300.0  # then the browser connects again, and is asked who it is
SEND_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Now:
    """Rows of calls and of visitors; the calls whose recording is paused."""

    calls: list[Row]
    visitors: list[Row]
    paused: frozenset[str]


NOW: web.AppKey[Shared[Now]] = web.AppKey("now", Shared)
WAITING: web.AppKey[Shared[list[tuple[str, str]]]] = web.AppKey("waiting", Shared)
WAITING_SECONDS = 3.0  # the work list is longer than what is going on now, and changes less


def add_routes(app: web.Application) -> None:
    deps = app[DEPS]

    async def read() -> Now:
        paused = frozenset(one.call for one in await pauses.open_ones(deps.db))
        return Now(await live.calls_now(deps.db), await live.visitors_now(deps.db, deps.now()), paused)

    async def stop(_app: web.Application) -> None:
        deps.live.close()

    async def read_waiting() -> list[tuple[str, str]]:
        return await missed.waiting(deps)

    app[NOW] = Shared(deps.live, read)
    app[WAITING] = Shared(deps.live, read_waiting, WAITING_SECONDS)
    app.on_shutdown.append(stop)
    app.router.add_get("/live", live_page)
    app.router.add_get("/events", events)


async def live_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {"page": "live", "health": await deps.health(), **_body(request, await request.app[NOW].get())}
    return render.page(request, "live.html", context)


async def events(request: web.Request) -> web.StreamResponse:
    """The stream. `?page=live` also brings the body of the live page."""
    deps = request.app[DEPS]
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    until, version = loop.time() + LIFE_SECONDS, 0
    try:
        await _send(response, "retry: 2000\n\n")
        while loop.time() < until and not deps.live.closed:
            version = deps.live.version
            await _send(response, await _event(request, deps, version))
            await deps.live.after(version, BEAT_SECONDS)
            await asyncio.sleep(CALM_SECONDS)
    except (ConnectionError, TimeoutError):
        pass  # the page was closed
    return response


async def _send(response: web.StreamResponse, text: str) -> None:
    await asyncio.wait_for(response.write(text.encode()), SEND_SECONDS)


async def _event(request: web.Request, deps: Deps, version: int) -> str:
    now = await request.app[NOW].get()
    rows, scope = _calls(request, now), scope_of(request)
    data: dict[str, Any] = {
        "now": deps.now(),
        "ringing": [_ringing(row) for row in rows if row.state == machine.RINGING],
        "talking": sum(row.state == machine.TALKING for row in rows),
        "missed": sum(scope.sees(site, line) for site, line in await request.app[WAITING].get()),
    }
    if request.query.get("page") == "live":
        data["html"] = render.fragment(request, "_live_body.html", _body(request, now))
    return f"id: {version}\nevent: now\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _ringing(row: CallRow) -> dict[str, str]:
    who = render.phone(row.caller) if row.caller else _("Number withheld")
    return {"id": row.id, "who": f"{who} {row.caller_name}".strip(), "what": row.source_label or row.line_name}


def _calls(request: web.Request, now: Now) -> list[CallRow]:
    """Those that this person may see, as he may see them."""
    deps, scope = request.app[DEPS], scope_of(request)
    seen = [row for row in now.calls if scope.sees(row["site"], row["line"])]
    return [call_row(row, deps.settings, deps.now(), scope) for row in seen]


def _body(request: web.Request, now: Now) -> dict[str, Any]:
    deps, scope = request.app[DEPS], scope_of(request)
    calls = _calls(request, now)
    holders = now.visitors if request[USER].may(Right.VISITORS) else []
    return {
        "calls": calls,
        "ringing": sum(call.state == machine.RINGING for call in calls),
        "talking": sum(call.state == machine.TALKING for call in calls),
        "visitors": [
            _visitor(row, deps) for row in holders if row["until"] > deps.now() and scope.sees_site(row["site"])
        ],
        "sees_visitors": request[USER].may(Right.VISITORS),
        "paused": now.paused,
    }


def _visitor(row: Row, deps: Deps) -> dict[str, Any]:
    source = sessions.source_of(row)
    label = label_of(source)
    site = deps.settings.sites.get(row["site"])
    return {
        "number": row["number"],
        "session": row["session"],
        "shared": row["how"] != "free",
        "site_name": (site.name or row["site"]) if site else row["site"],
        "source_label": label,
        "source_colour": colour(label),
        "campaign": source.campaign,
        "page": path_of(row["url"] or row["landing_url"]).split("?")[0],
        "pages": row["pages"],
        "place": row["city"] or row["region"] or row["country"],
        "device": row["device"],
        "since": row["started_at"],
        "seen_at": row["seen_at"],
    }
