"""The call state machine: what a caller lived, from the events of his channel and its legs. Every transition lives in
TRANSITIONS.

Events may come twice, late or not at all; an event that says nothing new returns the very same call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ctserver.domain.events import (
    Arrived,
    CallerGaveUp,
    CallerHungUp,
    Closing,
    Event,
    LegDone,
    LegGaveUp,
    LegHungUp,
    LegNamed,
    LegRinging,
    LegStarted,
    PbxStopped,
    Routed,
    StageReached,
    Stepped,
    Vanished,
)
from ctserver.domain.model import NOBODY, Attribution
from ctserver.domain.verdict import ANSWERED, BLOCKED, MESSAGE_SECONDS, MISSED, judge, network_broke

__all__ = [  # with the events and the outcomes, so that one import is enough
    "ANSWERED",
    "BLOCKED",
    "MISSED",
    "Arrived",
    "Call",
    "CallerGaveUp",
    "CallerHungUp",
    "Closing",
    "Event",
    "Leg",
    "LegDone",
    "LegGaveUp",
    "LegHungUp",
    "LegNamed",
    "LegRinging",
    "LegStarted",
    "PbxStopped",
    "Routed",
    "StageReached",
    "Step",
    "Stepped",
    "Vanished",
    "advance",
    "again",
    "begin",
    "birth",
]

ARRIVED, RINGING, TALKING, ENDED = "arrived", "ringing", "talking", "ended"
CALLER, COMPANY, SYSTEM, NETWORK = "caller", "company", "system", "network"  # who hung up; system: the PBX itself
CALLBACK = "callback"  # routed_by of a call that we placed
_CUT_OFF = ("completed", "abandoned", "abandoned_early", "abandoned_ivr")  # if neither side asked to hang up
STOPPING_MS = 16_000  # Asterisk says that it stops when its channels are gone, or after 15 s without that
MAX_LEGS, MAX_STEPS = 500, 200  # of one call; more is a PBX gone mad, or somebody who waits in a queue all day
UNKNOWN = "unknown"  # the reason of a call whose end nobody saw
_EPOCH = re.compile(r"(?:.*-)?(\d{9,10})\.\d+$")  # in a Uniqueid: [systemname-]1700000000.12


class Leg(Struct, frozen=True):
    """One party's part of a call: a channel that was dialled for it."""

    uniqueid: str
    channel: str
    started_at: int
    ringing_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    status: str = ""  # Asterisk's DIALSTATUS of this leg; FORWARD: the phone sent the call elsewhere
    cause: int | None = None  # Q.850 hangup cause
    name: str = ""  # whose phone it is, as the PBX has it

    @property
    def local(self) -> bool:
        """A piece of the PBX's own dialplan, not a phone."""
        return self.channel.startswith("Local/")


class Step(Struct, frozen=True):
    """Something on the way of a call that is no party's ringing or answering.

    `kind` is a stage that the caller came to (asterisk/variables.py has them), or one of queued (`detail`: the queue), hold,
    unhold (`leg`: who), transfer (blind, `leg` sent the call to extension `detail`), attended (`leg` put it through to the
    channel `detail`), pickup (the channel `detail` took what rang at `leg`), forward (`leg` sends its calls to `detail`).
    """

    at: int
    kind: str
    detail: str = ""
    leg: str = ""


class Call(Struct, frozen=True):
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
    hung_up_by: str = ""  # caller | company | system | network
    queue: str = ""  # the last queue that the caller waited in
    queue_status: str = ""  # Asterisk's QUEUESTATUS
    stage: str = ""  # where in the line the caller was last
    closed: bool = False  # the line was out of hours
    blocked: bool = False  # an unwanted caller
    keys: str = ""  # pressed in menus
    message_seconds: int = 0  # spoken to the voicemail
    legs: tuple[Leg, ...] = ()
    steps: tuple[Step, ...] = ()
    attribution: Attribution = NOBODY

    @property
    def voicemail(self) -> bool:
        """Has the caller left a message?"""
        return self.message_seconds >= MESSAGE_SECONDS


def birth(uniqueid: str) -> int | None:
    """When a channel was made, in epoch milliseconds (to the second), from its Uniqueid."""
    found = _EPOCH.match(uniqueid)
    return int(found.group(1)) * 1000 if found else None


# ---- transitions


def advance(call: Call, event: Event) -> Call:
    """The call after `event`; the same object if nothing changed. Never raises on what a PBX may say."""
    step = TRANSITIONS.get((call.state, type(event)))
    changed = step(call, event) if step else call
    return call if changed is call or changed == call else changed


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
    line = event.line or call.line
    same = (line, event.routed_by) == (call.line, call.routed_by)  # it is told again at the end
    return call if same else replace(call, line=line, routed_by=event.routed_by)


def again(call: Call) -> Call:
    """A call that was closed as vanished, open again for what its end was in truth."""
    state = TALKING if call.answered_at is not None else RINGING if call.ringing_at is not None else ARRIVED
    return replace(call, state=state, ended_at=None, outcome="", reason="")


def _leg_started(call: Call, event: LegStarted) -> Call:
    if _leg(call, event.leg) or len(call.legs) >= MAX_LEGS:
        return call
    leg = Leg(event.leg, event.channel, event.at, name=event.name)
    call = replace(call, legs=(*call.legs, leg))
    return call if leg.local else _not_answered_yet(call)


def _not_answered_yet(call: Call) -> Call:
    """A dialplan had answered (a menu, a queue), which is nobody: now it rings somewhere."""
    if call.state != TALKING or not call.answered_by.startswith("Local/"):
        return call
    return replace(call, state=RINGING if call.ringing_at is not None else ARRIVED, answered_at=None, answered_by="")


def _leg_named(call: Call, event: LegNamed) -> Call:
    leg = _leg(call, event.leg)
    return _with_leg(call, replace(leg, name=event.name)) if leg and event.name else call


def _leg_ringing(call: Call, event: LegRinging) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.ringing_at is not None or leg.answered_at is not None:
        return call
    return replace(
        call,
        legs=_legs_with(call, replace(leg, ringing_at=event.at)),
        ringing_at=event.at if call.ringing_at is None else call.ringing_at,
        state=RINGING if call.state == ARRIVED else call.state,
    )


def _leg_done(call: Call, event: LegDone) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.status:
        return call
    if event.status != "ANSWER":
        return _with_leg(call, replace(leg, status=event.status, ended_at=event.at))
    leg = replace(leg, status="ANSWER", answered_at=event.at, ringing_at=leg.ringing_at or event.at)
    legs = _legs_with(call, leg)
    hung_up_by = "" if call.hung_up_by == COMPANY else call.hung_up_by
    if leg.local and any(not other.local for other in legs):
        return replace(call, legs=legs, hung_up_by=hung_up_by)  # the phones inside it tell whether somebody answered
    if call.state == TALKING:
        answered_by = leg.channel if call.answered_by.startswith("Local/") else call.answered_by
        return replace(call, legs=legs, hung_up_by=hung_up_by, answered_by=answered_by)
    return replace(
        call,
        legs=legs,
        hung_up_by=hung_up_by,
        state=TALKING,
        answered_at=event.at,
        ringing_at=event.at if call.ringing_at is None else call.ringing_at,
        answered_by=leg.channel,
    )


def _leg_hung_up(call: Call, event: LegHungUp) -> Call:
    leg = _leg(call, event.leg)
    if leg is None or leg.cause is not None:
        return call
    return _with_leg(call, replace(leg, cause=event.cause, ended_at=leg.ended_at or event.at))


def _late_leg(call: Call, event: LegHungUp) -> Call:
    """The end of a party that is told after the caller's: all that it may change is that the network ended the call."""
    changed = _leg_hung_up(call, event)
    if call.reason != "completed" or call.hung_up_by != SYSTEM or not network_broke(replace(changed, hung_up_by="")):
        return changed
    return replace(changed, reason="broken", hung_up_by=NETWORK)


def _caller_gave_up(call: Call, event: CallerGaveUp) -> Call:
    return call if call.caller_gave_up else replace(call, caller_gave_up=True, hung_up_by=call.hung_up_by or CALLER)


def _leg_gave_up(call: Call, event: LegGaveUp) -> Call:
    """The company hung up, if nobody else of it is still talking to the caller. In a callback the caller is a leg too:
    the one that answered second."""
    phones = [leg for leg in call.legs if not leg.local] or call.legs
    talking = [leg for leg in phones if leg.answered_at is not None and leg.ended_at is None]
    gone = next((leg for leg in talking if leg.uniqueid == event.leg), None)
    if call.hung_up_by or gone is None:
        return call
    if call.routed_by == CALLBACK:
        return replace(call, hung_up_by=COMPANY if gone.channel == call.answered_by else CALLER)
    return replace(call, hung_up_by=COMPANY) if len(talking) == 1 else call


def _stepped(call: Call, event: Stepped) -> Call:
    step = Step(event.at, event.kind, event.detail, event.leg)
    if step in call.steps or len(call.steps) >= MAX_STEPS or (step.kind == "unhold" and not _on_hold(call, step)):
        return call
    queue = event.detail if event.kind == "queued" else call.queue
    return replace(call, steps=(*call.steps, step), queue=queue)


def _on_hold(call: Call, step: Step) -> bool:
    """Phones also say that they take a caller back whom they never put on hold."""
    earlier = [past for past in call.steps if past.leg == step.leg and past.kind in ("hold", "unhold")]
    return bool(earlier) and max(earlier, key=lambda past: past.at).kind == "hold"


def _stage_reached(call: Call, event: StageReached) -> Call:
    call = _stepped(call, Stepped(event.linkedid, event.at, event.stage))
    return replace(call, stage=event.stage, closed=call.closed or event.stage == "hours")


def _closing(call: Call, event: Closing) -> Call:
    call = replace(
        call,
        line=call.line or event.line,
        dial_status=event.dial_status,
        hangup_cause=event.cause or None,
        stage=event.stage or call.stage,
        closed=call.closed or event.closed,
        blocked=call.blocked or event.blocked,
        keys=event.keys or call.keys,
        message_seconds=event.message_seconds or call.message_seconds,
        queue_status=event.queue_status or call.queue_status,
    )
    if event.stage == "visitor" and event.dial_status != "ANSWER":  # of a callback: the company alone was there
        return replace(call, answered_at=None, answered_by="")
    if call.ringing_at is None and event.rang_at is not None:
        call = replace(call, ringing_at=max(event.rang_at, call.arrived_at))
    if call.answered_at is not None or event.answered_at is None or _only_a_dialplan(call, event.answered_by):
        return call
    answered_at = max(event.answered_at, call.arrived_at)
    ringing_at = answered_at if call.ringing_at is None else call.ringing_at
    call = _answered_by(call, event.answered_by, ringing_at, answered_at)
    return replace(call, state=TALKING, ringing_at=ringing_at, answered_at=answered_at, answered_by=event.answered_by)


def _only_a_dialplan(call: Call, channel: str) -> bool:
    """Dial() takes a queue behind Local/... for an answer; the phones in it were seen, and none of them answered."""
    return channel.startswith("Local/") and any(not leg.local for leg in call.legs)


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
    broken = call.answered_at is not None and network_broke(call)
    return replace(call, outcome=outcome, reason=reason, hung_up_by=NETWORK if broken else call.hung_up_by or SYSTEM)


def _vanished(call: Call, event: Vanished) -> Call:
    if call.answered_at is None and event.spoken_ms:
        answered_at = max(call.arrived_at, call.ringing_at or 0, event.at - event.spoken_ms)
        call = replace(call, answered_at=answered_at, ringing_at=call.ringing_at or answered_at)
    outcome = ANSWERED if call.answered_at is not None else BLOCKED if call.blocked else MISSED
    reason = "blocked" if outcome == BLOCKED else UNKNOWN
    return replace(call, state=ENDED, ended_at=_not_before(call, event.at), outcome=outcome, reason=reason)


def _stopped(call: Call, event: PbxStopped) -> Call:
    """Cut off by it: the call is still there, or the PBX itself has just ended a talk, or the ringing of a phone that it then
    could not reach."""
    if call.state != ENDED:
        outcome = ANSWERED if call.answered_at is not None else BLOCKED if call.blocked else MISSED
        call = replace(call, state=ENDED, ended_at=_not_before(call, event.at), outcome=outcome, reason="completed")
    elif not _cut_off(call, event.at):
        return call
    return replace(call, hung_up_by=SYSTEM, reason="blocked" if call.outcome == BLOCKED else "broken")


def _cut_off(call: Call, at: int) -> bool:
    """Has the PBX, which stopped at `at`, ended this call of itself?"""
    cut = call.reason in _CUT_OFF or (call.reason == "unreachable" and call.ringing_at is not None)
    return cut and call.hung_up_by == SYSTEM and (call.ended_at or 0) >= at - STOPPING_MS


def _not_before(call: Call, at: int) -> int:
    """An end after all that is known to have happened: a clock may be put back in the middle of a call."""
    legs = [moment for leg in call.legs for moment in (leg.started_at, leg.ringing_at, leg.answered_at, leg.ended_at)]
    known = (call.arrived_at, call.ringing_at, call.answered_at, *legs, *(step.at for step in call.steps))
    return max(at, *(moment for moment in known if moment is not None))


_Step = Callable[[Call, Any], Call]

_ALIVE: dict[type[Event], _Step] = {
    Routed: _routed,
    LegStarted: _leg_started,
    LegRinging: _leg_ringing,
    LegDone: _leg_done,
    LegNamed: _leg_named,
    LegGaveUp: _leg_gave_up,
    LegHungUp: _leg_hung_up,
    Stepped: _stepped,
    StageReached: _stage_reached,
    CallerGaveUp: _caller_gave_up,
    Closing: _closing,
    CallerHungUp: _ended,
    Vanished: _vanished,
    PbxStopped: _stopped,
}

TRANSITIONS: dict[tuple[str, type[Event]], _Step] = {
    **{(state, event): step for state in (ARRIVED, RINGING, TALKING) for event, step in _ALIVE.items()},
    (ENDED, LegHungUp): _late_leg,
    (ENDED, PbxStopped): _stopped,
}


def _leg(call: Call, uniqueid: str) -> Leg | None:
    return next((leg for leg in call.legs if leg.uniqueid == uniqueid), None)


def _with_leg(call: Call, changed: Leg) -> Call:
    return replace(call, legs=_legs_with(call, changed))


def _legs_with(call: Call, changed: Leg) -> tuple[Leg, ...]:
    return tuple([changed if leg.uniqueid == changed.uniqueid else leg for leg in call.legs])
