"""The recording of a call that goes on, paused and resumed by whoever hears a card number coming."""

from __future__ import annotations

from aiohttp import web

from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER, scope_of
from ctserver.language import gettext as _
from ctserver.services.pauses import PAUSED, RESUMED, NotDone
from ctserver.storage import journal


def add_routes(app: web.Application) -> None:
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/recording/pause", pause)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/recording/resume", resume)


async def pause(request: web.Request) -> web.StreamResponse:
    return await _step(request, paused=True)


async def resume(request: web.Request) -> web.StreamResponse:
    return await _step(request, paused=False)


async def _step(request: web.Request, *, paused: bool) -> web.StreamResponse:
    """Back to the page that asked (`next`); a refusal is an error page that says why."""
    id, form = request.match_info["id"], await request.post()
    if await journal.one(request.app[DEPS].db, scope_of(request), id) is None:
        raise web.HTTPNotFound
    try:
        await change(request, id, paused=paused)
    except NotDone as refusal:
        context = {"status": 409, "title": _("The recording was not changed"), "text": words(str(refusal)), "todo": ""}
        return render.page(request, "error.html", context, status=409)
    return render.see_other(render.own_path(str(form.get("next", f"/calls/{id}"))))


async def change(request: web.Request, id: str, *, paused: bool) -> int | None:
    """Pause or resume, written into the audit log; when a paused one resumes by itself. Raises NotDone."""
    deps, login = request.app[DEPS], request[USER].login
    if deps.pauses is None:
        raise NotDone("away")
    until = None
    if paused:
        until = await deps.pauses.pause(id, login, deps.now())
    else:
        await deps.pauses.resume(id, login, deps.now())
    audit.describe(request, PAUSED if paused else RESUMED, id)
    return until


def words(refusal: str) -> str:
    return {
        "over": _("Nobody is talking in this call, so nothing is being recorded."),
        "paused": _("The recording is paused already."),
        "running": _("The recording is not paused."),
        "unrecorded": _("Asterisk is not recording this call."),
        "away": _("Asterisk did not respond. The recording goes on as before; the System page shows what is wrong."),
    }.get(refusal, refusal)
