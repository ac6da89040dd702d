"""Missed calls as work: a caller waits from his first missed call until somebody has spoken with him."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from ctserver.domain.clock import MINUTE_MS

SOON_MS = 10 * MINUTE_MS  # within this time most callers still wait for you and not for another shop. Ours.

NEW, CALLED_BACK, RANG_AGAIN, GIVEN_UP = "new", "called_back", "rang_again", "given_up"


@dataclass(frozen=True, slots=True)
class MissedCall:
    """One missed call, with what is known of the time after it: when we reached the caller by ringing him
    (`called_back_at`), when he rang again and was answered (`rang_again_at`), and what a person has said (`state` is
    called_back, given_up or "", at `state_at`)."""

    id: str
    caller: str
    site: str
    at: int
    called_back_at: int | None = None
    rang_again_at: int | None = None
    state: str = ""
    state_at: int = 0
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A caller who waits or waited: his missed calls without a talk between them. `id` is the latest of `calls`."""

    id: str
    caller: str
    site: str
    first_at: int
    last_at: int
    calls: tuple[str, ...] = field(default_factory=tuple)
    state: str = NEW
    settled_at: int | None = None
    assignee: str = ""

    @property
    def waited_ms(self) -> int | None:
        """From his first missed call until he was reached; None while he waits, and for one who was given up."""
        return None if self.settled_at is None or self.state == GIVEN_UP else max(0, self.settled_at - self.first_at)


@dataclass(frozen=True, slots=True)
class Merit:
    """How well missed callers were reached."""

    callers: int
    waiting: int
    called_back: int
    rang_again: int
    given_up: int
    median_ms: int | None  # from the missed call to ours, of those called back
    soon: int  # of all callers, those who were called back within SOON_MS


def cases(calls: Iterable[MissedCall]) -> list[Case]:
    """The cases, the latest first. Callers who withheld their number are none: nobody can ring them, so they are nobody's work."""
    latest: dict[tuple[str, str], Case] = {}
    found: dict[str, Case] = {}
    for call in sorted((call for call in calls if call.caller), key=lambda call: call.at):
        key = (call.caller, call.site)
        last = latest.get(key)
        fresh = _settled(call)
        if last is not None and (last.settled_at is None or last.settled_at > call.at):
            joined = replace(fresh, first_at=last.first_at, calls=(*last.calls, call.id))
            fresh = replace(joined, assignee=fresh.assignee or last.assignee)
            del found[last.id]
        latest[key] = found[call.id] = fresh
    return sorted(found.values(), key=lambda case: case.last_at, reverse=True)


def _settled(call: MissedCall) -> Case:
    """The earliest of what settled it."""
    ends = [(call.called_back_at, CALLED_BACK), (call.rang_again_at, RANG_AGAIN)]
    if call.state:
        ends.append((call.state_at, call.state))
    at, how = min(((at, how) for at, how in ends if at is not None), default=(None, NEW))
    return Case(call.id, call.caller, call.site, call.at, call.at, (call.id,), how, at, call.assignee)


def merit(found: Sequence[Case]) -> Merit:
    """The figures over these cases."""
    counts = {state: sum(case.state == state for case in found) for state in (NEW, CALLED_BACK, RANG_AGAIN, GIVEN_UP)}
    waits = [case.waited_ms for case in found if case.state == CALLED_BACK and case.waited_ms is not None]
    return Merit(
        callers=len(found),
        waiting=counts[NEW],
        called_back=counts[CALLED_BACK],
        rang_again=counts[RANG_AGAIN],
        given_up=counts[GIVEN_UP],
        median_ms=int(median(waits)) if waits else None,
        soon=sum(wait <= SOON_MS for wait in waits),
    )
