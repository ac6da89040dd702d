"""What each address asks of those who open it: one table, in which every route stands. An address that is not in it
is closed to everybody.

NOBODY: nobody is asked who he is (visitors' browsers, scripts, monitoring). ANYBODY: open, but a login is noticed.
SOMEBODY: whoever has logged in. Else the right that it takes; whose data is then shown is a matter of the scope.
"""

from __future__ import annotations

from enum import Enum

from aiohttp import web

from ctserver.domain.rights import Right


class Open(Enum):
    NOBODY = "nobody"
    ANYBODY = "anybody"
    SOMEBODY = "somebody"


NOBODY, ANYBODY, SOMEBODY = Open

ROUTES: dict[str, Right | Open] = {
    # ---- visitors, scripts, monitoring
    "GET /health": NOBODY,
    "GET /ct.js": NOBODY,
    "POST /v1/visit": NOBODY,
    "POST /v1/signal": NOBODY,
    "GET /ct-callback.js": NOBODY,
    "POST /v1/callback": NOBODY,
    "GET /static/{path}": NOBODY,
    "GET /favicon.ico": NOBODY,
    "GET /push-worker.js": NOBODY,
    "GET /demo": ANYBODY,
    "POST /demo/testcall": ANYBODY,
    # ---- the way in
    "GET /login": ANYBODY,
    "POST /login": ANYBODY,
    "GET /login/code": ANYBODY,
    "POST /login/code": ANYBODY,
    "GET /login/oidc": ANYBODY,
    "GET /login/oidc/callback": ANYBODY,
    "GET /forgot": ANYBODY,
    "POST /forgot": ANYBODY,
    "GET /link/{token}": ANYBODY,
    "POST /link/{token}": ANYBODY,
    "POST /logout": SOMEBODY,
    "POST /language": SOMEBODY,
    # ---- pages
    "GET /": Right.CALLS,
    "GET /calls": Right.CALLS,
    "GET /calls/rows": Right.CALLS,
    "GET /calls/suggest": Right.CALLS,
    "GET /calls/export.{kind}": Right.EXPORT,
    "POST /calls/views": Right.CALLS,
    "POST /calls/views/{id}/remove": Right.CALLS,
    "GET /calls/{id}": Right.CALLS,
    "GET /calls/{id}/recording": Right.LISTEN,
    "GET /calls/{id}/peaks.json": Right.LISTEN,
    "POST /calls/{id}/marks": Right.WORK,
    "POST /calls/{id}/callback": Right.WORK,
    "GET /calls/{id}/person": Right.PRIVACY,
    "POST /calls/{id}/person/export": Right.PRIVACY,
    "POST /calls/{id}/person/erase": Right.PRIVACY,
    "POST /calls/{id}/recording/pause": Right.WORK,
    "POST /calls/{id}/recording/resume": Right.WORK,
    "POST /callbacks/{id}/cancel": Right.WORK,
    "POST /calls/{id}/scores": Right.WORK,
    "POST /calls/{id}/model": Right.WORK,
    "POST /calls/{id}/share": Right.WORK,
    "GET /shared/{token}": ANYBODY,  # the link itself is the key; it ends
    "GET /shared/{token}/recording": ANYBODY,
    "GET /shared/{token}/peaks.json": ANYBODY,
    "GET /quality": Right.CALLS,
    "GET /blocked": Right.BLOCK,
    "POST /blocked": Right.BLOCK,
    "POST /blocked/remove": Right.BLOCK,
    "GET /visitors": Right.VISITORS,
    "GET /visitors/rows": Right.VISITORS,
    "GET /visitors/{id}": Right.VISITORS,
    "GET /system": Right.SYSTEM,
    "GET /missed": Right.CALLS,
    "POST /missed/{id}": Right.WORK,
    "GET /live": Right.CALLS,
    "GET /events": Right.CALLS,
    "GET /reports": Right.REPORTS,
    "GET /reports/export.{kind}": Right.EXPORT,
    "GET /numbers": Right.NUMBERS,
    "GET /numbers/rows": Right.NUMBERS,
    "POST /testcall": Right.TESTCALL,
    "GET /pools": Right.NUMBERS,
    "GET /settings": SOMEBODY,
    "POST /settings": SOMEBODY,
    "GET /account": SOMEBODY,
    "POST /account/password": SOMEBODY,
    "POST /account/factor/new": SOMEBODY,
    "POST /account/factor": SOMEBODY,
    "POST /account/factor/off": SOMEBODY,
    "POST /account/logins/end": SOMEBODY,
    "POST /account/push": Right.CALLS,
    "POST /account/push/off": SOMEBODY,
    "POST /account/tokens": Right.TOKENS,
    "POST /account/tokens/revoke": Right.TOKENS,
    "GET /users": Right.USERS,
    "POST /users/invite": Right.USERS,
    "POST /users/withdraw": Right.USERS,
    "GET /users/{id}": Right.USERS,
    "POST /users/{id}": Right.USERS,
    "POST /users/{id}/{what}": Right.USERS,
    "GET /audit": Right.AUDIT,
    "GET /deliveries": Right.DELIVERIES,
    "GET /deliveries/rows": Right.DELIVERIES,
    "GET /deliveries/{id}": Right.DELIVERIES,
    "POST /deliveries/{id}/again": Right.DELIVERIES,
    "POST /deliveries/test": Right.DELIVERIES,
    "POST /deliveries/again": Right.DELIVERIES,
    "POST /deliveries/resume": Right.DELIVERIES,
    # ---- the API
    "GET /api/docs": SOMEBODY,
    "GET /api/openapi.json": SOMEBODY,
    "GET /api/v1/calls": Right.CALLS,
    "GET /api/v1/calls/{id}": Right.CALLS,
    "PATCH /api/v1/calls/{id}": Right.WORK,
    "GET /api/v1/calls/{id}/legs": Right.CALLS,
    "GET /api/v1/calls/{id}/recording": Right.LISTEN,
    "GET /api/v1/calls/{id}/recording/sound": Right.DOWNLOAD,
    "POST /api/v1/calls/{id}/recording/pause": Right.WORK,
    "POST /api/v1/calls/{id}/recording/resume": Right.WORK,
    "GET /api/v1/tags": Right.CALLS,
    "GET /api/v1/notes": Right.CALLS,
    "GET /api/v1/blocked": Right.BLOCK,
    "PUT /api/v1/blocked/{number}": Right.BLOCK,
    "DELETE /api/v1/blocked/{number}": Right.BLOCK,
    "GET /api/v1/events": Right.CALLS,
    "GET /api/v1/sessions": Right.VISITORS,
    "GET /api/v1/sessions/{id}": Right.VISITORS,
    "GET /api/v1/visitors": Right.VISITORS,
    "GET /api/v1/visitors/{id}": Right.VISITORS,
    "GET /api/v1/numbers": Right.NUMBERS,
    "GET /api/v1/numbers/{number}/holder": Right.VISITORS,
    "GET /api/v1/pools": Right.NUMBERS,
    "GET /api/v1/reports": Right.REPORTS,
    "GET /api/v1/deliveries": Right.DELIVERIES,
    "GET /api/v1/deliveries/{id}": Right.DELIVERIES,
    "POST /api/v1/deliveries/{id}/again": Right.DELIVERIES,
    "GET /api/v1/channels": Right.DELIVERIES,
    "POST /api/v1/channels/{name}/test": Right.DELIVERIES,
    "GET /api/v1/feeds/calls.json": Right.EXPORT,
    "GET /api/v1/feeds/calls.csv": Right.EXPORT,
    "GET /odata/v4/": Right.EXPORT,
    "GET /odata/v4/$metadata": Right.EXPORT,
    "GET /odata/v4/Calls": Right.EXPORT,
    "GET /metrics": ANYBODY,  # asks for itself: an address of [api] metrics_from, or the right `system`
}

_CLOSED_TO_NOBODY = (
    "/v1/",
    "/ct.js",
    "/ct-callback.js",
    "/static/",
    "/health",
)  # whatever else is asked for there, nobody need log in for it


def needed(request: web.Request) -> Right | Open | None:
    """What this request takes; None: nobody may do it. An address that there is not takes a login, so that strangers
    do not learn which there are."""
    resource = request.match_info.route.resource
    if resource is None:
        return NOBODY if request.path.startswith(_CLOSED_TO_NOBODY) else SOMEBODY
    method = "GET" if request.method == "HEAD" else request.method
    return ROUTES.get(f"{method} {resource.canonical}")
