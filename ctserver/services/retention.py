"""What is kept for a time goes when it is over: in small batches with pauses, so that a visitor or a call that is to be
written meanwhile waits for one batch at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ctserver.config.retention import Retention as Periods
from ctserver.domain.clock import DAY_MS
from ctserver.storage import outbox
from ctserver.storage import retention as storage
from ctserver.storage.db import Database, Row, Transaction

PAUSE_SECONDS = 0.1  # between batches
CALLS, SESSIONS, ROWS = 25, 50, 500  # in a batch; each keeps the writer for some 10 ms
Step = Callable[[int], Awaitable[int]]  # one batch of what is older than this; how many went, 0: none is left


class Retention:
    """Forgets what the settings keep for a time. `remove` takes a recording (call, file, place) away, wherever it is."""

    def __init__(
        self, db: Database, periods: Periods, remove: Callable[[Row], Awaitable[None]], pause: float = PAUSE_SECONDS
    ) -> None:
        self._db = db
        self._periods = periods
        self._remove = remove
        self._pause = pause
        self._addresses_to = ""  # the session up to which no IP address is left

    async def forget(self, now: int) -> dict[str, int]:
        """Everything whose time is over; kind -> how many went."""
        periods = self._periods
        kinds: list[tuple[str, int, list[Step]]] = [
            ("calls", periods.calls_days, [self._calls, self._sessions]),
            ("visitors' sessions", periods.visitors_days, [self._stripped, self._rows(storage.forget_shortages)]),
            (
                "IP addresses",
                periods.addresses_days,
                [
                    self._addresses,
                    self._rows(storage.forget_callback_addresses),
                    self._rows(storage.forget_audit_addresses),
                ],
            ),
            (
                "callbacks and calls to others",
                periods.callbacks_days,
                [self._rows(storage.forget_callbacks), self._rows(storage.forget_outgoing)],
            ),
            ("deliveries", periods.deliveries_days, [self._deliveries]),
            ("entries of the audit log", periods.audit_days, [self._rows(storage.forget_audit)]),
        ]
        gone = {name: await self._all(steps, now - days * DAY_MS) for name, days, steps in kinds if days}
        return {name: count for name, count in gone.items() if count}

    async def _calls(self, before: int) -> int:
        rows = await storage.calls_before(self._db, before, CALLS)
        for row in rows:
            if row["state"] == "ready":
                await self._remove(row)
        return await self._db.write(partial(storage.remove_calls, calls=[row["call"] for row in rows])) if rows else 0

    async def _sessions(self, before: int) -> int:
        found = await storage.sessions_before(self._db, before, SESSIONS)
        return await self._db.write(partial(storage.remove_sessions, sessions=found)) if found else 0

    async def _stripped(self, before: int) -> int:
        found = await storage.visited_before(self._db, before, SESSIONS)
        return await self._db.write(partial(storage.strip_sessions, sessions=found)) if found else 0

    async def _addresses(self, before: int) -> int:
        found = await storage.addressed_before(self._db, self._addresses_to, before, ROWS)
        if not found:
            return 0
        self._addresses_to = found[-1]
        return await self._db.write(partial(storage.forget_addresses, sessions=found))

    async def _deliveries(self, before: int) -> int:
        return await self._db.write(lambda tx: outbox.forget(tx, before, ROWS // 5))

    def _rows(self, forget: Callable[[Transaction, int, int], int]) -> Step:
        async def step(before: int) -> int:
            return await self._db.write(lambda tx: forget(tx, before, ROWS))

        return step

    async def _all(self, steps: list[Step], before: int) -> int:
        gone = 0
        for step in steps:
            while count := await step(before):
                gone += count
                await asyncio.sleep(self._pause)
        return gone
