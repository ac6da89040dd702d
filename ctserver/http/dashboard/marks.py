"""What people say of a call, on its page: category, value, tags, note. Each is a small form of its own."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ctserver.domain import category
from ctserver.domain.rights import Right
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER, scope_of
from ctserver.language import gettext as _
from ctserver.storage import calls, journal, marks
from ctserver.storage.db import Row, Transaction

MAX_TAG, MAX_NOTE = 40, 4_000


def add_routes(app: web.Application) -> None:
    app.router.add_post("/calls/{id:[0-9a-z]{26}}/marks", save)


async def context(request: web.Request, row: Row) -> dict[str, Any]:
    """What _marks.html shows of a call; `row` is a row of calls."""
    deps = request.app[DEPS]
    found = await marks.of_call(deps.db, row)
    own = deps.settings.sites[row["site"]].categories if row["site"] in deps.settings.sites else []
    named = {code: _(name) for code, name in category.of_site(own).items()}
    if found.category and found.category not in named:
        named[found.category] = _(category.name_of(found.category))
    return {
        "marked": row["id"],
        "marks": found,
        "categories": named,
        "known_tags": await marks.known_tags(deps.db, scope_of(request)),
        "may_mark": request[USER].may(Right.WORK),
        "wrong": "",
    }


async def save(request: web.Request) -> web.StreamResponse:
    """The fields that were sent are set: `category`, `value`, `tag` (added), `untag` (removed), `note`."""
    deps, login, id = request.app[DEPS], request[USER].login, request.match_info["id"]
    if await journal.one(deps.db, scope_of(request), id) is None:
        raise web.HTTPNotFound
    form = {name: str(text).replace("\x00", "").strip() for name, text in (await request.post()).items()}
    try:
        value = category.value(form.get("value", ""))
    except ValueError:
        return await _answer(request, _("That is not a sum of money. Write it as 1250 or 1250.50."), status=422)
    now = deps.now()

    def unit(tx: Transaction) -> None:
        if "category" in form:
            marks.set_category(tx, id, form["category"][:MAX_NOTE])
        if "value" in form:
            marks.set_value(tx, id, value)
        before = marks.tags(tx, id)
        if form.get("tag"):
            marks.add_tag(tx, id, form["tag"][:MAX_TAG].lower(), login, now)
        if form.get("untag"):
            marks.remove_tag(tx, id, form["untag"])
        deps.tell_tags(tx, id, before)
        if "note" in form:
            marks.put_note(tx, id, form["note"][:MAX_NOTE], login, now)
        calls.touch(tx, id)

    known = _known(request, await journal.one(deps.db, scope_of(request), id))
    if form.get("category") and form["category"] not in known:
        raise web.HTTPBadRequest
    await deps.db.write(unit)
    deps.wake()
    audit.describe(request, "call changed", id, _said(form))
    return await _answer(request)


def _said(form: dict[str, str]) -> str:
    """ "category=order tag=vip"; of a note only that it was changed: the log is kept longer."""
    names = ("category", "value", "tag", "untag")
    return " ".join(
        [*(f"{name}={form[name]}" for name in names if name in form), *(["note"] if "note" in form else [])]
    )


def _known(request: web.Request, row: Row) -> set[str]:
    site = request.app[DEPS].settings.sites.get(row["site"])
    return {*category.of_site(site.categories if site else []), row["category"]}


async def _answer(request: web.Request, wrong: str = "", *, status: int = 200) -> web.StreamResponse:
    id = request.match_info["id"]
    if not wrong and "HX-Request" not in request.headers:
        return render.see_other(f"/calls/{id}#marks")
    row = await journal.one(request.app[DEPS].db, scope_of(request), id)
    shown = {**await context(request, row), "wrong": wrong}
    return render.page(request, "_marks.html", shown, status=200 if "HX-Request" in request.headers else status)
