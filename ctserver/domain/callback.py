"""Calls that we place: whom we may ring, when, and what follows an attempt. Somebody of the company is rung first, so that
nobody is rung to hear silence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import phonenumbers

from ctserver.domain.clock import HOUR_MS, MINUTE_MS
from ctserver.domain.words import N_

SITE, DESK = "site", "desk"
WAITING, CALLING, DONE, FAILED = "waiting", "calling", "done", "failed"

# What came of an attempt.
TALKED = "talked"
COMPANY_AWAY = "company_away"  # nobody of the company answered
VISITOR_AWAY = "visitor_away"  # he did not answer
LOST = "lost"  # nobody saw its end: it may have been a call, so it counts as one
NOT_PLACED = "not_placed"  # there was no PBX, or it refused

LOST_MS = 10 * MINUTE_MS  # an attempt without an end is given up for lost after this. Ours.
LATEST_MS = 24 * HOUR_MS  # who was not reached by then is not rung any more. Ours.
_MAY_RING = frozenset(
    {
        phonenumbers.PhoneNumberType.FIXED_LINE,
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }
)


REFUSALS = {  # in words for him who asked at the dashboard, or in a chat
    "off": N_("Calls from the dashboard are not set up: [callbacks] dial in ctserver.toml."),
    "number": N_("This number cannot be called."),
    "country": N_("Numbers in this country are not called: [callbacks] countries in ctserver.toml."),
    "ours": N_("This number is one of our own."),
    "pbx": N_("The PBX is not taking the call now; the System page shows what is wrong."),
    "waiting": N_("This caller is already being called."),
}
REFUSED = N_("The call could not be placed.")


class Refused(Exception):
    """This number is not rung; the message is a word for the page that asked."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often it is tried again, and after how long."""

    company_attempts: int
    visitor_attempts: int
    retry_ms: int


@dataclass(frozen=True, slots=True)
class Next:
    """The state after an attempt; `due_at` when it waits."""

    state: str
    due_at: int


def check_number(number: str, countries: Collection[str], ours: Collection[str], *, stranger: bool) -> None:
    """Raises Refused for numbers that cost money, are no number, are abroad, or ring at ourselves. `number` is E.164.

    A stranger's must also be one that its country's numbering plan assigns.
    """
    if number in ours:
        raise Refused("ours")
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise Refused("number") from None
    kind = phonenumbers.number_type(parsed)
    if kind not in (_MAY_RING if stranger else _MAY_RING | {phonenumbers.PhoneNumberType.UNKNOWN}):
        raise Refused("number")
    if (_country(parsed) or "") not in countries:
        raise Refused("country")


def _country(number: phonenumbers.PhoneNumber) -> str | None:
    """Of a number that no plan assigns: the main country of its code."""
    found = phonenumbers.region_code_for_number(number)
    return found or phonenumbers.region_code_for_country_code(number.country_code or 0)


def after(result: str, results: Collection[str], asked_at: int, now: int, patience: Patience) -> Next:
    """What follows an attempt with `result`, the latest of `results` so far (one for each attempt).

    One that the PBX did not make counts for nothing; without a time to wait there is no other.
    """
    if result == TALKED:
        return Next(DONE, now)
    visitor = sum(entry == VISITOR_AWAY for entry in results)
    others = sum(entry in (COMPANY_AWAY, LOST) for entry in results)
    again_at = now + patience.retry_ms
    tired = not patience.retry_ms or visitor >= patience.visitor_attempts or others >= patience.company_attempts
    return Next(FAILED, now) if tired or again_at > asked_at + LATEST_MS else Next(WAITING, again_at)


# ---- what a PBX tells of calls that we place, and of those that staff places


@dataclass(frozen=True, slots=True)
class CallbackEnded:
    """An attempt is over. `company` and `visitor` are DIALSTATUS; an empty `visitor` was not rung."""

    callback: str
    channel: str
    at: int
    company: str
    visitor: str

    @property
    def result(self) -> str:
        if self.visitor:
            return TALKED if self.visitor == "ANSWER" else VISITOR_AWAY
        return COMPANY_AWAY


@dataclass(frozen=True, slots=True)
class WentOut:
    """Somebody is dialled; `ended_at` is set when it is over."""

    uniqueid: str
    at: int
    number: str
    staff: str
    callback: str
    answered_at: int | None = None
    ended_at: int | None = None
    status: str = ""


Placed = CallbackEnded | WentOut
