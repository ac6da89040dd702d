"""A memory of what was used last, for what can be had again elsewhere."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The entries last put: `most` at most, and half as many at least once there were so many.

    They are forgotten half of them at a time. To look for the oldest with each new one would touch memory that no cache of
    the processor holds any more: in a rush of visitors that was a fifteenth of the work.
    """

    def __init__(self, most: int) -> None:
        self._half = max(most // 2, 1)
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._new or key in self._old

    def get(self, key: K) -> V | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V) -> None:
        if len(self._new) >= self._half and key not in self._new:
            self._old, self._new = self._new, {}
        self._new[key] = value
