"""What each number is doing now, and the test call."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ctserver.domain.rights import Right, Scope
from ctserver.http import audit, render
from ctserver.http.dashboard import period
from ctserver.http.dashboard.calls import path_of
from ctserver.http.dashboard.pools import short_today
from ctserver.http.dashboard.rows import label_of
from ctserver.http.deps import DEPS, USER, Deps, TestCallFailed, scope_of
from ctserver.language import gettext as _
from ctserver.storage import journal, leases, sessions
from ctserver.storage.db import Row


def add_routes(app: web.Application) -> None:
    app.router.add_get("/numbers", numbers_page)
    app.router.add_get("/numbers/rows", numbers_rows)
    app.router.add_post("/testcall", testcall)


async def numbers_page(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    context = {"page": "numbers", "health": await deps.health(), "sites": _sites(deps, scope_of(request))}
    context |= await _numbers(request)
    return render.page(request, "numbers.html", context)


async def numbers_rows(request: web.Request) -> web.StreamResponse:
    """The tables alone, for htmx."""
    return render.page(request, "_numbers_body.html", await _numbers(request))


async def testcall(request: web.Request) -> web.StreamResponse:
    """Place a test call to one of our numbers; back to the journal, where it appears."""
    deps, scope = request.app[DEPS], scope_of(request)
    number = str((await request.post()).get("number", ""))
    use = deps.uses.get(number)
    if use is None or not scope.sees(use.site, use.line):
        raise web.HTTPBadRequest
    try:
        await deps.testcall(number)
    except TestCallFailed as failed:
        flash = {"kind": "error", "text": _("The test call could not be placed: %(why)s") % {"why": failed}}
        context = {"page": "numbers", "health": await deps.health(), "flash": flash}
        context |= {"sites": _sites(deps, scope), **await _numbers(request)}
        return render.page(request, "numbers.html", context, status=502)
    audit.describe(request, "test call placed", number)
    return render.see_other("/calls?done=testcall")


def _sites(deps: Deps, scope: Scope) -> list[dict[str, str]]:
    """Each site, the line for its pages, and a page to look at the script on."""
    settings, found = deps.settings, []
    for id, site in settings.sites.items():
        if not scope.sees_site(id):
            continue
        demo = settings.server.demo and id == next(iter(settings.sites))
        page = f"{settings.server.public_url}/demo" if demo else f"https://{site.domains[0]}/"
        snippet = f'<script async src="{settings.script_url}/ct.js?site={id}"></script>'
        found.append({"id": id, "name": site.name or id, "page": page, "snippet": snippet})
    return found


async def _numbers(request: web.Request) -> dict[str, Any]:
    deps, scope = request.app[DEPS], scope_of(request)
    now, sees_visitors = deps.now(), request[USER].may(Right.VISITORS)
    midnight = period.today_began(now)
    calls = await journal.by_number(deps.db, scope, midnight)
    short = await leases.shortages_since(deps.db, midnight)
    holders = {row["number"]: row for row in await leases.holders_now(deps.db)}
    settings = deps.settings
    pools = []
    for site_id, site in settings.sites.items():
        pool = settings.pools.get(site.pool)
        if pool is None or not any(scope.sees(site_id, deps.uses[number].line) for number in pool.numbers):
            continue
        numbers = [_number(number, holders.get(number), calls.get(number), now) for number in pool.numbers]
        if not sees_visitors:
            numbers = [{**number, "holder": None} for number in numbers]
        pools.append(
            {
                "id": site.pool,
                "site_name": site.name or site_id,
                "hold_minutes": pool.hold_minutes,
                "numbers": numbers,
                "free": sum(number["state"] == "free" for number in numbers),
                "shown": sum(number["state"] == "shown" for number in numbers),
                "short": short_today(short.get(site.pool, {})),
            }
        )
    return {"pools": pools, "statics": _statics(deps, scope, calls)}


def _number(number: str, row: Row | None, calls: journal.OnNumber | None, now: int) -> dict[str, Any]:
    held = row is not None and row["until"] > now
    holder = {
        "source_label": label_of(sessions.source_of(row)),
        "since": row["shown_at"],
        "until": row["until"],
        "landing_path": path_of(row["landing_url"]).split("?")[0],
    } if row is not None and held else None  # fmt: skip
    busy = "" if calls is None else "calling" if calls.talking else "ringing" if calls.ringing else ""
    return {
        "number": number,
        "state": busy or ("shown" if held else "free"),
        "holder": holder,
        "shown_at": row["shown_at"] if row is not None else None,
        "calls_today": calls.calls if calls else 0,
    }


def _statics(deps: Deps, scope: Scope, calls: dict[str, journal.OnNumber]) -> list[dict[str, Any]]:
    found = []
    for use in deps.uses.values():
        if use.source is None or not scope.sees(use.site, use.line):
            continue
        today = calls.get(use.number)
        site = deps.settings.sites[use.site]
        found.append(
            {
                "number": use.number,
                "source_label": label_of(use.source),
                "campaign": use.source.campaign,
                "site_name": site.name or use.site,
                "calls_today": today.calls if today else 0,
                "last_call_at": today.last if today else None,
            }
        )
    return found
