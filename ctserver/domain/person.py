"""Somebody who may log in."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.rights import Right, Role, Scope, rights_of, scope_of


@dataclass(frozen=True, slots=True)
class Person:
    """`sites` and `lines`: those he was given; empty: all, or none where his role needs them (rights.scope_of)."""

    login: str
    role: Role
    name: str = ""
    email: str = ""
    sites: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    second_factor: bool = False
    by_provider: bool = False  # he has no password of ours: a sign-in provider vouches for him

    @property
    def scope(self) -> Scope:
        return scope_of(self.role, self.sites, self.lines)

    @property
    def rights(self) -> frozenset[Right]:
        return rights_of(self.role, self.sites, self.lines)
