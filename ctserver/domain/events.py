"""What a PBX may tell of a call: the events that ctserver/domain/call.py advances it by."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True):
    """Something that happened to the call `linkedid`, at epoch milliseconds `at`."""

    linkedid: str
    at: int


class Arrived(Event, frozen=True):
    """The caller's channel reached one of our contexts."""

    uniqueid: str
    channel: str
    did: str
    caller: str
    caller_name: str


class Routed(Event, frozen=True):
    """The dialplan knows the line."""

    did: str
    line: str
    routed_by: str


class LegStarted(Event, frozen=True):
    leg: str
    channel: str
    name: str = ""


class LegNamed(Event, frozen=True):
    """Whose phone it is."""

    leg: str
    name: str


class LegRinging(Event, frozen=True):
    leg: str


class LegDone(Event, frozen=True):
    """Dialling a leg has ended: ANSWER, CANCEL, BUSY, NOANSWER, CONGESTION, CHANUNAVAIL, FORWARD, ..."""

    leg: str
    status: str


class LegHungUp(Event, frozen=True):
    leg: str
    cause: int


class LegGaveUp(Event, frozen=True):
    """The party at this leg asked to hang up."""

    leg: str


class Stepped(Event, frozen=True):
    """See Step."""

    kind: str
    detail: str = ""
    leg: str = ""


class StageReached(Event, frozen=True):
    """The caller has come to this part of the line."""

    stage: str


class CallerGaveUp(Event, frozen=True):
    """The caller's side asked to hang up."""


class Closing(Event, frozen=True):
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


class CallerHungUp(Event, frozen=True):
    """The caller's channel is gone: the call is over."""

    cause: int


class Vanished(Event, frozen=True):
    """The PBX no longer knows this call, and nobody saw it end; `at` is when it lived for the last time that is known.

    `spoken_ms`: so much of a talk the PBX had recorded, which proves that there was one.
    """

    spoken_ms: int = 0


class PbxStopped(Event, frozen=True):
    """The PBX was stopped or restarted in good order: it has hung up whatever there was."""
