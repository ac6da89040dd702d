"""The audit log, as a page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver.domain import phone
from ctserver.domain.rights import Right
from ctserver.http import render
from ctserver.http.audit import ACTIONS
from ctserver.http.deps import DEPS, USER, scope_of
from ctserver.storage import audit, journal, users

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
        "calls": await _calls(request, [row["subject"] for row in rows if row["action"] in OF_CALLS]),
        "logins": [row["login"] for row in await users.everybody(deps.db)],
        "older": f"/audit?{urlencode({**kept, 'before': rows[PAGE - 1]['id']})}" if len(rows) > PAGE else None,
    }
    return render.page(request, "audit.html", context)


async def _calls(request: web.Request, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The calls that the rows are about, as far as their reader may see them."""
    if not request[USER].may(Right.CALLS):
        return {}
    db, scope = request.app[DEPS].db, scope_of(request)
    found = [row for id in sorted(set(ids)) if (row := await journal.one(db, scope, id))]
    return {
        row["id"]: {**dict(row), "caller": row["caller"] if scope.callers else phone.masked(row["caller"])}
        for row in found
    }
