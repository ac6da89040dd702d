"""Wrong passwords and codes, counted by address and by login: guessing becomes slow, and then impossible for a while.

From one address (of IPv6: one /64 network): ten within five minutes, then it must wait. On one login, from wherever they come: each takes longer than the
one before; after a hundred within an hour, only addresses from which he is logged in are listened to, so that a stranger
can lock nobody out of his own office. Of codes there are only a million: after thirty wrong ones within a day, the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ctserver.http.limits import bucket_of

FAILURES = 10
FAILURE_MS = 5 * MINUTE_MS
LOGIN_FAILURES = 100
LOGIN_FAILURE_MS = HOUR_MS
CODES = 30
CODES_MS = DAY_MS
PATIENCE = 4  # failures on a login before its answers come slower
SLOWEST = 2.0  # seconds
MAX_WAITING = 50  # answers held back at once; more are refused
MAX_KEYS = 10_000


class Guesses:
    """In memory: a restart forgets, and takes longer than a wait."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, list[int]] = OrderedDict()
        self._logins: OrderedDict[str, list[int]] = OrderedDict()
        self._codes: OrderedDict[str, int] = OrderedDict()
        self._wrong_codes: OrderedDict[str, list[int]] = OrderedDict()
        self._waiting = 0

    def wrong_code(self, id: str, login: str, now: int) -> int:
        """Counts a wrong code of a login whose browser `id` waits for its second factor; how many there were in that browser."""
        count = self._codes[id] = self._codes.pop(id, 0) + 1
        if len(self._codes) > MAX_KEYS:
            self._codes.popitem(last=False)
        _add(self._wrong_codes, login, now)
        return count

    def codes_are_besieged(self, login: str, now: int) -> bool:
        return len(_recent(self._wrong_codes, login, now - CODES_MS)) >= CODES

    def address_must_wait(self, address: str, now: int) -> bool:
        return len(_recent(self._addresses, bucket_of(address), now - FAILURE_MS)) >= FAILURES

    def login_is_besieged(self, login: str, now: int) -> bool:
        return len(_recent(self._logins, login, now - LOGIN_FAILURE_MS)) >= LOGIN_FAILURES

    def count(self, address: str, login: str, now: int) -> None:
        """Count a guess, before it is known to be wrong: guesses come many at once."""
        for counts, key in ((self._addresses, bucket_of(address)), (self._logins, login)):
            _add(counts, key, now)

    def was_right(self, address: str, login: str) -> None:
        self._addresses.pop(bucket_of(address), None)
        self._logins.pop(login, None)

    async def hold_back(self, login: str, now: int) -> bool:
        """Wait as long as the guesses on this login ask for. False: too many wait already."""
        excess = len(_recent(self._logins, login, now - FAILURE_MS)) - PATIENCE
        if excess <= 0:
            return True
        if self._waiting >= MAX_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(min(0.025 * 2**excess, SLOWEST))
        finally:
            self._waiting -= 1
        return True


def _add(counts: OrderedDict[str, list[int]], key: str, now: int) -> None:
    counts.setdefault(key, []).append(now)
    counts.move_to_end(key)
    if len(counts) > MAX_KEYS:
        counts.popitem(last=False)


def _recent(counts: OrderedDict[str, list[int]], key: str, since: int) -> list[int]:
    known = counts.get(key)
    if known is None:
        return []
    recent = counts[key] = [at for at in known if at > since][-LOGIN_FAILURES:]
    return recent
