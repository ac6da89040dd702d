"""The audit log, as a page."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from ctserver.domain.words import N_
from ctserver.http import render
from ctserver.http.deps import DEPS
from ctserver.language import gettext as _
from ctserver.storage import audit, users

PAGE = 100

ACTIONS = {  # as the log keeps it: what a person reads; an action that is not here is shown as it is
    action: action
    for action in (
        N_("asked for a new password"), N_("call changed"), N_("chose a password"), N_("downloaded"), N_("exported"),
        N_("followed an invitation"), N_("invitation withdrawn"), N_("invited"), N_("link to a new password made"),
        N_("listened"), N_("logged in"), N_("logged out"), N_("login refused"), N_("logins ended"),
        N_("notifications switched off"), N_("notifications switched on"), N_("password changed"),
        N_("second factor removed"), N_("second factor set up"), N_("token made"), N_("token revoked"), N_("user changed"),
        N_("user made"), N_("user removed"),
    )
} | {
    "POST /calls/views": N_("view saved"),
    "POST /calls/views/{id}/remove": N_("view removed"),
    "POST /calls/{id}/marks": N_("call changed"),
    "POST /calls/{id}/callback": N_("caller rung back"),
    "POST /callbacks/{id}/cancel": N_("callback cancelled"),
    "POST /calls/{id}/scores": N_("call rated"),
    "POST /calls/{id}/model": N_("library changed"),
    "POST /calls/{id}/share": N_("links to a call changed"),
    "POST /missed/{id}": N_("missed caller settled"),
    "POST /testcall": N_("test call"),
    "POST /demo/testcall": N_("test call"),
    "POST /settings": N_("settings changed"),
    "POST /deliveries/{id}/again": N_("sent again"),
    "POST /deliveries/again": N_("sent again"),
    "POST /deliveries/test": N_("test message sent"),
}  # fmt: skip


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
        "words_of": _words,
        "asked": asked,
        "logins": [row["login"] for row in await users.everybody(deps.db)],
        "older": f"/audit?{urlencode({**kept, 'before': rows[PAGE - 1]['id']})}" if len(rows) > PAGE else None,
    }
    return render.page(request, "audit.html", context)


def _words(action: str) -> str:
    return _(ACTIONS.get(action, action))
