"""When do people ring after they were shown a number: the delay model, and all other rates attribution needs.

A showing is taken as a source of calls whose intensity (calls per millisecond) is

    base(age, state, device) = rate * f(age) * P(device | caller) / P(device | all)
                               * P(state | caller, age, device) / P(state | all, age, device)
    signal(kind, since)      = P(call follows | kind) * g_kind(since)

`age` is the time since the number was shown, `state` is "still on the page" or "left", `f` and `g_kind` are densities.
`attribution` adds these up and turns them into probabilities; `learning` estimates them; `pool` asks which holders are
likely to ring soon. Nothing here reads a clock.

What is learnt is kept as plain counts (`Counts`), so that a model can be stored and added to. Every estimate is
(count + strength * prior) / (total + strength): the published figures hold while a site has few calls.

Ages are cut into half-octave bins: bin(age) is the bit length of age squared, that is 1 + floor(2 * log2(age in ms)).
Counting with integers alone keeps the scoring of thousands of candidates inside a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log

from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

BINS = 84
"""Enough half octaves for 2**41 ms (70 years), so that no age needs clamping."""

FIRST_BIN = 20
"""Everything below 1024 ms is one bin."""

STALE_MS = 90 * SECOND_MS
"""A page that has not been heard of for three heartbeats of 30 s is taken as left. Ours."""

SOON_MS = 30 * MINUTE_MS
"""How far ahead `pool` looks when it shares a number: the half hour in which most callers ring. Ours."""

Quantiles = tuple[tuple[int, float], ...]

PUBLISHED_DELAYS: Quantiles = (
    (5 * SECOND_MS, 0.002),
    (20 * SECOND_MS, 0.02),
    (1 * MINUTE_MS, 0.10),
    (3 * MINUTE_MS, 0.36),
    (6 * MINUTE_MS, 0.60),
    (15 * MINUTE_MS, 0.83),
    (30 * MINUTE_MS, 0.92),
    (2 * HOUR_MS, 0.95),
    (1 * DAY_MS, 0.98),
    (7 * DAY_MS, 0.997),
    (60 * DAY_MS, 1.0),
)
"""Share of callers who have rung by then. 15 and 30 min: CoMagic, quoted in the trade (more than 80 % within 10-15
minutes, about 10 % more within half an hour, a tail of days). The points between and beyond are ours."""

LATE_UNEXPLAINED = 1.5
"""The published delays are those of all callers. Those who tap or turn from the page to dial are explained by that, and
they are quick; among the rest callers after half an hour are so much more frequent. Ours."""

SIGNAL_DELAYS: Mapping[str, Quantiles] = {
    "tapped": (
        (2 * SECOND_MS, 0.02),
        (5 * SECOND_MS, 0.25),
        (9 * SECOND_MS, 0.6),
        (20 * SECOND_MS, 0.92),
        (MINUTE_MS, 0.99),
        (HOUR_MS, 1.0),
    ),
    "copied": (
        (3 * SECOND_MS, 0.02),
        (15 * SECOND_MS, 0.3),
        (MINUTE_MS, 0.65),
        (5 * MINUTE_MS, 0.88),
        (HOUR_MS, 0.96),
        (7 * DAY_MS, 1.0),
    ),
    "revealed": (
        (3 * SECOND_MS, 0.01),
        (30 * SECOND_MS, 0.1),
        (3 * MINUTE_MS, 0.4),
        (15 * MINUTE_MS, 0.85),
        (HOUR_MS, 0.94),
        (7 * DAY_MS, 1.0),
    ),
    "hidden": (
        (2 * SECOND_MS, 0.02),
        (8 * SECOND_MS, 0.2),
        (20 * SECOND_MS, 0.6),
        (MINUTE_MS, 0.9),
        (5 * MINUTE_MS, 0.97),
        (HOUR_MS, 1.0),
    ),
}
"""Time from a signal to the call it leads to, as the exchange sees it. Ours: after a tap, set-up takes 3-20 s."""

SIGNAL_CALLS: Mapping[str, tuple[float, float]] = {
    "tapped": (0.7, 10.0),
    "copied": (0.3, 10.0),
    "revealed": (0.05, 50.0),
    "hidden": (0.02, 50.0),
}
"""P(a call follows this signal), and how many signals that belief is worth. Ours."""

ON_PAGE_CALLERS: Quantiles = (
    (0, 0.7),
    (15 * MINUTE_MS, 0.65),
    (30 * MINUTE_MS, 0.5),
    (2 * HOUR_MS, 0.25),
    (DAY_MS, 0.1),
    (60 * DAY_MS, 0.05),
)
"""Share of callers whose page is still open at that delay. Ours."""

ON_PAGE_OTHERS: Quantiles = (
    (0, 1.0),
    (30 * SECOND_MS, 0.85),
    (2 * MINUTE_MS, 0.5),
    (5 * MINUTE_MS, 0.25),
    (15 * MINUTE_MS, 0.1),
    (HOUR_MS, 0.03),
    (DAY_MS, 0.003),
    (60 * DAY_MS, 0.001),
)
"""Share of all visitors whose page is still open at that age. Ours; sites report about 3 minutes a visit (Nimbata)."""

CALL_RATE = (0.03, 500.0)
"""P(a showing leads to a call without a signal), and how many showings that belief is worth. Ours."""

NOBODY_SHARE = (0.03, 60.0)
"""Share of calls by people we never saw, and how many calls that belief is worth. Ours."""

CALLS_A_DAY = 1.0
"""Calls per number and day, until the site's own are counted. Ours."""

AGREEMENT = (0.6, 20.0)
"""P(a caller's number is of the visitor's region for a reason, not by chance), and its worth in calls. Ours."""

DELAY_STRENGTH = 60.0
"""How many calls the published delays are worth. Ours."""

STATE_STRENGTH = 10.0
"""How many calls the belief about the open pages of callers is worth, at every age. Ours."""

NEIGHBOURS = 2
"""Callers' open pages are learnt over so many bins to either side: calls are few. Ours."""

SHOWING_STRENGTH = 50.0
"""How many showings the belief about everybody's open pages is worth. Ours."""

STATE_LIMIT = 15.0
"""An open page never counts for more than this; at ages of hours there is too little to learn from. Ours."""

DEVICE_STRENGTH = 30.0
"""How many calls the belief that devices do not matter is worth. Ours."""

DEVICES = ("desktop", "phone", "tablet", "")

_ZEROS = (0.0,) * BINS


def bin_of(age: int) -> int:
    """The half-octave bin of an age in ms (>= 0)."""
    return max(FIRST_BIN, (age * age).bit_length())


def bin_start(b: int) -> float:
    """The first age of a bin, in ms."""
    return 0.0 if b <= FIRST_BIN else 2.0 ** ((b - 1) / 2)


def bin_width(b: int) -> float:
    """In ms; everything below FIRST_BIN shares that bin."""
    return bin_start(max(b, FIRST_BIN) + 1) - bin_start(b)


def cumulative(quantiles: Quantiles, age: float) -> float:
    """Share of the distribution up to `age` ms; straight lines over the logarithm of the age."""
    before_at, before = 0.0, 0.0
    for at, share in quantiles:
        if age <= at:
            start = max(before_at, 1.0)
            part = log(max(age, start) / start) / log(at / start) if at > start else 1.0
            return before + (share - before) * part
        before_at, before = at, share
    return before


def masses(quantiles: Quantiles) -> tuple[float, ...]:
    """The probability of every bin, summing to 1; bins below FIRST_BIN are empty. Never exactly zero above."""
    raw = [
        0.0 if b < FIRST_BIN else cumulative(quantiles, bin_start(b + 1)) - cumulative(quantiles, bin_start(b))
        for b in range(BINS)
    ]
    floored = [0.0 if b < FIRST_BIN else m + 1e-9 for b, m in enumerate(raw)]
    total = sum(floored)
    return tuple(m / total for m in floored)


def curve(points: Quantiles) -> tuple[float, ...]:
    """A share at every bin's start, straight lines over the logarithm of the age between the given points."""
    return tuple(_interpolate(points, max(1.0, bin_start(b))) for b in range(BINS))


def _interpolate(points: Quantiles, age: float) -> float:
    before_at, before = points[0]
    for at, value in points:
        if age <= at:
            start = max(before_at, 1)
            return before + (value - before) * (log(age / start) / log(at / start) if at > start else 1.0)
        before_at, before = at, value
    return before


def _with_heavier_tail(prior: tuple[float, ...], start: int, factor: float) -> tuple[float, ...]:
    heavier = [m * factor if bin_start(b) >= start else m for b, m in enumerate(prior)]
    return tuple(m / sum(heavier) for m in heavier)


_DELAY_PRIOR = _with_heavier_tail(masses(PUBLISHED_DELAYS), 30 * MINUTE_MS, LATE_UNEXPLAINED)
_SIGNAL_PRIOR = {kind: masses(q) for kind, q in SIGNAL_DELAYS.items()}
_CALLERS_ON = curve(ON_PAGE_CALLERS)
_OTHERS_ON = curve(ON_PAGE_OTHERS)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a site has taught us, as expected numbers (a call two sessions share counts in part for each).

    Tuples run over age bins, mappings over devices. `callers_by_device` and `callers_on` (their page still open) are
    calls that no signal explains; `shown` and `still_on` (page open at that age) are everybody, callers or not.
    """

    calls: float = 0.0
    callers_by_device: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    callers_on: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    shown: Mapping[str, float] = field(default_factory=dict)
    still_on: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    signal_delays: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    number_days: float = 0.0
    nobody: float = 0.0
    regions: Mapping[str, float] = field(default_factory=dict)
    agreeing: float = 0.0
    comparable: float = 0.0

    @property
    def delays(self) -> tuple[float, ...]:
        """Calls by delay, whatever the device."""
        return tuple(map(sum, zip(*self.callers_by_device.values(), strict=True))) or _ZEROS

    @property
    def showings(self) -> float:
        return sum(self.shown.values())


@dataclass(frozen=True, slots=True)
class DelayModel:
    """Counts, and the tables made of them once. Immutable; `learning.learn` returns a new one.

    `log_on[device][bin]`, `log_left[device][bin]`: log intensity (calls per ms) of a showing of that age, page open or
    left. `signal[kind][bin]`: intensity after a signal of that age.
    `log_nobody`: log intensity of strangers on one number. `soon_on`, `soon_left`: calls expected
    within SOON_MS, laid out as `log_on`.
    """

    counts: Counts = field(default_factory=Counts)
    log_on: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)
    log_left: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)
    signal: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)
    log_nobody: float = field(init=False, repr=False, compare=False)
    soon_on: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)
    soon_left: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in _tables(self.counts).items():
            object.__setattr__(self, name, value)

    @property
    def delays(self) -> tuple[float, ...]:
        """P(the delay of a call falls into this bin), learnt and shrunk towards the published one."""
        return _shrunk_masses(self.counts.delays, _DELAY_PRIOR, DELAY_STRENGTH)

    def share_within(self, age: int) -> float:
        """The share of callers who ring within `age` ms of being shown the number."""
        last = bin_of(age)
        part = (age - bin_start(last)) / bin_width(last)
        return sum(self.delays[:last]) + self.delays[last] * part

    def region_logs(self, region: str) -> tuple[float, float]:
        """Log factors for a visitor from the same region as the caller's number, and from another one."""
        agree = _shrunk(self.counts.agreeing, self.counts.comparable, *AGREEMENT)
        chance = self._region_share(region)
        return log((agree + (1 - agree) * chance) / chance), log(1 - agree)

    def agreement(self, region: str) -> float:
        """P(the regions agree for a reason | they agree); `learning` counts with it."""
        agree = _shrunk(self.counts.agreeing, self.counts.comparable, *AGREEMENT)
        return agree / (agree + (1 - agree) * self._region_share(region))

    def _region_share(self, region: str) -> float:
        return (self.counts.regions.get(region, 0.0) + 1.0) / (sum(self.counts.regions.values()) + 4.0)


def _shrunk(count: float, total: float, prior: float, strength: float) -> float:
    share = (count + prior * strength) / (total + strength)
    return min(0.999, max(1e-6, share))


def _shrunk_masses(counts: tuple[float, ...], prior: tuple[float, ...], strength: float) -> tuple[float, ...]:
    total = sum(counts) + strength
    return tuple((n + strength * p) / total for n, p in zip(counts, prior, strict=True))


def _tables(c: Counts) -> dict[str, object]:
    delays = _shrunk_masses(c.delays, _DELAY_PRIOR, DELAY_STRENGTH)
    rate = _per_unit(sum(c.delays), c.showings, *CALL_RATE)
    density = [rate * delays[max(b, FIRST_BIN)] / bin_width(b) for b in range(BINS)]
    soon = [rate * share for share in _within_soon(delays)]
    factors = {device: _state_factors(c, device) for device in DEVICES}
    return {
        "log_on": {device: tuple(map(log, _times(density, on))) for device, (on, _) in factors.items()},
        "log_left": {device: tuple(map(log, _times(density, left))) for device, (_, left) in factors.items()},
        "signal": {kind: _signal_table(c, kind) for kind in SIGNAL_DELAYS},
        "log_nobody": log(_shrunk(c.nobody, c.calls, *NOBODY_SHARE) * _calls_a_day(c) / DAY_MS),
        "soon_on": {device: _times(soon, on) for device, (on, _) in factors.items()},
        "soon_left": {device: _times(soon, left) for device, (_, left) in factors.items()},
    }


def _times(values: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    return tuple(v * f for v, f in zip(values, factors, strict=True))


def _per_unit(count: float, units: float, prior: float, strength: float) -> float:
    """Events per showing, signal or number-day. Without a count of units nothing is said about their rate."""
    return max(1e-9, (count + prior * strength) / (units + strength)) if units else prior


def _calls_a_day(c: Counts) -> float:
    """Per number. A few days are needed before the site's own count says more than the usual."""
    return (c.calls + CALLS_A_DAY) / (c.number_days + 1.0)


def _state_factors(c: Counts, device: str) -> tuple[list[float], list[float]]:
    """By how much likelier than average a showing on that device rings, its page open or left, at every age."""
    callers, callers_on = c.callers_by_device.get(device, _ZEROS), c.callers_on.get(device, _ZEROS)
    shown, still_on = c.shown.get(device, 0.0), c.still_on.get(device, _ZEROS)
    among = _device_factor(c, device)
    on, left = [], []
    for b in range(BINS):
        near = slice(max(0, b - NEIGHBOURS), b + NEIGHBOURS + 1)
        caller = _shrunk(sum(callers_on[near]), sum(callers[near]), _CALLERS_ON[b], STATE_STRENGTH)
        anyone = min(0.995, max(0.002, _shrunk(still_on[b], shown, _OTHERS_ON[b], SHOWING_STRENGTH)))
        on.append(among * min(caller / anyone, STATE_LIMIT))
        left.append(among * (1 - caller) / (1 - anyone))
    return on, left


def _device_factor(c: Counts, device: str) -> float:
    """P(device | caller) / P(device | all)."""
    share = (c.shown.get(device, 0.0) + 1.0) / (c.showings + len(DEVICES))
    callers = sum(c.delays)
    return (sum(c.callers_by_device.get(device, ())) + DEVICE_STRENGTH * share) / (callers + DEVICE_STRENGTH) / share


def _signal_table(c: Counts, kind: str) -> tuple[float, ...]:
    prior, strength = SIGNAL_CALLS[kind]
    learnt = c.signal_delays.get(kind, _ZEROS)
    follows = _per_unit(sum(learnt), c.signals.get(kind, 0.0), prior, strength)
    shape = _shrunk_masses(learnt, _SIGNAL_PRIOR[kind], DELAY_STRENGTH / 2)
    return tuple(follows * shape[max(b, FIRST_BIN)] / bin_width(b) for b in range(BINS))


def _within_soon(delays: tuple[float, ...]) -> list[float]:
    """P(rings within SOON_MS | shown that long ago and not rung yet is ignored), at every bin's start."""
    return [_cdf(delays, bin_start(b) + SOON_MS) - _cdf(delays, bin_start(b)) for b in range(BINS)]


def _cdf(delays: tuple[float, ...], age: float) -> float:
    last = min(bin_of(int(age)), BINS - 1)
    return sum(delays[:last]) + delays[last] * (age - bin_start(last)) / bin_width(last)


PUBLISHED = DelayModel()
"""What is believed of a site that has had no calls yet."""
