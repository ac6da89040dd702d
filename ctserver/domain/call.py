"""The call state machine: what a caller lived, from the events of his channel and its legs. Every transition lives in
TRANSITIONS.

Events may come twice, late or not at all; an event that says nothing new returns the very same call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ctserver.domain.model import NOBODY, Attribution

ARRIVED, RINGING, TALKING, ENDED = "arrived", "ringing", "talking", "ended"
ANSWERED, MISSED = "answered", "missed"
UNKNOWN = "unknown"  # the reason of a call whose end nobody saw
_EPOCH = re.compile(r"(?:.*-)?(\d{9,10})\.\d+$")  # in a Uniqueid: [systemname-]1700000000.12


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's part of a call: a channel that was dialled for it."""

    uniqueid: str
    channel: str
    started_at: int
    ringing_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    status: str = ""  # Asterisk's DIALSTATUS of this leg
    cause: int | None = None  # Q.850 hangup cause


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the caller lived it. Key: (pbx, linkedid)."""

    id: str
    pbx: str
    linkedid: str
    uniqueid: str
    channel: str
    did: str
    caller: str
    caller_name: str
    arrived_at: int
    state: str = ARRIVED
    line: str = ""
    routed_by: str = ""  # ctserver | script | memory | default: who chose the line
    site: str = ""
    ringing_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    outcome: str = ""
    reason: str = ""
    hangup_cause: int | None = None
    answered_by: str = ""
    caller_gave_up: bool = False
    dial_status: str = ""
    legs: tuple[Leg, ...] = ()
    attribution: Attribution = field(default=NOBODY)


# ---- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the call `linkedid`, at epoch milliseconds `at`."""

    linkedid: str
    at: int


@dataclass(frozen=True, slots=True)
class Arrived(Event):
    """The caller's channel reached one of our contexts."""

    uniqueid: str
    channel: str
    did: str
    caller: str
    caller_name: str


@dataclass(frozen=True, slots=True)
class Routed(Event):
    """The dialplan knows the line."""

    did: str
    line: str
    routed_by: str


@dataclass(frozen=True, slots=True)
class LegStarted(Event):
    leg: str
    channel: str


@dataclass(frozen=True, slots=True)
class LegRinging(Event):
    leg: str


@dataclass(frozen=True, slots=True)
class LegDone(Event):
    """Dialling a leg has ended: ANSWER, CANCEL, BUSY, NOANSWER, CONGESTION, CHANUNAVAIL, ..."""

    leg: str
    status: str


@dataclass(frozen=True, slots=True)
class LegHungUp(Event):
    leg: str
    cause: int


@dataclass(frozen=True, slots=True)
class CallerGaveUp(Event):
    """The caller's side asked to hang up."""


@dataclass(frozen=True, slots=True)
class Closing(Event):
    """The hangup handler's last facts, for what nobody saw happen: the line rang from `rang_at`, answered at
    `answered_at` on the channel `answered_by`."""

    line: str
    dial_status: str
    cause: int
    rang_at: int | None = None
    answered_at: int | None = None
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class CallerHungUp(Event):
    """The caller's channel is gone: the call is over."""

    cause: int


@dataclass(frozen=True, slots=True)
class Vanished(Event):
    """The PBX no longer knows this call, and nobody saw it end."""


def birth(uniqueid: str) -> int | None:
    """When a channel was made, in epoch milliseconds (to the second), from its Uniqueid."""
    found = _EPOCH.match(uniqueid)
    return int(found.group(1)) * 1000 if found else None


# ---- transitions


def advance(call: Call, event: Event) -> Call:
    """The call after `event`; the same object if nothing changed. Never raises on what a PBX may say."""
    step = TRANSITIONS.get((call.state, type(event)))
    changed = step(call, event) if step else call
    return call if changed == call else changed


def begin(event: Arrived, *, id: str, pbx: str, site: str = "", line: str = "") -> Call:
    """A new call."""
    return Call(
        id=id,
        pbx=pbx,
        linkedid=event.linkedid,
        uniqueid=event.uniqueid,
        channel=event.channel,
        did=event.did,
        caller=event.caller,
        caller_name=event.caller_name,
        arrived_at=event.at,
        site=site,
        line=line,
    )


def _routed(call: Call, event: Routed) -> Call:
    return replace(call, line=event.line or call.line, routed_by=event.routed_by)


def again(call: Call) -> Call:
    """A call that was closed as vanished, open again for what its end was in truth."""
    state = TALKING if call.answered_at is not None else RINGING if call.ringing_at is not None else ARRIVED
    return replace(call, state=state, ended_at=None, outcome="", reason="")


def _leg_started(call: Call, event: LegStarted) -> Call:
    if _leg(call, event.leg):
        return call
    return replace(call, legs=(*call.legs, Leg(event.leg, event.channel, event.at)))


def _leg_ringing(call: Call, event: LegRinging) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.ringing_at is not None or leg.answered_at is not None:
        return call
    call = _with_leg(call, replace(leg, ringing_at=event.at))
    if call.ringing_at is None:
        call = replace(call, ringing_at=event.at)
    return replace(call, state=RINGING) if call.state == ARRIVED else call


def _leg_done(call: Call, event: LegDone) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.status:
        return call
    if event.status != "ANSWER":
        return _with_leg(call, replace(leg, status=event.status, ended_at=event.at))
    leg = replace(leg, status="ANSWER", answered_at=event.at, ringing_at=leg.ringing_at or event.at)
    call = _with_leg(call, leg)
    if call.state == TALKING:
        return replace(call, answered_by=leg.channel) if call.answered_by.startswith("Local/") else call
    ringing_at = event.at if call.ringing_at is None else call.ringing_at
    return replace(call, state=TALKING, answered_at=event.at, ringing_at=ringing_at, answered_by=leg.channel)


def _leg_hung_up(call: Call, event: LegHungUp) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.cause is not None:
        return call
    return _with_leg(call, replace(leg, cause=event.cause, ended_at=leg.ended_at or event.at))


def _caller_gave_up(call: Call, event: CallerGaveUp) -> Call:
    return call if call.caller_gave_up else replace(call, caller_gave_up=True)


def _closing(call: Call, event: Closing) -> Call:
    call = replace(call, line=call.line or event.line, dial_status=event.dial_status, hangup_cause=event.cause or None)
    if call.ringing_at is None and event.rang_at is not None:
        call = replace(call, ringing_at=max(event.rang_at, call.arrived_at))
    if call.answered_at is not None or event.answered_at is None:
        return call
    answered_at = max(event.answered_at, call.arrived_at)
    ringing_at = answered_at if call.ringing_at is None else call.ringing_at
    call = _answered_by(call, event.answered_by, ringing_at, answered_at)
    return replace(call, state=TALKING, ringing_at=ringing_at, answered_at=answered_at, answered_by=event.answered_by)


def _answered_by(call: Call, channel: str, ringing_at: int, answered_at: int) -> Call:
    """The leg on which somebody answered unseen; one that nobody saw begin has its channel's name for an id."""
    known = next((leg for leg in call.legs if leg.channel == channel), None)
    if known:
        return _with_leg(call, replace(known, status="ANSWER", answered_at=answered_at))
    leg = Leg(channel, channel, ringing_at, ringing_at, answered_at, status="ANSWER")
    return replace(call, legs=(*call.legs, leg)) if channel else call


def _ended(call: Call, event: CallerHungUp) -> Call:
    cause = call.hangup_cause if call.hangup_cause is not None else event.cause
    call = replace(call, state=ENDED, ended_at=_not_before(call, event.at), hangup_cause=cause)
    outcome, reason = judge(call)
    return replace(call, outcome=outcome, reason=reason)


def _vanished(call: Call, event: Vanished) -> Call:
    outcome = ANSWERED if call.answered_at is not None else MISSED
    return replace(call, state=ENDED, ended_at=_not_before(call, event.at), outcome=outcome, reason="unknown")


def _not_before(call: Call, at: int) -> int:
    """A clock may be put back in the middle of a call."""
    return max(at, call.arrived_at, call.ringing_at or 0, call.answered_at or 0)


_Step = Callable[[Call, Any], Call]

_ALIVE: dict[type[Event], _Step] = {
    Routed: _routed,
    LegStarted: _leg_started,
    LegRinging: _leg_ringing,
    LegDone: _leg_done,
    LegHungUp: _leg_hung_up,
    CallerGaveUp: _caller_gave_up,
    Closing: _closing,
    CallerHungUp: _ended,
    Vanished: _vanished,
}

TRANSITIONS: dict[tuple[str, type[Event]], _Step] = {
    **{(state, event): step for state in (ARRIVED, RINGING, TALKING) for event, step in _ALIVE.items()},
    (ENDED, LegHungUp): _leg_hung_up,
}


# ---- why it ended so

_UNREACHABLE = {"CHANUNAVAIL"}
_CAUSES = {  # Q.850
    1: "unreachable",
    3: "unreachable",
    17: "busy",
    18: "no_answer",
    19: "no_answer",
    20: "unreachable",
    21: "rejected",
    22: "unreachable",
    27: "unreachable",
    34: "congestion",
    38: "broken",
    41: "broken",
    42: "congestion",
    58: "failed",
    88: "failed",
}


def judge(call: Call) -> tuple[str, str]:
    """(outcome, reason) of an ended call, by the strongest evidence first.

    Reasons: completed | abandoned (the caller gave up while it rang) | abandoned_early (before anything rang) | busy |
    rejected | no_answer | unreachable | congestion | broken | failed.
    """
    if call.answered_at is not None:
        return ANSWERED, "completed"
    statuses = [leg.status for leg in call.legs if leg.status]
    if call.caller_gave_up or _cancelled(call, statuses):
        return MISSED, "abandoned" if call.ringing_at is not None else "abandoned_early"
    return MISSED, _unanswered(call, statuses)


def _cancelled(call: Call, statuses: list[str]) -> bool:
    """Did the caller cancel? A leg inside a Local channel is cancelled too when the leg around it rings out."""
    if call.dial_status:
        return call.dial_status == "CANCEL"
    return "CANCEL" in statuses and "NOANSWER" not in statuses


def _unanswered(call: Call, statuses: list[str]) -> str:
    status = call.dial_status or (statuses[-1] if statuses else "")
    causes = [leg.cause for leg in call.legs if leg.cause] or ([call.hangup_cause] if call.hangup_cause else [])
    named = [_CAUSES[cause] for cause in causes if cause in _CAUSES]
    if status == "BUSY":
        return "busy"
    if status in _UNREACHABLE:
        return "unreachable"
    if status == "CONGESTION":
        return named[-1] if named and named[-1] != "no_answer" else "congestion"
    if status == "NOANSWER":
        return "no_answer" if not named or _rang_out(call) else named[-1]
    if not call.legs and not status:
        return named[-1] if named else "abandoned_early"
    return named[-1] if named else "no_answer"


def _rang_out(call: Call) -> bool:
    """Did one of the phones ring to the end, with no cause of its own?"""
    phones = [leg for leg in call.legs if not leg.channel.startswith("Local/")] or call.legs
    return any(leg.status == "NOANSWER" and leg.cause is not None and leg.cause not in _CAUSES for leg in phones)


def _leg(call: Call, uniqueid: str) -> Leg | None:
    return next((leg for leg in call.legs if leg.uniqueid == uniqueid), None)


def _with_leg(call: Call, changed: Leg) -> Call:
    return replace(call, legs=tuple(changed if leg.uniqueid == changed.uniqueid else leg for leg in call.legs))
