"""Log in, stay logged in, log out; and the guard before every address (what each asks for stands in rights.py).

Passwords are hashed with argon2id (in a thread: it is slow on purpose). The cookie holds a random token, the database
only its hash. Every POST carries the CSRF token of its login; before the login, of a short-lived cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from functools import lru_cache

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from yarl import URL

from ctserver import ids
from ctserver.domain import visitor
from ctserver.domain.rights import TABLE
from ctserver.http import render, rights
from ctserver.http.deps import DEPS, USER, Deps, User
from ctserver.http.geo import client_ip
from ctserver.storage import logins, users

COOKIE = "ct_login"
PRE_COOKIE = "ct_form"
LOGIN_DAYS = 14
FAILURES = 10  # wrong passwords from one address within FAILURE_MS before it must wait
FAILURE_MS = 5 * 60_000

_hasher = PasswordHasher()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application) -> None:
    app.router.add_get("/login", login_page)
    app.router.add_post("/login", login)
    app.router.add_post("/logout", logout)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who is it; may he; is the form ours."""
    need = rights.needed(request)
    if need is rights.NOBODY:
        return await handler(request)
    user = await _user(request)
    if user:
        request[USER] = user
    if need is rights.ANYBODY:
        return await handler(request)
    if user is None:
        return _to_login(request)
    if need is not rights.SOMEBODY and (need is None or not user.may(str(need))):
        raise web.HTTPForbidden
    if request.method not in ("GET", "HEAD"):
        await _check_csrf(request, user.csrf)
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response


async def login_page(request: web.Request) -> web.StreamResponse:
    return _form(request, error=None, target=request.query.get("next", "/"))


async def login(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    form = await request.post()
    name, password = str(form.get("login", ""))[:200], str(form.get("password", ""))[:1000]
    target = str(form.get("next", "/"))
    if not _same(str(form.get("csrf", "")), request.cookies.get(PRE_COOKIE, "")):
        return _form(request, error="The form was too old. Please try again.", target=target)
    address = client_ip(request, deps.settings.server.trust_proxy)
    if _locked(deps, address):
        return _form(request, error="Too many wrong passwords. Please wait five minutes.", target=target, status=429)
    deps.attempts.setdefault(address, []).append(deps.now())  # before the slow part: guesses come many at once
    known = await users.password_hash(deps.db, name)
    if not await asyncio.to_thread(_matches, known, password):
        return _form(request, error="Login or password is wrong.", target=target, status=403)
    deps.attempts.pop(address, None)
    return await _begin(request, name, target)


async def logout(request: web.Request) -> web.StreamResponse:
    deps = request.app[DEPS]
    token = _hash(request.cookies.get(COOKIE, ""))
    await deps.db.write(lambda tx: logins.end(tx, token))
    response = render.see_other("/login")
    response.del_cookie(COOKIE, path="/")
    return response


def hash_password(password: str) -> str:
    """argon2id with the library's parameters; takes some 50 ms."""
    return _hasher.hash(password)


async def _begin(request: web.Request, name: str, target: str) -> web.StreamResponse:
    deps = request.app[DEPS]
    token, csrf, now = ids.token(), ids.token(), deps.now()
    expires = now + LOGIN_DAYS * 86_400_000
    address, browser = _from_where(request)
    id = ids.new(now)
    await deps.db.write(
        lambda tx: logins.add(tx, _hash(token), id, name, csrf, now, expires, address, browser, waiting=False)
    )
    response = render.see_other(render.own_path(target))
    _set_cookie(deps, response, COOKIE, token, LOGIN_DAYS * 86_400)
    response.del_cookie(PRE_COOKIE, path="/")
    return response


def _from_where(request: web.Request) -> tuple[str, str]:
    """(address, browser) of who logs in: people tell their own logins by them."""
    device = visitor.device(request.headers.get("User-Agent", ""))
    browser = ", ".join(part for part in (device.browser, device.os) if part)
    return client_ip(request, request.app[DEPS].settings.server.trust_proxy), browser[:100]


def _form(request: web.Request, *, error: str | None, target: str, status: int = 200) -> web.StreamResponse:
    csrf = request.cookies.get(PRE_COOKIE, "") or ids.token()
    response = render.page(request, "login.html", {"error": error, "next": target, "csrf": csrf}, status=status)
    _set_cookie(request.app[DEPS], response, PRE_COOKIE, csrf, 3600)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _to_login(request: web.Request) -> web.StreamResponse:
    if request.path.startswith("/api/"):
        raise web.HTTPUnauthorized
    if request.method not in ("GET", "HEAD"):
        raise web.HTTPForbidden
    return render.see_other(str(URL("/login").with_query(next=request.path_qs)))


async def _user(request: web.Request) -> User | None:
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    deps = request.app[DEPS]
    login = await logins.by_token(deps.db, _hash(token), deps.now())
    if login is None or login.waiting:
        return None
    return User(login.person, TABLE[login.person.role], login.csrf, login.id)


async def _check_csrf(request: web.Request, expected: str) -> None:
    sent = request.headers.get("X-Csrf") or str((await request.post()).get("csrf", ""))
    if not _same(sent, expected):
        raise web.HTTPForbidden


def _locked(deps: Deps, address: str) -> bool:
    recent = [at for at in deps.attempts.get(address, []) if at > deps.now() - FAILURE_MS]
    deps.attempts[address] = recent
    if len(deps.attempts) > 10_000:
        deps.attempts.clear()
    return len(recent) >= FAILURES


@lru_cache(maxsize=1)
def _nobody_hash() -> str:
    return _hasher.hash("nobody has this password")


def _matches(known: str | None, password: str) -> bool:
    """An unknown login takes as long as a known one."""
    try:
        return _hasher.verify(known or _nobody_hash(), password) and known is not None
    except (VerificationError, InvalidHashError):
        return False


def _set_cookie(deps: Deps, response: web.StreamResponse, name: str, value: str, seconds: int) -> None:
    secure = deps.settings.server.public_url.startswith("https://")
    response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="Lax", secure=secure)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _same(left: str, right: str) -> bool:
    return bool(left) and hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
