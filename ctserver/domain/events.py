"""What a PBX may tell of a call: the events that ctserver/domain/call.py advances it by."""

from __future__ import annotations

from dataclasses import dataclass


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
    name: str = ""


@dataclass(frozen=True, slots=True)
class LegNamed(Event):
    """Whose phone it is."""

    leg: str
    name: str


@dataclass(frozen=True, slots=True)
class LegRinging(Event):
    leg: str


@dataclass(frozen=True, slots=True)
class LegDone(Event):
    """Dialling a leg has ended: ANSWER, CANCEL, BUSY, NOANSWER, CONGESTION, CHANUNAVAIL, FORWARD, ..."""

    leg: str
    status: str


@dataclass(frozen=True, slots=True)
class LegHungUp(Event):
    leg: str
    cause: int


@dataclass(frozen=True, slots=True)
class LegGaveUp(Event):
    """The party at this leg asked to hang up."""

    leg: str


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """See Step."""

    kind: str
    detail: str = ""
    leg: str = ""


@dataclass(frozen=True, slots=True)
class StageReached(Event):
    """The caller has come to this part of the line."""

    stage: str


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
    stage: str = ""
    closed: bool = False
    blocked: bool = False
    keys: str = ""
    message_seconds: int = 0
    queue_status: str = ""


@dataclass(frozen=True, slots=True)
class CallerHungUp(Event):
    """The caller's channel is gone: the call is over."""

    cause: int


@dataclass(frozen=True, slots=True)
class Vanished(Event):
    """The PBX no longer knows this call, and nobody saw it end; `at` is when it lived for the last time that is known.

    `spoken_ms`: so much of a talk the PBX had recorded, which proves that there was one.
    """

    spoken_ms: int = 0


@dataclass(frozen=True, slots=True)
class PbxStopped(Event):
    """The PBX was stopped or restarted in good order: it has hung up whatever there was."""
