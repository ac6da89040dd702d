"""Which facts deserve a person's attention, and when: pure rules over a fact and what is known by the time it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from opening_hours import OpeningHours

from ctserver.domain import call as machine
from ctserver.domain import fact as facts
from ctserver.domain.fact import Fact

OCCASIONS: Mapping[str, str] = {  # what a rule may name -> the kind of fact it looks at
    "ringing": facts.RINGING,
    "answered": facts.ANSWERED,
    "ended": facts.ENDED,
    "missed": facts.MISSED,
    "missed_out_of_hours": facts.MISSED,
    "voicemail": facts.ENDED,
    "first_call": facts.ENDED,
    "long_wait": facts.ENDED,
    "broken": facts.ENDED,
    "recording": facts.RECORDING,
    "pool_short": facts.POOL_SHORT,
    "pbx_unreachable": facts.PBX,
    "recording_failing": facts.RECORDING_FAILING,
    "disk": facts.DISK,
    "delivery_failing": facts.DELIVERY,
    "daily": facts.DAILY,
    "weekly": facts.WEEKLY,
}
MISSED = ("missed", "missed_out_of_hours", "voicemail")  # somebody waits to be called back
BROKEN = ("broken", "failed", "congestion", "unreachable")  # reasons that are trouble of ours, not of the caller's


@dataclass(frozen=True, slots=True)
class Alert:
    """What a message to a person is made of. Names, not ids; "" where it is not known or makes no sense.

    `occasion` is a key of OCCASIONS; `at` the moment it is about; `count` how many calls of this caller one message
    tells of; `late_ms` how long ago it was, if the message comes later than its rule wants it, after an outage for
    instance; `nth` which call of this caller it is; `recording` a link that needs no login, or else the call's page, where there is one to hear; `data` the
    fact's own, for templates.
    """

    occasion: str
    at: int
    subject: str = ""
    detail: str = ""
    link: str = ""
    call: str = ""
    caller: str = ""
    caller_name: str = ""
    number: str = ""
    site: str = ""
    line: str = ""
    source: str = ""
    campaign: str = ""
    outcome: str = ""
    reason: str = ""
    waited_seconds: float | None = None
    talked_seconds: float | None = None
    count: int = 1
    nth: int = 0
    first_call: bool = False
    out_of_hours: bool = False
    voicemail: bool = False
    escalated: bool = False
    late_ms: int = 0
    to_caller: bool = False
    recording: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """When a rule holds; an empty list holds always. Patterns as in the rules for numbers: `*` stands for anything."""

    on: Sequence[str]
    lines: Sequence[str] = ()
    sites: Sequence[str] = ()
    sources: Sequence[str] = ()
    wait_seconds: float = 60


def occasion(rule: Conditions, fact: Fact) -> str | None:
    """The first occasion of the rule that this fact is. Lines, sites and sources are asked of calls only.

    The end of a missed call is two facts, ended and missed: a rule tells of it once, as the voice message if it asks for
    those, else as missed, else as whatever else it asks for.
    """
    if fact.call and not fits(rule, fact):
        return None
    found = [name for name in rule.on if OCCASIONS[name] == fact.kind and _is(name, rule, fact.data)]
    if fact.kind == facts.MISSED and _is_one("voicemail", rule, fact.data):
        return None
    if fact.kind == facts.ENDED and fact.data.get("outcome") == machine.MISSED:
        if _is_one("voicemail", rule, fact.data):
            return "voicemail"
        if _is_one("missed", rule, fact.data) or _is_one("missed_out_of_hours", rule, fact.data):
            return None
    return found[0] if found else None


def _is_one(name: str, rule: Conditions, data: Mapping[str, Any]) -> bool:
    return name in rule.on and _is(name, rule, data)


def fits(rule: Conditions, fact: Fact) -> bool:
    """Is it about one of the rule's lines, sites and sources?"""
    if not _fits(rule.lines, fact.data.get("line")) or not _fits(rule.sites, fact.data.get("site")):
        return False
    return not rule.sources or any(_fits(rule.sources, name) for name in _sources(fact.data))


def _is(name: str, rule: Conditions, data: Mapping[str, Any]) -> bool:
    if name == "missed_out_of_hours":
        return bool(data.get("out_of_hours"))
    if name in ("voicemail", "first_call"):
        return bool(data.get(name))
    if name == "long_wait":
        return (data.get("waited_seconds") or 0) >= rule.wait_seconds
    if name == "broken":
        return data.get("reason") in BROKEN
    return True


def _fits(patterns: Sequence[str], value: object) -> bool:
    text = str(value or "").lower()
    return not patterns or any(fnmatchcase(text, pattern.lower()) for pattern in patterns)


def _sources(data: Mapping[str, Any]) -> tuple[str, ...]:
    """A source is named by itself, by its medium or by both: google, cpc, google / cpc."""
    source, medium = str(data.get("source") or ""), str(data.get("medium") or "")
    return source, medium, f"{source} / {medium}"


def quiet_until(hours: str, now: datetime) -> datetime | None:
    """When the quiet hours (OpenStreetMap's syntax: "22:00-08:00; Su 00:00-24:00") that hold now are over; None: they
    do not hold. Both are local times without a zone; quiet for ever counts as not quiet."""
    if not hours:
        return None
    rules = OpeningHours(hours)
    return rules.next_change(now) if rules.is_open(now) else None
