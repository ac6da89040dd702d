"""Who came to the site, by what, and whether he called."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver.domain.rights import Scope
from ctserver.http import render
from ctserver.http.dashboard.calls import path_of, session_of
from ctserver.http.dashboard.filters import in_words
from ctserver.http.dashboard.rows import call_row, label_of
from ctserver.http.deps import DEPS, Deps, scope_of
from ctserver.storage import sessions, visitors
from ctserver.storage.db import Row

PAGE = 50


def add_routes(app: web.Application) -> None:
    app.router.add_get("/visitors", visitors_page)
    app.router.add_get("/visitors/rows", visitor_rows)
    app.router.add_get("/visitors/{id:[0-9a-z]{26}}", visitor_page)


async def visitors_page(request: web.Request) -> web.StreamResponse:
    deps, scope = request.app[DEPS], scope_of(request)
    sites = [{"id": id, "name": deps.settings.sites[id].name or id} for id in _sites(deps, scope)]
    context = {"page": "visitors", "health": await deps.health(), "sites": sites, **await _list(request, deps)}
    return render.page(request, "visitors.html", context)


async def visitor_rows(request: web.Request) -> web.StreamResponse:
    """The rows alone, for htmx."""
    return render.page(request, "_visitor_rows.html", await _list(request, request.app[DEPS]))


async def visitor_page(request: web.Request) -> web.StreamResponse:
    deps, scope, id = request.app[DEPS], scope_of(request), request.match_info["id"]
    row = await visitors.one(deps.db, scope, id)
    if row is None:
        raise web.HTTPNotFound
    calls = await visitors.calls_of(deps.db, scope, id)
    context = {
        "page": "visitors",
        "health": await deps.health(),
        "visitor": {**_row(row, deps), **_known(row, deps, scope)},
        "session": await session_of(deps, id),
        "calls": [call_row(call, deps.settings, deps.now(), scope) for call in calls],
        "numbers": [dict(number) for number in await visitors.numbers_of(deps.db, id)],
        "others": [
            {**_row(other, deps), "pages": other["pages"], "call": other["call"]}
            for other in await visitors.same_visitor(deps.db, scope, row["visitor"], id)
        ],
    }
    return render.page(request, "visitor.html", context)


def _sites(deps: Deps, scope: Scope) -> list[str]:
    return [id for id in deps.settings.sites if scope.sees_site(id)]


async def _list(request: web.Request, deps: Deps) -> dict[str, Any]:
    query, scope = request.query, scope_of(request)
    site = query.get("site", "") if query.get("site", "") in deps.settings.sites else ""
    filters = {"site": site, "q": query.get("q", "").strip()[:100], "called": "1" if query.get("called") else ""}
    found = await visitors.page(
        deps.db,
        scope,
        site=site,
        source=filters["q"],
        called=bool(filters["called"]),
        before=query.get("before", "")[:26],
        limit=PAGE,
    )
    kept = {name: value for name, value in filters.items() if value}
    older = f"/visitors?{urlencode({**kept, 'before': found.older})}" if found.older else ""
    rows = [{**_row(row, deps), "pages": row["pages"], "call": row["call"]} for row in found.rows]
    of_sites = not site and len(_sites(deps, scope)) > 1
    return {"rows": rows, "filters": filters, "older": older, "looked_to": found.looked_to, "of_sites": of_sites}


def _row(row: Row, deps: Deps) -> dict[str, Any]:
    source = sessions.source_of(row)
    site = deps.settings.sites.get(row["site"])
    return {
        "id": row["id"],
        "started_at": row["started_at"],
        "site_name": (site.name or row["site"]) if site else row["site"],
        "source_label": label_of(source),
        "campaign": source.campaign,
        "landing_url": row["landing_url"],
        "landed_on": path_of(row["landing_url"]),
        "place": ", ".join(part for part in (row["city"] or row["region"], row["country"]) if part),
        "device": row["device"],
    }


def _known(row: Row, deps: Deps, scope: Scope) -> dict[str, Any]:
    """What is known of the browser, and every id. What the website tells of its visitors may be names and numbers."""
    source = sessions.source_of(row)
    return {
        "visitor": row["visitor"],
        "browser": ", ".join(part for part in (row["browser"], row["os"]) if part),
        "ip": row["ip"],
        "channel": in_words("channel", row["channel"], deps) if row["channel"] else "",
        "term": source.term,
        "content": source.content,
        "ids": sorted({**source.click_ids, **sessions.texts(row["ids"])}.items()),
        "properties": sorted(sessions.texts(row["properties"]).items()) if scope.callers else [],
    }
