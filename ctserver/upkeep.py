"""What is done again and again while the server runs: one table of names, functions and periods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property

from ctserver import ids, systemd
from ctserver.asterisk.bridge import Bridge
from ctserver.asterisk.recordings import Adopter
from ctserver.config import Settings
from ctserver.http.deps import Health
from ctserver.recordings.keeper import Keeper
from ctserver.recordings.places import Places
from ctserver.services import digest, pools, rollups
from ctserver.services.attribution import Attributor
from ctserver.services.callbacks import Callbacks
from ctserver.services.colours import Colours
from ctserver.services.pauses import Pauses
from ctserver.services.retention import Retention
from ctserver.services.simulation import PoolSize
from ctserver.services.speech import Speaker
from ctserver.services.watch import Watch
from ctserver.sinks import Sinks
from ctserver.storage import links, logins
from ctserver.storage.sqlite import Sqlite

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class Upkeep:
    """Starts a task for each row of `table`; one that fails is logged and tried again after its period."""

    def __init__(
        self, *, db: Sqlite, settings: Settings, places: Places, bridges: Sequence[Bridge], sinks: Sinks,
        attributor: Attributor, callbacks: Callbacks, pauses: Pauses, colours: Colours, speaker: Speaker, health: Callable[[], Awaitable[Health]],
    ) -> None:  # fmt: skip
        self._db = db
        self._settings = settings
        self._places = places
        self._bridges = bridges
        self._sinks = sinks
        self._attributor = attributor
        self._callbacks = callbacks
        self._pauses = pauses
        self._colours = colours
        self._speaker = speaker
        self._health = health
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(_every(*row), name=row[0]) for row in self.table()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def table(self) -> list[tuple[str, Work, float]]:
        """(name, what is done, seconds from its end to its next beginning)."""
        return [
            ("adopt recordings", self._adopt, 0.5),
            ("make recordings small and put them away", self._keep, 3),
            ("remove old recordings", self._remove_recordings, 3600),
            ("return borrowed recordings", self._places.return_borrowed, 3600),
            ("save what could not be saved", self._flush, 5),
            ("read Asterisk's notes of ended calls", self._read_notes, 5),
            ("remove old notes", self._tidy_notes, 86_400),
            ("forget logins and links that are over", self._forget_logins, 3600),
            ("forget what is kept for a time", self._forget, 3600),
            ("learn from calls", self._learn, 1800),
            ("watch the pools", self._watch_pools, 300),
            ("tell the digests", self._tell_digests, 300),
            ("measure the pools", self._measure_pools, 3600),
            ("speak", self._speaker.speak, 2),
            ("place callbacks", self._call_back, 1),
            ("resume paused recordings", self._resume_recordings, 1),
            ("watch for trouble", self._watch_trouble, 15),
            ("look after deliveries", self._sinks.delivery.upkeep, 600),
            ("sum up the reports", self._sum_up, 120),
            ("give sources their colours", self._give_colours, 300),
            ("tell systemd", _alive, systemd.watchdog_seconds() or 3600),
        ]

    # ---- recordings

    @cached_property
    def _adopter(self) -> Adopter:
        settings = self._settings
        spools = {pbx.id: settings.spool(pbx) for pbx in settings.asterisk}
        return Adopter(self._db, settings.path(settings.recordings.folder), self._sinks.facts, spools=spools)

    @cached_property
    def _keeper(self) -> Keeper:
        return Keeper(self._db, self._settings, self._places)

    async def _adopt(self) -> None:
        await self._adopter.adopt_due(ids.now_ms())

    async def _keep(self) -> None:
        await self._keeper.keep_new(ids.now_ms())

    async def _remove_recordings(self) -> None:
        if removed := await self._keeper.remove_old(ids.now_ms()):
            log.info("removed %d recordings whose time was over", removed)

    # ---- what is over

    @cached_property
    def _retention(self) -> Retention:
        return Retention(self._db, self._settings.retention, self._keeper.remove)

    async def _forget(self) -> None:
        for kind, count in (await self._retention.forget(ids.now_ms())).items():
            log.info("forgot %d %s whose time was over", count, kind)

    async def _forget_logins(self) -> None:
        now = ids.now_ms()
        await self._db.write(lambda tx: logins.forget_expired(tx, now))
        await self._db.write(lambda tx: links.forget_expired(tx, now))

    # ---- calls

    async def _flush(self) -> None:
        for bridge in self._bridges:
            await bridge.journal.flush()

    async def _read_notes(self) -> None:
        for bridge in self._bridges:
            await bridge.notes.read(ids.now_ms())

    async def _tidy_notes(self) -> None:
        for bridge in self._bridges:
            await bridge.notes.tidy()

    async def _call_back(self) -> None:
        await self._callbacks.work(ids.now_ms())

    async def _resume_recordings(self) -> None:
        await self._pauses.work(ids.now_ms())

    # ---- figures

    async def _learn(self) -> None:
        if learnt := await self._attributor.learn(self._db, ids.now_ms()):
            log.info("learnt from %d calls when visitors ring", learnt)

    async def _sum_up(self) -> None:
        await rollups.catch_up(self._db, ids.now_ms())

    async def _give_colours(self) -> None:
        await self._colours.look(self._db, ids.now_ms())

    async def _tell_digests(self) -> None:
        await digest.tell(self._db, self._settings, self._sinks.facts, ids.now_ms())

    async def _watch_pools(self) -> None:
        for fact in await pools.watch(self._db, self._settings, ids.now_ms(), self._sinks.facts):
            log.warning("pool %s: %s", fact.pool, fact.detail)

    async def _measure_pools(self) -> None:
        await pools.refresh_reports(self._db, self._settings, ids.now_ms(), _elsewhere)

    # ---- trouble

    @cached_property
    def _watch(self) -> Watch:
        return Watch(self._db, self._settings, self._sinks.facts)

    async def _watch_trouble(self) -> None:
        await self._watch.look((await self._health()).parts, ids.now_ms())


async def _alive() -> None:
    systemd.notify("WATCHDOG=1")


async def _elsewhere(question: pools.Question) -> PoolSize:
    """A simulation in a process of its own, at the lowest priority: calls come first."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.nice, (19,)) as processes:
        return await asyncio.get_running_loop().run_in_executor(processes, question.answer)


async def _every(name: str, work: Work, seconds: float) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("upkeep: %s failed", name)
        await asyncio.sleep(seconds)
