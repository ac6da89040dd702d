"""Calls as the PBX tells them: load, advance, attribute on arrival, save. Keeps the open calls in memory, so that an
event that says nothing new costs no read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from ctserver import ids
from ctserver.config import NumberUse, Settings
from ctserver.domain import call as machine
from ctserver.domain import phone
from ctserver.domain.attribution import Answer
from ctserver.domain.call import Arrived, Call, Event
from ctserver.domain.model import NOBODY, Attribution
from ctserver.services.attribution import Attributor, save_answer
from ctserver.services.facts import Facts
from ctserver.storage import calls, recordings
from ctserver.storage.db import Database, StorageError, Transaction, Unavailable

log = logging.getLogger(__name__)

RECORDING_SETTLES_MS = 700  # Asterisk closes the files right after the hangup
LATE_CALLS = 500
UNKNOWN_USE = NumberUse("", "", "")


class Journal:
    """The calls of one PBX."""

    def __init__(
        self, db: Database, settings: Settings, attributor: Attributor, pbx: str, facts: Facts | None = None
    ) -> None:
        self._db = db
        self._facts = facts or Facts(settings)
        self._country = settings.server.country
        self._attributor = attributor
        self._uses = attributor.uses
        self._default_line = settings.default_line
        self._own = {
            target.number: name for name, site in settings.sites.items() for target in site.all_targets.values()
        }
        self._pbx = pbx
        self._open: dict[str, Call] = {}
        self._late: dict[str, Call] = {}  # the last calls that ended: a party's end may be told after the caller's
        self._unsaved: dict[str, Call] = {}
        self._saved: dict[str, Call] = {}  # the open ones, as the tables have them
        self._new: set[str] = set()
        self._saving = asyncio.Lock()
        self.on_change: Callable[[], None] = lambda: None  # calls were saved; the composition root listens

    async def resume(self) -> list[Call]:
        """The calls left open by an earlier run of ours, and what this run could not save yet."""
        async with self._saving:
            stored = {call.id: call for call in await calls.open_calls(self._db, self._pbx)}
            newest = (stored | self._unsaved).values()
            self._open = {call.linkedid: call for call in newest if call.state != machine.ENDED}
            self._saved = stored
        return list(self._open.values())

    def open_calls(self) -> list[Call]:
        return list(self._open.values())

    async def apply(self, events: Sequence[Event]) -> None:
        """Advance the calls by these events and save what changed, in one transaction.

        What cannot be saved now (disk full) is kept and saved with the next events. An event that raises is lost alone.
        """
        self._advance_all(events)
        await self.flush()

    async def reconcile(self, told: Sequence[Sequence[Event]], also: Callable[[Transaction], None]) -> int:
        """Whole calls, each from its arrival to its end, as Asterisk kept them: what the journal lacks of them is added,
        what it holds as open or `unknown` is corrected, all else stays. `also` is done in the same transaction.

        Returns how many calls changed. Raises StorageError: then nothing of it counts as done. A call that raises is left out.
        """
        async with self._saving:
            live = [events for events in told if events[0].linkedid in self._open]
            self._advance_all(event for events in live for event in events)
            await self._flush()
            waiting = {call.linkedid for call in self._unsaved.values()}
            if any(events[0].linkedid in waiting for events in told):
                raise Unavailable("calls that are over wait to be saved")
            rest = [events for events in told if events not in live]
            changed = len(live) + await self._correct_all(rest, also)
        self._facts.wake()
        self.on_change()
        return changed

    async def _correct_all(self, told: Sequence[Sequence[Event]], also: Callable[[Transaction], None]) -> int:
        """Calls that raise are told from the others by correcting each by itself."""
        try:
            return await self._db.write(lambda tx: self._correct(tx, told, also))
        except StorageError:
            raise
        except Exception:
            if not told:
                raise
            if len(told) == 1:
                log.exception("call %s cannot be corrected by its note", told[0][0].linkedid)
                return await self._correct_all([], also)
            changed = sum([await self._correct_all([events], _nothing) for events in told])
            return changed + await self._correct_all([], also)

    def knows_end(self, linkedid: str) -> bool:
        """Has this call ended lately, and is its end in the journal as it was?"""
        call = self._late.get(linkedid)
        return call is not None and call.reason != machine.UNKNOWN and call.id not in self._unsaved

    async def flush(self) -> None:
        """Save what is not saved yet. One at a time: a call that two save at once looks new to both."""
        async with self._saving:
            await self._flush()

    async def _flush(self) -> None:
        if self._unsaved:
            await self._flush_batch(list(self._unsaved.values()))

    async def _flush_batch(self, batch: Sequence[Call]) -> None:
        """Calls that raise as they are saved are told from the others by saving each by itself."""
        new = self._new.intersection(call.id for call in batch)
        try:
            attributed, doubles = await self._db.write(lambda tx: self._save(tx, batch, new))
        except StorageError as error:
            log.error("%d calls wait to be saved: %s", len(batch), error)
            return
        except Exception:
            if len(batch) > 1:
                for call in batch:
                    await self._flush_batch([call])
            else:
                log.exception("call %s cannot be saved as it is now", batch[0].linkedid)
                self._give_up(batch[0])
            return
        self._facts.wake()
        self.on_change()
        for call in batch:
            if self._unsaved.get(call.id) is call:
                del self._unsaved[call.id]
            self._new.discard(call.id)
            if call.state == machine.ENDED:
                self._saved.pop(call.id, None)
            else:
                self._saved[call.id] = call
            if call.id in doubles:
                self._unsaved.pop(call.id, None)
                self._open.pop(call.linkedid, None)
            if call.id in attributed and call.linkedid in self._open:
                opened = self._open[call.linkedid]
                self._open[call.linkedid] = replace(opened, attribution=attributed[call.id])

    def _give_up(self, call: Call) -> None:
        """What is in the tables stays; the next event of the call, if one comes, tries again."""
        if self._unsaved.get(call.id) is call:
            del self._unsaved[call.id]
        if call.state == machine.ENDED:
            self._new.discard(call.id)
            self._saved.pop(call.id, None)

    def _advance_all(self, events: Iterable[Event]) -> None:
        for event in events:
            try:
                self._advance(event)
            except Exception:
                log.exception("call %s: an event could not be used: %s", event.linkedid, type(event).__name__)

    def _advance(self, event: Event) -> None:
        call = self._open.get(event.linkedid)
        if call is None:
            if not isinstance(event, Arrived):
                self._amend(event)
                return
            changed = self._begin(event)
            self._new.add(changed.id)
        else:
            changed = machine.advance(call, event)
            if changed is call:
                return
        self._unsaved[changed.id] = changed
        if changed.state == machine.ENDED:
            self._open.pop(event.linkedid, None)
            self._late[event.linkedid] = changed
            if len(self._late) > LATE_CALLS:
                del self._late[next(iter(self._late))]
        else:
            self._open[event.linkedid] = changed

    def _amend(self, event: Event) -> None:
        """What comes after the end is worth a write of its own only if it tells why the call ended."""
        call = self._late.get(event.linkedid)
        if call is None:
            return
        self._late[event.linkedid] = changed = machine.advance(call, event)
        if call.id in self._unsaved or changed.reason != call.reason:
            self._unsaved[call.id] = changed

    def _begin(self, event: Arrived) -> Call:
        did = phone.from_trunk(event.did, self._country)
        caller = phone.from_trunk(event.caller, self._country)
        use = self._uses.get(did, UNKNOWN_USE)
        event = replace(event, did=did, caller=caller, caller_name=event.caller_name[:200])
        # the same call gets the same id again, from events or from notes, also over an older copy of the database:
        # so it finds its recording, and whoever was told of it recognises it
        id = ids.steady(machine.birth(event.uniqueid) or event.at, f"{self._pbx} {event.linkedid}")
        site = use.site or self._own.get(did, "")  # a callback shows the number that stands in the pages
        return machine.begin(event, id=id, pbx=self._pbx, site=site, line=use.line or self._default_line)

    def _correct(self, tx: Transaction, told: Sequence[Sequence[Event]], also: Callable[[Transaction], None]) -> int:
        """How many calls were added or corrected."""
        changed = 0
        for events in told:
            call = calls.by_key(tx, self._pbx, events[0].linkedid)
            new = call is None
            if call is None:
                if not isinstance(events[0], Arrived):
                    continue
                call = self._begin(events[0])
            elif call.state == machine.ENDED:
                if call.reason != machine.UNKNOWN:
                    continue
                call = machine.again(call)
            for event in events:
                call = machine.advance(call, event)
            self._save(tx, [call], {call.id} if new else set())
            changed += 1
        also(tx)
        return changed

    def _answer(self, tx: Transaction, call: Call) -> Answer | None:
        """Whose call it is; a call that cannot be attributed is kept all the same."""
        try:
            return self._attributor.answer(tx, call)
        except Exception:
            log.exception("call %s could not be attributed", call.linkedid)
            return None

    def _save(self, tx: Transaction, batch: Sequence[Call], new: set[str]) -> tuple[dict[str, Attribution], set[str]]:
        """(the attributions of new calls, the ids of new calls that are in the journal already).

        The new ones first, since they ask; whatever all of them leave to be written goes together then."""
        attributed: dict[str, Attribution] = {}
        doubles: set[str] = set()
        for call in batch:
            if call.id in new:
                if calls.by_key(tx, call.pbx, call.linkedid):
                    log.info("call %s of %s is in the journal already", call.linkedid, call.pbx)
                    doubles.add(call.id)
                else:
                    attributed[call.id] = self._add(tx, call)
        for call in batch:
            if call.id in attributed:
                call = replace(call, attribution=attributed[call.id])
            elif call.id in doubles:
                continue
            else:
                calls.save(tx, call, self._saved.get(call.id))
            self._facts.of_call(tx, call, ids.now_ms())
            if call.state == machine.ENDED and call.ended_at is not None:
                recordings.expect(tx, call.id, call.ended_at + RECORDING_SETTLES_MS)
        return attributed, doubles

    def _add(self, tx: Transaction, call: Call) -> Attribution:
        """A new call, and whose it is."""
        answer = self._answer(tx, call)
        attribution = answer.attribution() if answer else NOBODY
        calls.save(tx, replace(call, attribution=attribution))
        if answer:
            save_answer(tx, call.id, answer)
        return attribution


def _nothing(_: Transaction) -> None:
    """Nothing besides."""
