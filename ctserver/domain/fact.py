"""What leaves the core: things that happened and that deserve a person's attention."""

from __future__ import annotations

from dataclasses import dataclass

SHORT_SHARE = 0.2  # of the showings of an hour that found no free number: from here on a pool is short. Ours.
SHORT_SHOWINGS = 10  # fewer in an hour say nothing. Ours.
QUIET_MS = 6 * 3_600_000  # the same pool is told of once in this time


@dataclass(frozen=True, slots=True)
class PoolShort:
    """For an hour so many visitors found no free number that their calls are hard to tell apart."""

    pool: str
    at: int
    showings: int
    short: int

    @property
    def kind(self) -> str:
        return "pool_short"

    @property
    def detail(self) -> str:
        """In words for a person."""
        return f"{self.short} of {self.showings} visitors of the last hour found no number free"


def pool_short(pool: str, now: int, showings: int, short: int, last_told_at: int | None) -> PoolShort | None:
    """Is this pool short, for an hour, and not told of lately?"""
    if last_told_at is not None and now - last_told_at < QUIET_MS:
        return None
    if showings < SHORT_SHOWINGS or short < SHORT_SHARE * showings:
        return None
    return PoolShort(pool, now, showings, short)
