"""How often somebody rings, or is rung."""

from __future__ import annotations

from collections import OrderedDict, deque

from ctserver.domain.clock import HOUR_MS

MOST_CALLERS = 20_000


class Recent:
    """At most `limit` calls of one caller within an hour; 0: no limit. Remembers a bounded number of callers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: OrderedDict[str, deque[int]] = OrderedDict()

    def allow(self, caller: str, now: int) -> bool:
        """May he ring once more? Calls that were refused do not count."""
        if not self._limit:
            return True
        calls = self._calls.setdefault(caller, deque(maxlen=self._limit))
        self._calls.move_to_end(caller)
        if len(self._calls) > MOST_CALLERS:
            self._calls.popitem(last=False)
        if len(calls) == self._limit and 0 <= now - calls[0] < HOUR_MS:
            return False
        calls.append(now)
        return True
