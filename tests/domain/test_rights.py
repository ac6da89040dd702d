"""Who may do what, and whose calls he sees."""

from __future__ import annotations

import sqlite3

import pytest

from ctserver.domain.rights import EVERYTHING, TABLE, Right, Role, Scope, may, scope_of

SQL = "SELECT ($1 = '' OR REPLACE($1, ' ' || $3 || ' ', '') <> $1) AND ($2 = '' OR REPLACE($2, ' ' || $4 || ' ', '') <> $2)"
SCOPES = [
    EVERYTHING,
    Scope(sites=frozenset()),
    Scope(lines=frozenset()),
    Scope(sites=frozenset({"shop"})),
    Scope(sites=frozenset({"shop", "a_b"}), lines=frozenset({"office"})),
    Scope(lines=frozenset({"office", "night"})),
]


def test_the_owner_may_everything_and_nobody_may_more() -> None:
    assert TABLE[Role.OWNER] == frozenset(Right)
    assert all(rights <= TABLE[Role.OWNER] for rights in TABLE.values())


@pytest.mark.parametrize(
    ("role", "right", "so"),
    [
        (Role.MANAGER, Right.DOWNLOAD, True),
        (Role.MANAGER, Right.USERS, False),
        (Role.OPERATOR, Right.LISTEN, True),
        (Role.OPERATOR, Right.EXPORT, False),
        (Role.ANALYST, Right.REPORTS, True),
        (Role.ANALYST, Right.LISTEN, False),
        (Role.ANALYST, Right.CALLERS, False),
        (Role.CLIENT, Right.WORK, False),
    ],
)
def test_roles_are_what_their_names_say(role: Role, right: Right, so: bool) -> None:
    assert may(role, right) is so


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("site", ["shop", "sho", "shop2", "a_b", "axb", "", "%", " "])
@pytest.mark.parametrize("line", ["office", "night", "", "offic_"])
def test_sql_sees_what_the_scope_sees(scope: Scope, site: str, line: str) -> None:
    found = sqlite3.connect(":memory:").execute(SQL.replace("$", "?"), (*scope.values, site, line)).fetchone()[0]
    assert bool(found) is scope.sees(site, line)


def test_without_lines_an_operator_sees_nothing_and_without_sites_a_client() -> None:
    assert not scope_of(Role.OPERATOR, [], []).sees("shop", "")
    assert not scope_of(Role.OPERATOR, [], []).sees("shop", "office")
    assert not scope_of(Role.CLIENT, [], []).sees("", "office")
    assert scope_of(Role.MANAGER, [], []).sees("", "")


def test_a_manager_of_one_site_sees_that_site() -> None:
    scope = scope_of(Role.MANAGER, ["shop"], [])
    assert scope.sees("shop", "any")
    assert not scope.sees("other", "any")
    assert scope.only_site == "shop"
    assert scope_of(Role.MANAGER, ["a", "b"], []).only_site == ""
