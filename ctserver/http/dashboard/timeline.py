"""What happened on one call, in words and as bars: one for the caller, one for each phone that was rung."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ctserver.domain import call as machine
from ctserver.domain import times
from ctserver.domain.call import Call, Leg, Step
from ctserver.domain.words import N_
from ctserver.language import gettext as _
from ctserver.storage.db import Row

MAX_BARS = 12

ROUTED_BY = {
    "script": N_("ctserver was away; its database decided"),
    "memory": N_("ctserver was away; the last known line"),
    "default": N_("ctserver was away; the default line"),
}
STATUSES = {
    "BUSY": N_("%(party)s was busy"),
    "CONGESTION": N_("%(party)s had all lines busy"),
    "CHANUNAVAIL": N_("%(party)s could not be reached"),
}
STAGES = {
    "greeting": N_("The caller heard the greeting"),
    "menu": N_("The caller reached the menu"),
    "hours": N_("The line was closed; the caller was told so"),
    "voicemail": N_("The caller reached voicemail"),
    "blocked": N_("The caller is blocked"),
    "visitor": N_("The visitor was called"),
}
HANDS = {  # steps with a party, and with what it did
    "queued": ("note", N_("The caller joined the queue %(detail)s")),
    "hold": ("pause", N_("%(party)s put the caller on hold")),
    "unhold": ("talking", N_("%(party)s took the caller back")),
    "transfer": ("routed", N_("%(party)s forwarded the caller to %(detail)s")),
    "attended": ("routed", N_("%(party)s put the caller through to %(other)s")),
    "pickup": ("answered", N_("%(other)s took the call that rang at %(party)s")),
    "forward": ("routed", N_("%(party)s forwards calls to %(detail)s")),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the time line. `offset` is seconds after the arrival, `tone` plain | ok | warn | bad."""

    at: int
    offset: int
    kind: str
    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar, in percent of the whole call. `what`: waited | menu | rang | talked | held."""

    start: float
    width: float
    what: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One party's way through the call; "" is the caller."""

    party: str
    pieces: tuple[Piece, ...]


# ---- in words


def moments(call: Call, line_name: str, pauses: Sequence[Row] = ()) -> list[Moment]:
    """Everything worth telling, in order; `pauses` of its recording."""
    found = [*_arrival(call, line_name), *_rings(call), *_steps(call), *_pauses(pauses), *_end(call)]
    return [
        Moment(at, max(0, at - call.arrived_at) // 1000, kind, text, tone)
        for at, kind, text, tone in sorted(found, key=lambda one: one[0])
    ]


_Told = tuple[int, str, str, str]


def _pauses(pauses: Sequence[Row]) -> Iterator[_Told]:
    for row in pauses:
        yield row["began_at"], "pause", _("%(login)s paused the recording") % {"login": row["login"]}, "plain"
        if row["resumed_by"]:
            told = _("%(login)s resumed the recording") % {"login": row["resumed_by"]}
            yield row["ended_at"], "recording", told, "plain"
        elif row["ended_at"] is not None and row["until"] is not None and row["ended_at"] >= row["until"]:
            yield row["ended_at"], "recording", _("The recording resumed by itself"), "plain"


def _arrival(call: Call, line_name: str) -> Iterator[_Told]:
    arrived = (
        _("We called the visitor back, the company first") if call.routed_by == "callback" else _("The call arrived")
    )
    yield call.arrived_at, "arrived", arrived, "plain"
    if line_name:
        put, routed = _("Put through to %(line)s") % {"line": line_name}, _(ROUTED_BY.get(call.routed_by, ""))
        at = min([leg.started_at for leg in call.legs] + [step.at for step in call.steps], default=call.arrived_at)
        yield max(call.arrived_at, at), "routed", f"{put} ({routed})" if routed else put, "plain"


def _rings(call: Call) -> Iterator[_Told]:
    """Each party's first ring with the number of them all, its answer, and why it did not."""
    for party, legs in _parties(call).items():
        rings = [leg.ringing_at for leg in legs if leg.ringing_at is not None and leg.ringing_at != leg.answered_at]
        if rings:
            rang = _("%(party)s rang") if len(rings) == 1 else _("%(party)s rang, %(times)s times in all")
            yield min(rings), "ringing", rang % {"party": party, "times": len(rings)}, "plain"
        for leg in legs:
            if leg.answered_at is not None:
                yield leg.answered_at, "answered", _("%(party)s answered") % {"party": party}, "ok"
        last = legs[-1]
        if last.ended_at is not None and (text := _refusal(last)):
            yield last.ended_at, "note", text % {"party": party}, "warn"


def _refusal(leg: Leg) -> str:
    if leg.answered_at is not None or leg.status in ("", "CANCEL", "FORWARD", "ANSWER"):
        return ""
    if leg.cause == 21:
        return _("%(party)s declined the call")
    return _(STATUSES.get(leg.status, "")) or _("%(party)s did not answer")


def _steps(call: Call) -> Iterator[_Told]:
    names = {leg.uniqueid: _party(leg) for leg in call.legs}
    others = {leg.channel: _party(leg) for leg in call.legs}
    gone = {(step.at // 100, step.leg) for step in call.steps if step.kind in ("transfer", "attended")}
    for step in call.steps:
        if step.kind == "unhold" and (step.at // 100, step.leg) in gone:
            continue  # on the way to the next party
        if step.kind in STAGES:
            yield step.at, "note", _(STAGES[step.kind]), "plain"
        elif step.kind in HANDS:
            kind, text = HANDS[step.kind]
            other = others.get(step.detail) or _device(step.detail)
            words = {"party": names.get(step.leg, _("Somebody")), "detail": step.detail, "other": other}
            yield step.at, kind, _(text) % words, "plain"


def _end(call: Call) -> Iterator[_Told]:
    if call.ended_at is None:
        return
    bad = "bad" if call.outcome == machine.MISSED else "plain"
    if call.voicemail:
        message = _("The caller left a message of %(seconds)s s") % {"seconds": call.message_seconds}
        yield call.ended_at - call.message_seconds * 1000, "recording", message, "ok"
    yield call.ended_at, "ended", _farewell(call), bad


def _farewell(call: Call) -> str:
    if call.reason == "visitor_away":
        return _("The visitor did not answer")
    if call.outcome == machine.MISSED and call.hung_up_by == machine.CALLER and not call.voicemail:
        return _("The caller gave up")
    if call.reason == machine.UNKNOWN:
        return _("The end of the call was not seen")
    return {
        machine.CALLER: _("The caller hung up"),
        machine.COMPANY: _("The company hung up"),
        machine.NETWORK: _("The connection was lost"),
    }.get(call.hung_up_by, _("The call ended"))


def _parties(call: Call) -> dict[str, list[Leg]]:
    """The legs of each party, in the order in which they came; the PBX's own dialplan only where there is nothing else."""
    found: dict[str, list[Leg]] = {}
    for leg in [leg for leg in call.legs if not leg.local] or call.legs:
        found.setdefault(_party(leg), []).append(leg)
    return found


def _party(leg: Leg) -> str:
    return leg.name or _device(leg.channel)


def _device(channel: str) -> str:
    """PJSIP/100-0000002a -> 100."""
    device = channel.rpartition("-")[0] or channel
    return device.partition("/")[2] or device


# ---- as bars


def bars(call: Call, now: int) -> list[Bar]:
    """The caller's bar and those of the first parties; [] for a call that took no time."""
    end = call.ended_at if call.ended_at is not None else now
    whole = end - call.arrived_at
    if whole <= 0:
        return []

    def piece(since: int, until: int, what: str) -> Piece | None:
        start, stop = (min(100.0, max(0.0, 100 * (at - call.arrived_at) / whole)) for at in (since, until))
        return Piece(round(start, 2), round(max(stop - start, 0.6), 2), what) if stop >= start else None

    found = [Bar("", _pieces(piece, _of_caller(call, end)))]
    for party, legs in list(_parties(call).items())[:MAX_BARS]:
        spans = [span for leg in legs for span in _of_leg(leg, call.steps, end)]
        if pieces := _pieces(piece, spans):
            found.append(Bar(party, pieces))
    return found


_Span = tuple[int, int, str]


def _pieces(piece: Callable[[int, int, str], Piece | None], spans: list[_Span]) -> tuple[Piece, ...]:
    return tuple(made for span in spans if (made := piece(*span)))


def _of_caller(call: Call, end: int) -> list[_Span]:
    answered = call.answered_at if call.answered_at is not None else end
    listened = [(since, until, "menu") for since, until in times.listened(call, answered)]
    spans = [(call.arrived_at, answered, "waited"), *listened]
    for leg in [leg for leg in call.legs if not leg.local] or call.legs:
        spans += [span for span in _of_leg(leg, call.steps, end) if span[2] != "rang"]
    return spans if call.legs or call.answered_at is None else [*spans, (answered, end, "talked")]


def _of_leg(leg: Leg, steps: tuple[Step, ...], end: int) -> list[_Span]:
    until = leg.ended_at if leg.ended_at is not None else end
    spans: list[_Span] = []
    if leg.ringing_at is not None:
        spans.append((leg.ringing_at, leg.answered_at if leg.answered_at is not None else until, "rang"))
    if leg.answered_at is not None:
        spans.append((leg.answered_at, until, "talked"))
        spans += [(since, back, "held") for since, back in times.held(leg, steps, end)]
    return spans
