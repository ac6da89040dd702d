"""Learn a site's delays and rates from its own calls, without believing its own mistakes.

One step of expectation-maximisation: every call counts for every candidate in the proportion of the probability the
current model gives it. A sure call (a tap, a number held by one, a match in the CRM) thereby counts whole, for one;
a doubtful one is spread. Counting only the sure calls whole would be a trap: quick calls are the sure ones, the model
would learn that every call is quick, be even surer of quick ones, and drift. Expected counts do not, since late calls
stay in the count with the weight they deserve, and the published prior never leaves (see `delay.Counts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp

from ctserver.domain.attribution import NO_HISTORY, CallerHistory, CallFacts, Candidate, on_page, weigh
from ctserver.domain.delay import BINS, SIGNAL_CALLS, Counts, DelayModel, bin_of


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call with everything attribution saw. `truth` is the session if it is known from elsewhere (CRM, form), "" if
    it is known to be nobody's, None if only attribution can say."""

    call: CallFacts
    candidates: Sequence[Candidate]
    history: CallerHistory = NO_HISTORY
    truth: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A showing, whoever it was: how long its page was open (ms, by heartbeat or farewell), and the device."""

    stay: int
    device: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened in the same time besides calls: showings of numbers, signals by kind, numbers x days in service.

    With all empty the rates stay as published and only the shapes are learnt.
    """

    showings: Sequence[Shown] = ()
    signals: Mapping[str, int] = field(default_factory=dict)
    number_days: float = 0.0


def learn(model: DelayModel, calls: Iterable[KnownCall], seen: Seen | None = None, *, fade: float = 1.0) -> DelayModel:
    """A new model: what `model` knows, plus these calls. `fade` < 1 lets what was learnt before count for less."""
    seen = seen or Seen()
    tally = _Tally.of(model.counts, fade)
    for known in calls:
        _count(tally, known, model)
    for kind in SIGNAL_CALLS:
        tally.signals[kind] = tally.signals.get(kind, 0.0) + seen.signals.get(kind, 0)
    _count_showings(tally, seen.showings)
    tally.number_days += seen.number_days
    return replace(model, counts=tally.frozen())


@dataclass(slots=True)
class _Tally:
    """`Counts` while being added to."""

    calls: float
    delays: list[float]
    callers_on: list[float]
    still_on: list[float]
    device_callers: dict[str, float]
    devices: dict[str, float]
    signal_delays: dict[str, list[float]]
    signals: dict[str, float]
    showings: float
    number_days: float
    nobody: float
    regions: dict[str, float]
    agreeing: float
    comparable: float

    @classmethod
    def of(cls, c: Counts, fade: float) -> _Tally:
        def scaled(counts: Mapping[str, float]) -> dict[str, float]:
            return {key: n * fade for key, n in counts.items()}

        return cls(
            calls=c.calls * fade,
            delays=[n * fade for n in c.delays],
            callers_on=[n * fade for n in c.callers_on],
            still_on=[n * fade for n in c.still_on],
            device_callers=scaled(c.device_callers),
            devices=scaled(c.devices),
            signal_delays={kind: [n * fade for n in bins] for kind, bins in c.signal_delays.items()},
            signals=scaled(c.signals),
            showings=c.showings * fade,
            number_days=c.number_days * fade,
            nobody=c.nobody * fade,
            regions=scaled(c.regions),
            agreeing=c.agreeing * fade,
            comparable=c.comparable * fade,
        )

    def frozen(self) -> Counts:
        return Counts(
            calls=self.calls,
            delays=tuple(self.delays),
            callers_on=tuple(self.callers_on),
            still_on=tuple(self.still_on),
            device_callers=self.device_callers,
            devices=self.devices,
            signal_delays={kind: tuple(bins) for kind, bins in self.signal_delays.items()},
            signals=self.signals,
            showings=self.showings,
            number_days=self.number_days,
            nobody=self.nobody,
            regions=self.regions,
            agreeing=self.agreeing,
            comparable=self.comparable,
        )


def _count(tally: _Tally, known: KnownCall, model: DelayModel) -> None:
    call = known.call
    if call.static is not None or _redialled(known):
        return
    weights = weigh(call, known.candidates, model)
    base = [exp(w) for w in weights.base]
    signals = {i: {kind: exp(w) for kind, w in by_kind.items()} for i, by_kind in weights.signals.items()}
    nobody = exp(weights.nobody)
    if known.truth is not None:
        base = [w if c.session == known.truth else 0.0 for w, c in zip(base, weights.rows, strict=True)]
        signals = {i: by_kind for i, by_kind in signals.items() if weights.rows[i].session == known.truth}
        nobody = nobody if known.truth == "" else 0.0
    total = sum(base) + sum(sum(by_kind.values()) for by_kind in signals.values()) + nobody
    if total <= 0.0:
        return
    tally.calls += 1.0
    tally.nobody += nobody / total
    if call.region:
        tally.regions[call.region] = tally.regions.get(call.region, 0.0) + 1.0
    for i, c in enumerate(weights.rows):
        _count_candidate(tally, call, c, base[i] / total, signals.get(i), total)
    _count_region(tally, call, weights.rows, base, signals, total, model)


def _count_showings(tally: _Tally, showings: Sequence[Shown]) -> None:
    """Who is still there at which age, and on what, among all that were shown a number."""
    stays = [0] * (BINS + 1)
    for shown in showings:
        stays[bin_of(shown.stay)] += 1
        tally.devices[shown.device] = tally.devices.get(shown.device, 0.0) + 1.0
    longer = 0
    for b in range(BINS - 1, -1, -1):
        tally.still_on[b] += longer + stays[b] / 2
        longer += stays[b]
    tally.showings += len(showings)


def _redialled(known: KnownCall) -> bool:
    """A caller with a history tells when people redial, not when visitors ring."""
    return bool(known.call.caller) and known.truth is None and bool(known.history.calls)


def _count_candidate(
    tally: _Tally, call: CallFacts, c: Candidate, share: float, by_kind: dict[str, float] | None, total: float
) -> None:
    b = bin_of(call.at - c.shown_at)
    tally.delays[b] += share
    if on_page(c, call.at):
        tally.callers_on[b] += share
    tally.device_callers[c.device] = tally.device_callers.get(c.device, 0.0) + share
    for kind, weight in (by_kind or {}).items():
        since = call.at - max(s.at for s in c.signals if s.kind == kind and s.at <= call.at)
        bins = tally.signal_delays.setdefault(kind, [0.0] * BINS)
        bins[bin_of(since)] += weight / total


def _count_region(
    tally: _Tally,
    call: CallFacts,
    rows: Sequence[Candidate],
    base: Sequence[float],
    signals: Mapping[int, Mapping[str, float]],
    total: float,
    model: DelayModel,
) -> None:
    if not call.region:
        return
    for i, c in enumerate(rows):
        if c.region:
            share = (base[i] + sum(signals.get(i, {}).values())) / total
            tally.comparable += share
            if c.region == call.region:
                tally.agreeing += share * model.agreement(call.region)
