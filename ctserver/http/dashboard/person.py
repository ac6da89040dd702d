"""All that is stored of the caller of a call: shown in figures, given out, forgotten. For owners."""

from __future__ import annotations

import tempfile
from typing import IO

from aiohttp import web

from ctserver.http import audit, render
from ctserver.http.deps import DEPS, scope_of
from ctserver.language import gettext as _
from ctserver.services.caller_data import CallerData, Found
from ctserver.storage import journal

PART = 65_536


def add_routes(app: web.Application) -> None:
    app.router.add_get("/calls/{id:[0-9a-z]{26}}/person", page)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/person/export", export)
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/person/erase", erase)


async def page(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def _page(request: web.Request, wrong: str = "", *, status: int = 200) -> web.StreamResponse:
    deps, (data, number) = request.app[DEPS], await _asked(request)
    found = await data.find(number, deps.now())
    context = {
        "page": "calls",
        "health": await deps.health(),
        "call_id": request.match_info["id"],
        "number": number,
        "counts": found.counts,
        "going_on": found.going_on,
        "blocked": bool(found.tables["black_list"]),
        "wrong": wrong,
    }
    return render.page(request, "person.html", context, status=status)


async def export(request: web.Request) -> web.StreamResponse:
    """A ZIP file. It is made in a file without a name, which goes with the answer."""
    deps, (data, number) = request.app[DEPS], await _asked(request)
    with tempfile.TemporaryFile() as file:
        found = await data.export(number, file, deps.now())
        await audit.write(request, "person exported", request.match_info["id"], _told(found))
        return await _send(request, file, f"person-{number.removeprefix('+')}.zip")


async def _send(request: web.Request, file: IO[bytes], name: str) -> web.StreamResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    response = web.StreamResponse(headers={"Content-Type": "application/zip", **headers})
    response.content_length = file.seek(0, 2)
    file.seek(0)
    await response.prepare(request)
    while part := file.read(PART):
        await response.write(part)
    await response.write_eof()
    return response


async def erase(request: web.Request) -> web.StreamResponse:
    """`last`: the last four digits of the number, typed by hand so that nobody is forgotten by a slip of it."""
    deps, (data, number) = request.app[DEPS], await _asked(request)
    form = await request.post()
    if str(form.get("last", "")).strip() != number[-4:]:
        return await _page(request, _("These are not the last four digits of the number."), status=422)
    found, alias = await data.erase(number, deps.now())
    audit.describe(request, "person erased", alias, _told(found))
    deps.live.changed()
    where = "/person" if found.going_on else ""
    return render.see_other(f"/calls/{request.match_info['id']}{where}")


async def _asked(request: web.Request) -> tuple[CallerData, str]:
    """The number of a call that this person may see. Raises HTTPNotFound."""
    deps = request.app[DEPS]
    row = await journal.one(deps.db, scope_of(request), request.match_info["id"])
    if row is None or deps.caller_data is None or not row["caller"].removeprefix("+").isdigit():
        raise web.HTTPNotFound
    return deps.caller_data, row["caller"]


def _told(found: Found) -> str:
    return ", ".join(f"{count} {what}" for what, count in found.counts.items() if count)
