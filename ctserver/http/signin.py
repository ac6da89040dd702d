"""Signing in at the company's provider: the way there, and the way back.

The provider is asked within the request that comes back, and nowhere else: the browser waits for what its code is worth. That has a
short end (`[oidc] timeout_seconds`), and touches nothing that a call needs.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from ctserver import ids
from ctserver.domain.identity import Identity, NotLetIn, Reason
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, Deps
from ctserver.http.login import address_of, begin, set_cookie
from ctserver.http.passwords import LOGIN
from ctserver.http.signins import LASTS_MS, Signin
from ctserver.ids import token_hash
from ctserver.language import gettext as _
from ctserver.storage import audit as log
from ctserver.storage import users
from ctserver.storage.db import Transaction

COOKIE = "ct_signin"
WHY = {
    Reason.AWAY: (N_("%(name)s is not responding."), 502),
    Reason.DENIED: (N_("%(name)s refused the login."), 403),
    Reason.OVER: (
        N_("This sign-in is no longer valid: it was already used, has expired, or began in another browser."),
        400,
    ),
    Reason.MISTRUSTED: (N_("The answer from %(name)s does not prove who you are."), 502),
    Reason.DOMAIN: (N_("Your e-mail address has no access here."), 403),
    Reason.ROLE: (N_("None of your groups has access here."), 403),
    Reason.STRANGER: (N_("You have no account here yet. Ask an owner of ctserver for one."), 403),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/login/oidc", leave)
    app.router.add_get("/login/oidc/callback", come_back)


async def leave(request: web.Request) -> web.StreamResponse:
    """To the provider."""
    deps, now, browser = request.app[DEPS], request.app[DEPS].now(), request.cookies.get(COOKIE, "") or ids.token()
    if deps.provider is None:
        raise web.HTTPNotFound
    if not deps.signin_limit.allow(address_of(request), now):
        raise web.HTTPTooManyRequests
    flow, target = deps.provider.flow(), render.own_path(request.query.get("next", "/"))
    try:
        response = render.see_other(deps.provider.address(flow))
    except NotLetIn as refusal:
        return await _refuse(request, refusal, deps.provider.name)
    deps.signins.begin(Signin(flow, token_hash(browser), target, now))
    set_cookie(deps, response, COOKIE, browser, LASTS_MS // 1000)
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def come_back(request: web.Request) -> web.StreamResponse:
    """With a code that says who it is, or with the reason why not."""
    deps, browser = request.app[DEPS], request.cookies.get(COOKIE, "")
    if deps.provider is None:
        raise web.HTTPNotFound
    query = {name: value[:4000] for name, value in request.query.items()}
    signin = deps.signins.take(query.get("state", ""), token_hash(browser), deps.now())
    try:
        if signin is None:
            raise NotLetIn(Reason.OVER)
        found = await deps.provider.redeem(signin.flow, query)
        login = await _login_of(request, deps, found)
    except NotLetIn as refusal:
        return await _refuse(request, refusal, deps.provider.name)
    vouched = deps.settings.oidc.second_factor == "provider"
    response = await begin(request, login, signin.target, detail=f"by {deps.provider.name}", vouched=vouched)
    response.del_cookie(COOKIE, path="/")
    return response


async def _refuse(request: web.Request, refusal: NotLetIn, name: str) -> web.StreamResponse:
    """Why not, in words; what exactly was wrong is in the audit log, for whoever looks after the server."""
    entry = audit.entry(request, "login refused", name, str(refusal))
    await request.app[DEPS].db.write(lambda tx: log.add(tx, entry))
    words, status = WHY[refusal.reason]
    response = render.page(request, "refused.html", {"why": _(words) % {"name": name}, "name": name}, status=status)
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def _login_of(request: web.Request, deps: Deps, found: Identity) -> str:
    """The login of whoever it is: known to the provider already, or by his e-mail address, or new. Raises NotLetIn."""
    now, id = deps.now(), ids.new(deps.now())

    def settle(tx: Transaction) -> str:
        person = users.by_subject(tx, found.subject)
        if person is None and found.email and (person := users.link_by_email(tx, found.email, found.subject)):
            log.add(tx, audit.entry(request, "linked to the provider", person.login, found.subject, login=person.login))
        if person is not None:
            _follow_role(request, tx, person, found)
            return person.login
        made = _newcomer(tx, deps, found)
        users.add_by_provider(tx, id, made, found.subject, now)
        log.add(tx, audit.entry(request, "user made", made.login, f"{made.role}, by the provider", login=made.login))
        return made.login

    return await deps.db.write(settle)


def _follow_role(request: web.Request, tx: Transaction, person: Person, found: Identity) -> None:
    """The provider says who may what, if it says anything; somebody stays the owner."""
    if found.role is None or found.role is person.role:
        return
    if person.role is Role.OWNER and users.owners(tx) == 1:
        return
    users.change(tx, replace(person, role=found.role))
    detail = f"role: {person.role} -> {found.role}, by the provider"
    log.add(tx, audit.entry(request, "user changed", person.login, detail, login=person.login))


def _newcomer(tx: Transaction, deps: Deps, found: Identity) -> Person:
    """Raises NotLetIn."""
    oidc = deps.settings.oidc
    role = found.role or (Role(oidc.role) if oidc.role else None)
    if not oidc.new_users or role is None:
        raise NotLetIn(Reason.STRANGER, f"{found.email or 'no verified e-mail address'}, {found.subject}")
    names = (found.email, found.nickname, f"user-{token_hash(found.subject)[:8]}")
    login = next(name for name in names if LOGIN.fullmatch(name) and not users.exists(tx, name))
    return Person(login, role, name=found.name, email=found.email)
