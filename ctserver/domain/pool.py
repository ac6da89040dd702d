"""Which number to show: the visitor's own again, a free one, or one to share.

A pool that may share never refuses: a call that may be one of two visitors' beats a call that is nobody's.

A number shown to several people at once is no loss by itself: it is one only if two of them would ring at the same
time and could not be told apart. So, when no number is free, the newcomer gets the number whose present holders are
expected to make the fewest calls in the next minutes (`delay.DelayModel`), counting those who resemble the newcomer
in full and the others less: region and device will tell them apart.

Pure. Times in epoch ms; `numbers` holds each number's showings that may still matter (an hour is enough).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ctserver.domain.attribution import AGAIN
from ctserver.domain.delay import PUBLISHED, STALE_MS, DelayModel

OTHER_REGION = 0.6
"""How much a holder from another region than the newcomer counts: callers' numbers will often tell them apart. Ours."""

OTHER_DEVICE = 0.8
"""How much a holder with another kind of device counts: only one of them can tap. Ours."""


class Holder(msgspec.Struct, frozen=True):
    """A session that was shown the number. It holds it until `until`, or `hold_ms` after it was last seen if sooner."""

    session: str
    number: str
    shown_at: int
    last_seen_at: int
    left_at: int | None
    until: int
    region: str = ""
    device: str = ""
    called_at: int | None = None


class NumberState(msgspec.Struct, frozen=True):
    """A number of the pool. `last_shown_at` is 0 if it never was shown."""

    number: str
    last_shown_at: int
    holders: tuple[Holder, ...] = ()


class Newcomer(msgspec.Struct, frozen=True):
    """The session that needs a number."""

    session: str
    region: str = ""
    device: str = ""


class Pick(msgspec.Struct, frozen=True):
    """`how`: sticky (held already), free (nobody holds it), shared."""

    number: str
    how: str


def pick(
    numbers: Sequence[NumberState],
    newcomer: Newcomer,
    now: int,
    *,
    hold_ms: int,
    cool_down_ms: int = 0,
    share: bool = True,
    model: DelayModel = PUBLISHED,
) -> Pick | None:
    """The number for this visitor, or None: the pool is empty, or every number is held and sharing is off.

    A free number that has not cooled down is like a held one: it may be shared, at the low price its holders have.
    """
    free: NumberState | None = None
    for state in numbers:
        freed_at = 0
        for holder in state.holders:
            end = min(holder.until, holder.last_seen_at + hold_ms)
            if end > now and holder.session == newcomer.session:
                return Pick(state.number, "sticky")
            freed_at = max(freed_at, end)
        cooled = max(freed_at, state.last_shown_at if not state.holders else 0) + cool_down_ms <= now
        if freed_at <= now and cooled and (free is None or state.last_shown_at < free.last_shown_at):
            free = state
    if free is not None:
        return Pick(free.number, "free")
    if not share or not numbers:
        return None
    cheapest = min(numbers, key=lambda state: (price(state, newcomer, now, model), state.last_shown_at, state.number))
    return Pick(cheapest.number, "shared")


def price(state: NumberState, newcomer: Newcomer, now: int, model: DelayModel) -> float:
    """Calls expected soon from those who were shown the number, weighted by their likeness to the newcomer."""
    total = 0.0
    for h in state.holders:
        age = max(0, now - h.shown_at)
        there = now - h.last_seen_at < STALE_MS and (h.left_at is None or h.left_at > now)
        table = model.soon_on if there else model.soon_left
        calls = table[h.device if h.device in table else ""][(age * age).bit_length()]
        if h.called_at is not None:
            calls *= AGAIN
        total += calls * _likeness(h, newcomer)
    return total


def _likeness(h: Holder, newcomer: Newcomer) -> float:
    likeness = 1.0
    if h.region and newcomer.region and h.region != newcomer.region:
        likeness *= OTHER_REGION
    if h.device and newcomer.device and h.device != newcomer.device:
        likeness *= OTHER_DEVICE
    return likeness
