"""What the web server is given by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import web

from ctserver.config import NumberUse, Settings
from ctserver.domain.rules import Rule
from ctserver.http.gate import Gate
from ctserver.services.live import Live
from ctserver.storage.db import Database


@dataclass(frozen=True, slots=True)
class User:
    """Who is logged in, and the token of his forms."""

    login: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Health:
    """The state of everything ctserver needs: name -> "ok", or what is wrong in words."""

    parts: dict[str, str]

    @property
    def ok(self) -> bool:
        return all(state == "ok" for state in self.parts.values())

    @property
    def problems(self) -> list[str]:
        return [f"{name}: {state}" for name, state in self.parts.items() if state != "ok"]


class TestCall(Protocol):
    """Makes the PBX place a test call to a tracked number; raises TestCallFailed with words for a person."""

    def __call__(self, number: str) -> Awaitable[None]: ...


class TestCallFailed(Exception):
    """Why there is no test call, in words for a person."""


@dataclass(frozen=True)
class Deps:
    """Shared by all handlers."""

    db: Database
    settings: Settings
    uses: dict[str, NumberUse]
    testcall: TestCall
    health: Callable[[], Awaitable[Health]]
    now: Callable[[], int]
    recordings: Path
    peaks: Callable[[Path], dict[str, object]]
    rules: list[Rule]
    gate: Gate
    attempts: dict[str, list[int]] = field(default_factory=dict)
    live: Live = field(default_factory=Live)


DEPS: web.AppKey[Deps] = web.AppKey("deps", Deps)
USER: web.RequestKey[User] = web.RequestKey("user", User)
