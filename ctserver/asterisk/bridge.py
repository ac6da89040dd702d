"""One PBX on one ctserver: its link, its translator and its journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ctserver import ids
from ctserver.asterisk import recordings, variables
from ctserver.asterisk.ami import AmiError, Link, LinkDown
from ctserver.asterisk.evidence import Notes
from ctserver.asterisk.placed import originate, placed
from ctserver.asterisk.translate import Translator, moment
from ctserver.asterisk.wire import Message, text
from ctserver.config import Asterisk, Settings
from ctserver.domain.call import Call, Event, Vanished
from ctserver.domain.callback import Placed
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.facts import Facts
from ctserver.services.pauses import NotRecorded, PbxAway
from ctserver.storage.db import Database

log = logging.getLogger(__name__)


class Bridge:
    """Reads what the PBX says into the journal, and asks it for test calls."""

    def __init__(
        self, db: Database, settings: Settings, attributor: Attributor, pbx: Asterisk, facts: Facts | None = None
    ) -> None:
        host, _, port = pbx.ami.rpartition(":")
        self.pbx = pbx
        self.journal = Journal(db, settings, attributor, pbx.id, facts)
        self._spool = settings.spool(pbx)
        self.notes = Notes(db, settings, self.journal, self._spool, pbx.id)
        self.on_placed: Callable[[str, Sequence[Placed]], Awaitable[None]] | None = None
        self._contexts = pbx.inbound_contexts
        self._translator = Translator(self._contexts)
        self.link = Link(
            host,
            int(port),
            pbx.ami_user,
            settings.secret(pbx),
            on_up=self._resync,
            consume=self._consume,
            name=pbx.id,
        )

    async def testcall(self, number: str, caller: str) -> None:
        """Make the PBX call `number` (E.164) in its inbound context, as if `caller` rang. Raises AmiError."""
        await self.link.send(testcall_action(number, caller))

    async def mute(self, uniqueid: str, silent: bool) -> None:
        """Both sides of a call's recording are silent from now on, or not any more; the files keep their pace.

        Raises PbxAway, NotRecorded.
        """
        state = "1" if silent else "0"
        action = {"Action": "MixMonitorMute", "Channel": uniqueid, "Direction": "both", "State": state}
        try:
            await self.link.send(action)
        except (LinkDown, TimeoutError) as error:
            raise PbxAway from error
        except AmiError as error:
            log.info("AMI %s: MixMonitorMute of %s: %s", self.pbx.id, uniqueid, error)
            raise NotRecorded from error

    async def call_back(self, callback: str, channel: str, seconds: int) -> None:
        """Make the PBX ring the company, for `seconds` at most, and then the other side. Raises AmiError, TimeoutError."""
        await self.link.send(originate(callback, channel, seconds, ids.now_ms()))

    async def _resync(self, link: Link) -> None:
        """After a login: calls that have ended meanwhile stand in the PBX's own notes; those that it no longer knows and
        of which there is no note have vanished (Asterisk itself was killed).

        The channels are asked for first: a note is written before its channel goes.
        """
        open_calls = await self.journal.resume()
        self._translator = Translator(self._contexts)
        for call in open_calls:
            self._translator.know(call.linkedid, call.uniqueid, [leg.uniqueid for leg in call.legs])
        listed = await link.send_list({"Action": "CoreShowChannels"})
        alive = {text(channel, "Uniqueid") for channel in listed}
        now = ids.now_ms()
        await self.notes.read(now, settled=False)
        gone = [call for call in self.journal.open_calls() if call.uniqueid not in alive]
        if gone:
            log.info("AMI %s: %d calls ended while nobody watched", self.pbx.id, len(gone))
            await self.journal.apply([await asyncio.to_thread(self._vanished, call, link.alive_at) for call in gone])

        await self._meet(link, listed)

    async def _meet(self, link: Link, listed: Sequence[Message]) -> None:
        """Calls that began while nobody watched and still go on: the dialplan's variables tell of them what CTRoute told."""
        if all(text(channel, "Uniqueid") in self._translator.callers for channel in listed if _of_a_caller(channel)):
            return
        try:
            told = await link.send_list({"Action": "Status", "Variables": ",".join(variables.TOLD_BY)})
        except AmiError as error:
            log.warning("AMI %s: calls that go on are met at their end: %s", self.pbx.id, error)
        else:
            await self._consume([routed(status) for status in told if _of_a_caller(status)])

    def _vanished(self, call: Call, alive_at: int) -> Vanished:
        """It lived when the PBX gave its last sign of life, and when its sound was written for the last time."""
        found = recordings.trace(self._spool, call.uniqueid)
        at = max(alive_at, found.at if found else 0, call.arrived_at)
        return Vanished(call.linkedid, at, found.millis if found else 0)

    async def _consume(self, messages: Sequence[Message]) -> None:
        now = ids.now_ms()
        events: list[Event] = []
        ours: list[Placed] = []
        for message in messages:
            try:
                events.extend(self._translator.events(message, now))
                ours.extend(placed(message, now))
            except Exception:
                log.exception("AMI %s: an event could not be read: %r", self.pbx.id, message.get("Event"))
        await self.journal.apply(events)
        if ours and self.on_placed:
            await self.on_placed(self.pbx.id, ours)


def _of_a_caller(channel: Message) -> bool:
    return text(channel, "Uniqueid") == text(channel, "Linkedid") != "" and not text(channel, "Channel").startswith(
        "Local/"
    )


def routed(status: Message) -> Message:
    """The event CTRoute that this channel sent, by its Status; of a channel that sent none, nothing ({})."""
    listed = status.get("Variable", [])
    known = dict(entry.partition("=")[::2] for entry in ([listed] if isinstance(listed, str) else listed))
    fields = {field: known.get(name, "") for name, field in variables.TOLD_BY.items()}
    if not moment(fields["Arrived"]):
        return {}
    same = {name: status.get(name, "") for name in ("Uniqueid", "Linkedid", "Channel", "CallerIDNum", "CallerIDName")}
    return {"Event": "UserEvent", "UserEvent": variables.EVENT_ROUTED, **same, **fields}


def testcall_action(number: str, caller: str) -> dict[str, str]:
    """The AMI action of a test call: a Local channel whose far end enters the dialplan as a caller does."""
    return {
        "Action": "Originate",
        "Channel": f"Local/{number}@{variables.CONTEXT_TESTCALL}/n",
        "Context": variables.CONTEXT_TESTCALL,
        "Exten": "s",
        "Priority": "1",
        "Variable": f"__{variables.TEST_CALLER}={caller}",
        "Timeout": "60000",
        "Async": "true",
    }


__all__ = ["AmiError", "Bridge", "testcall_action"]
