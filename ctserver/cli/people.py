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
from ctserver.domain.person import Person
from ctserver.domain.rights import NEEDS_LINES, NEEDS_SITES, Role
from ctserver.http import auth
from ctserver.storage import users
from ctserver.storage.db import Database


def register(add: Add) -> None:
    user = add("user", _user, "make a login for the dashboard, or change one: a new password, or what is named here")
    user.add_argument("login")
    user.add_argument("--role", choices=[role.value for role in Role], help="default of a new login: manager")
    user.add_argument("--site", action="append", metavar="SITE", help="sees only this site (several: repeat it)")
    user.add_argument("--line", action="append", metavar="LINE", help="sees only the calls of this line (repeat it)")
    user.add_argument("--name", help="for people")
    user.add_argument("--email", help="where invitations and links to a new password go")


def _user(options: argparse.Namespace) -> int:
    settings = load_settings(options)

    async def put() -> str:
        async with open_database(settings) as db:
            return await _put(db, settings, options)

    sys.stdout.write(asyncio.run(put()))
    return 0


async def _put(db: Database, settings: Settings, options: argparse.Namespace) -> str:
    known = await users.one(db, options.login)
    first = not await users.count(db)
    before = known or Person(options.login, Role.OWNER if first else Role.MANAGER)
    person = _changed(before, settings, options)
    if known and person != known:
        await db.write(lambda tx: users.change(tx, person))
        return _told(person)
    password = ids.password() if sys.stdin.isatty() else sys.stdin.readline().strip() or ids.password()
    hashed, now = auth.hash_password(password), ids.now_ms()
    await db.write(lambda tx: users.put_user(tx, ids.new(now), person.login, hashed, now, person))
    return f"{_told(person)}password: {password}\n"


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
