"""What visitors' pages ask for. `Reception` is what the routes need; `Here` does it beside the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ctserver.config import Settings
from ctserver.domain import callback
from ctserver.services import visits
from ctserver.services.callbacks import Callbacks, Wish
from ctserver.services.visits import Note, PageView, Shown
from ctserver.storage.db import Database


class Reception(Protocol):
    """All are answered when they are on disk, and raise StorageError when they cannot be."""

    def visit(self, view: PageView) -> asyncio.Future[Shown]:
        """A page view, and the numbers it is shown."""

    def signal(self, note: Note) -> asyncio.Future[None]:
        """What a visitor did."""

    def callback(self, wish: Wish) -> asyncio.Future[int]:
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

    def several(self, said: Sequence[PageView | Note]) -> asyncio.Future[list[Shown | Exception | None]]:
        """Visits and signals that have come at once: the answer to each, or why there is none."""
        now = self._now()
        units = [
            visits.recording(self._settings, self._book, one, now)
            if isinstance(one, PageView)
            else visits.noting(self._settings, one, now)
            for one in said
        ]
        done = self._db.write_each(units)
        if any(isinstance(one, PageView) or one.kind != visits.BEAT for one in said):
            done.add_done_callback(self._tell)
        return done

    def callback(self, wish: Wish) -> asyncio.Future[int]:
        return asyncio.ensure_future(self._call_back(wish))

    async def _call_back(self, wish: Wish) -> int:
        if self._callbacks is None:
            raise callback.Refused("off")
        at = await self._callbacks.ask(wish, self._now())
        self._changed()
        return at

    def _tell(self, done: asyncio.Future[Any]) -> None:
        self._changed()
