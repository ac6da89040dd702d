"""Calls as they change, as server-sent events. Each event's id is the cursor of the change, so that whoever comes back goes on where
he was (Last-Event-ID); after a restart of the server too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from ctserver.domain.rights import Scope
from ctserver.http import stream
from ctserver.http.api import calls
from ctserver.http.api.registry import Problem
from ctserver.http.api.types import END, START, cursor, place
from ctserver.http.auth import still
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.http.problems import problem
from ctserver.storage import feed
from ctserver.storage.db import Row
from ctserver.storage.feed import Wanted

LOOK_SECONDS = 2.0  # nobody tells of a note, a recording that is ready, or what another program has written
CALM_SECONDS = 0.25  # visitors come and go; that is no change of a call
BURST = 200


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/events", events, allow_head=False)


async def events(request: web.Request) -> web.StreamResponse:
    """`event: call`, `data:` a call as /api/v1/calls/{id} has it."""
    deps, scope = request.app[DEPS], scope_of(request)
    wanted = Wanted(START, END + 1, site=scope.only_site)
    try:
        after = place(request.headers.get("Last-Event-ID", ""), await feed.last_change(deps.db))
    except Problem as refused:
        return problem(refused.status, refused.detail)
    response = await stream.opened(request)
    loop = asyncio.get_running_loop()
    until, spoken_at, text = loop.time() + stream.LIFE_SECONDS, 0.0, f"retry: 2000\nid: {cursor(*after)}\n\n"
    try:
        while loop.time() < until and not deps.live.closed and await still(request):
            if text:
                await stream.send(response, text)
                spoken_at = loop.time()
            version = deps.live.version
            found = await feed.changed(deps.db, scope, wanted, after, BURST)
            after, text = found.place, await _told(deps, scope, found.rows)
            if not found.rows and not found.more:
                await deps.live.after(version, LOOK_SECONDS)
                await asyncio.sleep(CALM_SECONDS)
                text = ": still here\n\n" if loop.time() - spoken_at > stream.BEAT_SECONDS else ""
    except (ConnectionError, TimeoutError):
        pass  # the client has gone
    return response


async def _told(deps: Deps, scope: Scope, rows: Sequence[Row]) -> str:
    """An event for each."""
    shown = zip(rows, await calls.as_calls(deps, scope, rows), strict=True)
    return "".join(
        f"id: {cursor(row['updated_at'], row['id'])}\nevent: call\ndata: {call.model_dump_json()}\n\n"
        for row, call in shown
    )
