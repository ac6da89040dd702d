"""Callers who are kept out: the list, and the switch on a call's page."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ctserver.domain.rights import Right
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER
from ctserver.language import gettext as _
from ctserver.services.blocked import CannotBlock

CALL_ID = 26  # characters


def add_routes(app: web.Application) -> None:
    app.router.add_get("/blocked", page)
    app.router.add_post("/blocked", add)
    app.router.add_post("/blocked/remove", remove)


def of_call(request: web.Request, caller: str) -> dict[str, Any] | None:
    """What a call's page shows of its caller; None: nothing."""
    black_list = request.app[DEPS].black_list
    if not request[USER].may(Right.BLOCK) or not any(map(str.isdigit, caller)):
        return None
    return {"entry": black_list.entries.get(caller), "held": black_list.holds(caller)}


async def page(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def add(request: web.Request) -> web.StreamResponse:
    """The fields `number`, `why`, and `call` for whoever comes from the page of that call."""
    form = await _form(request)
    deps = request.app[DEPS]
    try:
        number = await deps.black_list.add(deps.db, form["number"], form["why"], request[USER].login, deps.now())
    except CannotBlock as refused:
        return await _page(request, _(str(refused)), form, status=422)
    audit.describe(request, "caller blocked", number, form["why"])
    return _back(form)


async def remove(request: web.Request) -> web.StreamResponse:
    """The fields `number` and `call`."""
    form, deps = await _form(request), request.app[DEPS]
    if not await deps.black_list.remove(deps.db, form["number"]):
        raise web.HTTPNotFound
    audit.describe(request, "caller let through", form["number"])
    return _back(form)


async def _form(request: web.Request) -> dict[str, str]:
    sent = await request.post()
    return {name: str(sent.get(name, "")).replace("\x00", "").strip()[:200] for name in ("number", "why", "call")}


def _back(form: dict[str, str]) -> web.StreamResponse:
    call = form["call"]
    return render.see_other(f"/calls/{call}#blocked" if len(call) == CALL_ID and call.isalnum() else "/blocked")


async def _page(
    request: web.Request, wrong: str = "", form: dict[str, str] | None = None, *, status: int = 200
) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {
        "page": "blocked",
        "health": await deps.health(),
        "entries": list(deps.black_list.entries.values()),
        "settled": sorted(deps.black_list.settled),
        "callers": deps.settings.callers,
        "wrong": wrong,
        "form": form or {"number": "", "why": ""},
    }
    return render.page(request, "blocked.html", context, status=status)
