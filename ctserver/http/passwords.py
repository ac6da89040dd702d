"""Choosing a password: by a link that somebody was given, or that he asked for because he forgot his own."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from ctserver import ids, language
from ctserver.domain.clock import MINUTE_MS
from ctserver.http import audit
from ctserver.http.auth import hash_password
from ctserver.http.deps import DEPS
from ctserver.http.login import address_of, before_login, begin, is_ours
from ctserver.ids import token_hash
from ctserver.language import gettext as _
from ctserver.services import letters
from ctserver.services.letters import Letter
from ctserver.storage import audit as log
from ctserver.storage import links, users
from ctserver.storage.db import Transaction

MIN_PASSWORD = 10
ASKED_SECONDS = 0.3  # how long the answer to a forgotten password takes, whoever asks
ASKED_AGAIN_MS = 5 * MINUTE_MS  # one letter in this time
LOGIN = re.compile(r"[\w.@+-]{1,64}", re.ASCII)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/forgot", forgot_page)
    app.router.add_post("/forgot", forgot)
    app.router.add_get("/link/{token}", link_page)
    app.router.add_post("/link/{token}", follow_link)


# ---- forgotten


async def forgot_page(request: web.Request) -> web.StreamResponse:
    return _forgot_form(request)


async def forgot(request: web.Request) -> web.StreamResponse:
    """A letter with a link, if the login or e-mail address is known and has one. The answer is the same after the same time
    for everybody, and who has just been sent one is sent no other."""
    deps, form, clock = request.app[DEPS], await request.post(), asyncio.get_running_loop().time
    ready = clock() + ASKED_SECONDS
    name, address, now = str(form.get("login", "")).strip()[:200], address_of(request), deps.now()
    if not is_ours(request, str(form.get("csrf", ""))):
        return _forgot_form(request, error=_("The form has expired. Please try again."), status=400)
    if not deps.asked_limit.allow(address, now):
        return _forgot_form(request, error=_("Too many attempts. Please wait a few minutes."), status=429)
    entry, spoken = audit.entry(request, "asked for a new password", name), language.reader().language
    expires_at = now + deps.settings.people.reset_minutes * MINUTE_MS

    def ask(tx: Transaction) -> None:
        log.add(tx, entry)
        for person in users.called(tx, name) if deps.writes_letters else []:
            if links.made_since(tx, person.login, now - ASKED_AGAIN_MS):
                continue
            id = ids.new(now)
            links.add(tx, token_hash(ids.token()), id, person, "", now, expires_at)
            deps.post(tx, Letter(letters.FORGOTTEN, person.email, id, person.login, language=spoken))

    await deps.db.write(ask)
    deps.wake()
    await asyncio.sleep(ready - clock())
    return _forgot_form(request, asked=True)


def _forgot_form(
    request: web.Request, *, error: str = "", asked: bool = False, status: int = 200
) -> web.StreamResponse:
    people = request.app[DEPS].settings.people
    context = {
        "error": error,
        "asked": asked,
        "possible": request.app[DEPS].writes_letters,
        "minutes": people.reset_minutes,
    }
    return before_login(request, "forgot.html", context, status)


def changed(request: web.Request, login: str, email: str) -> Letter:
    """Word of a new password to the one whose it is."""
    spoken = language.reader().language
    return Letter(letters.CHANGED, email, login=login, language=spoken, address=address_of(request))


# ---- links


async def link_page(request: web.Request) -> web.StreamResponse:
    return await _link_form(request)


async def follow_link(request: web.Request) -> web.StreamResponse:
    """Choose a password, and for an invitation a login; then be logged in."""
    deps, form = request.app[DEPS], await request.post()
    hashed = token_hash(request.match_info["token"])
    row = await links.by_token(deps.db, hashed, deps.now())
    if row is None:
        raise web.HTTPNotFound
    if not is_ours(request, str(form.get("csrf", ""))):
        return await _link_form(request, _("The form has expired. Please try again."))
    name = row["login"] or str(form.get("login", "")).strip()
    password = str(form.get("password", ""))[:1000]
    if error := wrong_choice(name, password, str(form.get("again", ""))[:1000]):
        return await _link_form(request, error, name)
    password_hash, now, id = await asyncio.to_thread(hash_password, password), deps.now(), ids.new(deps.now())
    invited = users.invited(row, name)
    entry = audit.entry(request, "chose a password" if row["login"] else "followed an invitation", name, login=name)

    def take(tx: Transaction) -> bool:
        if not row["login"] and users.exists(tx, name):
            return False
        if not links.take(tx, hashed):
            return False
        users.put_user(tx, id, name, password_hash, now, None if row["login"] else invited)
        log.add(tx, entry)
        if row["login"]:
            deps.post(tx, changed(request, name, row["email"]))
        return True

    if not await deps.db.write(take):
        return await _link_form(request, _("This user name is taken. Choose another."), name)
    deps.wake()
    return await begin(request, name, "/")


def wrong_choice(name: str, password: str, again: str) -> str:
    """What is wrong with a login and password that somebody has chosen, in words; "" if nothing."""
    if not LOGIN.fullmatch(name):
        return _("A user name may have letters, digits and . @ + - _, at most 64 characters.")
    if len(password) < MIN_PASSWORD:
        return _("A password needs at least %(count)s characters.") % {"count": MIN_PASSWORD}
    if password.lower() == name.lower():
        return _("The password must not be the user name.")
    return "" if password == again else _("The passwords do not match.")


async def _link_form(request: web.Request, error: str = "", name: str = "") -> web.StreamResponse:
    deps = request.app[DEPS]
    row = await links.by_token(deps.db, token_hash(request.match_info["token"]), deps.now())
    context = {
        "error": error,
        "found": row is not None,
        "login": row["login"] if row else "",
        "suggested": name or (row["email"] if row and LOGIN.fullmatch(row["email"]) else ""),
        "min_password": MIN_PASSWORD,
        "token": request.match_info["token"],
    }
    response = before_login(request, "link.html", context, (400 if error else 200) if row else 404)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
