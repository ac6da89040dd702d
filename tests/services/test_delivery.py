"""The outbox is delivered, on a real database, to real sockets and to vias that behave badly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from ctserver import ids
from ctserver.config import Settings
from ctserver.domain.fact import Fact
from ctserver.outbound import GiveUp, Retry
from ctserver.services import delivery
from ctserver.services.delivery import Delivery, Drop, Hold, Job, Receipt, Via
from ctserver.services.facts import Facts
from ctserver.storage import outbox
from ctserver.storage.outbox import Entry
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, quickest

FAST = (0.01,) * 30


class All:
    """Sends every fact to every one of its vias, but not the news of its own trouble."""

    def __init__(self, *vias: str) -> None:
        self.vias = vias

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        for via in self.vias:
            if fact.subject != via:
                yield Entry(ids.new(now), via, via, "somebody", now, lane=fact.call)


class Other:
    """Takes jobs as `act` says, and remembers them."""

    def __init__(self, act: Callable[[Job], Any] = lambda _: None) -> None:
        self.act = act
        self.seen: list[Job] = []
        self.taken: list[Job] = []

    async def deliver(self, job: Job) -> Receipt:
        self.seen.append(job)
        result = self.act(job)
        if isinstance(result, Awaitable):
            await result
        elif isinstance(result, Exception):
            raise result
        self.taken.append(job)
        return Receipt("thank you", "said")

    async def test(self) -> str:
        return "fine"

    def via(self, name: str, retry: tuple[float, ...] = FAST, **own: Any) -> Via:
        return Via(name, name, self.deliver, self.test, retry, **own)


def fact(number: int = 0, call: str = "") -> Fact:
    return Fact("call.ended", 1_700_000_000_000 + number, f"s{number}", call=call)


async def write(db: Sqlite, facts: Facts, *new: Fact) -> None:
    for one in new:
        await db.write(lambda tx, one=one: facts.record(tx, one, ids.now_ms()))  # type: ignore[misc]
    facts.wake()


@asynccontextmanager
async def running(db: Sqlite, settings: Settings, *vias: Via) -> Any:
    facts = Facts(settings, [All(*(via.name for via in vias))])
    made = Delivery(db, vias, facts)
    await made.start()
    try:
        yield made, facts
    finally:
        await made.stop()


async def states(db: Sqlite) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await db.fetch("SELECT via, state, tries, answer FROM outbox ORDER BY via, place")]


async def settled(db: Sqlite, state: str, count: int) -> None:
    """Wait until so many rows are in this state."""
    async with asyncio.timeout(PATIENCE):
        while [row[1] for row in await states(db)].count(state) < count:
            await asyncio.sleep(0.01)


async def test_a_fact_arrives_within_milliseconds_of_its_commit(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other()
    async with running(db, settings, other.via("a")) as (_, facts):
        await asyncio.sleep(0.05)

        async def arrives() -> None:
            known = len(other.taken)
            await write(db, facts, fact(known))
            await until(lambda: len(other.taken) > known)

        assert await quickest(arrives, 0.5) < 0.5
    assert set(await states(db)) == {("a", "done", 1, "thank you")}


async def test_what_fails_is_tried_again_until_it_is_taken_and_then_never_more(
    db: Sqlite, settings: Settings, until: Any
) -> None:
    answers = iter([Retry("away"), Retry("away", after=0.05), RuntimeError("a mistake of ours"), None])
    other = Other(lambda _: next(answers))
    async with running(db, settings, other.via("a")) as (made, facts):
        await write(db, facts, fact())
        await until(lambda: other.taken)
        await asyncio.sleep(0.1)
        made.wake()
        await asyncio.sleep(0.1)
    assert len(other.seen) == 4
    assert {job.id for job in other.seen} == {other.seen[0].id}
    rows = await db.fetch("SELECT outcome, answer FROM tries ORDER BY at")
    assert [tuple(row) for row in rows] == [
        ("retry", "away"),
        ("retry", "away"),
        ("retry", "a mistake of ours: RuntimeError"),
        ("done", "thank you"),
    ]


async def test_it_is_given_up_with_the_other_sides_words_and_a_person_is_told_by_another_way(
    db: Sqlite, settings: Settings, until: Any
) -> None:
    bad, good = Other(lambda _: GiveUp("no such mailbox")), Other()
    async with running(db, settings, bad.via("bad"), good.via("good")) as (_, facts):
        await write(db, facts, fact())
        await until(lambda: len(good.taken) == 2)
    assert (await states(db))[0] == ("bad", "failed", 1, "no such mailbox")
    told = good.taken[1].fact
    assert (told.kind, told.subject) == ("delivery_failing", "bad")
    assert "no such mailbox" in told.detail
    assert len(bad.seen) == 1


async def test_the_last_try_is_the_last(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other(lambda _: Retry("still away"))
    async with running(db, settings, other.via("a", retry=(0.01, 0.01))) as (_, facts):
        await write(db, facts, fact())
        await until(lambda: len(other.seen) == 3)
        await asyncio.sleep(0.2)
    assert await states(db) == [("a", "failed", 3, "still away")]


async def test_a_dead_one_delays_nobody_else(db: Sqlite, settings: Settings, until: Any) -> None:
    dead, good = Other(lambda _: asyncio.sleep(60)), Other()
    async with running(db, settings, dead.via("dead"), good.via("good")) as (_, facts):
        started = time.monotonic()
        await write(db, facts, *(fact(number) for number in range(50)))
        await until(lambda: len(good.taken) == 50)
        assert time.monotonic() - started < 30
        assert not dead.taken


async def test_the_facts_of_a_call_arrive_in_their_order_though_the_first_fails(
    db: Sqlite, settings: Settings, until: Any
) -> None:
    failures = {0: 3, 5: 2}

    def act(job: Job) -> Exception | None:
        number = job.fact.at - 1_700_000_000_000
        failures[number] = failures.get(number, 0) - 1
        return Retry("not yet") if failures[number] >= 0 else None

    other = Other(act)
    async with running(db, settings, other.via("a", at_once=8)) as (_, facts):
        new = [fact(number, f"call{number % 2}") for number in reversed(range(10))]
        await db.write(lambda tx: [facts.record(tx, one, ids.now_ms()) for one in new])
        facts.wake()
        await until(lambda: len(other.taken) == 10)
    for call in ("call0", "call1"):
        order = [job.fact.at for job in other.taken if job.fact.call == call]
        assert order == sorted(order)


async def test_an_earlier_run_s_claims_are_taken_up_and_what_was_done_stays_done(
    db: Sqlite, settings: Settings, until: Any
) -> None:
    first = Other(lambda job: asyncio.sleep(60) if job.fact.subject == "s1" else None)
    async with running(db, settings, first.via("a")) as (made, facts):
        await write(db, facts, fact(0), fact(1), fact(2))
        await until(lambda: len(first.taken) == 2 and len(first.seen) == 3)
        await settled(db, "done", 2)
        await made.stop(patience=0)
    second = Other()
    async with running(db, settings, second.via("a")):
        await until(lambda: second.taken)
        await asyncio.sleep(0.1)
    assert [job.fact.subject for job in second.taken] == ["s1"]


async def test_a_refused_key_rests_the_channel_and_nothing_is_lost(db: Sqlite, settings: Settings, until: Any) -> None:
    key = ["wrong"]
    other = Other(lambda _: GiveUp("401 your key is wrong", unauthorised=True) if key[0] == "wrong" else None)
    async with running(db, settings, other.via("a")) as (made, facts):
        await write(db, facts, *(fact(number) for number in range(20)))
        await until(lambda: made.problems())
        await asyncio.sleep(0.2)
        assert made.problems() == {"a": "401 your key is wrong"}
        tried = len(other.seen)
        assert tried <= 3 + 4  # the third refusal, and what was under way then
        key[0] = "right"
        assert await made.test("a") == "fine"
        await until(lambda: len(other.taken) == 20)
    assert {row[1] for row in await states(db)} == {"done"}
    rows = await db.fetch("SELECT kind, subject FROM facts WHERE kind = 'delivery_failing'")
    assert [tuple(row) for row in rows] == [("delivery_failing", "a")]


async def test_a_pause_outlives_a_restart(db: Sqlite, settings: Settings, until: Any) -> None:
    refusing = Other(lambda _: GiveUp("403", unauthorised=True))
    async with running(db, settings, refusing.via("a")) as (made, facts):
        await write(db, facts, *(fact(number) for number in range(8)))
        await until(lambda: made.problems())
        await asyncio.sleep(0.1)
    after = Other()
    async with running(db, settings, after.via("a")) as (made, _):
        await asyncio.sleep(0.2)
        assert made.problems() == {"a": "403"}
    assert after.seen == []


async def test_what_asks_for_patience_gets_it(db: Sqlite, settings: Settings, until: Any) -> None:
    answers = iter([Retry("slow down", after=0.5)])
    other = Other(lambda _: next(answers, None))
    async with running(db, settings, other.via("a", at_once=1)) as (_, facts):
        started = time.monotonic()
        await write(db, facts, fact(0), fact(1), fact(2))
        await until(lambda: len(other.taken) == 3)
        assert 0.5 <= time.monotonic() - started < 30


async def test_no_more_a_minute_than_allowed(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other()
    async with running(db, settings, other.via("a", per_minute=600)) as (_, facts):
        started = time.monotonic()
        await write(db, facts, *(fact(number) for number in range(15)))
        await until(lambda: len(other.taken) == 15)
        assert time.monotonic() - started > 0.9  # five at once, then ten a second


async def test_held_and_dropped_are_no_tries(db: Sqlite, settings: Settings, until: Any) -> None:
    answers = iter([Hold(ids.now_ms() + 100, "quiet hours"), Drop("the caller got through")])
    other = Other(lambda _: next(answers))
    async with running(db, settings, other.via("a")) as (_, facts):
        await write(db, facts, fact())
        await until(lambda: len(other.seen) == 2)
        await asyncio.sleep(0.05)
    assert await states(db) == [("a", "dropped", 0, "the caller got through")]


async def test_an_answer_too_slow_is_a_failure(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other(lambda _: asyncio.sleep(60))
    async with running(db, settings, other.via("a", timeout_seconds=0.05, retry=())) as (_, facts):
        await write(db, facts, fact())
        await settled(db, "failed", 1)
    assert len(other.seen) == 1


async def test_what_was_given_up_is_sent_again_by_hand(db: Sqlite, settings: Settings, until: Any) -> None:
    bad = [True]
    other = Other(lambda _: GiveUp("bad") if bad[0] else None)
    async with running(db, settings, other.via("a")) as (made, facts):
        await write(db, facts, fact(0), fact(1))
        await settled(db, "failed", 2)
        bad[0] = False
        assert await made.again(other.seen[0].id)
        assert not await made.again("nothing")
        await until(lambda: len(other.taken) == 1)
        assert await made.again_all("a") == 1
        await until(lambda: len(other.taken) == 2)


async def test_secrets_are_blotted_out_of_the_other_sides_words(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other(lambda _: GiveUp("the key s3cret-key\nis wrong"))
    async with running(db, settings, other.via("a", secrets=("s3cret-key",))) as (_, facts):
        await write(db, facts, fact())
        await until(lambda: other.seen)
        await asyncio.sleep(0.1)
    assert (await states(db))[0][3] == "the key *** is wrong"


async def test_what_the_settings_no_longer_have_is_dropped_and_says_so(db: Sqlite, settings: Settings) -> None:
    facts = Facts(settings, [All("gone")])
    await write(db, facts, fact())
    async with running(db, settings):
        pass
    assert await states(db) == [("gone", "dropped", 0, "the settings no longer have it")]


async def test_old_facts_go_and_what_waits_stays(db: Sqlite, settings: Settings, until: Any) -> None:
    other = Other(lambda job: None if job.fact.subject == "s0" else asyncio.sleep(60))
    async with running(db, settings, other.via("a")) as (_, facts):
        await write(db, facts, fact(0), fact(1))
        await until(lambda: len(other.taken) == 1 and len(other.seen) == 2)
        await settled(db, "done", 1)
        await db.write(lambda tx: outbox.forget(tx, 1 << 50))
        assert [row["subject"] for row in await db.fetch("SELECT subject FROM facts")] == ["s1"]


def test_a_claim_lasts_longer_than_any_try() -> None:
    assert delivery.CLAIM_MS > 65_000
