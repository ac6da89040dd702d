"""When to try again what was not delivered."""

from __future__ import annotations

from collections.abc import Sequence

JITTER = 0.2  # of the wait, both ways: those who failed together do not come back together
LONGEST_SECONDS = 86_400.0  # whatever the other side asks for
SLOW_FROM = 5  # failures in a row: from here on one try at a time
SLOWEST_SECONDS = 30.0
FASTEST_SECONDS = 0.1  # between tries, one at a time
PATIENCE = (
    0.1  # of the time it has failed already: who fails for long is asked seldom, who fails by chance is soon heard
)
PAUSE_FROM = 3  # refusals of our key in a row
PAUSES_SECONDS = (900.0, 3600.0, 4 * 3600.0, 86_400.0)


def wait(tries: int, schedule: Sequence[float], chance: float, asked: float | None = None) -> float | None:
    """Seconds from the try number `tries` (from 1) to the next; None: it was the last.

    `chance` is a random number in [0, 1). Where the other side asked for patience, that is the least.
    """
    if tries > len(schedule):
        return None
    own = schedule[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    return own if asked is None else min(LONGEST_SECONDS, max(own, asked * (1 + JITTER * chance)))


def gap(failures: int, seconds: float) -> float:
    """Seconds between tries of whatever has failed so often in a row and for so long; 0: as fast as it goes."""
    return 0.0 if failures < SLOW_FROM else min(SLOWEST_SECONDS, max(FASTEST_SECONDS, PATIENCE * seconds))


def pause(refusals: int) -> float:
    """Seconds to rest after our key was refused so often in a row; 0: none yet."""
    return 0.0 if refusals < PAUSE_FROM else PAUSES_SECONDS[min(refusals - PAUSE_FROM, len(PAUSES_SECONDS) - 1)]


class Bucket:
    """So many a minute, some of them at once."""

    def __init__(self, per_minute: float, burst: float = 5) -> None:
        self._per_second = per_minute / 60
        self._burst = max(1.0, min(burst, per_minute))
        self._tokens = self._burst
        self._at = 0.0

    def take(self, now: float) -> float:
        """0 if one may go at `now` (seconds); else how long to wait before asking again."""
        if not self._per_second:
            return 0.0
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_second
