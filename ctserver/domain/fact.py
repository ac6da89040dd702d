"""What leaves the core: things that happened and that others may want to know of. Every kind stands in KINDS.

A fact about a call is made of the call as it is now; its key `once` keeps it from being told a second time when the same
call is saved again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ctserver.domain import call as machine
from ctserver.domain.call import Call
from ctserver.domain.clock import HOUR_MS

SHORT_SHARE = 0.2  # of the showings of an hour that found no free number: from here on a pool is short. Ours.
SHORT_SHOWINGS = 10  # fewer in an hour say nothing. Ours.
QUIET_MS = 6 * HOUR_MS  # the same trouble is told of once in this time

RINGING, ANSWERED, ENDED, MISSED = "call.ringing", "call.answered", "call.ended", "call.missed"
ATTRIBUTED, TAGGED, RECORDING = "call.attributed", "call.tagged", "recording.ready"
POOL_SHORT, PBX, RECORDING_FAILING, DISK = "pool_short", "pbx_unreachable", "recording_failing", "disk"
DELIVERY, DAILY, WEEKLY, TEST = "delivery_failing", "digest.daily", "digest.weekly", "test"
LETTER = "letter"  # to somebody who logs in: no web hook and no rule may ask for it

CALL_KINDS = (
    RINGING,
    ATTRIBUTED,
    ANSWERED,
    ENDED,
    MISSED,
    RECORDING,
    TAGGED,
)  # in the order in which a call lives them
KINDS = (*CALL_KINDS, POOL_SHORT, PBX, RECORDING_FAILING, DISK, DELIVERY, DAILY, WEEKLY, TEST, LETTER)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened at epoch milliseconds `at`.

    `subject` is what it happened to: a call's id, the name of a pool or PBX. `detail` says it in words; `data` is what a
    web hook is told. Of all facts with the same `once` only the first is kept.
    """

    kind: str
    at: int
    subject: str
    detail: str = ""
    call: str = ""
    once: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> int:
        """Facts of one call in the order in which they happened, also when two share a millisecond."""
        return self.at * 10 + (CALL_KINDS.index(self.kind) if self.kind in CALL_KINDS else 9)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a call's facts need beyond the call: is it the caller's first, were we closed, is there a voice message."""

    first_call: bool = False
    out_of_hours: bool = False
    voicemail: bool = False


def keys_of_call(call: Call) -> list[str]:
    """The `once` of each of them; cheaper than the facts, since every change of a call asks."""
    return [f"{call.id} {kind}" for kind, _ in _moments(call)]


def of_call(call: Call, told: Circumstances, public_url: str) -> Iterator[Fact]:
    """All facts that hold of this call by now."""
    data = call_data(call, told, public_url)
    for kind, at in _moments(call):
        yield Fact(kind, at, call.id, call=call.id, once=f"{call.id} {kind}", data=data)


def _moments(call: Call) -> Iterator[tuple[str, int]]:
    if call.ringing_at is not None:
        yield RINGING, call.ringing_at
    if call.attribution.kind != "none":
        yield ATTRIBUTED, call.arrived_at
    if call.answered_at is not None:
        yield ANSWERED, call.answered_at
    if call.state == machine.ENDED and call.ended_at is not None:
        yield ENDED, call.ended_at
        if call.outcome == machine.MISSED:
            yield MISSED, call.ended_at


def of_recording(call: Call, told: Circumstances, public_url: str, at: int, seconds: float) -> Fact:
    """The call can be listened to."""
    link = f"{public_url}/calls/{call.id}/recording"
    data = call_data(call, told, public_url) | {"recording_url": link, "recording_seconds": seconds}
    return Fact(RECORDING, at, call.id, call=call.id, once=f"{call.id} {RECORDING}", data=data)


def of_new_attribution(call: Call, told: Circumstances, public_url: str, at: int) -> tuple[Fact, Fact]:
    """The call has another attribution than before: what to tell if nobody was told of any yet, and else."""
    again = Fact(ATTRIBUTED, at, call.id, call=call.id, data=call_data(call, told, public_url))
    return replace(again, once=f"{call.id} {ATTRIBUTED}"), again


def of_tags(call: Call, told: Circumstances, public_url: str, at: int, tags: tuple[str, ...]) -> Fact:
    """Somebody has changed the tags of the call."""
    data = call_data(call, told, public_url) | {"tags": list(tags)}
    return Fact(TAGGED, at, call.id, call=call.id, data=data)


def call_data(call: Call, told: Circumstances, public_url: str) -> dict[str, Any]:
    """A call as web hooks are told it: flat, times in ISO 8601, spans in seconds; see docs/webhooks.md."""
    source = call.attribution.source
    return {
        "call_id": call.id,
        "url": f"{public_url}/calls/{call.id}",
        "pbx": call.pbx,
        "linkedid": call.linkedid,
        "site": call.site,
        "line": call.line,
        "number": call.did,
        "caller": call.caller,
        "caller_name": call.caller_name,
        "state": call.state,
        "outcome": call.outcome,
        "reason": call.reason,
        "arrived_at": iso(call.arrived_at),
        "ringing_at": iso(call.ringing_at),
        "answered_at": iso(call.answered_at),
        "ended_at": iso(call.ended_at),
        "waited_seconds": waited_seconds(call),
        "talked_seconds": _seconds(call.answered_at, call.ended_at),
        "answered_by": call.answered_by,
        "attribution": call.attribution.kind,
        "confidence": round(call.attribution.confidence, 3),
        "session": call.attribution.session or "",
        "medium": source.medium if source else "",
        "source": source.source if source else "",
        "campaign": source.campaign if source else "",
        "term": source.term if source else "",
        "content": source.content if source else "",
        "click_ids": dict(source.click_ids) if source else {},
        "first_call": told.first_call,
        "out_of_hours": told.out_of_hours,
        "voicemail": told.voicemail,
    }


def waited_seconds(call: Call) -> float | None:
    """From the arrival to the answer, or to the end of a call that nobody answered."""
    return _seconds(call.arrived_at, call.answered_at if call.answered_at is not None else call.ended_at)


def iso(ms: int | None) -> str | None:
    """2026-01-31T12:00:00.000Z"""
    if ms is None:
        return None
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(256)
def _second(seconds: int) -> str:
    """The facts of a call tell the same moments again and again."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def _seconds(since: int | None, until: int | None) -> float | None:
    return None if since is None or until is None else max(0, until - since) / 1000


CALL_FIELDS = (*call_data(Call("", "", "", "", "", "", "", "", 0), Circumstances(), ""),)
EXTRA_FIELDS = ("recording_url", "recording_seconds", "tags")  # of some kinds


@dataclass(frozen=True, slots=True)
class PoolShort:
    """For an hour so many visitors found no free number that their calls are hard to tell apart."""

    pool: str
    at: int
    showings: int
    short: int

    @property
    def kind(self) -> str:
        return POOL_SHORT

    @property
    def detail(self) -> str:
        """In words for a person."""
        return f"{self.short} of {self.showings} visitors of the last hour found no number free"

    def fact(self) -> Fact:
        data = {"pool": self.pool, "showings": self.showings, "short": self.short}
        return Fact(self.kind, self.at, self.pool, self.detail, data=data)


def pool_short(pool: str, now: int, showings: int, short: int, last_told_at: int | None) -> PoolShort | None:
    """Is this pool short, for an hour, and not told of lately?"""
    if last_told_at is not None and now - last_told_at < QUIET_MS:
        return None
    if showings < SHORT_SHOWINGS or short < SHORT_SHARE * showings:
        return None
    return PoolShort(pool, now, showings, short)
