"""One's own account: password, second factor, where one is logged in, keys to the API."""

from __future__ import annotations

import asyncio
from typing import Any

import segno
from aiohttp import web

from ctserver import ids
from ctserver.domain import secondfactor
from ctserver.domain.clock import DAY_MS, MINUTE_MS
from ctserver.domain.rights import Right
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.auth import PUSH_COOKIE, TOKEN_PREFIX, hash_password, matches
from ctserver.http.dashboard import devices
from ctserver.http.deps import DEPS, USER
from ctserver.http.login import code_hash
from ctserver.http.passwords import MIN_PASSWORD, changed, wrong_choice
from ctserver.ids import token_hash
from ctserver.language import gettext as _
from ctserver.storage import logins, push, tokens, users
from ctserver.storage.db import Transaction

JUST_NOW_MS = 10 * MINUTE_MS
SCOPES = {  # what a token may be let do, as a person reads it
    Right.CALLS: N_("See calls"),
    Right.CALLERS: N_("Callers' whole numbers and names"),
    Right.LISTEN: N_("Listen to recordings"),
    Right.DOWNLOAD: N_("Download recordings"),
    Right.EXPORT: N_("Export lists"),
    Right.WORK: N_("Change calls: tags, notes, categories"),
    Right.BLOCK: N_("Block callers"),
    Right.REPORTS: N_("See reports"),
    Right.VISITORS: N_("See visitors"),
    Right.NUMBERS: N_("See numbers and pools"),
    Right.DELIVERIES: N_("Deliveries: see, send again"),
    Right.SYSTEM: N_("State of the server"),
    Right.PRIVACY: N_("Export and erase a caller's data"),
}
LIFETIMES = (0, 30, 90, 365)  # days that a new token is good; 0: until it is revoked


def add_routes(app: web.Application) -> None:
    app.router.add_get("/account", account_page)
    app.router.add_post("/account/password", change_password)
    app.router.add_post("/account/factor/new", new_factor)
    app.router.add_post("/account/factor", confirm_factor)
    app.router.add_post("/account/factor/off", remove_factor)
    app.router.add_post("/account/logins/end", end_login)
    app.router.add_post("/account/tokens", new_token)
    app.router.add_post("/account/tokens/revoke", revoke_token)


async def account_page(request: web.Request) -> web.StreamResponse:
    done = {
        "password": _("Password changed. You have been logged out everywhere else."),
        "ended": _("Session ended."),
        "revoked": _("The token has been revoked."),
        "factor-off": _("Two-factor authentication is off."),
        "push-on": _("This browser will notify you."),
        "push-off": _("That browser will no longer notify you."),
    }.get(request.query.get("done", ""))
    needs = request.query.get("needs") == "second-factor"
    error = _("Your role requires two-factor authentication. Set it up here to continue.") if needs else ""
    return await _page(request, done=done, error=error)


async def change_password(request: web.Request) -> web.StreamResponse:
    deps, user, form = request.app[DEPS], request[USER], await request.post()
    if user.person.by_provider:
        raise web.HTTPBadRequest  # it would be a way in that the provider knows nothing of
    if not await _knows_password(request, str(form.get("old", ""))):
        return await _page(request, error=_("The current password is wrong."), status=400)
    password = str(form.get("password", ""))[:1000]
    if error := wrong_choice("x", password, str(form.get("again", ""))[:1000]):
        return await _page(request, error=error, status=400)
    hashed = await asyncio.to_thread(hash_password, password)
    notified = request.cookies.get(PUSH_COOKIE, "")

    def change(tx: Transaction) -> None:
        users.set_password(tx, user.login, hashed, user.session)
        push.forget_others(tx, user.login, notified)
        deps.post(tx, changed(request, user.login, user.person.email))

    await deps.db.write(change)
    deps.wake()
    audit.describe(request, "password changed", user.login)
    return render.see_other("/account?done=password")


# ---- the second factor


async def new_factor(request: web.Request) -> web.StreamResponse:
    """A secret and its QR code, to be confirmed with a first code before it counts."""
    if not await _knows_password(request, str((await request.post()).get("old", ""))):
        return await _page(request, error=_not_known(request), status=400)
    audit.describe(request, "second factor begun", request[USER].login)
    secret = ids.totp_secret()
    request.app[DEPS].factors.begin(request[USER].session, secret)
    return await _page(request, secret=secret)


async def confirm_factor(request: web.Request) -> web.StreamResponse:
    deps, user, form = request.app[DEPS], request[USER], await request.post()
    secret = deps.factors.of(user.session)
    if not secret:
        return await _page(request, error=_("The form has expired. Please try again."), status=400)
    step = secondfactor.step_of(secret, str(form.get("code", "")), deps.now(), 0)
    if step is None:
        return await _page(
            request, secret=secret, error=_("This code is wrong. Is the clock on your phone right?"), status=400
        )
    codes = [ids.password() for _each in range(secondfactor.RECOVERY_CODES)]
    hashes = [code_hash(user.login, code) for code in codes]
    await deps.db.write(lambda tx: users.put_second_factor(tx, user.login, secret, step, hashes))
    deps.factors.end(user.session)
    audit.describe(request, "second factor set up", user.login)
    return await _page(request, codes=codes)


async def remove_factor(request: web.Request) -> web.StreamResponse:
    deps, user = request.app[DEPS], request[USER]
    if not await _knows_password(request, str((await request.post()).get("old", ""))):
        return await _page(request, error=_not_known(request), status=400)
    await deps.db.write(lambda tx: users.put_second_factor(tx, user.login, "", 0, []))
    audit.describe(request, "second factor removed", user.login)
    return render.see_other("/account?done=factor-off")


async def _knows_password(request: web.Request, password: str) -> bool:
    """What lets somebody in for good takes the password again; guesses count as at the login. Who has none must just have
    signed in."""
    deps, login, now = request.app[DEPS], request[USER].login, request.app[DEPS].now()
    if request[USER].person.by_provider:
        mine = [row for row in await logins.of_user(deps.db, login, now) if row["id"] == request[USER].session]
        return any(now - row["created_at"] <= JUST_NOW_MS for row in mine)
    if deps.guesses.address_must_wait(login, now):
        return False
    deps.guesses.count(login, login, now)
    known = await users.password_hash(deps.db, login)
    good = await asyncio.to_thread(matches, known, password[:1000])
    if good:
        deps.guesses.was_right(login, login)
    return good


def _not_known(request: web.Request) -> str:
    if request[USER].person.by_provider:
        return _("Log out and log in again first: you must have logged in within the last ten minutes.")
    return _("The current password is wrong.")


# ---- logins and tokens


async def end_login(request: web.Request) -> web.StreamResponse:
    """One of his, or with no id all but this one; then no other browser is notified any more either."""
    deps, user, id = request.app[DEPS], request[USER], str((await request.post()).get("id", ""))
    notified = request.cookies.get(PUSH_COOKIE, "")

    def end(tx: Transaction) -> None:
        if id:
            logins.revoke(tx, user.login, id)
        else:
            logins.revoke_others(tx, user.login, user.session)
            push.forget_others(tx, user.login, notified)

    await deps.db.write(end)
    audit.describe(request, "logins ended", user.login)
    return render.see_other("/account?done=ended" if id != user.session else "/login")


async def new_token(request: web.Request) -> web.StreamResponse:
    """A key to the API with some of one's rights; it is shown this once."""
    deps, user, form, now = request.app[DEPS], request[USER], await request.post(), request.app[DEPS].now()
    name, days = str(form.get("name", "")).strip()[:100], str(form.get("days", ""))
    scopes = tokens.rights_of(" ".join(map(str, form.getall("scope", [])))) & user.rights & set(SCOPES)
    if not name or not scopes or days not in {str(count) for count in LIFETIMES}:
        return await _page(request, error=_("A token needs a name and at least one permission."), status=400)
    text, id = TOKEN_PREFIX + ids.token(), ids.new(now)
    expires = now + int(days) * DAY_MS if days != "0" else None
    await deps.db.write(lambda tx: tokens.add(tx, id, token_hash(text), user.login, name, scopes, now, expires))
    audit.describe(request, "token made", name, " ".join(sorted(scopes)))
    return await _page(request, token=text)


async def revoke_token(request: web.Request) -> web.StreamResponse:
    deps, user, id = request.app[DEPS], request[USER], str((await request.post()).get("id", ""))
    if not await deps.db.write(lambda tx: tokens.revoke(tx, user.login, id)):
        raise web.HTTPNotFound
    audit.describe(request, "token revoked", id)
    return render.see_other("/account?done=revoked")


async def _page(
    request: web.Request, *, status: int = 200, done: str | None = None, error: str = "", **shown: Any
) -> web.Response:
    deps, user = request.app[DEPS], request[USER]
    secret = shown.get("secret", "")
    server = deps.settings.server.public_url.partition("://")[2]
    text = error or done
    context = {
        "page": "account",
        "health": await deps.health(),
        "flash": {"kind": "error" if error else "ok", "text": text} if text else None,
        "person": user.person,
        "session": user.session,
        "logins": await logins.of_user(deps.db, user.login, deps.now()),
        "tokens": await tokens.of_user(deps.db, user.login),
        "rights": {right.value: words for right, words in SCOPES.items() if user.may(right)},
        "lifetimes": LIFETIMES,
        "codes_left": await users.recovery_codes_left(deps.db, user.login),
        "min_password": MIN_PASSWORD,
        "secret": secret,
        "qr": _qr(secondfactor.address(secret, user.login, f"ctserver {server}")) if secret else "",
        "codes": shown.get("codes", []),
        "token": shown.get("token", ""),
        **await devices.shown(request),
    }
    return render.page(request, "account.html", context, status=status)


def _qr(text: str) -> str:
    """An SVG that shows dark on light in either theme; made of digits only, so it is safe in a page."""
    return segno.make(text, error="m").svg_inline(scale=4, border=3, dark="#000", light="#fff", omitsize=True)
