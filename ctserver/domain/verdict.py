"""What became of a call, and why: the outcome and the reason of an ended call, by the strongest evidence first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctserver.domain.call import Call, Leg, Step

ANSWERED, MISSED, BLOCKED = "answered", "missed", "blocked"

REASONS: Mapping[str, tuple[str, ...]] = {  # reason -> the outcomes that it may come with
    "completed": (ANSWERED,),
    "lost_in_transfer": (ANSWERED,),
    "broken": (ANSWERED, MISSED),
    "abandoned": (MISSED,),
    "abandoned_early": (MISSED,),
    "abandoned_ivr": (MISSED,),
    "no_answer": (MISSED,),
    "busy": (MISSED,),
    "rejected": (MISSED,),
    "unreachable": (MISSED,),
    "congestion": (MISSED,),
    "failed": (MISSED,),
    "out_of_hours": (MISSED,),
    "voicemail": (MISSED,),
    "visitor_away": (MISSED,),
    "blocked": (BLOCKED,),
    "unknown": (ANSWERED, MISSED),
}

MESSAGE_SECONDS = 2  # a shorter message is somebody who hung up at the tone. Ours.

CAUSES = {  # Q.850
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
# Q.850 causes that end a talk nobody wanted to end. Asterisk gives 44 to a channel whose sound has stopped (rtp_timeout).
NETWORK_CAUSES = frozenset({38, 41, 44, 102})
QUEUE_STATUSES = {  # QUEUESTATUS, where nobody answered
    "TIMEOUT": "no_answer",
    "FULL": "congestion",
    "JOINEMPTY": "unreachable",
    "LEAVEEMPTY": "unreachable",
    "JOINUNAVAIL": "unreachable",
    "LEAVEUNAVAIL": "unreachable",
}


def judge(call: Call) -> tuple[str, str]:
    """(outcome, reason), keys and values of REASONS."""
    if call.answered_at is not None:
        return ANSWERED, _answered(call)
    if call.stage == "visitor":
        return MISSED, "visitor_away"
    if call.stage == "blocked" or call.blocked:
        return BLOCKED, "blocked"
    return MISSED, _missed(call)


def network_broke(call: Call) -> bool:
    """Did the network end the talk? The cause tells, of the call or of the party that was talking last."""
    last = max((leg for leg in call.legs if leg.answered_at is not None), key=_answer, default=None)
    causes = {call.hangup_cause, last.cause if last else None}
    return not call.hung_up_by and not causes.isdisjoint(NETWORK_CAUSES)


def _answer(leg: Leg) -> int:
    return leg.answered_at or 0


def _answered(call: Call) -> str:
    if network_broke(call):
        return "broken"
    sent_on = max((step for step in call.steps if step.kind == "transfer"), key=_time, default=None)
    if sent_on is None:
        return "completed"
    others = [leg for leg in call.legs if leg.uniqueid != sent_on.leg and leg.started_at >= sent_on.at]
    return "lost_in_transfer" if others and all(leg.answered_at is None for leg in others) else "completed"


def _time(step: Step) -> int:
    return step.at


def _missed(call: Call) -> str:
    if call.voicemail:
        return "voicemail"
    if call.closed:
        return "out_of_hours"
    if call.stage != "voicemail" and (call.caller_gave_up or _cancelled(call)):
        return _abandoned(call)
    return _unanswered(call)


def _abandoned(call: Call) -> str:
    if call.ringing_at is not None or call.queue:
        return "abandoned"
    return "abandoned_ivr" if call.stage in ("greeting", "menu") else "abandoned_early"


def _cancelled(call: Call) -> bool:
    """Did the caller cancel? A leg inside a Local channel is cancelled too when the leg around it rings out."""
    if call.dial_status:
        return call.dial_status == "CANCEL"
    statuses = [leg.status for leg in call.legs]
    return "CANCEL" in statuses and "NOANSWER" not in statuses


def _unanswered(call: Call) -> str:
    if call.queue_status in QUEUE_STATUSES:
        return QUEUE_STATUSES[call.queue_status]
    phones = [leg.status for leg in call.legs if leg.status not in ("", "ANSWER", "FORWARD")]
    status = call.dial_status if call.dial_status not in ("", "ANSWER") else phones[-1] if phones else ""
    causes = [leg.cause for leg in call.legs if leg.cause] or ([call.hangup_cause] if call.hangup_cause else [])
    named = [CAUSES[cause] for cause in causes if cause in CAUSES]
    if status == "BUSY":
        return "busy"
    if status == "CHANUNAVAIL":  # Dial's word for a refusal as well as for a phone that is not there
        return named[-1] if "rejected" in named[-1:] else "unreachable"
    if status == "CONGESTION":
        return named[-1] if named and named[-1] != "no_answer" else "congestion"
    if status == "NOANSWER":
        return "no_answer" if not named or _rang_out(call) else named[-1]
    if not call.legs and not status:
        return named[-1] if named else "abandoned_early"
    return named[-1] if named else "no_answer"


def _rang_out(call: Call) -> bool:
    """Did one of the phones ring to the end, with no cause of its own? That of an only phone is the call's as well."""
    phones = [leg for leg in call.legs if not leg.local] or call.legs
    known = call.hangup_cause if len(phones) == 1 else None
    return any(leg.status == "NOANSWER" and (known if leg.cause is None else leg.cause) not in CAUSES for leg in phones)
