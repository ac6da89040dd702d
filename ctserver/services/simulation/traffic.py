"""Synthetic traffic: visits and calls of a site, with the truth of who called.

Every assumption is a field of `Traffic`, with its source or marked "ours"; docs/attribution.md lists them. What is made
here is the world, including what nobody can see; `policies` are only ever given what a server would have seen by then.
Times are epoch ms. The same seed makes the same traffic, whatever the policy or the number of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from random import Random

from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

START = 1_767_225_600_000
"""2026-01-01T00:00Z: a midnight to count from."""

BUSINESS_DAY = (
    0.012, 0.007, 0.005, 0.004, 0.005, 0.009, 0.018, 0.032, 0.050, 0.066, 0.074, 0.077,
    0.075, 0.073, 0.071, 0.068, 0.064, 0.059, 0.054, 0.050, 0.045, 0.037, 0.028, 0.017,
)  # fmt: skip
"""Share of the day's visits by hour. Ours; the busiest hour has 7.7 % (8.8 % would fit CoMagic's published example)."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The assumptions. Shares are 0-1, times in ms, `*_sigma` the spread of a lognormal's logarithm."""

    visitors: float = 543.0
    """Visits a day (1628 in three days: the trade's own example)."""
    day_profile: tuple[float, ...] = BUSINESS_DAY
    """Ours."""
    call_share: float = 0.05
    """Visits that lead to a call. Ours."""
    taps: float = 0.5
    """Calls made by tapping the number. Ours; the one assumption that matters most, hence an option."""
    taps_abandoned: float = 0.25
    """Taps that no call follows (the telephone asks "call?", and is told no). Ours."""
    reveal: float | None = None
    """Visitors who press "show number" where it is hidden: 0.20-0.25 (Alytics, own site). None: shown to all."""
    quick_median: int = 4 * MINUTE_MS
    """Median delay from arriving to ringing among those who ring within half an hour. Ours, so that with `quick_sigma`
    81 % of all callers ring within 12.5 minutes, 84 % within 15 (CoMagic: more than 80 % in 10-15 minutes)."""
    quick_sigma: float = 1.0
    quick_limit: int = 30 * MINUTE_MS
    late_share: float = 0.09
    """Callers after half an hour (CoMagic: half an hour covers more than 90 %)."""
    late_limit: int = 7 * DAY_MS
    """The tail of days, uniform over the logarithm of the delay. Ours."""
    tap_setup: int = 7 * SECOND_MS
    """Median time from the tap to the call's arrival. Ours."""
    dial_time: int = 15 * SECOND_MS
    """Median time from turning away from the page to the call's arrival, for those who dial by hand. Ours."""
    stay_median: int = 98 * SECOND_MS
    """Median time on the page of those who do not read the number off it; mean 3 minutes (Nimbata's example). Ours."""
    stay_sigma: float = 1.1
    lingering: float = 0.08
    """Pages left open, unattended, for `linger_median`. Ours."""
    linger_median: int = 30 * MINUTE_MS
    reads_off_page: float = 0.7
    """Callers within half an hour who still have the page open. Ours; the others noted the number and left."""
    late_reopens: float = 0.1
    """Later callers who do not tap but come back to the open page to read the number. Ours."""
    phones: float = 0.6
    """Visitors on phones; the rest are on desktops. Ours."""
    hides: float = 0.25
    """Phone visitors who turn to something else once, for no call. Ours."""
    farewells: float = 0.8
    """Pages whose leaving the server is told of; the rest go silent. Ours."""
    heartbeat: int = 30 * SECOND_MS
    """The script's own."""
    returns: float = 0.15
    """Visits by visitors of the last week. Ours."""
    calls_again: float = 0.15
    """Calls followed by another from the same caller without a visit, within three days. Ours."""
    strangers: float = 0.02
    """Calls by people who never were on the site. Ours."""
    withheld: float = 0.02
    """Callers who hide their number. Ours."""
    regions: tuple[float, ...] = (0.55, 0.2, 0.1, 0.1, 0.05)
    """Share of visitors by region. Ours."""
    region_agrees: float = 0.75
    """Callers whose number is of the region their visit was seen from; the others' is any region's. Ours."""
    region_unknown: float = 0.1
    """Visitors whose region is not known. Ours."""

    @property
    def quick_mu(self) -> float:
        return log(self.quick_median)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor's stay. `presences` are the times the page was open; `signals` (kind, at) in order of time.

    All of it is visible to a server as time passes, except who will call.
    """

    session: str
    visitor: str
    region: str
    device: str
    shown_at: int
    presences: tuple[tuple[int, int], ...]
    farewell: bool
    signals: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call and its truth: `session` and `visitor` are who really rang, "" for strangers, who dial the number at
    `place` (0-1) of the pool."""

    at: int
    caller: str
    region: str
    session: str
    visitor: str
    place: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """All that happens, visits and calls each in order of time."""

    visits: tuple[Visit, ...]
    calls: tuple[Call, ...]
    days: int
    heartbeat: int


def make(traffic: Traffic, days: int, seed: int) -> World:
    """The world of that seed. Calls that would come after the last day are left out."""
    maker = _Maker(traffic, Random(seed))  # noqa: S311 - a simulation, nothing to guard
    end = START + days * DAY_MS
    for at in maker.arrivals(days, traffic.visitors * (1 - traffic.returns)):
        maker.visitor(at, end)
    maker.add_strangers(days)
    visits = sorted((v for v in maker.visits if v.shown_at < end), key=lambda v: (v.shown_at, v.session))
    calls = sorted((c for c in maker.calls if c.at < end), key=lambda c: (c.at, c.caller))
    return World(tuple(visits), tuple(calls), days, traffic.heartbeat)


@dataclass(slots=True)
class _Person:
    visitor: str
    caller: str
    caller_region: str
    region: str
    device: str


class _Maker:
    """Draws the world, one visitor after another, from one stream of random numbers."""

    def __init__(self, traffic: Traffic, random: Random) -> None:
        self.t = traffic
        self.random = random
        self.visits: list[Visit] = []
        self.calls: list[Call] = []
        self.people = 0

    def arrivals(self, days: int, per_day: float) -> Iterator[int]:
        """A Poisson process whose rate follows the day's profile."""
        whole = sum(self.t.day_profile)
        for day in range(days):
            for hour, share in enumerate(self.t.day_profile):
                start = START + day * DAY_MS + hour * HOUR_MS
                for _ in range(self._poisson(per_day * share / whole)):
                    yield start + self.random.randrange(HOUR_MS)

    def visitor(self, at: int, end: int) -> None:
        """A new person's visit, and perhaps more of them within the week."""
        person = self._person()
        self._visit(person, at)
        chance = self.t.returns
        while self.random.random() < chance and at < end:
            at += self._log_uniform(HOUR_MS, 7 * DAY_MS)
            self._visit(person, at)

    def add_strangers(self, days: int) -> None:
        per_day = self.t.visitors * self.t.call_share * self.t.strangers / max(1e-9, 1 - self.t.strangers)
        for at in self.arrivals(days, per_day):
            person = self._person()
            self._ring(person, at, "", "", self.random.random())

    def _person(self) -> _Person:
        self.people += 1
        region = self._region()
        caller_region = region if self.random.random() < self.t.region_agrees else self._region()
        seen = "" if self.random.random() < self.t.region_unknown else region
        device = "phone" if self.random.random() < self.t.phones else "desktop"
        caller = "" if self.random.random() < self.t.withheld else f"+7900{self.people:07d}"
        return _Person(f"v{self.people}", caller, caller_region, seen, device)

    def _visit(self, person: _Person, at: int) -> None:
        calls = self.random.random() < self._call_share(person.device)
        if not calls and self.random.random() >= self._shown_share():
            return
        session = f"s{len(self.visits) + 1}"
        if calls:
            self._caller_visit(person, session, at)
        else:
            self._quiet_visit(person, session, at)

    def _call_share(self, device: str) -> float:
        """More taps than phones means that phones call more."""
        on_phone = max(self.t.phones, self.t.taps)
        if device == "phone":
            return self.t.call_share * on_phone / self.t.phones
        return self.t.call_share * (1 - on_phone) / (1 - self.t.phones)

    def _shown_share(self) -> float:
        """Those who see the number without calling: all, or the part of the revealers that is not callers."""
        if self.t.reveal is None:
            return 1.0
        return max(0.0, self.t.reveal - self.t.call_share) / (1 - self.t.call_share)

    def _quiet_visit(self, person: _Person, session: str, at: int) -> None:
        leaves = at + self._stay()
        signals = self._restless(person, at, leaves)
        abandoned = self.t.taps_abandoned / (1 - self.t.taps_abandoned)
        if (
            person.device == "phone"
            and self.random.random() < self.t.taps * self.t.call_share * abandoned / self.t.phones
        ):
            signals.append(("tapped", self._between(at, leaves)))
        self._add(person, session, self._shown_at(at, leaves - at), ((at, leaves),), signals)

    def _caller_visit(self, person: _Person, session: str, at: int) -> None:
        delay = self._delay()
        rings = at + delay
        late = delay > self.t.quick_limit
        signals: list[tuple[str, int]] = []
        if person.device == "phone" and self.random.random() < self.t.taps / max(self.t.phones, self.t.taps):
            tapped = rings - min(delay - 1, self._lognormal(self.t.tap_setup, 0.5))
            signals += [("tapped", tapped), ("hidden", min(rings, tapped + SECOND_MS))]
            presences = self._reopened(at, tapped, rings) if late else ((at, rings + 2 * MINUTE_MS),)
        elif self.random.random() < (self.t.late_reopens if late else self.t.reads_off_page):
            turned = rings - min(delay - 1, self._lognormal(self.t.dial_time, 0.5))
            if person.device == "phone":
                signals.append(("hidden", turned))
            presences = self._reopened(at, turned, rings) if late else ((at, rings + 2 * MINUTE_MS),)
        else:
            presences = ((at, at + self._stay_below(delay)),)
        signals += self._restless(person, *presences[-1])
        self._add(person, session, self._shown_at(at, min(delay, presences[0][1] - at)), presences, signals)
        self._ring(person, rings, session, person.visitor)
        while self.random.random() < self.t.calls_again:
            rings += self._log_uniform(10 * MINUTE_MS, 3 * DAY_MS)
            self._ring(person, rings, session, person.visitor)

    def _reopened(self, at: int, acted: int, rings: int) -> tuple[tuple[int, int], ...]:
        """A stay, and the same page looked at again shortly before the call."""
        again = acted - self.random.randrange(5 * SECOND_MS, MINUTE_MS)
        return (at, at + min(self._stay(), again - at - MINUTE_MS)), (again, rings + 2 * MINUTE_MS)

    def _restless(self, person: _Person, start: int, end: int) -> list[tuple[str, int]]:
        """A phone's page is hidden when its visitor leaves, and by some once in between."""
        if person.device != "phone":
            return []
        signals = [("hidden", end)]
        if self.random.random() < self.t.hides:
            signals.append(("hidden", self._between(start, end)))
        return signals

    def _shown_at(self, at: int, within: int) -> int:
        """On arrival, or when "show number" is pressed."""
        return (
            at if self.t.reveal is None else at + min(self.random.randrange(5 * SECOND_MS, 45 * SECOND_MS), within // 2)
        )

    def _add(
        self,
        person: _Person,
        session: str,
        shown_at: int,
        presences: tuple[tuple[int, int], ...],
        signals: list[tuple[str, int]],
    ) -> None:
        if self.t.reveal is not None:
            signals = [*signals, ("revealed", shown_at)]
        ordered = tuple(sorted(signals, key=lambda s: s[1]))
        farewell = self.random.random() < self.t.farewells
        self.visits.append(
            Visit(session, person.visitor, person.region, person.device, shown_at, presences, farewell, ordered)
        )

    def _ring(self, person: _Person, at: int, session: str, visitor: str, place: float = 0.0) -> None:
        region = person.caller_region if person.caller else ""
        self.calls.append(Call(at, person.caller, region, session, visitor, place))

    def _delay(self) -> int:
        if self.random.random() < self.t.late_share:
            return self._log_uniform(self.t.quick_limit, self.t.late_limit)
        while True:
            delay = int(exp(self.random.gauss(self.t.quick_mu, self.t.quick_sigma)))
            if 10 * SECOND_MS <= delay <= self.t.quick_limit:
                return delay

    def _stay(self) -> int:
        if self.random.random() < self.t.lingering:
            return self._lognormal(self.t.linger_median, 1.0)
        return self._lognormal(self.t.stay_median, self.t.stay_sigma)

    def _stay_below(self, limit: int) -> int:
        """The same stays as everybody's, given that the visitor left before ringing."""
        for _ in range(20):
            stay = self._stay()
            if stay < limit:
                return stay
        return self.random.randrange(1, limit)

    def _region(self) -> str:
        place = self.random.random() * sum(self.t.regions)
        for i, share in enumerate(self.t.regions):
            place -= share
            if place < 0:
                return f"R{i}"
        return "R0"

    def _lognormal(self, median: int, sigma: float) -> int:
        return max(1, int(median * exp(self.random.gauss(0.0, sigma))))

    def _log_uniform(self, low: int, high: int) -> int:
        return int(low * exp(self.random.random() * log(high / low)))

    def _between(self, start: int, end: int) -> int:
        return start + int(self.random.random() * (end - start))

    def _poisson(self, mean: float) -> int:
        """Knuth's multiplication for small means, in pieces for large ones."""
        count = 0
        while mean > 0:
            step = min(mean, 200.0)
            limit, product = exp(-step), self.random.random()
            while product > limit:
                count += 1
                product *= self.random.random()
            mean -= step
        return count
