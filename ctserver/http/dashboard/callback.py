"""Ring a caller from the dashboard: the company's phones first, then his."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ctserver.domain import callback as rules
from ctserver.domain import phone
from ctserver.domain.callback import Refused
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER, scope_of
from ctserver.language import gettext as _
from ctserver.storage import callbacks, journal

MOST = 200


def add_routes(app: web.Application) -> None:
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/callback", ring)
    app.router.add_post("/callbacks/{id:[0-9a-z]{26}}/cancel", cancel)


async def ring(request: web.Request) -> web.StreamResponse:
    """Back to the page that asked (`next`); a refusal is an error page that says why."""
    deps, id = request.app[DEPS], request.match_info["id"]
    row = await journal.one(deps.db, scope_of(request), id)
    if row is None or not scope_of(request).callers or deps.callbacks is None:
        raise web.HTTPNotFound
    form = await request.post()
    try:
        await deps.callbacks.ring(id, request[USER].login, deps.now())
    except Refused as refusal:
        return render.page(
            request,
            "error.html",
            {
                "status": 409,
                "title": _("Not called"),
                "text": _(rules.REFUSALS.get(str(refusal), rules.REFUSED)),
                "todo": "",
            },
            status=409,
        )
    audit.describe(request, "callback asked for", id)
    deps.live.changed()
    return render.see_other(render.own_path(str(form.get("next", f"/calls/{id}"))))


async def cancel(request: web.Request) -> web.StreamResponse:
    """A visitor who waits is not rung any more."""
    deps, scope, id = request.app[DEPS], scope_of(request), request.match_info["id"]
    found = [row for row in await callbacks.open_ones(deps.db, MOST) if row.id == id]
    if not found or not scope.sees(found[0].site, found[0].line):
        raise web.HTTPNotFound
    await deps.db.write(lambda tx: callbacks.cancel(tx, id))
    audit.describe(request, "callback cancelled", id)
    deps.live.changed()
    return render.see_other("/missed")


async def waiting(request: web.Request) -> list[dict[str, Any]]:
    """The visitors who wait to be called, as this person may see them."""
    deps, scope = request.app[DEPS], scope_of(request)
    return [
        {
            "id": row.id,
            "number": row.number if scope.callers else phone.masked(row.number),
            "site": deps.settings.sites[row.site].name or row.site if row.site in deps.settings.sites else row.site,
            "due_at": row.due_at,
            "calling": row.state == rules.CALLING,
            "attempts": row.attempts,
        }
        for row in await callbacks.open_ones(deps.db, MOST)
        if scope.sees(row.site, row.line)
    ]
