"""The browsers in which a person has switched on notifications: switched on and off by himself, for himself.

`push.js` asks the browser and brings what it says here; `push-worker.js` shows what arrives. A cookie names this browser's
own entry, so that logging out takes it away.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ctserver.config import Settings
from ctserver.config.notify import Push
from ctserver.http import audit, render
from ctserver.http.auth import PUSH_COOKIE
from ctserver.http.dashboard.happened import OCCASIONS
from ctserver.http.deps import DEPS, USER
from ctserver.language import gettext
from ctserver.storage import push
from ctserver.storage.push import Subscription

COOKIE_SECONDS = 400 * 86_400  # the longest that browsers keep a cookie
LONGEST = 1000  # characters of an address
SERVICES = {  # whose push services they are: the end of the host -> the browsers
    "googleapis.com": "Chrome",
    "mozilla.com": "Firefox",
    "apple.com": "Safari",
    "windows.com": "Edge",
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/push-worker.js", worker)
    app.router.add_post("/account/push", switch_on)
    app.router.add_post("/account/push/off", switch_off)


async def worker(request: web.Request) -> web.StreamResponse:
    """The service worker: at the root, since it may open any page, and asked for anew each time the browser looks."""
    response = web.Response(text=render.source("push-worker.js"), content_type="text/javascript", charset="utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


async def switch_on(request: web.Request) -> web.StreamResponse:
    """Body: a PushSubscription as the browser writes it as JSON."""
    deps, login = request.app[DEPS], request[USER].login
    if not deps.push_key:
        raise web.HTTPNotFound
    found = _subscription((await request.read()).decode("utf-8", "replace"), login)
    await deps.db.write(lambda tx: push.put(tx, found, deps.now()))
    audit.describe(request, "notifications switched on", login, browser_of(found.endpoint))
    response = web.Response(status=204)
    secure = deps.settings.server.public_url.startswith("https://")
    response.set_cookie(
        PUSH_COOKIE, found.id, max_age=COOKIE_SECONDS, path="/", httponly=True, secure=secure, samesite="Lax"
    )
    return response


async def switch_off(request: web.Request) -> web.StreamResponse:
    """One of his own browsers, by its id."""
    deps, login, id = request.app[DEPS], request[USER].login, str((await request.post()).get("id", ""))
    if not await deps.db.write(lambda tx: push.forget_one(tx, login, id)):
        raise web.HTTPNotFound
    audit.describe(request, "notifications switched off", login)
    response = render.see_other("/account?done=push-off")
    if request.cookies.get(PUSH_COOKIE) == id:
        response.del_cookie(PUSH_COOKIE, path="/")
    return response


async def shown(request: web.Request) -> dict[str, Any]:
    """What the part "Notifications" of the page Account is made of."""
    deps, login = request.app[DEPS], request[USER].login
    here = request.cookies.get(PUSH_COOKIE, "")
    return {
        "push_key": deps.push_key,
        "told_of": [gettext(OCCASIONS[name]) for name in told_of(deps.settings, login)],
        "devices": [
            {
                "id": one.id,
                "browser": browser_of(one.endpoint),
                "since": one.created_at,
                "here": one.id == here,
            }
            for one, _ in reversed(await push.readers(deps.db, login))
        ],
    }


def told_of(settings: Settings, login: str) -> list[str]:
    """The occasions that are told to this person's browsers."""
    found: list[str] = []
    for rule in settings.alerts.values():
        table = settings.notify[rule.by]
        if isinstance(table, Push) and {to or table.to for to in rule.to or [""]} & {"", login}:
            found += rule.on
    return list(dict.fromkeys(found))


def browser_of(endpoint: str) -> str:
    """Whose push service it is: "Chrome", or the host."""
    host = urlsplit(endpoint).hostname or ""
    return next((name for end, name in SERVICES.items() if host == end or host.endswith(f".{end}")), host)


def _subscription(text: str, login: str) -> Subscription:
    """Raises HTTPBadRequest."""
    try:
        said = json.loads(text)
        endpoint, keys = str(said["endpoint"]), said["keys"]
        p256dh, auth = str(keys["p256dh"]), str(keys["auth"])
        point, secret = _bytes(p256dh), _bytes(auth)
        host = urlsplit(endpoint).hostname
    except (ValueError, KeyError, TypeError, RecursionError):
        raise web.HTTPBadRequest from None
    web_address = endpoint.startswith("https://") and endpoint.isascii() and endpoint.isprintable() and host
    if not web_address or len(endpoint) > LONGEST or len(point) != 65 or point[0] != 4 or len(secret) != 16:
        raise web.HTTPBadRequest
    return Subscription(endpoint, login, p256dh, auth)


def _bytes(text: str) -> bytes:
    """Base64url, with or without its padding. Raises ValueError."""
    try:
        return urlsafe_b64decode(text[:200] + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError from error
