"""Which number to show: the visitor's own, a free one, or one that is shared when the pool is short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that was shown a number and may still ring it."""

    session: str
    number: str
    shown_at: int
    last_seen_at: int
    left_at: int | None
    until: int
    region: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class NumberState:
    """A number of the pool; `last_shown_at` is 0 for one that was never shown."""

    number: str
    last_shown_at: int
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class Newcomer:
    session: str
    region: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """`how`: sticky | free | shared."""

    number: str
    how: str


def pick(numbers: Sequence[NumberState], newcomer: Newcomer, now: int, *, share: bool = True) -> Pick | None:
    """The number for a newcomer; None if there is none to give."""
    for state in numbers:
        if any(holder.session == newcomer.session for holder in state.holders):
            return Pick(state.number, "sticky")
    free = [state for state in numbers if all(holder.until <= now for holder in state.holders)]
    if free:
        return Pick(min(free, key=lambda state: state.last_shown_at).number, "free")
    if not share or not numbers:
        return None
    return Pick(min(numbers, key=lambda state: state.last_shown_at).number, "shared")
