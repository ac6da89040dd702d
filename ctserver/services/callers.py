"""Who rings: is he wanted, where does he come from, who spoke to him last."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ctserver.config import Line, Settings
from ctserver.config.lines import Callers as Wanted
from ctserver.domain import call as machine
from ctserver.domain import label
from ctserver.domain.calling import Recent
from ctserver.domain.model import Source
from ctserver.services.attribution import Attributor
from ctserver.services.blocked import BlackList
from ctserver.services.speech import Speaker
from ctserver.storage import callers as storage
from ctserver.storage.db import Database

PROBE = "probe"  # the id of a call that is only asked about


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is about to be put through; numbers E.164 where they can be read as such."""

    did: str
    number: str
    line: str
    at: int


class Doorkeeper:
    """Black list, anonymous callers, too many calls: decided from memory."""

    def __init__(self, wanted: Wanted, black_list: BlackList) -> None:
        self._wanted = wanted
        self._black_list = black_list
        self._recent = Recent(wanted.calls_per_hour)

    @property
    def watches(self) -> bool:
        """Is there anybody to be kept out?"""
        wanted = self._wanted
        return not self._black_list.empty or wanted.calls_per_hour > 0 or wanted.anonymous != "accept"

    def refuse(self, number: str, now: int) -> str:
        """What the dialplan does with this caller: reject, busy, voicemail; empty: he is put through."""
        if not number:
            return "" if self._wanted.anonymous == "accept" else self._wanted.anonymous
        listed = self._black_list.holds(number)
        return self._wanted.then if listed or not self._recent.allow(number, now) else ""


class Callers:
    """What the database and the attribution know of a caller, as variables of his call."""

    def __init__(self, db: Database, settings: Settings, attributor: Attributor, speaker: Speaker) -> None:
        self._db = db
        self._settings = settings
        self._attributor = attributor
        self._speaker = speaker
        self._phones = phones(settings.lines)

    async def look(self, caller: Caller) -> dict[str, str]:
        """CT_PREFIX, CT_SOURCE, CT_WHISPER, CT_LAST: those that are known."""
        found: dict[str, str] = {}
        if source := await self._source(caller):
            found["CT_PREFIX"] = label.short(source)
            found["__CT_SOURCE"] = label.header(source)
            line = self._settings.lines[caller.line]
            if sound := self._speaker.sound(line.whisper_text, source):
                found["CT_WHISPER"] = sound
        if caller.number and (last := await self._last(caller)):
            found["CT_LAST"] = last
        return {name: value for name, value in found.items() if value}

    async def _source(self, caller: Caller) -> Source | None:
        use = self._attributor.uses.get(caller.did)
        if use is None or use.source:
            return use.source if use else None
        event = machine.Arrived(PROBE, caller.at, PROBE, "", caller.did, caller.number, "")
        call = machine.begin(event, id=PROBE, pbx="", site=use.site)
        answer = await self._db.write(lambda tx: self._attributor.answer(tx, call))
        return answer.attribution().source

    async def _last(self, caller: Caller) -> str:
        """The phone of whoever spoke to this caller last, if it is one that the settings know."""
        channel = await storage.last_answered_by(self._db, caller.number)
        return self._phones.get(endpoint_of_channel(channel), "")


def phones(lines: Mapping[str, Line]) -> dict[str, str]:
    """Technology and endpoint -> dial string, of every phone that is the only one at its endpoint."""
    found: dict[str, set[str]] = {}
    for dial in _targets(lines.values()):
        found.setdefault(endpoint_of_dial(dial), set()).add(dial)
    return {endpoint: next(iter(dials)) for endpoint, dials in found.items() if endpoint and len(dials) == 1}


def endpoint_of_dial(dial: str) -> str:
    """ "PJSIP/101" of "PJSIP/101", "PJSIP/trunk" of "PJSIP/+44...@trunk"; empty for Local channels and the like."""
    technology, _, rest = dial.partition("/")
    if technology not in ("PJSIP", "SIP", "IAX2", "DAHDI"):
        return ""
    resource = rest.partition("/")[0]
    return f"{technology}/{resource.rpartition('@')[2]}"


def endpoint_of_channel(channel: str) -> str:
    """ "PJSIP/101" of "PJSIP/101-0000000c"."""
    return re.sub(r"-[0-9a-f]{8}(;[12])?$", "", channel)


def _targets(lines: Iterable[Line]) -> set[str]:
    return {target for line in lines for dial in line.dial for target in dial.split("&")}
