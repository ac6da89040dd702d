"""Never lost: Asterisk itself dies in the middle of calls. Each of them is in the journal once, with an end as near to the truth
as there is evidence for and with what was recorded of it; and calls go on as soon as Asterisk is back."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from tests.conftest import PATIENCE
from tests.e2e import conftest, sipp
from tests.e2e.conftest import POOL, Stack

pytestmark = pytest.mark.e2e

NOBODY = "+442079460192"
MORE = """
[lines.empty]
dial = "PJSIP/ct-out/sip:nobody@127.0.0.1:{phone}"
ring_seconds = 60
[static.empty]
number = "+44 20 7946 0192"
site = "demo"
source = "empty"
line = "empty"
"""
RING_MS = 1000
SPOKEN_S = 2.6
BLOCK_MS = 2050  # Asterisk writes a recording in blocks of so much


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("restarts"), MORE)
    made.pbx.binary = replace(made.pbx.binary, command=_restartable(made))
    try:
        made.start_pbx()
        made.start_server()
        yield made
    finally:
        made.stop()


def _restartable(stack: Stack) -> tuple[str, ...]:
    """`core restart` starts the program by its first word, which for the private Asterisk must not be its loader."""
    loader, *rest = stack.pbx.binary.command
    if not rest:
        return (loader,)
    program = stack.folder / "asterisk-program"
    command = shlex.join([loader, "--argv0", str(program), *rest])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return (str(program),)


@dataclass(frozen=True)
class Lives:
    """Somebody who talks when Asterisk dies, and somebody for whom it rings."""

    talker: str
    waiter: str

    def rows(self, stack: Stack) -> list[sqlite3.Row]:
        found = stack.rows("SELECT * FROM calls WHERE caller IN (?, ?) ORDER BY caller", self.talker, self.waiter)
        assert [row["caller"] for row in found] == [self.talker, self.waiter], "not each is there once"
        return found


@asynccontextmanager
async def lives(stack: Stack, name: str, *, seen: str) -> AsyncIterator[Lives]:
    """Both, as soon as the talker's call has come to the state `seen`, with his recording under way."""
    await stack.healthy()
    who = Lives(f"+44770090{name}1", f"+44770090{name}2")
    phone = sipp.Phone(
        stack.folder, stack.ports["phone"], stack.company_tone, ring_ms=RING_MS, rtp_port=conftest._rtp(), template="chaos_phone.xml"
    )  # fmt: skip
    calls = [
        asyncio.create_task(stack.call(number, caller=caller, talk_ms=30_000, timeout=20))
        for number, caller in ((POOL[0], who.talker), (NOBODY, who.waiter))
    ]
    try:
        await stack.eventually("SELECT 1 FROM calls WHERE caller = ? AND state = 'ringing'", who.waiter)
        await stack.eventually("SELECT 1 FROM calls WHERE caller = ? AND state = ?", who.talker, seen)
        yield who
    finally:
        phone.close()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_calls_in_an_asterisk_that_is_killed_end_when_it_died(stack: Stack) -> None:
    async with lives(stack, "101", seen="talking") as who:
        await asyncio.sleep(SPOKEN_S)
        died = kill(stack)
        await asyncio.sleep(1.5)
        await comes_back(stack)
    talked, waited = who.rows(stack)
    assert (talked["outcome"], talked["reason"]) == ("answered", "unknown")
    assert (waited["outcome"], waited["reason"]) == ("missed", "unknown")
    for row in (talked, waited):
        assert -300 < row["ended_at"] - died < 1200, "before it is back"
    await recorded_until(stack, talked, died)


async def test_while_ctserver_is_away_too_the_recording_tells(stack: Stack) -> None:
    async with lives(stack, "102", seen="ringing") as who:
        stack.signal(signal.SIGKILL)
        await asyncio.sleep(RING_MS / 1000 + SPOKEN_S)
        died = kill(stack)
        stack.start_server()
        await comes_back(stack)
    talked, waited = who.rows(stack)
    assert (talked["outcome"], talked["reason"]) == ("answered", "unknown")
    assert -BLOCK_MS < talked["ended_at"] - died < 300
    assert -100 < talked["answered_at"] - talked["arrived_at"] - RING_MS < 2500
    assert (waited["outcome"], waited["reason"]) == ("missed", "unknown")
    assert waited["ended_at"] < died - SPOKEN_S * 1000, "it is known to have rung before ctserver went, no longer"
    await recorded_until(stack, talked, died)


async def test_calls_that_a_restart_of_asterisk_hangs_up_are_broken(stack: Stack) -> None:
    async with lives(stack, "103", seen="talking") as who:
        await asyncio.sleep(SPOKEN_S)
        died = time.time() * 1000
        stack.pbx.cli("core restart now")
        await stack.eventually("SELECT 1 FROM calls WHERE caller = ? AND reason = 'broken'", who.talker)
        await comes_back(stack)
    talked, waited = who.rows(stack)
    assert (talked["outcome"], talked["reason"], talked["hung_up_by"]) == ("answered", "broken", "system")
    assert (waited["outcome"], waited["reason"]) == ("missed", "broken")
    for row in (talked, waited):
        assert -300 < row["ended_at"] - died < 3000
    await recorded_until(stack, talked, died)


def kill(stack: Stack) -> float:
    """When it died, in epoch milliseconds."""
    assert stack.pbx.process is not None
    died = time.time() * 1000
    stack.pbx.process.kill()
    stack.pbx.process.wait(PATIENCE)
    return died


async def comes_back(stack: Stack) -> None:
    """The first caller after it is put through, and is in the journal like any other."""
    process = stack.pbx.process
    if process is None or process.poll() is not None:
        await asyncio.to_thread(stack.pbx.start)
    else:
        await asyncio.to_thread(stack.pbx.cli, "core waitfullybooted")
    caller = f"+447700900{time.time_ns() % 1000:03}"
    outcome = await stack.call(POOL[1], caller=caller, talk_ms=300)
    assert outcome.status == 0, outcome.output
    await stack.healthy()
    after = await stack.eventually("SELECT * FROM calls WHERE caller = ? AND state = 'ended'", caller)
    assert [(row["outcome"], row["reason"]) for row in after] == [("answered", "completed")]
    assert not stack.rows("SELECT 1 FROM calls WHERE state <> 'ended'"), "a call is open for ever"
    assert not stack.rows("SELECT 1 FROM facts GROUP BY kind, call HAVING COUNT(*) > 1"), "somebody was told twice"


async def recorded_until(stack: Stack, call: sqlite3.Row, died: float) -> None:
    """What Asterisk had written is there, at once."""
    sql = "SELECT * FROM recordings WHERE call = ? AND state = 'ready'"
    (recording,) = await stack.eventually(sql, call["id"])
    assert recording["millis"] > died - call["answered_at"] - BLOCK_MS
    assert len(stack.rows("SELECT 1 FROM facts WHERE kind = 'call.ended' AND call = ?", call["id"])) == 1
