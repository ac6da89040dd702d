"""The audit log, as a page."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from ctserver.http import render
from ctserver.http.audit import ACTIONS
from ctserver.http.deps import DEPS
from ctserver.storage import audit, users

PAGE = 100
OF_CALLS = (
    "listened", "downloaded", "call changed", "call rated", "added to the library", "removed from the library",
    "link to a call made", "links to a call ended", "missed call worked on", "callback asked for", "recording paused", "recording resumed",
)  # fmt: skip


def add_routes(app: web.Application) -> None:
    app.router.add_get("/audit", audit_page)


async def audit_page(request: web.Request) -> web.StreamResponse:
    deps, query = request.app[DEPS], request.query
    asked = {name: query.get(name, "")[:500] for name in ("login", "action", "subject")}
    rows = await audit.page(deps.db, **asked, before=query.get("before", "")[:26], limit=PAGE + 1)
    kept = {name: value for name, value in asked.items() if value}
    context = {
        "page": "audit",
        "health": await deps.health(),
        "rows": rows[:PAGE],
        "asked": asked,
        "actions": ACTIONS,
        "of_calls": OF_CALLS,
        "logins": [row["login"] for row in await users.everybody(deps.db)],
        "older": f"/audit?{urlencode({**kept, 'before': rows[PAGE - 1]['id']})}" if len(rows) > PAGE else None,
    }
    return render.page(request, "audit.html", context)
