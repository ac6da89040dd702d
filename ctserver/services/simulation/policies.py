"""Three ways to hand out numbers and to name callers. Each sees only what a server would have seen by then.

`pin`     the classic pool: a number is held for half an hour, exclusively; none free, no swap. A call is the holder's,
          or the last holder's.
`steal`   the number shown longest ago is shown to the newcomer, always. A call is the latest tapper's, or else the
          last one's who was shown the number.
`ctserver` `pool.pick` and `attribution.attribute`, with a delay model learnt every night from its own answers.

All three know repeat callers: the number that rang before is credited as before. `pin` and `steal` have no idea how
sure they are; their confidence is 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ctserver.domain import attribution, pool
from ctserver.domain.attribution import CallerHistory, CallFacts, Candidate, EarlierCall, SignalAt
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ctserver.domain.delay import PUBLISHED, DelayModel
from ctserver.domain.learning import KnownCall, learn, seen_between
from ctserver.services.simulation.traffic import Visit

HOLD = 30 * MINUTE_MS
"""The classic hold (the trade's: half an hour covers more than 90 % of calls)."""

TAP_WINDOW = 60 * SECOND_MS
"""How long before a call a tap names its caller, for `steal`."""

MEMORY = 8 * DAY_MS
"""Showings older than this are no candidates."""

HOLDER_MEMORY = HOUR_MS
"""Showings last seen this long ago do not matter to whom a number is given."""


class Sighting:
    """A showing as the server learns of it. `at(t)` never tells anything that happens after t."""

    __slots__ = ("_done", "_held", "_settled", "_visit", "called", "heartbeat", "number")

    def __init__(self, visit: Visit, number: str, heartbeat: int) -> None:
        self._visit = visit
        self.number = number
        self.heartbeat = heartbeat
        self.called: tuple[int, float] | None = None
        last = visit.presences[-1][1]
        self._settled = max([last] + [at for _, at in visit.signals])
        self._done: Candidate | None = None
        self._held: pool.Holder | None = None

    @property
    def session(self) -> str:
        return self._visit.session

    @property
    def visitor(self) -> str:
        return self._visit.visitor

    @property
    def shown_at(self) -> int:
        return self._visit.shown_at

    def credit(self, at: int, confidence: float) -> None:
        self.called = (at, confidence)
        self._done = self._held = None

    def at(self, now: int) -> Candidate:
        if self._done is not None:
            return self._done
        v = self._visit
        last_seen, left = self.seen(now)
        signals = tuple(SignalAt(kind, at) for kind, at in v.signals if at <= now)
        called_at, confidence = self.called or (None, 1.0)
        candidate = Candidate(
            session=v.session,
            number=self.number,
            shown_at=v.shown_at,
            last_seen_at=last_seen,
            left_at=left,
            signals=signals,
            region=v.region,
            device=v.device,
            last_call_at=called_at,
            last_call_confidence=confidence,
            visitor=v.visitor,
        )
        if now > self._settled:
            self._done = candidate
        return candidate

    def seen(self, now: int) -> tuple[int, int | None]:
        """When last seen, and when left if a farewell came."""
        presences = self._visit.presences
        start, end = presences[-1] if now >= presences[-1][0] else presences[0]
        until = min(now, end)
        last = max(start + (until - start) // self.heartbeat * self.heartbeat, self._visit.shown_at)
        if now < end:
            return last, None
        return (end, end) if self._visit.farewell else (last, None)

    def tapped(self, now: int) -> int | None:
        return max((at for kind, at in self._visit.signals if kind == "tapped" and at <= now), default=None)

    def holder(self, now: int, hold: int) -> pool.Holder:
        if self._held is not None:
            return self._held
        last, left = self.seen(now)
        v = self._visit
        called = self.called[0] if self.called else None
        held = pool.Holder(v.session, self.number, v.shown_at, last, left, last + hold, v.region, v.device, called)
        if now > self._settled:
            self._held = held
        return held


@dataclass(frozen=True, slots=True)
class Named:
    """A policy's answer: the session (None: not credited) and how sure it says it is."""

    session: str | None
    confidence: float
    kind: str = ""


UNNAMED = Named(None, 0.0)


class Policy(Protocol):
    """What the simulation asks of a policy, in order of time."""

    def show(self, visit: Visit, now: int) -> str | None:
        """The number this visitor is shown; None leaves the site's own."""

    def whose(self, call: CallFacts) -> Named:
        """Who rang?"""

    def night(self, now: int) -> None:
        """A day is over."""


@dataclass(slots=True)
class _Book:
    """What every policy keeps: showings by number, latest last, and what was made of each caller."""

    numbers: Sequence[str]
    heartbeat: int
    shown: dict[str, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    by_session: dict[str, Sighting] = field(default_factory=dict)
    callers: dict[str, list[EarlierCall]] = field(default_factory=lambda: defaultdict(list))

    def enter(self, visit: Visit, number: str) -> None:
        sighting = Sighting(visit, number, self.heartbeat)
        self.shown[number].append(sighting)
        self.by_session[visit.session] = sighting

    def last_shown_at(self, number: str) -> int:
        showings = self.shown[number]
        return showings[-1].shown_at if showings else 0

    def oldest(self) -> list[str]:
        return sorted(self.numbers, key=lambda n: (self.last_shown_at(n), n))

    def remember(self, call: CallFacts, named: Named) -> None:
        if named.session is None:
            return
        sighting = self.by_session.get(named.session)
        if sighting is not None:
            sighting.credit(call.at, named.confidence)
        if call.caller:
            visitor = sighting.visitor if sighting else ""
            self.callers[call.caller].append(EarlierCall(call.at, named.session, named.confidence, visitor))

    def earlier(self, caller: str) -> str | None:
        calls = self.callers.get(caller) if caller else None
        return calls[-1].session if calls else None


class Pin:
    """The classic pool."""

    def __init__(self, numbers: Sequence[str], heartbeat: int) -> None:
        self.book = _Book(numbers, heartbeat)

    def show(self, visit: Visit, now: int) -> str | None:
        for number in self.book.oldest():
            if not self._held(number, now):
                self.book.enter(visit, number)
                return number
        return None

    def _held(self, number: str, now: int) -> bool:
        """For half an hour, and as long as its visitor is still there."""
        showings = self.book.shown[number]
        if not showings:
            return False
        last_seen, left = showings[-1].seen(now)
        there = left is None and now - last_seen < 2 * self.book.heartbeat
        return there or now - showings[-1].shown_at < HOLD

    def whose(self, call: CallFacts) -> Named:
        session = self.book.earlier(call.caller) or _last_shown(self.book, call)
        named = Named(session, 1.0) if session else UNNAMED
        self.book.remember(call, named)
        return named

    def night(self, now: int) -> None:
        return


class Steal:
    """The oldest number is given away, and taps are read."""

    def __init__(self, numbers: Sequence[str], heartbeat: int) -> None:
        self.book = _Book(numbers, heartbeat)

    def show(self, visit: Visit, now: int) -> str | None:
        number = self.book.oldest()[0]
        self.book.enter(visit, number)
        return number

    def whose(self, call: CallFacts) -> Named:
        session = self._tapper(call) or self.book.earlier(call.caller) or _last_shown(self.book, call)
        named = Named(session, 1.0) if session else UNNAMED
        self.book.remember(call, named)
        return named

    def _tapper(self, call: CallFacts) -> str | None:
        taps = ((s.tapped(call.at), s.session) for s in self.book.shown[call.number])
        fresh = [(at, session) for at, session in taps if at is not None and call.at - at <= TAP_WINDOW]
        return max(fresh)[1] if fresh else None

    def night(self, now: int) -> None:
        return


def _last_shown(book: _Book, call: CallFacts) -> str | None:
    showings = book.shown[call.number]
    return showings[-1].session if showings else None


class Ctserver:
    """The server's own rules."""

    def __init__(
        self, numbers: Sequence[str], heartbeat: int, model: DelayModel = PUBLISHED, learns: bool = True
    ) -> None:
        self.book = _Book(numbers, heartbeat)
        self.model = model
        self.learns = learns
        self.how: dict[str, int] = {"sticky": 0, "free": 0, "shared": 0}
        self.recent: dict[str, list[Sighting]] = {n: [] for n in numbers}
        self._calls: list[KnownCall] = []
        self._since: int | None = None

    def show(self, visit: Visit, now: int) -> str | None:
        self._since = now if self._since is None else self._since
        states = [self._state(n, now) for n in self.book.numbers]
        newcomer = pool.Newcomer(visit.session, visit.region, visit.device)
        picked = pool.pick(states, newcomer, now, hold_ms=HOLD, model=self.model)
        if picked is None:
            return None
        self.how[picked.how] += 1
        self.book.enter(visit, picked.number)
        self.recent[picked.number].append(self.book.by_session[visit.session])
        return picked.number

    def _state(self, number: str, now: int) -> pool.NumberState:
        holders = [s.holder(now, HOLD) for s in self.recent[number]]
        lasting = tuple(h for h in holders if now - h.last_seen_at < HOLDER_MEMORY)
        if len(lasting) < len(holders):
            kept = {h.session for h in lasting}
            self.recent[number] = [s for s in self.recent[number] if s.session in kept]
        return pool.NumberState(number, self.book.last_shown_at(number), lasting)

    def whose(self, call: CallFacts) -> Named:
        candidates = [s.at(call.at) for s in self.book.shown[call.number]]
        history = CallerHistory(tuple(self.book.callers.get(call.caller, ()))) if call.caller else CallerHistory()
        answer = attribution.attribute(call, candidates, history, self.model)
        if self.learns:
            self._calls.append(KnownCall(call, candidates, history))
        named = Named(answer.session, answer.confidence, answer.kind)
        self.book.remember(call, named)
        return named

    def night(self, now: int) -> None:
        """Learn from the day, and forget showings that are too old."""
        if self.learns and self._since is not None:
            rows = (s.at(now) for showings in self.book.shown.values() for s in showings)
            seen = seen_between(rows, self._since, now, len(self.book.numbers))
            self.model = learn(self.model, self._calls, seen)
        self._calls, self._since = [], now
        for number, showings in self.book.shown.items():
            self.book.shown[number] = [s for s in showings if now - s.seen(now)[0] < MEMORY]


POLICIES: Mapping[str, Callable[[Sequence[str], int], Policy]] = {"pin": Pin, "steal": Steal, "ctserver": Ctserver}
