"""Delivers what waits in the outbox: each web hook or channel ("via") has a queue of its own, so that a dead one delays
nobody else.

A row is claimed, handed to its via, and settled: done, or put back with a later `due_at`, or given up with the other side's
words. An answer that cannot be written down yet is kept until it can: nothing goes out again after it was taken.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ctserver import ids
from ctserver.domain import backoff
from ctserver.domain import fact as facts
from ctserver.domain.fact import Fact
from ctserver.outbound import GiveUp, OutboundError, Retry
from ctserver.services.facts import Facts
from ctserver.storage import outbox, vias
from ctserver.storage.db import Database, Row, StorageError, Transaction
from ctserver.storage.outbox import BY_HAND, DONE, DROPPED, FAILED
from ctserver.storage.vias import State

log = logging.getLogger(__name__)
T = TypeVar("T")

CLAIM_MS = 600_000  # longer than any try may take
LOOK_SECONDS = 5.0  # how often to look without being woken
PREFETCH = 4  # rows claimed for each that may be under way
UNWRITTEN = 2  # times at_once: so many are under way or have an answer that is still being written down
WORDS = 500  # characters kept of what the other side said


@dataclass(frozen=True, slots=True)
class Job:
    """A fact for one sink, as its via is given it. `by_hand`: a person has asked for it to be sent again."""

    id: str
    sink: str
    addressee: str
    topic: str
    tries: int
    written_at: int
    fact: Fact
    by_hand: bool = False

    @property
    def kind(self) -> str:
        return self.fact.kind


@dataclass(frozen=True, slots=True)
class Receipt:
    """It was taken: the other side's words, and what it was told."""

    answer: str
    said: str = ""


class Hold(Exception):
    """Not before `until` (epoch milliseconds); this was no try."""

    def __init__(self, until: int, why: str) -> None:
        self.until = until
        super().__init__(why)


class Drop(Exception):
    """Not needed any more, and why."""


@dataclass(frozen=True, slots=True)
class Via:
    """A web hook or channel: how it takes a job, how patient it is, how much it bears.

    `deliver` raises Retry, GiveUp, Hold or Drop; `test` sends something harmless and returns the other side's words;
    `secrets` are blotted out wherever its words are kept.
    """

    name: str
    title: str
    deliver: Callable[[Job], Awaitable[Receipt]]
    test: Callable[[], Awaitable[str]]
    retry_seconds: tuple[float, ...]
    at_once: int = 4
    per_minute: float = 0
    timeout_seconds: float = 60
    secrets: tuple[str, ...] = ()

    def words(self, said: object) -> str:
        """One line without secrets."""
        text = " ".join(str(said).split())
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text[:WORDS]


class Delivery:
    """All queues."""

    def __init__(self, db: Database, vias: Iterable[Via], facts: Facts, now: Callable[[], int] = ids.now_ms) -> None:
        self.vias: Mapping[str, Via] = {via.name: via for via in vias}
        self._db = db
        self._facts = facts
        self._now = now
        self._queues = {name: _Queue(db, via, facts, now) for name, via in self.vias.items()}
        self._tasks: list[asyncio.Task[None]] = []
        facts.on_wake = self.wake

    async def start(self) -> None:
        """Take up what an earlier run left."""
        now = self._now()
        await self._db.write(outbox.release)
        dropped = await self._db.write(
            lambda tx: outbox.drop_strangers(tx, [*self.vias], now, "the settings no longer have it")
        )
        if dropped:
            log.warning("%d deliveries were for web hooks or channels that the settings no longer have", dropped)
        for state in await vias.states(self._db):
            if state.via in self._queues:
                self._queues[state.via].state = state
        self._tasks = [asyncio.create_task(queue.run(), name=name) for name, queue in self._queues.items()]

    async def stop(self, patience: float = 2.0) -> None:
        """Let what is under way end, for a while; the rest goes out after the next start."""
        for queue in self._queues.values():
            queue.stopping = True
        under_way = [job for queue in self._queues.values() for job in queue.under_way]
        if under_way:
            await asyncio.wait(under_way, timeout=patience)
        for task in [*self._tasks, *under_way]:
            task.cancel()
        await asyncio.gather(*self._tasks, *under_way, return_exceptions=True)

    def wake(self) -> None:
        """There are new rows."""
        for queue in self._queues.values():
            queue.wake()

    async def upkeep(self) -> None:
        """Claims that nobody kept."""
        now = self._now()
        await self._db.write(lambda tx: outbox.release(tx, now))

    async def again(self, id: str) -> bool:
        """Send this once more, whatever became of it. False if there is no such row."""
        now = self._now()
        found = await self._db.write(lambda tx: outbox.again(tx, id, now))
        self.wake()
        return found

    async def again_all(self, via: str) -> int:
        """Send once more what this via has given up."""
        now = self._now()
        count = await self._db.write(lambda tx: outbox.again_all(tx, via, now))
        await self.resume(via)
        return count

    async def resume(self, via: str) -> None:
        """End a pause: the key is right now, or so we are told."""
        if queue := self._queues.get(via):
            await queue.clear()
            queue.wake()

    async def test(self, via: str) -> str:
        """The other side's words. Raises KeyError, OutboundError."""
        tested = self.vias[via]
        try:
            async with asyncio.timeout(tested.timeout_seconds):
                answer = await tested.test()
        except TimeoutError:
            raise Retry(f"no answer within {tested.timeout_seconds:.0f} s") from None
        except OutboundError as error:
            raise type(error)(tested.words(error)) from None
        await self.resume(via)
        return tested.words(answer)

    def problems(self) -> dict[str, str]:
        """The vias that do not work now, in words."""
        return {name: queue.state.problem for name, queue in self._queues.items() if queue.troubled}

    def state(self, via: str) -> State:
        """What is wrong with it, and until when it rests. Raises KeyError."""
        return self._queues[via].state


@dataclass
class _Queue:
    """One via: takes what is due, keeps within its limits, and its state."""

    db: Database
    via: Via
    facts: Facts
    now: Callable[[], int]
    wakened: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    stopping: bool = False

    def __post_init__(self) -> None:
        self.state = State(self.via.name)
        self._claimed: deque[Job] = deque()
        self._claim = ids.token()
        self._bucket = backoff.Bucket(self.via.per_minute)
        self._rest_until = 0.0
        self._sending = 0
        self._look = True  # there may be rows that we have not seen
        self._more = False  # the last look found as many as it asked for
        self._next_due: int | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._look = True
        self.wakened.set()

    @property
    def troubled(self) -> bool:
        return self.state.paused_until > self.now() or self.state.failures >= backoff.SLOW_FROM

    async def run(self) -> None:
        while True:
            self.wakened.clear()
            try:
                seconds = await self._round()
            except StorageError as error:
                log.error("deliveries of %s wait: %s", self.via.name, error)
                seconds = LOOK_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self.wakened.wait()
            except TimeoutError:
                self._look = True

    async def _round(self) -> float:
        """Start what may start; how long to sleep unless woken."""
        rest = self._rest()
        if rest > 0 or self.stopping:
            await self._give_back()
            return min(rest, LOOK_SECONDS) if rest > 0 else LOOK_SECONDS
        at_once = 1 if self._gap() else self.via.at_once
        if len(self._claimed) < at_once and (self._look or self._more):
            await self._claim_more(at_once)
        while self._claimed and self._sending < at_once and len(self.under_way) < at_once * UNWRITTEN:
            if seconds := self._bucket.take(time.monotonic()):
                return seconds
            self._sending += 1
            task = asyncio.create_task(self._handle(self._claimed.popleft()))
            self.under_way.add(task)
            task.add_done_callback(self._handled)
        if self._claimed or self._next_due is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.001, (self._next_due - self.now()) / 1000))

    def _handled(self, task: asyncio.Task[None]) -> None:
        self.under_way.discard(task)
        self.wake()  # the next of its lane may go

    def _sent(self) -> None:
        """It has an answer: the next may go out while that is written down."""
        self._sending -= 1
        self.wakened.set()

    def _rest(self) -> float:
        """Seconds for which nothing may start."""
        return max((self.state.paused_until - self.now()) / 1000, self._rest_until - time.monotonic())

    def _gap(self) -> float:
        """Seconds between tries."""
        since = self.state.failing_at
        return 0.0 if since is None else backoff.gap(self.state.failures, (self.now() - since) / 1000)

    async def _claim_more(self, at_once: int) -> None:
        wanted = at_once * PREFETCH if at_once > 1 else 1
        now, self._look = self.now(), False
        rows = await outbox.due(self.db, self.via.name, now, wanted)
        self._more = len(rows) == wanted
        if not rows:
            self._next_due = await outbox.next_due(self.db, self.via.name, now)
            return
        until = self.now() + CLAIM_MS
        names = [row["id"] for row in rows]
        ours = await self.db.write(lambda tx: outbox.claim(tx, names, self._claim, until))
        self._claimed.extend(_job(row) for row in rows if row["id"] in ours)

    async def _give_back(self) -> None:
        if self._claimed:
            names = [job.id for job in self._claimed]
            self._claimed.clear()
            await self._keep(lambda tx: outbox.unclaim(tx, names, self._claim))

    # ---- one job

    async def _handle(self, job: Job) -> None:
        started, clock = self.now(), time.monotonic()
        unit: Callable[[Transaction], object]
        try:
            async with asyncio.timeout(self.via.timeout_seconds):
                receipt = await self.via.deliver(job)
        except Hold as hold:
            until, why = hold.until, self.via.words(hold)
            await self._keep(lambda tx: outbox.put_back(tx, job.id, self._claim, until, why, tries=0))
            return
        except Drop as drop:
            unit = self._settling(job, DROPPED, "", self.via.words(drop))
        except GiveUp as error:
            unit = self._refused(job, error)
        except Retry as error:
            unit = self._failed(job, self.via.words(error), error.after)
        except TimeoutError:
            unit = self._failed(job, f"no answer within {self.via.timeout_seconds:.0f} s", None)
        except Exception as error:
            log.exception("%s: a mistake of ours", self.via.name)
            unit = self._failed(job, f"a mistake of ours: {type(error).__name__}", None)
        else:
            unit = self._taken(job, receipt)
        finally:
            self._sent()
        took = round((time.monotonic() - clock) * 1000)
        outcome = await self._keep(lambda tx: self._log(tx, job, started, took, unit))
        if outcome not in (DONE, DROPPED):
            self.facts.wake()  # it may be a fact by itself

    def _log(self, tx: Transaction, job: Job, at: int, took: int, unit: Callable[[Transaction], Any]) -> str:
        outcome, answer = unit(tx)
        if outcome != DROPPED:
            outbox.add_try(tx, job.id, at, took, outcome, answer)
        return str(outcome)

    def _taken(self, job: Job, receipt: Receipt) -> Callable[[Transaction], object]:
        answer = self.via.words(receipt.answer)
        was = self.state
        self.state = State(self.via.name)
        self._rest_until = 0.0

        def unit(tx: Transaction) -> tuple[str, str]:
            outbox.settle(tx, job.id, self._claim, DONE, self.now(), receipt.said, answer)
            if was.failures or was.refusals:
                vias.save(tx, State(self.via.name))
            return DONE, answer

        return unit

    def _settling(self, job: Job, state: str, said: str, answer: str) -> Callable[[Transaction], object]:
        def unit(tx: Transaction) -> tuple[str, str]:
            outbox.settle(tx, job.id, self._claim, state, self.now(), said, answer)
            return state, answer

        return unit

    def _failed(self, job: Job, answer: str, asked: float | None) -> Callable[[Transaction], object]:
        """Again later, if it may be tried once more."""
        self.state = self.state.failed(answer, self.now())
        self._rest_until = time.monotonic() + max(self._gap(), asked or 0.0)
        seconds = backoff.wait(job.tries + 1, self.via.retry_seconds, ids.fraction(), asked)
        if seconds is None:
            return self._giving_up(job, answer)
        due_at, state = self.now() + round(seconds * 1000), self.state

        def unit(tx: Transaction) -> tuple[str, str]:
            outbox.put_back(tx, job.id, self._claim, due_at, answer, tries=1)
            vias.save(tx, state)
            return "retry", answer

        return unit

    def _refused(self, job: Job, error: GiveUp) -> Callable[[Transaction], object]:
        """Given up; but where our key is refused, the next job would be too, so this one waits for a better key."""
        answer = self.via.words(error)
        if not error.unauthorised:
            return self._giving_up(job, answer)
        now = self.now()
        if self.state.paused_until <= now:  # else others that were under way have told us already
            self.state = self.state.refused(answer, now)
            if pause := backoff.pause(self.state.refusals):
                log.warning("%s refuses our key; it rests for %.0f min: %s", self.via.name, pause / 60, answer)
                self.state = self.state.resting(now + round(pause * 1000))
        soon = now + round(1000 * (self.via.retry_seconds or (5.0,))[0])
        state, due_at = self.state, max(soon, self.state.paused_until)

        def unit(tx: Transaction) -> tuple[str, str]:
            outbox.put_back(tx, job.id, self._claim, due_at, answer, tries=0)
            vias.save(tx, state)
            if state.paused_until > now:
                self._tell(tx, f"{self.via.title} refuses our key or password: {answer}")
            return "refused", answer

        return unit

    def _giving_up(self, job: Job, answer: str) -> Callable[[Transaction], object]:
        log.warning("%s: given up after %d tries: %s", self.via.name, job.tries + 1, answer)

        def unit(tx: Transaction) -> tuple[str, str]:
            outbox.settle(tx, job.id, self._claim, FAILED, self.now(), "", answer)
            self._tell(tx, f"{self.via.title} did not take a message: {answer}")
            return FAILED, answer

        return unit

    def _tell(self, tx: Transaction, detail: str) -> None:
        """A person should know, by another way than this one; not oftener than every few hours."""
        now = self.now()
        last = outbox.last_fact(tx, facts.DELIVERY, self.via.name)
        if last is None or now - last >= facts.QUIET_MS:
            data = {"via": self.via.name, "problem": detail}
            self.facts.record(tx, Fact(facts.DELIVERY, now, self.via.name, detail, data=data), now)

    async def clear(self) -> None:
        """Forget what was wrong."""
        self.state, self._rest_until = State(self.via.name), 0.0
        await self.db.write(lambda tx: vias.save(tx, State(self.via.name)))
        await self.db.write(lambda tx: outbox.hurry(tx, self.via.name, self.now()))

    async def _keep(self, unit: Callable[[Transaction], T]) -> T:
        """Write it down, however long that takes."""
        while True:
            try:
                return await self.db.write(unit)
            except StorageError as error:
                log.error("%s: what became of a delivery cannot be written yet: %s", self.via.name, error)
                await asyncio.sleep(1)


def _job(row: Row) -> Job:
    fact = Fact(row["kind"], row["at"], row["subject"], row["detail"], row["call"], None, json.loads(row["data"]))
    by_hand = row["lane"] == BY_HAND
    return Job(row["id"], row["sink"], row["addressee"], row["topic"], row["tries"], row["written_at"], fact, by_hand)
