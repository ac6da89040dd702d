"""The guard before every address: who is it, may he, is the form ours. What each address asks for stands in rights.py.

People come with a cookie that holds a random token, programs with a token of the API; the database has only the hashes. Every
POST of a person carries the CSRF token of his login.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from yarl import URL

from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.rights import Right
from ctserver.http import audit, render, rights
from ctserver.http.deps import DEPS, USER, Deps, User
from ctserver.http.geo import client_ip
from ctserver.http.problems import is_for_programs
from ctserver.ids import token_hash
from ctserver.storage import logins, tokens

COOKIE = "ct_login"
PUSH_COOKIE = "ct_push"  # names the entry of this browser among those that are notified
SEEN_EVERY_MS = 5 * MINUTE_MS  # how exactly the time of somebody's last request is kept
TOKEN_PREFIX = "ct_"  # so that a token found somewhere is known for one
ASKED_AGAIN_SECONDS = 1.0  # how soon a stream ends for whom a login, a right or a site was taken from
ASKED: web.RequestKey[float] = web.RequestKey("asked", float)

_hasher = PasswordHasher()


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    need = rights.needed(request)
    if need is rights.NOBODY:
        return await handler(request)
    user = await _user(request)
    if user:
        request[USER] = user
    if need is rights.ANYBODY:
        return await handler(request)
    if user is None:
        return _refuse(request)
    if (isinstance(need, Right) and not user.may(need)) or need is None:
        raise web.HTTPForbidden
    if request.method not in ("GET", "HEAD") and not user.by_token:
        await _check_csrf(request, user.csrf)
    if _lacks_second_factor(request, user, need):
        return render.see_other("/account?needs=second-factor")
    response = await handler(request)
    await audit.note(request, response)
    if not response.prepared:
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response


def hash_password(password: str) -> str:
    """argon2id with the library's parameters; takes some 50 ms."""
    return _hasher.hash(password)


def matches(known: str | None, password: str) -> bool:
    """An unknown login, or one without a password, takes as long as a known one."""
    try:
        return _hasher.verify(known or _nobody_hash(), password) and bool(known)
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobody_hash() -> str:
    return _hasher.hash("nobody has this password")


def same(left: str, right: str) -> bool:
    return bool(left) and hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


async def still(request: web.Request) -> bool:
    """May whoever opened this stream read on, as the one he was then? Answered from the database once in a while."""
    deps, was, clock = request.app[DEPS], request[USER], asyncio.get_running_loop().time()
    if clock - request.get(ASKED, clock - ASKED_AGAIN_SECONDS) < ASKED_AGAIN_SECONDS:
        return True
    request[ASKED] = clock
    if was.by_token:
        token = await tokens.by_hash(deps.db, token_hash(_token(request)), deps.now())
        return token is not None and _as_program(token) == was
    login = await logins.by_token(deps.db, token_hash(request.cookies.get(COOKIE, "")), deps.now())
    return login is not None and _as_person(login) == was


def _refuse(request: web.Request) -> web.StreamResponse:
    if is_for_programs(request):
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="ctserver", Basic realm="ctserver"'})
    if request.method not in ("GET", "HEAD"):
        raise web.HTTPForbidden
    return render.see_other(str(URL("/login").with_query(next=request.path_qs)))


def _lacks_second_factor(request: web.Request, user: User, need: object) -> bool:
    """Of a person whose role must have one. What everybody may (his account, logging out) stays open, to set it up."""
    settings = request.app[DEPS].settings
    vouched = user.person.by_provider and settings.oidc.second_factor == "provider"
    return (
        user.person.role in settings.people.second_factor
        and not user.person.second_factor
        and not vouched
        and not user.by_token
        and need is not rights.SOMEBODY
    )


# ---- who it is


async def _user(request: web.Request) -> User | None:
    deps = request.app[DEPS]
    if is_for_programs(request) and (token := _token(request)):
        return await _program(deps, token)
    cookie = request.cookies.get(COOKIE)
    return await _person(request, deps, cookie) if cookie else None


async def _person(request: web.Request, deps: Deps, cookie: str) -> User | None:
    now = deps.now()
    login = await logins.by_token(deps.db, token_hash(cookie), now)
    if login is None or login.waiting:
        return None
    if now - login.seen_at > SEEN_EVERY_MS:
        address = client_ip(request, deps.settings.server.trust_proxy)
        await deps.db.write(lambda tx: logins.seen(tx, login.id, now, address))
    return _as_person(login)


def _as_person(login: logins.Login) -> User:
    return User(login.person, login.person.rights, login.csrf, login.id)


def _as_program(token: tokens.Token) -> User:
    return User(token.person, token.person.rights & token.scopes, by_token=True)


async def _program(deps: Deps, text: str) -> User | None:
    now = deps.now()
    token = await tokens.by_hash(deps.db, token_hash(text), now)
    if token is None:
        return None
    if not deps.api_limit.allow(token.id, now):
        raise web.HTTPTooManyRequests(headers={"Retry-After": "10"})
    if now - token.seen_at > SEEN_EVERY_MS:
        await deps.db.write(lambda tx: tokens.seen(tx, token.id, now))
    return _as_program(token)


def _token(request: web.Request) -> str:
    """As a bearer token, as the password of Basic (any name), or for reading in the address, where a spreadsheet can only that."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
        except (binascii.Error, ValueError):
            return "?"
    return request.query.get("api_key", "") if request.method in ("GET", "HEAD") else ""


async def _check_csrf(request: web.Request, expected: str) -> None:
    sent = request.headers.get("X-Csrf") or str((await request.post()).get("csrf", ""))
    if not same(sent, expected):
        raise web.HTTPForbidden
