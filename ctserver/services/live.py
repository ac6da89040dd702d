"""Tells whoever watches that something has changed: calls, or the visitors who hold numbers.

In this process only, and without the change itself: a watcher that missed ten changes asks once for how things stand.
Nobody waits for a watcher; `changed` only sets events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

STALE_SECONDS = 10.0  # numbers run out without anybody saying so


class Live:
    """The bell. `version` counts the changes."""

    def __init__(self) -> None:
        self.version = 1
        self.closed = False
        self._waiting: set[asyncio.Event] = set()

    def changed(self) -> None:
        """Something is not as it was."""
        self.version += 1
        for event in self._waiting:
            event.set()

    def close(self) -> None:
        """The server stops: nobody shall wait any longer."""
        self.closed = True
        self.changed()

    @property
    def watchers(self) -> int:
        return len(self._waiting)

    async def after(self, version: int, seconds: float) -> int:
        """Wait for a later version, `seconds` at most; the version now."""
        if self.version == version and not self.closed:
            event = asyncio.Event()
            self._waiting.add(event)
            try:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), seconds)
            finally:
                self._waiting.discard(event)
        return self.version


class Shared(Generic[T]):
    """What many watchers ask for is read once for each version, however many they are, and no oftener than every
    `pause` seconds."""

    def __init__(self, live: Live, read: Callable[[], Awaitable[T]], pause: float = 0.0) -> None:
        self._pause = pause
        self._live = live
        self._read = read
        self._lock = asyncio.Lock()
        self._version = 0
        self._read_at = 0.0
        self._kept: T | None = None

    async def get(self) -> T:
        """How things stand; at most STALE_SECONDS old where nobody said that they changed."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            age = now - self._read_at
            is_old = age > STALE_SECONDS or (self._version != self._live.version and age >= self._pause)
            if self._kept is None or is_old:
                self._version, self._read_at = self._live.version, now
                self._kept = await self._read()
            return self._kept
