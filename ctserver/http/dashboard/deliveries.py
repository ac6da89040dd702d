"""What was told to whom: the log of deliveries, what is wrong with a channel, and tests, retries and replays by hand."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver.http import audit, render
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.outbound import OutboundError
from ctserver.services.delivery import Delivery
from ctserver.storage import outbox

PAGE = 50


def add_routes(app: web.Application) -> None:
    app.router.add_get("/deliveries", deliveries_page)
    app.router.add_get("/deliveries/{id:[0-9a-z]{26}}", delivery_page)
    app.router.add_post("/deliveries/{id:[0-9a-z]{26}}/again", again)
    app.router.add_post("/deliveries/test", test)
    app.router.add_post("/deliveries/again", again_all)


async def deliveries_page(request: web.Request) -> web.StreamResponse:
    return await _log(request, None)


async def delivery_page(request: web.Request) -> web.StreamResponse:
    """One delivery: what was said, and every try."""
    deps, id = request.app[DEPS], request.match_info["id"]
    row = await outbox.one(deps.db, id, scope_of(request))
    if row is None:
        raise web.HTTPNotFound
    context = {
        "page": "deliveries",
        "health": await deps.health(),
        "row": row,
        "tries": await outbox.tries_of(deps.db, id),
    }
    return render.page(request, "delivery.html", context)


async def again(request: web.Request) -> web.StreamResponse:
    """Send it once more, whatever became of it."""
    delivery, id = _delivery(request), request.match_info["id"]
    seen = await outbox.one(request.app[DEPS].db, id, scope_of(request))
    if seen is None or not await delivery.again(id):
        raise web.HTTPNotFound
    audit.describe(request, "sent again", id, f"{seen['via']} {seen['addressee']}".strip())
    return render.see_other(f"/deliveries/{id}")


async def again_all(request: web.Request) -> web.StreamResponse:
    """Send everything that a web hook or channel has given up."""
    delivery = _delivery(request)
    via = await _via(request, delivery)
    count = await delivery.again_all(via)
    audit.describe(request, "sent again", via, f"{count} given up")
    return render.see_other(f"/deliveries?{urlencode({'via': via})}")


async def test(request: web.Request) -> web.StreamResponse:
    """Send something harmless, and show what the other side says."""
    delivery = _delivery(request)
    via = await _via(request, delivery)
    audit.describe(request, "channel tested", via)
    try:
        flash = {"kind": "ok", "text": f"{delivery.vias[via].title}: {await delivery.test(via)}"}
    except OutboundError as error:
        flash = {"kind": "error", "text": f"{delivery.vias[via].title}: {error}"}
    return await _log(request, flash)


async def _log(request: web.Request, flash: dict[str, str] | None) -> web.StreamResponse:
    deps = request.app[DEPS]
    vias = await _vias(deps)
    query = request.query
    via = query.get("via", "") if query.get("via", "") in {one["name"] for one in vias} else ""
    state = query.get("state", "") if query.get("state", "") in outbox.STATES else ""
    rows = await outbox.page(deps.db, scope_of(request), via, state, query.get("before", "")[:26], PAGE + 1)
    kept = {name: value for name, value in (("via", via), ("state", state)) if value}
    context = {
        "page": "deliveries",
        "health": await deps.health(),
        "vias": vias,
        "rows": rows[:PAGE],
        "via": via,
        "state": state,
        "states": outbox.STATES,
        "older": f"/deliveries?{urlencode({**kept, 'before': rows[PAGE - 1]['id']})}" if len(rows) > PAGE else None,
        "flash": flash,
    }
    return render.page(request, "deliveries.html", context)


async def _vias(deps: Deps) -> list[dict[str, Any]]:
    if deps.delivery is None:
        return []
    counts, problems = await outbox.counts(deps.db), deps.delivery.problems()
    return [
        {
            "name": name,
            "title": via.title,
            "problem": problems.get(name, ""),
            "waiting": counts.get((name, outbox.WAITING), 0) + counts.get((name, outbox.SENDING), 0),
            "done": counts.get((name, outbox.DONE), 0),
            "failed": counts.get((name, outbox.FAILED), 0),
        }
        for name, via in deps.delivery.vias.items()
    ]


def _delivery(request: web.Request) -> Delivery:
    delivery = request.app[DEPS].delivery
    if delivery is None:
        raise web.HTTPNotFound
    return delivery


async def _via(request: web.Request, delivery: Delivery) -> str:
    via = str((await request.post()).get("via", ""))
    if via not in delivery.vias:
        raise web.HTTPNotFound
    return via
