"""What is written into the audit log of a request.

The guard (auth.py) writes one entry for every change that succeeded, whoever made the page: with the words a handler found for it
(`describe`), else with the route's. Reading is written down where a handler describes it: listened, downloaded, exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from ctserver.domain.words import N_
from ctserver.http.deps import DEPS, USER
from ctserver.http.geo import client_ip
from ctserver.storage import audit
from ctserver.storage.audit import Entry


@dataclass(frozen=True, slots=True)
class Words:
    action: str
    subject: str
    detail: str


WORDS: web.RequestKey[Words] = web.RequestKey("audit", Words)
WRITTEN: web.RequestKey[bool] = web.RequestKey("audited", bool)
SILENT = ("/logout",)  # written by itself

ACTIONS = (
    N_("logged in"), N_("login refused"), N_("logged out"), N_("logins ended"), N_("linked to the provider"),
    N_("asked for a new password"), N_("link to a new password made"), N_("chose a password"), N_("password changed"),
    N_("second factor begun"), N_("second factor set up"), N_("second factor removed"),
    N_("invited"), N_("invitation withdrawn"), N_("followed an invitation"),
    N_("user made"), N_("user changed"), N_("user removed"), N_("settings changed"),
    N_("token made"), N_("token revoked"), N_("notifications switched on"), N_("notifications switched off"),
    N_("listened"), N_("downloaded"), N_("exported"),
    N_("call changed"), N_("call rated"), N_("added to the library"), N_("removed from the library"),
    N_("person exported"), N_("person erased"),
    N_("link to a call made"), N_("links to a call ended"), N_("missed call worked on"),
    N_("recording paused"), N_("recording resumed"), N_("caller blocked"), N_("caller let through"), N_("person exported"), N_("person erased"),
    N_("callback asked for"), N_("callback cancelled"), N_("test call placed"),
    N_("view saved"), N_("view removed"),
    N_("sent again"), N_("channel tested"), N_("deliveries resumed"),
)  # fmt: skip
"""Every word for what somebody did; the log keeps it in English, the page shows it in the reader's language."""


def describe(request: web.Request, action: str, subject: str = "", detail: str = "") -> None:
    """This is what the request does: "listened" to the call `subject`. It is written when the request succeeds."""
    request[WORDS] = Words(action, subject, detail)


def entry(request: web.Request, action: str, subject: str = "", detail: str = "", *, login: str = "") -> Entry:
    """An entry of this request, for a unit of work to add; `login` where nobody is logged in yet."""
    deps, user = request.app[DEPS], request.get(USER)
    via = "api" if user is not None and user.by_token else "page"
    address = client_ip(request, deps.settings.server.trust_proxy)
    return Entry(deps.now(), login or (user.login if user else ""), via, action, subject, detail, address)


async def write(request: web.Request, action: str, subject: str = "", detail: str = "", *, once: bool = False) -> None:
    """At once: before a file is sent, which may be cut off when most of it has arrived. `once`: one entry in a while, for what
    is fetched piece by piece."""
    found, add = entry(request, action, subject, detail), audit.add_once if once else audit.add
    await request.app[DEPS].db.write(lambda tx: add(tx, found))
    request[WRITTEN] = True


def asked(request: web.Request) -> str:
    """What the address asks for, without the key that may stand in it."""
    return urlencode({name: value for name, value in request.query.items() if name != "api_key"})


async def note(request: web.Request, response: web.StreamResponse) -> None:
    """Write down what the request did, if it did something."""
    words = request.get(WORDS)
    if response.status >= 400 or WRITTEN in request:
        return
    if words is None:
        if request.method in ("GET", "HEAD") or request.path in SILENT:
            return
        words = _of_route(request)
    found = entry(request, words.action, words.subject, words.detail)
    add = audit.add_once if request.method in ("GET", "HEAD") else audit.add
    await request.app[DEPS].db.write(lambda tx: add(tx, found))


def _of_route(request: web.Request) -> Words:
    resource = request.match_info.route.resource
    path = resource.canonical if resource else request.path
    return Words(f"{request.method} {path}", " ".join(request.match_info.values()), "")
