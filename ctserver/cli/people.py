"""Commands for people and their rights."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from dataclasses import replace

from ctserver import app, ids
from ctserver.cli.common import Add, load_settings, open_database
from ctserver.config import Settings
from ctserver.domain.clock import DAY_MS
from ctserver.domain.person import Person
from ctserver.domain.rights import NEEDS_LINES, NEEDS_SITES, Right, Role
from ctserver.http import auth
from ctserver.http.auth import TOKEN_PREFIX
from ctserver.storage import audit, tokens, users
from ctserver.storage.audit import Entry
from ctserver.storage.db import Database, Transaction


def register(add: Add) -> None:
    user = add("user", _user, "make a login for the dashboard, or change one: a new password, or what is named here")
    user.add_argument("login")
    user.add_argument("--role", choices=[role.value for role in Role], help="default of a new login: manager")
    user.add_argument("--site", action="append", metavar="SITE", help="sees only this site (several: repeat it)")
    user.add_argument("--line", action="append", metavar="LINE", help="sees only the calls of this line (repeat it)")
    user.add_argument("--name", help="for people")
    user.add_argument("--email", help="of the person")
    user.add_argument(
        "--no-second-factor", action="store_true", help="take the second factor away: the telephone is lost"
    )
    user.add_argument("--remove", action="store_true", help="remove this login with its tokens")
    token = add("token", _token, "make a key to the API for a user, with some of his rights; it is shown this once")
    token.add_argument("login")
    token.add_argument("scopes", nargs="+", choices=[right.value for right in Right], metavar="RIGHT")
    token.add_argument("--name", default="command line", help="for people; default: %(default)s")
    token.add_argument(
        "--days", type=int, default=365, help="how long it is good; default: %(default)s, 0: until revoked"
    )


def _token(options: argparse.Namespace) -> int:
    settings, text, now = load_settings(options), TOKEN_PREFIX + ids.token(), ids.now_ms()
    expires = now + options.days * DAY_MS if options.days > 0 else None
    scopes = frozenset(Right(scope) for scope in options.scopes)
    entry = Entry(now, options.login, "command", "token made", options.name, " ".join(sorted(scopes)))

    async def make() -> None:
        async with open_database(settings) as db:
            if await users.one(db, options.login) is None:
                raise app.StartError(f"there is no user {options.login!r}", "make one: ctserver user LOGIN")
            hashed, id = ids.token_hash(text), ids.new(now)

            def unit(tx: Transaction) -> None:
                tokens.add(tx, id, hashed, options.login, options.name, scopes, now, expires)
                audit.add(tx, entry)

            await db.write(unit)

    asyncio.run(make())
    sys.stdout.write(f"{text}\n")
    return 0


def _user(options: argparse.Namespace) -> int:
    settings = load_settings(options)

    async def put() -> str:
        async with open_database(settings) as db:
            return await _put(db, settings, options)

    sys.stdout.write(asyncio.run(put()))
    return 0


async def _put(db: Database, settings: Settings, options: argparse.Namespace) -> str:
    known = await users.one(db, options.login)
    if options.remove or options.no_second_factor:
        return await _taken_away(db, known, options)
    first = not await users.count(db)
    before = known or Person(options.login, Role.OWNER if first else Role.MANAGER)
    person = _changed(before, settings, options)
    if known and person != known:
        await db.write(lambda tx: _change(tx, person))
        return _told(person)
    password = ids.password() if sys.stdin.isatty() else sys.stdin.readline().strip() or ids.password()
    hashed = auth.hash_password(password)
    await db.write(lambda tx: _put_password(tx, person, hashed, "password changed" if known else "user made"))
    return f"{_told(person)}password: {password}\n"


def _change(tx: Transaction, person: Person) -> None:
    """Raises StartError where nobody would be an owner any more."""
    users.change(tx, person)
    if not users.owners(tx):
        raise app.StartError(f"{person.login!r} is the only owner", "make another owner first")
    audit.add(tx, Entry(ids.now_ms(), "", "command", "user changed", person.login, person.role))


def _put_password(tx: Transaction, person: Person, hashed: str, action: str) -> None:
    now = ids.now_ms()
    users.put_user(tx, ids.new(now), person.login, hashed, now, person)
    audit.add(tx, Entry(now, "", "command", action, person.login, person.role))


async def _taken_away(db: Database, known: Person | None, options: argparse.Namespace) -> str:
    login = options.login
    if known is None:
        raise app.StartError(f"there is no user {login!r}", "see who there is on the page Users")
    action = "user removed" if options.remove else "second factor removed"
    entry = Entry(ids.now_ms(), "", "command", action, login)

    def unit(tx: Transaction) -> bool:
        if options.remove:
            if known.role is Role.OWNER and users.owners(tx) == 1:
                return False
            users.remove(tx, login)
        else:
            users.put_second_factor(tx, login, "", 0, [])
        audit.add(tx, entry)
        return True

    if not await db.write(unit):
        raise app.StartError(f"{login!r} is the only owner", "make another owner first")
    return f"{action}: {login}\n"


def _changed(person: Person, settings: Settings, options: argparse.Namespace) -> Person:
    """Raises StartError."""
    person = replace(
        person,
        role=Role(options.role or person.role),
        sites=person.sites if options.site is None else _known("site", options.site, settings.sites),
        lines=person.lines if options.line is None else _known("line", options.line, settings.lines),
        name=person.name if options.name is None else options.name.strip(),
        email=person.email if options.email is None else options.email.strip(),
    )
    if person.role in NEEDS_SITES and not person.sites:
        raise app.StartError(f"a {person.role} sees named sites only", "name one: --site SITE")
    if person.role in NEEDS_LINES and not person.lines:
        raise app.StartError(f"an {person.role} sees the calls of named lines only", "name one: --line LINE")
    return person


def _known(kind: str, names: list[str], known: Iterable[str]) -> tuple[str, ...]:
    """`--site ""` takes the limit away."""
    wanted = tuple(dict.fromkeys(name for name in names if name))
    for name in wanted:
        if name not in known:
            raise app.StartError(f"there is no {kind} {name!r}", f"name one of: {', '.join(known)}")
    return wanted


def _told(person: Person) -> str:
    limits = [f"sites: {' '.join(person.sites)}\n"] if person.sites else []
    limits += [f"lines: {' '.join(person.lines)}\n"] if person.lines else []
    return f"login: {person.login}\nrole: {person.role}\n{''.join(limits)}"
