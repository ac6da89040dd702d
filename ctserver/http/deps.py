"""What the web server is given by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from ctserver.config import NumberUse, Settings
from ctserver.domain.person import Person
from ctserver.domain.rights import Right, Scope
from ctserver.http.desk import Desk
from ctserver.http.factors import Factors
from ctserver.http.gate import Gate
from ctserver.http.guesses import Guesses
from ctserver.http.limits import Limiter
from ctserver.http.signins import Signins
from ctserver.outbound.attachment import Attachment
from ctserver.services.blocked import BlackList
from ctserver.services.callbacks import Callbacks
from ctserver.services.caller_data import CallerData
from ctserver.services.colours import Colours
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.services.letters import Letter
from ctserver.services.live import Live
from ctserver.services.pauses import Pauses
from ctserver.storage import marks
from ctserver.storage.db import Database, Transaction

if TYPE_CHECKING:
    from ctserver.services.provider import Provider
from ctserver.services.reception import Here


@dataclass(frozen=True, slots=True)
class User:
    """Who asks: a person and what he may do now. `csrf` is the token of his forms, `session` the id of his login; both are
    "" for a program with a token."""

    person: Person
    rights: frozenset[Right]
    csrf: str = ""
    session: str = ""
    by_token: bool = False

    @property
    def login(self) -> str:
        return self.person.login

    @property
    def scope(self) -> Scope:
        """Whose calls he sees; no more than his rights allow."""
        scope = self.person.scope
        return replace(
            scope,
            callers=scope.callers and Right.CALLERS in self.rights,
            recordings=scope.recordings and Right.LISTEN in self.rights,
        )

    def may(self, right: str) -> bool:
        return right in self.rights


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


class Sounds(Protocol):
    """The recordings, wherever they are kept. Files are named as the table of recordings names them."""

    def exists(self, file: str, place: str) -> bool:
        """As far as it can be told without asking another server."""

    async def local(self, file: str, place: str) -> Attachment | None:
        """What can be played; None if there is none. Raises OSError."""

    async def peaks(self, file: str) -> str | None:
        """What the player draws, as JSON; None if there is nothing to draw."""


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
    sounds: Sounds
    gate: Gate
    black_list: BlackList
    delivery: Delivery | None = None
    facts: Facts | None = None
    provider: Provider | None = None
    signins: Signins = field(default_factory=Signins)
    factors: Factors = field(default_factory=Factors)
    attempts: dict[str, list[int]] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    colours: Colours = field(default_factory=Colours)
    callbacks: Callbacks | None = None
    caller_data: CallerData | None = None
    pauses: Pauses | None = None
    guesses: Guesses = field(default_factory=Guesses)
    started_at: int = 0
    push_key: str = ""  # what browsers subscribe to web push with; "": the settings have no such channel

    def tell_tags(self, tx: Transaction, call: str, before: Sequence[str]) -> None:
        """The fact that a call's tags are others than before, in the transaction that changed them."""
        tags = marks.tags(tx, call)
        if self.facts and tags != list(before):
            self.facts.tagged(tx, call, tags, self.now())

    def wake(self) -> None:
        """Facts were committed."""
        if self.facts:
            self.facts.wake()

    @cached_property
    def desk(self) -> Desk:
        """For the routes that visitors' pages call."""
        return Desk(self.settings, self.gate, self.uses, self.reception, self.now)

    @cached_property
    def reception(self) -> Here:
        """What those routes ask, also from the front."""
        return Here(self.db, self.settings, self.callbacks, self.live.changed, self.now)

    @property
    def writes_letters(self) -> bool:
        """Is there a mail channel for those who log in?"""
        return self.facts is not None and bool(self.settings.mail_channel)

    def post(self, tx: Transaction, letter: Letter) -> None:
        """Into the outbox, if there is a way to send it; `wake` after the commit."""
        if self.facts is not None and letter.to and self.writes_letters:
            letter.post(tx, self.facts, self.now())

    @cached_property
    def asked_limit(self) -> Limiter:
        """Letters asked for from each address."""
        return Limiter(1, 5)

    @cached_property
    def signin_limit(self) -> Limiter:
        """Sign-ins begun from each address."""
        return Limiter(30, 30)

    @cached_property
    def api_limit(self) -> Limiter:
        """Requests with each token."""
        per_minute = self.settings.api.per_minute
        return Limiter(per_minute, max(per_minute // 4, 1))


DEPS: web.AppKey[Deps] = web.AppKey("deps", Deps)
USER: web.RequestKey[User] = web.RequestKey("user", User)


def scope_of(request: web.Request) -> Scope:
    """Whose calls the one who asks may see. Only behind a route that takes a login."""
    return request[USER].scope
