"""The way in and out: password and second factor.

Passwords are hashed with argon2id in a thread: it is slow on purpose. Before the login, forms carry the token of a
short-lived cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ctserver import ids
from ctserver.domain import secondfactor, visitor
from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.person import Person
from ctserver.http import audit, render
from ctserver.http.auth import COOKIE, PUSH_COOKIE, matches, same
from ctserver.http.deps import DEPS, USER, Deps
from ctserver.http.geo import client_ip
from ctserver.ids import token_hash
from ctserver.language import gettext as _
from ctserver.storage import audit as log
from ctserver.storage import logins, push, users
from ctserver.storage.db import Transaction

PRE_COOKIE = "ct_form"
WAITING_MS = 10 * MINUTE_MS  # how long the second factor is waited for
CODE_GUESSES = 5  # wrong codes, and the password is asked for again


def add_routes(app: web.Application) -> None:
    app.router.add_get("/login", login_page)
    app.router.add_post("/login", login)
    app.router.add_get("/login/code", code_page)
    app.router.add_post("/login/code", code)
    app.router.add_post("/logout", logout)


# ---- password


async def login_page(request: web.Request) -> web.StreamResponse:
    return _form(request, error=None, target=request.query.get("next", "/"))


async def login(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    form = await request.post()
    name, password = str(form.get("login", ""))[:200], str(form.get("password", ""))[:1000]
    target = str(form.get("next", "/"))
    if not is_ours(request, str(form.get("csrf", ""))):
        return _form(request, error=_("The form has expired. Please try again."), target=target)
    if not await _may_guess(request, name):
        return _form(request, error=_("Too many wrong passwords. Please wait five minutes."), target=target, status=429)
    known = await users.password_hash(deps.db, name)
    if not await asyncio.to_thread(matches, known, password):
        entry = audit.entry(request, "login refused", name, login=name if known else "")
        await deps.db.write(lambda tx: log.add(tx, entry))
        return _form(request, error=_("User name or password is wrong."), target=target, status=403)
    return await begin(request, name, target)


async def begin(
    request: web.Request, name: str, target: str, *, detail: str = "", vouched: bool = False
) -> web.StreamResponse:
    """Let this browser in as `name`, or ask for the second factor first, unless somebody who did has `vouched`."""
    deps = request.app[DEPS]
    secret = "" if vouched else (await users.second_factor(deps.db, name))[0]
    token, csrf, id, now = ids.token(), ids.token(), ids.new(deps.now()), deps.now()
    seconds = WAITING_MS // 1000 if secret else lasts(deps, await users.one(deps.db, name))
    address, browser = address_of(request), _browser(request)
    entry = audit.entry(request, "logged in", name, detail, login=name)

    def let_in(tx: Transaction) -> None:
        logins.add(tx, token_hash(token), id, name, csrf, now, now + seconds * 1000, address, browser, bool(secret))
        if not secret:
            log.add(tx, entry)

    await deps.db.write(let_in)
    if not secret:  # else whoever knows the password alone could guess codes for ever
        deps.guesses.was_right(address, name)
    path = render.own_path(target)
    response = render.see_other(f"/login/code?{_next(path)}" if secret else path)
    set_cookie(deps, response, COOKIE, token, seconds)
    response.del_cookie(PRE_COOKIE, path="/")
    return response


def lasts(deps: Deps, person: Person | None) -> int:
    """Seconds that a login is good. Who has left the company is thrown out by the provider, so he asks it more often."""
    if person is not None and person.by_provider:
        return deps.settings.oidc.login_hours * 3600
    return deps.settings.people.login_days * 86_400


async def logout(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    token, entry = token_hash(request.cookies.get(COOKIE, "")), audit.entry(request, "logged out", request[USER].login)
    notified = request.cookies.get(PUSH_COOKIE, "")

    def leave(tx: Transaction) -> None:
        logins.end(tx, token)
        push.forget_one(tx, entry.login, notified)
        log.add(tx, entry)

    await deps.db.write(leave)
    response = render.see_other("/login")
    response.del_cookie(COOKIE, path="/")
    response.del_cookie(PUSH_COOKIE, path="/")
    return response


# ---- second factor


async def code_page(request: web.Request) -> web.StreamResponse:
    waiting = await _waiting(request)
    return _code_form(request, waiting.csrf, request.query.get("next", "/")) if waiting else render.see_other("/login")


async def code(request: web.Request) -> web.StreamResponse:
    """A code of the telephone, or a recovery code."""
    deps, waiting = request.app[DEPS], await _waiting(request)
    form = await request.post()
    if waiting is None or not same(str(form.get("csrf", "")), waiting.csrf):
        return render.see_other("/login")
    name, target, now = waiting.person.login, str(form.get("next", "/")), deps.now()
    if not await _may_guess(request, name):
        return _code_form(request, waiting.csrf, target, _("Too many wrong codes. Please wait five minutes."), 429)
    besieged = deps.guesses.codes_are_besieged(name, now) and not await _is_known(request, name)
    secret, last = await users.second_factor(deps.db, name)
    text = str(form.get("code", ""))[:100]
    step = secondfactor.step_of(secret, text, now, last) if secret and not besieged else None
    recovery = code_hash(name, text)
    entry = audit.entry(request, "logged in", name, "" if step else "recovery code", login=name)
    seconds = lasts(deps, waiting.person)

    def check(tx: Transaction) -> bool:
        good = users.use_step(tx, name, step) if step else users.use_recovery_code(tx, name, recovery)
        if good:
            logins.let_in(tx, waiting.id, now + seconds * 1000)
            log.add(tx, entry)
        return good

    if await deps.db.write(check):
        deps.guesses.was_right(address_of(request), name)
        response = render.see_other(render.own_path(target))
        set_cookie(deps, response, COOKIE, request.cookies[COOKIE], seconds)
        return response
    if besieged:
        error = _("Too many wrong codes today. Use a recovery code, or log in where you are logged in already.")
        return _code_form(request, waiting.csrf, target, error, 429)
    return await _wrong_code(request, waiting, target)


async def _wrong_code(request: web.Request, waiting: logins.Login, target: str) -> web.StreamResponse:
    deps, name = request.app[DEPS], waiting.person.login
    entry = audit.entry(request, "login refused", name, "code", login=name)
    too_many = deps.guesses.wrong_code(waiting.id, name, deps.now()) >= CODE_GUESSES

    def refuse(tx: Transaction) -> None:
        log.add(tx, entry)
        if too_many:
            logins.revoke(tx, name, waiting.id)

    await deps.db.write(refuse)
    if too_many:
        return render.see_other("/login")
    return _code_form(request, waiting.csrf, target, _("This code is wrong or has already been used."), 403)


def code_hash(login: str, text: str) -> str:
    """Recovery codes hold 80 random bits, so a fast hash will do."""
    return hashlib.sha256(f"{login}\n{secondfactor.recovery_code(text)}".encode("utf-8", "replace")).hexdigest()


async def _waiting(request: web.Request) -> logins.Login | None:
    deps, cookie = request.app[DEPS], request.cookies.get(COOKIE, "")
    found = await logins.by_token(deps.db, token_hash(cookie), deps.now()) if cookie else None
    return found if found and found.waiting else None


def _code_form(
    request: web.Request, csrf: str, target: str, error: str | None = None, status: int = 200
) -> web.StreamResponse:
    context = {"error": error, "next": target, "csrf": csrf}
    response = render.page(request, "code.html", context, status=status)
    response.headers["Cache-Control"] = "private, no-store"
    return response


# ---- parts


def _form(request: web.Request, *, error: str | None, target: str, status: int = 200) -> web.StreamResponse:
    provider = request.app[DEPS].provider
    context = {"error": error, "next": target, "provider": provider.name if provider else ""}
    return before_login(request, "login.html", context, status)


def before_login(request: web.Request, template: str, context: dict[str, Any], status: int) -> web.StreamResponse:
    """A page with a form for somebody who is not logged in."""
    csrf = request.cookies.get(PRE_COOKIE, "") or ids.token()
    response = render.page(request, template, {**context, "csrf": csrf}, status=status)
    set_cookie(request.app[DEPS], response, PRE_COOKIE, csrf, 3600)
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def _may_guess(request: web.Request, name: str) -> bool:
    """Is this guess listened to? It counts from here on, and takes its time."""
    deps, address, now = request.app[DEPS], address_of(request), request.app[DEPS].now()
    if deps.guesses.address_must_wait(address, now):
        return False
    if deps.guesses.login_is_besieged(name, now) and not await _is_known(request, name):
        return False
    deps.guesses.count(address, name, now)
    return await deps.guesses.hold_back(name, now)


async def _is_known(request: web.Request, name: str) -> bool:
    """Is somebody logged in as him at this address?"""
    deps, address = request.app[DEPS], address_of(request)
    return await deps.db.read(lambda tx: logins.knows_address(tx, name, address))


def is_ours(request: web.Request, csrf: str) -> bool:
    return same(csrf, request.cookies.get(PRE_COOKIE, ""))


def address_of(request: web.Request) -> str:
    return client_ip(request, request.app[DEPS].settings.server.trust_proxy)


def _browser(request: web.Request) -> str:
    """People tell their own logins by it: "Firefox, Linux"."""
    device = visitor.device(request.headers.get("User-Agent", ""))
    return ", ".join(part for part in (device.browser, device.os) if part)[:100]


def _next(path: str) -> str:
    return urlencode({"next": path})


def set_cookie(deps: Deps, response: web.StreamResponse, name: str, value: str, seconds: int) -> None:
    secure = deps.settings.server.public_url.startswith("https://")
    response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="Lax", secure=secure)
