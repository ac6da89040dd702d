"""The journal of calls: filters, columns, saved views, and exactly what is filtered as a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from ctserver import language
from ctserver.domain import category
from ctserver.domain.clock import as_many_days_before
from ctserver.domain.rights import Right, Scope
from ctserver.http import audit, render
from ctserver.http.dashboard import filters as words
from ctserver.http.dashboard import period
from ctserver.http.dashboard.filters import Asked
from ctserver.http.dashboard.rows import CallRow, call_row
from ctserver.http.deps import DEPS, USER, Deps, scope_of
from ctserver.language import gettext as _
from ctserver.language import ngettext
from ctserver.services import export
from ctserver.storage import journal, search, views
from ctserver.storage.db import Row

PAGE = 50
BLOCK = 1000  # calls at a time in exports
MEASURED = {"new", "target"}  # columns that take a look at the caller's other calls
SUGGESTED = ("source", "campaign", "keyword", "ad", "landing", "region", "person")

HEAD = ("id", "arrived_at", "site", "caller", "caller_name", "number", "line", "outcome", "reason", "answered_by",
        "rang_seconds", "talked_seconds", "channel", "source", "medium", "campaign", "keyword", "ad", "attribution",
        "confidence", "new_caller", "target", "category", "value", "recording", "session", "linkedid")  # fmt: skip


def add_routes(app: web.Application) -> None:
    app.router.add_get("/calls", calls_page)
    app.router.add_get("/calls/rows", call_rows)
    app.router.add_get("/calls/suggest", suggest)
    app.router.add_get("/calls/export.{kind:[a-z]+}", export_calls, allow_head=False)
    app.router.add_post("/calls/views", save_view)
    app.router.add_post("/calls/views/{id:[0-9a-z]{26}}/remove", remove_view)


async def calls_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    asked = _asked(request)
    context = await _rows(request, asked)
    context |= {
        "page": "calls",
        "health": await deps.health(),
        "sites": _sites(deps, scope),
        "today": await today(deps, scope),
        "found": await _found(request, asked, context),
        "live": not request.query.get("before"),
        "flash": _flash(request),
        "texts": asked.texts,
        "chips": words.chips(asked, deps),
        "periods": period.PERIODS,
        "options": words.options(deps, scope),
        "all_columns": words.COLUMNS,
        "views": await views.of(deps.db, request[USER].login, "calls"),
        "may_export": request[USER].may(Right.EXPORT),
    }
    response = render.page(request, "calls.html", context)
    if "HX-Request" in request.headers:  # the address as it is to be copied
        response.headers["HX-Push-Url"] = f"/calls?{context['query']}" if context["query"] else "/calls"
    return response


async def call_rows(request: web.Request) -> web.StreamResponse:
    """The rows alone, for htmx."""
    return render.page(request, "_call_rows.html", await _rows(request, _asked(request)))


def _asked(request: web.Request) -> Asked:
    return words.read(request.query, request.query.getall("col", []), request.app[DEPS])


async def _rows(request: web.Request, asked: Asked) -> dict[str, Any]:
    deps, scope = request.app[DEPS], scope_of(request)
    before = request.query.get("before", "")[:26]
    measured = bool(MEASURED & set(asked.columns))
    found = await search.page(deps.db, scope, asked.filters, before=before, limit=PAGE, measured=measured)
    now, query = deps.now(), asked.query()
    older = f"/calls/rows?{asked.query(before=found.older)}" if found.older else None
    return {
        "calls": [call_row(row, deps.settings, now, scope) for row in found.rows],
        "more": {row["id"]: _more(row, deps) for row in found.rows},
        "columns": asked.columns,
        "filtered": bool(asked.texts),
        "query": query,
        "older": older,
        "looked_to": found.looked_to,
    }


async def _found(request: web.Request, asked: Asked, shown: dict[str, Any]) -> str:
    """How many calls the filters find, in words; "" without filters, and where the list itself says that there are none."""
    if not asked.texts or not shown["calls"]:
        return ""
    count, whole = len(shown["calls"]), not (shown["older"] or request.query.get("before"))
    # Counting would look through the same calls again, or all.
    slow = shown["looked_to"] or asked.filters.given & search.SLOW_TO_COUNT
    if not whole and not slow:
        count, whole = await search.count(request.app[DEPS].db, scope_of(request), asked.filters)
    if not whole:
        return _("At least %(count)s calls match") % {"count": language.number(count)}
    return ngettext("%(count)s call matches", "%(count)s calls match", count) % {"count": language.number(count)}


def _more(row: Row, deps: Deps) -> dict[str, str]:
    """The columns that a row of the journal does not have by itself."""
    return {
        "site": words.in_words("site", row["site"], deps) if row["site"] else "",
        "channel": words.in_words("channel", row["source_channel"], deps) if row["source_channel"] else "",
        "campaign": row["campaign"],
        "keyword": row["term"],
        "ad": row["content"],
        "person": row["person"],
        "category": _(category.name_of(row["category"])) if row["category"] else "",
        "value": language.money(row["value"] / 100) if row["value"] is not None else "",
        "sure": language.percent(row["confidence"]) if row["source"] else "",
        "new": _("new") if row["newcomer"] else "",
        "target": _("yes") if row["target"] else "",
    }


async def suggest(request: web.Request) -> web.StreamResponse:
    """The values that the filters' text fields suggest, most frequent first."""
    deps, scope = request.app[DEPS], scope_of(request)
    found = {name: await search.common(deps.db, scope, name, deps.now()) for name in SUGGESTED}
    return render.page(request, "_suggest.html", {"found": found, "numbers": _numbers(deps, scope)})


def _numbers(deps: Deps, scope: Scope) -> list[str]:
    return sorted(use.number for use in deps.uses.values() if scope.sees(use.site, use.line))


def _sites(deps: Deps, scope: Scope) -> list[dict[str, str]]:
    return [{"id": id, "name": site.name or id} for id, site in deps.settings.sites.items() if scope.sees_site(id)]


async def today(deps: Deps, scope: Scope) -> dict[str, Any]:
    now, zone = deps.now(), language.zone()
    midnight = period.today_began(now)
    total, answered, missed, ringing = await journal.counts(deps.db, scope, midnight, now + 1)
    since, until = (as_many_days_before(at, 7, zone) for at in (midnight, now))
    before, *_rest = await journal.counts(deps.db, scope, since, until)
    summary = _summary(total, before, language.weekday(now))
    other = max(0, total - answered - missed - ringing)
    return {
        "calls": total,
        "answered": answered,
        "missed": missed,
        "ringing": ringing,
        "other": other,
        "summary": summary,
    }


def _summary(total: int, before: int, day: str) -> str:
    """38 calls today, 6 more than by this time last Saturday."""
    if not total and not before:
        return _("No calls yet today")
    counted = ngettext("%(count)s call today", "%(count)s calls today", total) % {"count": language.number(total)}
    if not before:
        return counted
    words = {
        0: _("as many as by this time last %(day)s"),
        1: _("%(count)s more than by this time last %(day)s"),
        -1: _("%(count)s fewer than by this time last %(day)s"),
    }[(total > before) - (total < before)]
    return f"{counted}, {words % {'count': language.number(abs(total - before)), 'day': day}}"


def _flash(request: web.Request) -> dict[str, str] | None:
    if request.query.get("done") == "testcall":
        return {"kind": "ok", "text": _("The test call is on its way: it appears below as it rings.")}
    return None


# ---- saved views


async def save_view(request: web.Request) -> web.StreamResponse:
    """The filters and columns of `query` under `name`."""
    deps, login = request.app[DEPS], request[USER].login
    form = await request.post()
    name = "".join(character for character in str(form.get("name", "")).strip()[:60] if character.isprintable())
    kept = words.read(dict(parse_qsl(str(form.get("query", "")))), [], deps).query()
    if not name:
        raise web.HTTPBadRequest
    now = deps.now()
    await deps.db.write(lambda tx: views.put(tx, login, "calls", name, kept, now))
    audit.describe(request, "view saved", name, kept)
    return render.see_other(f"/calls?{kept}")


async def remove_view(request: web.Request) -> web.StreamResponse:
    login, id = request[USER].login, request.match_info["id"]
    if not await request.app[DEPS].db.write(lambda tx: views.remove(tx, login, id)):
        raise web.HTTPNotFound
    audit.describe(request, "view removed", id)
    return render.see_other("/calls")


# ---- export


async def export_calls(request: web.Request) -> web.StreamResponse:
    """Every call that the filters find, as a file."""
    kind = export_kind(request)
    asked = _asked(request)
    await audit.write(request, "exported", "calls", asked.query())
    return await send(request, kind, f"calls.{kind}", HEAD, _blocks(request, asked))


def export_kind(request: web.Request) -> str:
    """csv, xlsx or ndjson, as the address says."""
    if request.match_info["kind"] not in export.KINDS:
        raise web.HTTPNotFound
    return request.match_info["kind"]


async def send(
    request: web.Request, kind: str, name: str, head: tuple[str, ...], blocks: AsyncIterator[export.Rows]
) -> web.StreamResponse:
    """A table as a file, row by row."""
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.headers["Content-Type"] = export.KINDS[kind]
    response.headers["Cache-Control"] = "private, no-store"
    await response.prepare(request)
    async for part in export.stream(kind, head, blocks):
        await response.write(part)
    await response.write_eof()
    return response


async def _blocks(request: web.Request, asked: Asked) -> AsyncIterator[export.Rows]:
    deps, scope, before = request.app[DEPS], scope_of(request), ""
    while True:
        found = await search.page(deps.db, scope, asked.filters, before=before, limit=BLOCK)
        yield await asyncio.to_thread(_export_all, found.rows, deps, scope)
        if found.older is None:
            return
        before = found.older


def _export_all(rows: list[Row], deps: Deps, scope: Scope) -> export.Rows:
    now = deps.now()
    return [_exported(row, call_row(row, deps.settings, now, scope)) for row in rows]


def _exported(row: Row, call: CallRow) -> tuple[export.Cell, ...]:
    """In the order of HEAD."""
    return (
        row["id"],
        render.local(row["arrived_at"]),
        row["site"],
        call.caller,
        call.caller_name,
        row["did"],
        row["line"],
        row["outcome"],
        row["reason"],
        row["person"],
        call.ring_seconds,
        call.talk_seconds,
        row["source_channel"],
        row["source"],
        row["medium"],
        row["campaign"],
        row["term"],
        row["content"],
        row["attribution"],
        row["confidence"],
        row["newcomer"],
        row["target"],
        row["category"],
        row["value"] / 100 if row["value"] is not None else None,
        int(call.has_recording),
        row["session"],
        row["linkedid"],
    )
