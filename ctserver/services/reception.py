"""What visitors' pages ask for. `Reception` is what the routes need; `Here` does it beside the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ctserver.config import Settings
from ctserver.domain import callback
from ctserver.services import visits
from ctserver.services.callbacks import Callbacks, Wish
from ctserver.services.visits import Note, PageView, Shown
from ctserver.storage.db import Database


class Reception(Protocol):
    """All are answered when they are on disk, and raise StorageError when they cannot be."""

    def visit(self, view: PageView) -> Awaitable[Shown]:
        """A page view, and the numbers it is shown."""

    def signal(self, note: Note) -> Awaitable[None]:
        """What a visitor did."""

    def callback(self, wish: Wish) -> Awaitable[int]:
        """When he will be rung, epoch ms. Raises domain.callback.Refused."""


class Here:
    """See the module. `changed` is told when Live shows something else than before."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        callbacks: Callbacks | None,
        changed: Callable[[], None],
        now: Callable[[], int],
    ) -> None:
        self._db = db
        self._settings = settings
        self._book = visits.rule_book(settings)
        self._callbacks = callbacks
        self._changed = changed
        self._now = now

    def visit(self, view: PageView) -> asyncio.Future[Shown]:
        shown = visits.record(self._db, self._settings, self._book, view, self._now())
        shown.add_done_callback(self._tell)
        return shown

    def signal(self, note: Note) -> asyncio.Future[None]:
        noted = visits.note(self._db, self._settings, note, self._now())
        if note.kind != visits.BEAT:
            noted.add_done_callback(self._tell)
        return noted

    async def callback(self, wish: Wish) -> int:
        if self._callbacks is None:
            raise callback.Refused("off")
        at = await self._callbacks.ask(wish, self._now())
        self._changed()
        return at

    def _tell(self, done: asyncio.Future[Any]) -> None:
        self._changed()
