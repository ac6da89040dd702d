"""Ring a caller from the dashboard: the company's phones first, then his."""

from __future__ import annotations

from aiohttp import web

from ctserver.domain.callback import Refused
from ctserver.http import render
from ctserver.http.deps import DEPS, USER, scope_of
from ctserver.language import gettext as _
from ctserver.storage import journal


def add_routes(app: web.Application) -> None:
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/callback", ring)


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
            {"status": 409, "title": _("Not called"), "text": _words(str(refusal)), "todo": ""},
            status=409,
        )
    deps.live.changed()
    return render.see_other(render.own_path(str(form.get("next", f"/calls/{id}"))))


def _words(refusal: str) -> str:
    return {
        "off": _("Calls from the dashboard are not set up: [callbacks] dial in ctserver.toml."),
        "number": _("This is no number that can be rung."),
        "country": _("Numbers of this country are not rung: [callbacks] countries in ctserver.toml."),
        "ours": _("This number is one of our own."),
        "pbx": _("The PBX does not take the call now; the page System says what is wrong."),
        "waiting": _("This caller is being rung already."),
    }.get(refusal, _("The call could not be placed."))
