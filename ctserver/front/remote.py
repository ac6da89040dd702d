"""The reception as the front has it: each question goes to the server, and its answer comes when all is on disk."""

from __future__ import annotations

import asyncio
from typing import Any

from ctserver.domain import callback
from ctserver.front import wire
from ctserver.services.callbacks import Wish
from ctserver.services.visits import Note, PageView, Shown
from ctserver.storage.db import Unavailable

MAX_ASKED = 5_000  # questions without an answer; more are refused at once


class Remote(wire.Link):
    """See services.reception.Reception. `gone` is set when the server ends: then nothing new is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()
        self._asked: dict[int, tuple[int, asyncio.Future[Any]]] = {}
        self._last = 0

    def visit(self, view: PageView) -> asyncio.Future[Shown]:
        return self._ask(wire.VISIT, view)

    def signal(self, note: Note) -> asyncio.Future[None]:
        return self._ask(wire.SIGNAL, note)

    def callback(self, wish: Wish) -> asyncio.Future[int]:
        return self._ask(wire.CALLBACK, wish)

    def _ask(self, kind: int, content: PageView | Note | Wish) -> asyncio.Future[Any]:
        if self.gone.is_set() or len(self._asked) >= MAX_ASKED:
            raise Unavailable("the server does not answer")
        self._last = (self._last + 1) & 0xFFFFFFFF
        self.send(self._last, kind, content)  # first: what cannot be sent is never answered
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked[self._last] = kind, answer
        return answer

    def heard(self, frames: list[wire.Frame]) -> None:
        for frame in frames:
            if frame.kind == wire.END:
                self.gone.set()
            else:
                self._answered(frame)

    def _answered(self, frame: wire.Frame) -> None:
        kind, answer = self._asked.pop(frame.id)
        if answer.done():
            return  # the visitor has gone
        if frame.kind == wire.TAKEN:
            answer.set_result(wire.ANSWERS[kind].decode(frame.body))
        else:
            words = wire.WORDS.decode(frame.body)
            refused = frame.kind == wire.REFUSED
            answer.set_exception(callback.Refused(words) if refused else Unavailable(words))

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Unavailable("the server has gone"))
        self._asked.clear()
