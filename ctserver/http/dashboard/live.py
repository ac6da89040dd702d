"""What is going on now, and the stream of server-sent events that keeps every open page true.

A stream begins with how things stand and says it anew after each change, so a browser that was away (or whose server
was started again) needs nothing but a new connection.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from ctserver.domain import call as machine
from ctserver.domain.rights import Right
from ctserver.http import render, stream
from ctserver.http.auth import still
from ctserver.http.dashboard import missed
from ctserver.http.dashboard.calls import path_of
from ctserver.http.dashboard.rows import CallRow, call_row, label_of, source_name
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.services.live import Shared
from ctserver.storage import live, pauses, sessions
from ctserver.storage.db import Row

CALM_SECONDS = 0.25  # a burst of changes is told once
VISITORS = 50  # listed; the others are counted


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who holds a number, until when, and what is shown of him."""

    number: str
    session: str
    shared: bool  # somebody else holds the number too; reckoned for each moment
    site: str
    until: int
    source_label: str
    campaign: str
    page: str
    pages: int
    place: str
    seen_at: int


@dataclass(frozen=True, slots=True)
class Now:
    """Rows of calls, the last seen visitors, and the calls whose recording is paused."""

    calls: list[Row]
    visitors: list[Visitor]
    paused: frozenset[str]


NOW: web.AppKey[Shared[Now]] = web.AppKey("now", Shared)
WAITING: web.AppKey[Shared[list[tuple[str, str]]]] = web.AppKey("waiting", Shared)
WAITING_SECONDS = 3.0  # the work list is longer than what is going on now, and changes less


def add_routes(app: web.Application) -> None:
    deps = app[DEPS]

    async def read() -> Now:
        paused = frozenset(one.call for one in await pauses.open_ones(deps.db))
        visitors = await live.visitors_now(deps.db, deps.now())
        return Now(await live.calls_now(deps.db), list(map(_visitor, visitors)), paused)

    async def stop(_app: web.Application) -> None:
        deps.live.close()

    async def read_waiting() -> list[tuple[str, str]]:
        return await missed.waiting(deps)

    app[NOW] = Shared(deps.live, read)
    app[WAITING] = Shared(deps.live, read_waiting, WAITING_SECONDS)
    app.on_shutdown.append(stop)
    app.router.add_get("/live", live_page)
    app.router.add_get("/events", events, allow_head=False)


async def live_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {"page": "live", "health": await deps.health(), **_body(request, await request.app[NOW].get())}
    return render.page(request, "live.html", context)


async def events(request: web.Request) -> web.StreamResponse:
    """The stream. `?page=live` also brings the body of the live page."""
    deps = request.app[DEPS]
    response = await stream.opened(request)
    loop = asyncio.get_running_loop()
    until, version = loop.time() + stream.LIFE_SECONDS, 0
    try:
        await stream.send(response, "retry: 2000\n\n")
        while loop.time() < until and not deps.live.closed and await still(request):
            version = deps.live.version
            await stream.send(response, await _event(request, deps, version))
            await deps.live.after(version, stream.BEAT_SECONDS)
            await asyncio.sleep(CALM_SECONDS)
    except (ConnectionError, TimeoutError):
        pass  # the page was closed
    return response


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
    what = source_name(row.source_label) if row.source_label else row.line_name
    return {"id": row.id, "who": f"{who} {row.caller_name}".strip(), "what": what}


def _calls(request: web.Request, now: Now) -> list[CallRow]:
    """Those that this person may see, as he may see them."""
    deps, scope = request.app[DEPS], scope_of(request)
    seen = [row for row in now.calls if scope.sees(row["site"], row["line"])]
    return [call_row(row, deps.settings, deps.now(), scope) for row in seen]


def _body(request: web.Request, now: Now) -> dict[str, Any]:
    deps, scope = request.app[DEPS], scope_of(request)
    calls = _calls(request, now)
    sees_visitors, moment = request[USER].may(Right.VISITORS), deps.now()
    held = [one for one in now.visitors if one.until > moment]
    times = Counter(one.number for one in held)
    holders = [
        replace(one, shared=times[one.number] > 1) for one in held if sees_visitors and scope.sees_site(one.site)
    ]
    return {
        "calls": [_running(call) for call in calls],
        "ringing": sum(call.state == machine.RINGING for call in calls),
        "talking": sum(call.state == machine.TALKING for call in calls),
        "visitors": holders[:VISITORS],
        "holding": len(holders),
        "hidden": max(0, len(holders) - VISITORS),
        "sees_visitors": sees_visitors,
        "paused": now.paused,
    }


def _running(call: CallRow) -> dict[str, Any]:
    """A call, and apart from it since when it rings or talks: the one stays as it is, the other runs on."""
    talks = call.state == machine.TALKING
    return {
        "call": replace(call, ring_seconds=None, talk_seconds=None),
        "since": (call.answered_at if talks else None) or call.ringing_at or call.arrived_at,
        "seconds": (call.talk_seconds if talks else call.ring_seconds) or 0,
    }


def _visitor(row: Row) -> Visitor:
    source = sessions.source_of(row)
    return Visitor(
        number=row["number"],
        session=row["session"],
        shared=False,
        site=row["site"],
        until=row["until"],
        source_label=label_of(source),
        campaign=source.campaign,
        page=path_of(row["url"] or row["landing_url"]).split("?")[0],
        pages=row["pages"],
        place=row["city"] or row["region"] or row["country"],
        seen_at=row["seen_at"],
    )
