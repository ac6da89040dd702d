"""What is written into the audit log of a request.

The guard (auth.py) writes one entry for every change that succeeded, whoever made the page: with the words a handler found for it
(`describe`), else with the route's. Reading is written down where a handler describes it: listened, downloaded, exported.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

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
SILENT = "/language", "/logout"  # of no interest, or written by themselves


def describe(request: web.Request, action: str, subject: str = "", detail: str = "") -> None:
    """This is what the request does: "listened" to the call `subject`. It is written when the request succeeds."""
    request[WORDS] = Words(action, subject, detail)


def entry(request: web.Request, action: str, subject: str = "", detail: str = "", *, login: str = "") -> Entry:
    """An entry of this request, for a unit of work to add; `login` where nobody is logged in yet."""
    deps, user = request.app[DEPS], request.get(USER)
    via = "api" if user is not None and user.by_token else "page"
    address = client_ip(request, deps.settings.server.trust_proxy)
    return Entry(deps.now(), login or (user.login if user else ""), via, action, subject, detail, address)


async def write(request: web.Request, action: str, subject: str = "", detail: str = "") -> None:
    """At once: before a file is sent, which may be cut off when most of it has arrived."""
    found = entry(request, action, subject, detail)
    await request.app[DEPS].db.write(lambda tx: audit.add(tx, found))


async def note(request: web.Request, response: web.StreamResponse) -> None:
    """Write down what the request did, if it did something."""
    words = request.get(WORDS)
    if response.status >= 400:
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
