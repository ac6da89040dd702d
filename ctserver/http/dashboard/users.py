"""Users: who there are, invitations, and what each may see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from ctserver import ids, language
from ctserver.domain.clock import DAY_MS
from ctserver.domain.person import Person
from ctserver.domain.rights import NEEDS_LINES, NEEDS_SITES, Role
from ctserver.domain.words import N_
from ctserver.http import audit, render
from ctserver.http.deps import DEPS, USER, Deps
from ctserver.ids import token_hash
from ctserver.language import gettext as _
from ctserver.services import letters
from ctserver.services.letters import Letter
from ctserver.storage import links, logins, push, users
from ctserver.storage.db import Row, Transaction

ROLES = {
    Role.OWNER: (N_("Owner"), N_("everything, users and the audit log included")),
    Role.MANAGER: (N_("Manager"), N_("calls, recordings, reports, numbers; of all sites, or of some")),
    Role.OPERATOR: (N_("Operator"), N_("calls and recordings of the lines ticked below")),
    Role.ANALYST: (N_("Analyst"), N_("calls and reports, without recordings and callers' numbers")),
    Role.CLIENT: (N_("Client"), N_("calls, recordings and reports of the sites ticked below")),
}


class _Refused(Exception):
    """Why a change is not made, in words for a person."""


def add_routes(app: web.Application) -> None:
    app.router.add_get("/users", users_page)
    app.router.add_post("/users/invite", invite)
    app.router.add_post("/users/withdraw", withdraw)
    app.router.add_get("/users/{id}", user_page)
    app.router.add_post("/users/{id}", save)
    app.router.add_post("/users/{id}/{what:password|factor|logins|remove}", act)


async def users_page(request: web.Request) -> web.StreamResponse:
    return await _users(request)


async def invite(request: web.Request) -> web.StreamResponse:
    """A link with which somebody chooses his login: sent by e-mail, or shown this once."""
    deps, form, now = request.app[DEPS], await request.post(), request.app[DEPS].now()
    try:
        person = _filled(deps, Person("", Role.MANAGER), form)
        if await _by_mail(request) and not person.email:
            raise _Refused(_("An e-mail needs an address."))
    except _Refused as refused:
        return await _users(request, error=str(refused), status=400)
    link = await _link(request, person, now + deps.settings.people.link_days * DAY_MS)
    audit.describe(request, "invited", person.email, person.role)
    return await _users(request, link=link, sent="" if link else person.email)


async def withdraw(request: web.Request) -> web.StreamResponse:
    id = str((await request.post()).get("id", ""))
    if not await request.app[DEPS].db.write(lambda tx: links.withdraw(tx, id)):
        raise web.HTTPNotFound
    audit.describe(request, "invitation withdrawn", id)
    return render.see_other("/users?done=withdrawn")


async def user_page(request: web.Request) -> web.StreamResponse:
    return await _user(request, done=request.query.get("done", ""))


async def save(request: web.Request) -> web.StreamResponse:
    deps, row = request.app[DEPS], await _row(request)
    before = users.person_of(row)
    try:
        person = _filled(deps, before, await request.post())
    except _Refused as refused:
        return await _user(request, error=str(refused), status=400)

    def change(tx: Transaction) -> bool:
        users.change(tx, person)
        if users.owners(tx):
            return True
        users.change(tx, before)
        return False

    if not await deps.db.write(change):
        return await _user(request, error=_("There must be at least one owner."), status=400)
    audit.describe(request, "user changed", person.login, _difference(before, person))
    return render.see_other(f"/users/{row['id']}?done=saved")


async def act(request: web.Request) -> web.StreamResponse:
    """What an owner does for somebody else: a link to a new password, no second factor, out of everywhere, gone."""
    deps, row, what = request.app[DEPS], await _row(request), request.match_info["what"]
    person = users.person_of(row)
    if what == "password":
        if await _by_mail(request) and not person.email:
            raise web.HTTPBadRequest
        link = await _link(request, person, deps.now() + DAY_MS)
        audit.describe(request, "link to a new password made", person.login)
        return await _user(request, link=link, sent="" if link else person.email)
    if what == "remove":
        return await _remove(request, row)
    if what == "factor":
        await deps.db.write(lambda tx: users.put_second_factor(tx, person.login, "", 0, []))
    else:
        await deps.db.write(lambda tx: _end_logins(tx, person.login))
    audit.describe(request, {"factor": "second factor removed", "logins": "logins ended"}[what], person.login)
    return render.see_other(f"/users/{row['id']}?done={what}")


def _end_logins(tx: Transaction, login: str) -> None:
    """In every browser, which then is not notified any more either."""
    logins.revoke_others(tx, login, "")
    push.forget_others(tx, login, "")


async def _remove(request: web.Request, row: Row) -> web.StreamResponse:
    login = row["login"]
    if login == request[USER].login:
        return await _user(request, error=_("You cannot remove yourself."), status=400)
    await request.app[DEPS].db.write(lambda tx: users.remove(tx, login))
    audit.describe(request, "user removed", login)
    return render.see_other("/users?done=removed")


async def _row(request: web.Request) -> Row:
    row = await users.by_id(request.app[DEPS].db, request.match_info["id"])
    if row is None:
        raise web.HTTPNotFound
    return row


async def _link(request: web.Request, person: Person, expires_at: int) -> str:
    """The address of a new link, to be handed over; "" if it went into a letter, which alone knows it."""
    deps, token, id, now = request.app[DEPS], ids.token(), ids.new(request.app[DEPS].now()), request.app[DEPS].now()
    maker, by_mail = request[USER].login, await _by_mail(request)
    kind, spoken = letters.PASSWORD if person.login else letters.INVITATION, language.reader().language
    letter = Letter(kind, person.email, id, person.login, maker, spoken)

    def make(tx: Transaction) -> None:
        links.add(tx, token_hash(token), id, person, maker, now, expires_at)
        if by_mail:
            deps.post(tx, letter)

    await deps.db.write(make)
    deps.wake()
    return "" if by_mail else f"{deps.settings.server.public_url}/link/{token}"


async def _by_mail(request: web.Request) -> bool:
    return request.app[DEPS].writes_letters and (await request.post()).get("by") == "mail"


def _filled(deps: Deps, person: Person, form: Any) -> Person:
    """The person as the form has him. Raises _Refused."""
    role, email = str(form.get("role", "")), str(form.get("email", "")).strip()[:200]
    if role not in list(Role):
        raise web.HTTPBadRequest
    if email and ("@" not in email[1:-1] or not email.isprintable() or " " in email):
        raise _Refused(_("This is not an e-mail address."))
    person = replace(
        person,
        role=Role(role),
        name=" ".join(str(form.get("name", person.name)).split())[:100],
        email=email,
        sites=tuple(site for site in map(str, form.getall("site", [])) if site in deps.settings.sites),
        lines=tuple(line for line in map(str, form.getall("line", [])) if line in deps.settings.lines),
    )
    if person.role in NEEDS_SITES and not person.sites:
        raise _Refused(_("A client sees only chosen sites: choose at least one."))
    if person.role in NEEDS_LINES and not person.lines:
        raise _Refused(_("An operator sees only chosen lines: choose at least one."))
    return person


def _difference(before: Person, after: Person) -> str:
    """ "role: manager -> analyst; sites:  -> shop"."""
    names = ("role", "sites", "lines", "email", "name")
    pairs = [(name, _text(getattr(before, name)), _text(getattr(after, name))) for name in names]
    return "; ".join(f"{name}: {old} -> {new}" for name, old, new in pairs if old != new)


def _text(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


async def _users(request: web.Request, *, status: int = 200, error: str = "", **shown: Any) -> web.Response:
    deps, now = request.app[DEPS], request.app[DEPS].now()
    done = {"removed": _("Removed."), "withdrawn": _("The invitation is withdrawn.")}.get(request.query.get("done", ""))
    people = [(row, users.person_of(row)) for row in await users.everybody(deps.db)]
    context = {
        "people": people,
        "invitations": await links.invitations(deps.db, now),
        "person": Person("", Role.MANAGER),
        **shown,
    }
    return await _render(request, "users.html", context, error, done, status)


async def _user(
    request: web.Request, *, status: int = 200, error: str = "", done: str = "", **shown: Any
) -> web.Response:
    deps, row = request.app[DEPS], await _row(request)
    text = {
        "saved": _("Saved."),
        "factor": _("Two-factor authentication is off."),
        "logins": _("Logged out everywhere."),
    }
    context = {
        "id": row["id"],
        "person": users.person_of(row),
        "logins": await logins.of_user(deps.db, row["login"], deps.now()),
        **shown,
    }
    return await _render(request, "user.html", context, error, text.get(done), status)


async def _render(
    request: web.Request, template: str, context: dict[str, Any], error: str, done: str | None, status: int
) -> web.Response:
    deps, text = request.app[DEPS], error or done
    common = {
        "page": "users",
        "health": await deps.health(),
        "flash": {"kind": "error" if error else "ok", "text": text} if text else None,
        "roles": [(role.value, _(label), _(what)) for role, (label, what) in ROLES.items()],
        "sites": [(id, site.name or id) for id, site in deps.settings.sites.items()],
        "lines": [(id, line.name or id) for id, line in deps.settings.lines.items()],
        "link": "",
        "sent": "",
        "writes_letters": deps.writes_letters,
    }
    return render.page(request, template, {**common, **context}, status=status)
