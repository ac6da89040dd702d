"""Whose call is this, how do we know, and how sure are we. Bayes' rule over everybody who was shown the number.

Every showing of the called number, and "nobody we know", is a source of calls with some intensity (calls per ms, from
`delay.DelayModel`). A call at time t then belongs to showing i with the probability

    P(i | call) = w_i / (w_nobody + sum of all w_j)

    w_i = region_i * again_i * base(age_i, state_i, device_i)
          + region_i * sum over its signals of P(call | kind) * g_kind(t - at)
          + h_i
    h_i = share of the caller's history: if this caller's number rang before and that call was i's with probability p,
          h_i = k * p / (1 - k * p) * (w_nobody + sum of all w_j without signals),  k = TRUST_HISTORY

computed from logarithms and normalised by the largest. Properties the tests hold: total (any input has an answer),
deterministic, the probabilities sum to 1, a tap never lowers its candidate (taps only add to w_i, and to nothing else),
and candidates of other numbers do not matter.

Pure: `now` is the call's own time. Not here: how the rates are learnt (`learning`), plain words (`reasons`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from math import exp, log

from ctserver.domain import model as nouns
from ctserver.domain.clock import DAY_MS, MINUTE_MS
from ctserver.domain.delay import PUBLISHED, STALE_MS, DelayModel
from ctserver.domain.model import Source
from ctserver.domain.reasons import Reason, explain

NOBODY = ""
"""The key of "nobody we know" among the probabilities."""

TRUST_HISTORY = 0.97
"""P(the same caller's number is still the same person). Ours; offices share numbers."""

AGAIN = 0.1
"""How much likelier to be new callers are those who have not rung yet, the other way round. Ours."""

EXACT_AT = 0.9
"""From here on a call is `exact`, if nobody else was shown the number within EXACT_ALONE_MS."""

EXACT_ALONE_MS = 30 * MINUTE_MS
"""The trade's hold (more than 90 % of callers ring within half an hour)."""

LIKELY_AT = 0.5
"""From here on a session stands out; below, the answer is `ambiguous` and names the best guess."""

NAMED_AT = 0.05
"""Below this, when nobody we know is likelier, a best guess is no better than none."""

RUNNERS_UP = 4
WORTH_NAMING = 0.001
"""Runners-up are the likeliest four others, if they are likelier than this."""

SIGNAL_LIFE_MS = DAY_MS
"""Signals older than this are not looked at: nobody needs a day to dial. Ours."""


@dataclass(frozen=True, slots=True)
class SignalAt:
    """What a visitor did: revealed, tapped, copied, hidden (page hidden); other kinds are ignored. `at` in epoch ms."""

    kind: str
    at: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One showing of a number to a session, as known when the call came. Times in epoch ms.

    `left_at` None means no farewell was received. `last_call_at`: a call was already credited to this session
    then, with `last_call_confidence`. `visitor` lets a returning caller be found under a new session.
    """

    session: str
    number: str
    shown_at: int
    last_seen_at: int
    left_at: int | None = None
    signals: tuple[SignalAt | nouns.Signal, ...] = ()
    region: str = ""
    device: str = ""
    source: Source | None = None
    last_call_at: int | None = None
    last_call_confidence: float = 1.0
    visitor: str = ""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The call. `caller` is "" when withheld; `region` that of the caller's number, "" when unknown.

    `static` is the source named by the number itself, for numbers outside pools.
    """

    number: str
    at: int
    caller: str
    region: str = ""
    static: Source | None = None


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """A call from the same caller's number, and what was made of it. `visitor` as in `Candidate`."""

    at: int
    session: str
    confidence: float
    visitor: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class CallerHistory:
    """Earlier calls of this caller's number to this site, within the site's window, any order."""

    calls: tuple[EarlierCall, ...] = ()

    def best(self) -> EarlierCall | None:
        """The latest of those nearly as sure as the surest."""
        if not self.calls:
            return None
        surest = max(c.confidence for c in self.calls)
        return max((c for c in self.calls if c.confidence >= 0.8 * surest), key=lambda c: c.at)


NO_HISTORY = CallerHistory()


@dataclass(frozen=True, slots=True)
class Answer:
    """Whose call it is. `probabilities` holds every candidate session and NOBODY, and sums to 1.

    `kind`: static, exact, tapped, likely, repeat, ambiguous, none. `session` is the best guess, None for static and
    none. `confidence` is the probability of `session`; for static 1, for none 0. `evidence` is the part of `session`'s
    weight by component ("base", a signal kind, "history"), summing to 1.
    """

    kind: str
    session: str | None
    confidence: float
    reason: Reason
    probabilities: Mapping[str, float]
    runners_up: tuple[tuple[str, float], ...] = ()
    source: Source | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)

    def attribution(self) -> nouns.Attribution:
        """The same in the nouns of the journal, with the reason in English."""
        return nouns.Attribution(self.kind, self.confidence, self.session, self.source, explain(self.reason))


@dataclass(slots=True)
class Weights:
    """The candidates of the called number and their log weights; `learning` reads them too.

    `base[i]` includes region and earlier calls; `signals` maps the few i that have live signals to {kind: log weight}.
    """

    rows: list[Candidate]
    base: list[float]
    signals: dict[int, dict[str, float]]
    nobody: float


def on_page(c: Candidate, at: int) -> bool:
    """Is the page still open at that time, as far as we can know?"""
    return (c.left_at is None or c.left_at > at) and at - c.last_seen_at < STALE_MS


def weigh(call: CallFacts, candidates: Sequence[Candidate], model: DelayModel) -> Weights:
    """Log intensities at the moment of the call. The one loop that must be fast: it sees all showings of the number."""
    number, at = call.number, call.at
    log_on, log_left = model.log_on, model.log_left
    regions, elsewhere = _region_table(call, model)
    rows: list[Candidate] = []
    base: list[float] = []
    signals: dict[int, dict[str, float]] = {}
    for c in candidates:
        age = at - c.shown_at
        if age < 0 or c.number != number:
            continue
        left_at = c.left_at
        there = at - c.last_seen_at < STALE_MS and (left_at is None or left_at > at)
        table = log_on if there else log_left
        factor = regions.get(c.region, elsewhere)
        weight = factor + (table.get(c.device) or table[""])[(age * age).bit_length()]
        for s in c.signals:
            if at - s.at < SIGNAL_LIFE_MS:
                live = _signal_logs(c, at, there, model, factor)
                if live:
                    signals[len(rows)] = live
                break
        if c.last_call_at is not None and call.caller:
            weight += _again_log(c, c.last_call_at, at)
        rows.append(c)
        base.append(weight)
    return Weights(rows, base, signals, model.log_nobody)


def _region_table(call: CallFacts, model: DelayModel) -> tuple[dict[str, float], float]:
    """The factors of the regions that differ from the rest, and that of the rest."""
    if not call.region:
        return {}, 0.0
    same, other = model.region_logs(call.region)
    return {call.region: same, "": 0.0}, other


def _again_log(c: Candidate, last_call_at: int, at: int) -> float:
    """A session whose call is explained is less likely to be the next caller's; a withheld number may be the same."""
    return log(1.0 - (1.0 - AGAIN) * min(1.0, max(0.0, c.last_call_confidence))) if last_call_at <= at else 0.0


def _signal_logs(c: Candidate, at: int, there: bool, model: DelayModel, factor: float) -> dict[str, float]:
    """Log weight by kind of the signals given before the call and not explained by an earlier one.

    A page that hides and is then left was hidden in leaving; on a desktop it only means another tab.
    """
    sums: dict[str, float] = {}
    for s in c.signals:
        since = at - s.at
        table = model.signal.get(s.kind)
        if table is None or not 0 <= since < SIGNAL_LIFE_MS:
            continue
        if s.kind == "hidden" and (not there or c.device == "desktop"):
            continue
        part = table[(since * since).bit_length()]
        if c.last_call_at is not None and s.at <= c.last_call_at <= at:
            part *= AGAIN
        sums[s.kind] = sums.get(s.kind, 0.0) + part
    for kind in sums:
        sums[kind] = log(sums[kind]) + factor
    return sums


def attribute(
    call: CallFacts,
    candidates: Sequence[Candidate],
    history: CallerHistory = NO_HISTORY,
    model: DelayModel = PUBLISHED,
    *,
    repeats: bool = True,
) -> Answer:
    """Whose call is this? See the module's head for the rule.

    `repeats` off: a caller's history is not read, every call stands for itself.
    """
    if call.static is not None:
        return Answer("static", None, 1.0, Reason("static"), {NOBODY: 1.0}, source=call.static)
    earlier = history.best() if repeats and call.caller else None
    scored = _score(weigh(call, candidates, model), earlier)
    if scored.best is None:
        return Answer("none", None, 0.0, Reason("no_candidates"), {NOBODY: 1.0})
    return _answer(call, scored, earlier)


@dataclass(slots=True)
class _Scored:
    """Probabilities by session, and what the best one's weight is made of."""

    probabilities: dict[str, float]
    best: str | None
    row: Candidate | None
    parts: dict[str, float]
    rows: list[Candidate]


def _score(weights: Weights, earlier: EarlierCall | None) -> _Scored:
    top = max(weights.base, default=weights.nobody)
    top = max(top, weights.nobody)
    linear = [exp(w - top) for w in weights.base]
    nobody = exp(weights.nobody - top)
    without_signals = sum(linear) + nobody
    signals = {i: {kind: exp(w - top) for kind, w in by_kind.items()} for i, by_kind in weights.signals.items()}
    base_of = {i: linear[i] for i in signals}
    for i, by_kind in signals.items():
        linear[i] += sum(by_kind.values())
    heir, inherited = _inherit(weights.rows, earlier, without_signals)
    total = sum(linear) + nobody + inherited
    probabilities = _by_session(weights.rows, [w / total for w in linear])
    if heir is not None:
        probabilities[heir] = probabilities.get(heir, 0.0) + inherited / total
    best = _likeliest(probabilities)
    row, parts = _parts(best, weights.rows, linear, base_of, signals)
    if heir is not None and heir == best:
        parts["history"] = inherited
    probabilities[NOBODY] = nobody / total
    return _Scored(probabilities, best, row, parts, weights.rows)


def _inherit(rows: list[Candidate], earlier: EarlierCall | None, without_signals: float) -> tuple[str | None, float]:
    """Who inherits the caller's history, and how much weight: the visitor's newer session, or the earlier one."""
    if earlier is None or earlier.session == NOBODY:
        return None, 0.0
    trust = TRUST_HISTORY * min(1.0, max(0.0, earlier.confidence))
    weight = trust / (1.0 - trust) * without_signals
    if earlier.visitor:
        newer = [c for c in rows if c.visitor == earlier.visitor and c.shown_at > earlier.at]
        if newer:
            return max(newer, key=lambda c: (c.shown_at, c.session)).session, weight
    return earlier.session, weight


def _by_session(rows: list[Candidate], shares: list[float]) -> dict[str, float]:
    """A session may have been shown the number more than once."""
    sessions = [c.session for c in rows]
    by_session = dict(zip(sessions, shares, strict=True))
    if len(by_session) == len(sessions):
        return by_session
    by_session = dict.fromkeys(sessions, 0.0)
    for session, share in zip(sessions, shares, strict=True):
        by_session[session] += share
    return by_session


def _likeliest(probabilities: dict[str, float]) -> str | None:
    if not probabilities:
        return None
    shares = list(probabilities.values())
    return list(probabilities)[shares.index(max(shares))]


def _parts(
    best: str | None,
    rows: list[Candidate],
    linear: list[float],
    base_of: dict[int, float],
    signals: dict[int, dict[str, float]],
) -> tuple[Candidate | None, dict[str, float]]:
    """The heaviest showing of the best session, and its weight by component."""
    indices = [i for i, c in enumerate(rows) if c.session == best]
    if not indices:
        return None, {}
    i = max(indices, key=linear.__getitem__)
    return rows[i], {"base": base_of.get(i, linear[i]), **signals.get(i, {})}


def _answer(call: CallFacts, scored: _Scored, earlier: EarlierCall | None) -> Answer:
    probabilities, best = scored.probabilities, scored.best
    assert best is not None
    confidence = min(1.0, probabilities[best])
    runners_up = _runners_up(probabilities, best)
    evidence = _shares(scored.parts)
    main = max(evidence, key=evidence.__getitem__) if evidence else "history"
    if confidence < NAMED_AT and probabilities[NOBODY] > confidence:
        return Answer(
            "none", None, 0.0, Reason("nobody", {"percent": _percent(probabilities[NOBODY])}), probabilities, runners_up
        )
    kind = _kind(call, scored, main, confidence, runners_up, earlier)
    source = scored.row.source if scored.row else None
    if source is None and earlier is not None and earlier.session == best:
        source = earlier.source
    reason = _reason(call, scored.row, main, kind, confidence, earlier)
    return Answer(kind, best, confidence, reason, probabilities, runners_up, source, evidence)


def _runners_up(probabilities: dict[str, float], best: str) -> tuple[tuple[str, float], ...]:
    others = [(s, p) for s, p in probabilities.items() if p > WORTH_NAMING and s not in (best, NOBODY)]
    return tuple(nlargest(RUNNERS_UP, others, key=lambda item: item[1]))


def _shares(parts: dict[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()} if total else {}


def _kind(
    call: CallFacts,
    scored: _Scored,
    main: str,
    confidence: float,
    runners_up: tuple[tuple[str, float], ...],
    earlier: EarlierCall | None,
) -> str:
    if confidence < LIKELY_AT:
        return "ambiguous"
    if main == "tapped":
        return "tapped"
    if main == "history" and earlier is not None and earlier.session == scored.best:
        return "repeat"
    if confidence >= EXACT_AT and main == "base" and _alone(call, scored.rows, runners_up):
        return "exact"
    return "likely"


def _alone(call: CallFacts, rows: list[Candidate], runners_up: tuple[tuple[str, float], ...]) -> bool:
    """Was nobody else shown the number lately? The likeliest others stand for all: the rest are older still."""
    others = {session for session, _ in runners_up}
    return not any(call.at - c.last_seen_at < EXACT_ALONE_MS for c in rows if c.session in others)


def _reason(
    call: CallFacts, row: Candidate | None, main: str, kind: str, confidence: float, earlier: EarlierCall | None
) -> Reason:
    if kind == "ambiguous":
        return Reason("ambiguous", {"percent": _percent(confidence)})
    if main == "history":
        since = call.at - earlier.at if earlier else 0
        return Reason("repeat" if kind == "repeat" else "returned", {"seconds": max(0, since) // 1000})
    assert row is not None
    if main != "base":
        last = max((s.at for s in row.signals if s.kind == main and s.at <= call.at), default=call.at)
        return Reason(main, {"seconds": (call.at - last) // 1000})
    code = "only" if kind == "exact" else "on_page" if on_page(row, call.at) else "left"
    return Reason(code, {"seconds": (call.at - row.shown_at) // 1000})


def _percent(share: float) -> int:
    return round(100 * share)
