"""Who may do what: one table of roles and rights, and what of the data a person sees (`Scope`).

A right says which kind of thing may be done; the scope says with whose calls. Both are asked: a manager of one site may
listen, and hears that site's calls only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to the company."""

    OWNER = "owner"
    MANAGER = "manager"
    OPERATOR = "operator"  # answers calls: those of his own lines
    ANALYST = "analyst"  # counts: no recordings, no whole numbers of callers
    CLIENT = "client"  # somebody else's site is tracked here: he sees that site


class Right(StrEnum):
    """A kind of thing that may be done."""

    CALLS = "calls"  # the journal, a call's page
    CALLERS = "callers"  # callers' whole numbers and names
    LISTEN = "listen"  # hear recordings
    DOWNLOAD = "download"  # take a recording away as a file
    EXPORT = "export"  # take lists away as files
    WORK = "work"  # tag, note, rate, share, call back and pause recordings
    BLOCK = "block"  # keep callers out, of all lines
    REPORTS = "reports"
    VISITORS = "visitors"  # sessions and visits, whether they called or not
    NUMBERS = "numbers"  # numbers and pools
    TESTCALL = "testcall"
    TOKENS = "tokens"  # make keys to the API, with no more rights than one's own
    DELIVERIES = "deliveries"  # what was sent to others, and to send it again
    SYSTEM = "system"  # health, disk, versions, settings, metrics
    USERS = "users"
    AUDIT = "audit"
    PRIVACY = "privacy"  # give out and erase all data of one caller


_READS = {Right.CALLS, Right.REPORTS, Right.EXPORT, Right.VISITORS, Right.NUMBERS, Right.TOKENS}
_OWNS = {Right.SYSTEM, Right.USERS, Right.AUDIT, Right.PRIVACY}

TABLE: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset(set(Right) - _OWNS),
    Role.OPERATOR: frozenset({Right.CALLS, Right.CALLERS, Right.LISTEN, Right.WORK}),
    Role.ANALYST: frozenset(_READS),
    Role.CLIENT: frozenset({*_READS, Right.CALLERS, Right.LISTEN} - {Right.TOKENS}),
}

NEEDS_LINES = frozenset({Role.OPERATOR})  # without lines of his own he sees nothing
NEEDS_SITES = frozenset({Role.CLIENT})


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls and sessions somebody sees. None: all of them; an empty set: none.

    Every query that reads calls or sessions for a person takes one. In SQL it is `values`, by convention `$1` and `$2`:

        AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
        AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)

    `callers`: may he see callers' whole numbers and names (and search by them); `recordings`: may he hear them.
    """

    sites: frozenset[str] | None = None
    lines: frozenset[str] | None = None
    callers: bool = True
    recordings: bool = True

    def sees(self, site: str, line: str) -> bool:
        """A call of this site and line."""
        return self.sees_site(site) and (self.lines is None or line in self.lines)

    def sees_site(self, site: str) -> bool:
        return self.sites is None or site in self.sites

    @property
    def limited(self) -> bool:
        """Is there anything that is not seen?"""
        return self.sites is not None or self.lines is not None

    @property
    def values(self) -> tuple[str, str]:
        """Sites and lines for SQL: "" for all, else the names with a space before, between and after them."""
        return _spaced(self.sites), _spaced(self.lines)

    @property
    def only_site(self) -> str:
        """The one site that is seen, for a query that has an index by site; "" if there are several or all."""
        return next(iter(self.sites)) if self.sites is not None and len(self.sites) == 1 else ""


EVERYTHING = Scope()  # what ctserver itself sees


def rights_of(role: Role, sites: Iterable[str], lines: Iterable[str]) -> frozenset[Right]:
    """What somebody of this role may who was given these sites and lines. Who was given some of them may not keep callers out
    of all; nor does he see visitors whom was given lines, since a visitor belongs to a site, and to no line before he calls."""
    lines = tuple(lines)
    taken = {Right.BLOCK} if any((*sites, *lines)) else set()
    return TABLE[role] - taken - ({Right.VISITORS} if any(lines) else set())


def may(role: Role, right: Right) -> bool:
    return right in TABLE[role]


def scope_of(role: Role, sites: Iterable[str], lines: Iterable[str]) -> Scope:
    """What somebody of this role sees who was given these sites and lines; none given: all, or none where the role needs
    them."""
    given_sites, given_lines = frozenset(sites), frozenset(lines)
    return Scope(
        sites=given_sites if given_sites or role in NEEDS_SITES else None,
        lines=given_lines if given_lines or role in NEEDS_LINES else None,
        callers=may(role, Right.CALLERS),
        recordings=may(role, Right.LISTEN),
    )


def _spaced(names: frozenset[str] | None) -> str:
    """Each name between single spaces; two spaces in a row never stand there, they would be the name of a call without one."""
    return "" if names is None else " " + "".join(f"{name} " for name in sorted(names))
