"""Recordings paused while a call goes on, so that a card number is in no file: by people, resumed by them or by itself.

The row stands before the PBX is asked, so that what is paused resumes by itself even when ctserver was killed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from ctserver.domain import call as machine
from ctserver.storage import audit, calls, pauses
from ctserver.storage.audit import Entry
from ctserver.storage.db import Database, Transaction
from ctserver.storage.pauses import Open

log = logging.getLogger(__name__)

Mute = Callable[[str, str, bool], Awaitable[None]]
"""(PBX, Uniqueid of the caller's channel, True for silence). Raises PbxAway, NotRecorded."""

PAUSED, RESUMED = "recording paused", "recording resumed"  # in the audit log


class NotDone(Exception):
    """The message is a word: over (nobody talks), paused, running, unrecorded, away."""


class PbxAway(NotDone):
    """It could not be asked, or did not answer."""

    def __init__(self) -> None:
        super().__init__("away")


class NotRecorded(NotDone):
    """The PBX records no such call."""

    def __init__(self) -> None:
        super().__init__("unrecorded")


class Pauses:
    """One for the whole ctserver. `seconds`: after how long a recording resumes by itself; 0: never."""

    def __init__(self, db: Database, mute: Mute, seconds: int, changed: Callable[[], None]) -> None:
        self._db = db
        self._mute = mute
        self._seconds = seconds
        self._changed = changed

    async def pause(self, id: str, login: str, now: int) -> int | None:
        """From now on the recording of this call is silent; returns when it resumes by itself (epoch ms).

        Raises NotDone.
        """
        call = await calls.by_id(self._db, id)
        if call is None or call.state != machine.TALKING:
            raise NotDone("over")
        until = now + self._seconds * 1000 if self._seconds else None
        if not await self._db.write(lambda tx: pauses.begin(tx, id, now, until, login)):
            raise NotDone("paused")
        try:
            await self._mute(call.pbx, call.uniqueid, True)
        except NotDone:
            await self._db.write(lambda tx: pauses.forget(tx, id))
            raise
        self._changed()
        return until

    async def resume(self, id: str, login: str, now: int) -> None:
        """Raises NotDone."""
        found = next((one for one in await pauses.open_ones(self._db) if one.call == id), None)
        if found is None:
            raise NotDone("running")
        await self._mute(found.pbx, found.uniqueid, False)
        await self._db.write(lambda tx: pauses.end(tx, id, now, login))
        self._changed()

    async def work(self, now: int) -> None:
        """Those whose time is over resume; those whose call is over are closed."""
        for one in await pauses.open_ones(self._db):
            if one.over:
                await self._close(one, now)
            elif one.until is not None and one.until <= now:
                await self._by_itself(one, now)

    async def _by_itself(self, one: Open, now: int) -> None:
        try:
            await self._mute(one.pbx, one.uniqueid, False)
        except PbxAway:
            return  # again in a second
        except NotDone as error:
            log.info("the recording of call %s is over: %s", one.call, error)
        await self._close(one, now, told=f"by itself after {(now - one.began_at) // 1000} s")

    async def _close(self, one: Open, now: int, told: str = "") -> None:
        def unit(tx: Transaction) -> None:
            if pauses.end(tx, one.call, now, "") and told:
                audit.add(tx, Entry(now, one.login, "server", RESUMED, one.call, told))

        await self._db.write(unit)
        self._changed()
