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
from ctserver.domain.clock import DAY_MS, SECOND_MS
from ctserver.domain.delay import BINS, SIGNAL_CALLS, STALE_MS, Counts, DelayModel, bin_of


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


def seen_between(candidates: Iterable[Candidate], since: int, until: int, numbers: int) -> Seen:
    """Count `Seen` from showings, as they stand at `until`; the same rules as attribution's say what a signal is.

    `candidates` are those shown or active in [since, until), of any number; `numbers` those of the pool in service.
    """
    showings: list[Shown] = []
    signals: dict[str, int] = {}
    for c in candidates:
        if since <= c.shown_at < until:
            open_until = c.left_at if c.left_at is not None else c.last_seen_at + STALE_MS
            showings.append(Shown(max(0, open_until - c.shown_at), c.device))
        for s in c.signals:
            if since <= s.at < until and not (s.kind == "hidden" and _only_left(c, s.at)):
                signals[s.kind] = signals.get(s.kind, 0) + 1
    return Seen(tuple(showings), signals, numbers * (until - since) / DAY_MS)


def _only_left(c: Candidate, hidden_at: int) -> bool:
    """A page hides in being left; desktops hide a page whenever another tab is opened."""
    return c.device == "desktop" or (c.left_at is not None and c.left_at - hidden_at < SECOND_MS)


def learn(model: DelayModel, calls: Iterable[KnownCall], seen: Seen | None = None, *, fade: float = 1.0) -> DelayModel:
    """A new model: what `model` knows, plus these calls. `fade` < 1 lets what was learnt before count for less."""
    lesson = Lesson(model, fade)
    lesson.add(calls)
    return lesson.learnt(seen or Seen())


class Lesson:
    """`learn` in parts, for those who have other work to do between."""

    def __init__(self, model: DelayModel, fade: float = 1.0) -> None:
        self._model, self._tally = model, _Tally.of(model.counts, fade)

    def add(self, calls: Iterable[KnownCall]) -> None:
        for known in calls:
            _count(self._tally, known, self._model)

    def learnt(self, seen: Seen) -> DelayModel:
        """The new model; the lesson is over."""
        tally = self._tally
        for kind in SIGNAL_CALLS:
            tally.signals[kind] = tally.signals.get(kind, 0.0) + seen.signals.get(kind, 0)
        _count_showings(tally, seen.showings)
        tally.number_days += seen.number_days
        return replace(self._model, counts=tally.frozen())


@dataclass(slots=True)
class _Tally:
    """`Counts` while being added to."""

    calls: float
    callers_by_device: dict[str, list[float]]
    callers_on: dict[str, list[float]]
    shown: dict[str, float]
    still_on: dict[str, list[float]]
    signal_delays: dict[str, list[float]]
    signals: dict[str, float]
    number_days: float
    nobody: float
    regions: dict[str, float]
    agreeing: float
    comparable: float

    @classmethod
    def of(cls, c: Counts, fade: float) -> _Tally:
        def scaled(counts: Mapping[str, float]) -> dict[str, float]:
            return {key: n * fade for key, n in counts.items()}

        def binned(counts: Mapping[str, tuple[float, ...]]) -> dict[str, list[float]]:
            return {key: [n * fade for n in bins] for key, bins in counts.items()}

        return cls(
            calls=c.calls * fade,
            callers_by_device=binned(c.callers_by_device),
            callers_on=binned(c.callers_on),
            shown=scaled(c.shown),
            still_on=binned(c.still_on),
            signal_delays=binned(c.signal_delays),
            signals=scaled(c.signals),
            number_days=c.number_days * fade,
            nobody=c.nobody * fade,
            regions=scaled(c.regions),
            agreeing=c.agreeing * fade,
            comparable=c.comparable * fade,
        )

    def frozen(self) -> Counts:
        return Counts(
            calls=self.calls,
            callers_by_device=_tuples(self.callers_by_device),
            callers_on=_tuples(self.callers_on),
            shown=self.shown,
            still_on=_tuples(self.still_on),
            signal_delays=_tuples(self.signal_delays),
            signals=self.signals,
            number_days=self.number_days,
            nobody=self.nobody,
            regions=self.regions,
            agreeing=self.agreeing,
            comparable=self.comparable,
        )


def _tuples(counts: Mapping[str, list[float]]) -> dict[str, tuple[float, ...]]:
    return {key: tuple(bins) for key, bins in counts.items()}


def _row(counts: dict[str, list[float]], key: str) -> list[float]:
    return counts.setdefault(key, [0.0] * BINS)


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
    stays: dict[str, list[float]] = {}
    for shown in showings:
        _row(stays, shown.device)[bin_of(shown.stay)] += 1.0
    for device, ended in stays.items():
        still_on = _row(tally.still_on, device)
        longer = 0.0
        for b in range(BINS - 1, -1, -1):
            still_on[b] += longer + ended[b] / 2
            longer += ended[b]
        tally.shown[device] = tally.shown.get(device, 0.0) + longer


def _redialled(known: KnownCall) -> bool:
    """A caller with a history tells when people redial, not when visitors ring."""
    return bool(known.call.caller) and known.truth is None and bool(known.history.calls)


def _count_candidate(
    tally: _Tally, call: CallFacts, c: Candidate, share: float, by_kind: dict[str, float] | None, total: float
) -> None:
    b = bin_of(call.at - c.shown_at)
    _row(tally.callers_by_device, c.device)[b] += share
    if on_page(c, call.at):
        _row(tally.callers_on, c.device)[b] += share
    for kind, weight in (by_kind or {}).items():
        since = call.at - max(s.at for s in c.signals if s.kind == kind and s.at <= call.at)
        _row(tally.signal_delays, kind)[bin_of(since)] += weight / total


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
