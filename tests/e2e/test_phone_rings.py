"""The phone must ring: whatever state ctserver is in, a call to a tracked number reaches the line and is recorded."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import POOL, Stack

pytestmark = pytest.mark.e2e

RINGS_WITHIN = 4.0  # seconds from the INVITE; 1.2 at most are ours, the rest is for a busy machine
AWAY = ("script", "memory", "default")  # on a busy machine the script may need more than its 0.8 s


async def test_it_rings_while_ctserver_works(stack: Stack) -> None:
    await stack.healthy()
    await _rings_and_is_recorded(stack)


async def test_it_rings_while_ctserver_is_frozen_and_the_call_is_in_the_journal_afterwards(stack: Stack) -> None:
    await stack.healthy()
    before = len(stack.rows("SELECT 1 FROM calls"))
    stack.signal(signal.SIGSTOP)
    try:
        await _rings_and_is_recorded(stack, decided_by=AWAY)
    finally:
        stack.signal(signal.SIGCONT)
    await stack.healthy()
    (call,) = await stack.eventually(
        "SELECT * FROM calls WHERE state = 'ended' ORDER BY arrived_at LIMIT -1 OFFSET ?", before
    )
    assert call["outcome"] == "answered"
    assert call["routed_by"] in AWAY


async def test_it_rings_while_ctserver_is_stopped(stack: Stack) -> None:
    await stack.healthy()
    stack.signal(signal.SIGTERM)
    try:
        deciders = [await _rings_and_is_recorded(stack, decided_by=AWAY) for _ in range(3)]
    finally:
        stack.start_server()
    assert "script" in deciders, "ct_route.py never decided"


async def test_it_rings_after_ctserver_was_killed(stack: Stack) -> None:
    await stack.healthy()
    stack.signal(signal.SIGKILL)
    try:
        await _rings_and_is_recorded(stack, decided_by=AWAY)
    finally:
        stack.start_server()


async def test_it_rings_with_ctserver_and_its_database_gone(stack: Stack) -> None:
    """Then the last answer for the number decides (AstDB), and for a number never called the generated default."""
    await stack.healthy()
    stack.signal(signal.SIGTERM)
    database = stack.folder / "ctserver.db"
    away = database.rename(stack.folder / "away.db")
    try:
        await _rings_and_is_recorded(stack, POOL[0], decided_by=("memory",))
        await _rings_and_is_recorded(stack, POOL[1], decided_by=("default",))
    finally:
        away.rename(database)
        stack.start_server()


async def test_it_rings_when_ctserver_is_killed_in_the_middle_of_a_request(stack: Stack) -> None:
    """The server takes the question and dies before it answers: AGISTATUS says SUCCESS, CT_ROUTE stays empty."""
    await stack.healthy()
    stack.signal(signal.SIGKILL)
    try:
        with _takes_questions_and_dies(stack.ports["fastagi"]) as asked:
            await _rings_and_is_recorded(stack, decided_by=AWAY)
            assert asked, "Asterisk never asked"
    finally:
        stack.start_server()


async def test_real_ctserver_killed_while_it_is_asked(stack: Stack) -> None:
    """Frozen with the question in its socket, then killed: the connection breaks in the middle of the AGI request."""
    await stack.healthy()
    stack.signal(signal.SIGSTOP)

    async def kill() -> None:
        await asyncio.sleep(0.2)
        stack.signal(signal.SIGKILL)

    try:
        await asyncio.gather(_rings_and_is_recorded(stack, decided_by=AWAY), kill())
    finally:
        stack.start_server()


async def test_calls_that_began_before_a_restart_and_while_ctserver_was_away_are_followed_and_end_in_the_journal_once(
    stack: Stack,
) -> None:
    await stack.healthy()
    before = len(stack.rows("SELECT 1 FROM calls"))
    early, late = (f"+4477009{time.time_ns() % 1000:03}{place:02}" for place in range(2))
    with stack.phone():
        first = asyncio.create_task(stack.call(POOL[0], caller=early, talk_ms=8000))
        await asyncio.sleep(2)
        stack.signal(signal.SIGKILL)
        second = asyncio.create_task(stack.call(POOL[2], caller=late, talk_ms=7000))
        await asyncio.sleep(0.7)
        stack.start_server()
        (going,) = await stack.eventually("SELECT * FROM calls WHERE caller = ?", late)
        outcomes = await asyncio.gather(first, second)
    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert (going["state"] != "ended", going["did"], going["line"]) == (True, POOL[2], "office")
    asked_at = next(
        at for at, text in outcomes[1].trace if text.startswith("INVITE")
    )  # of the day, as clocks on the wall
    arrived = datetime.fromtimestamp(going["arrived_at"] / 1000)  # noqa: DTZ006
    later = arrived.hour * 3600 + arrived.minute * 60 + arrived.second + going["arrived_at"] % 1000 / 1000 - asked_at
    assert -0.5 < (later + 43_200) % 86_400 - 43_200 < 1, "not when he rang"
    for caller in (early, late):
        (call,) = await stack.eventually("SELECT * FROM calls WHERE caller = ? AND state = 'ended'", caller)
        assert (call["outcome"], call["reason"], call["hung_up_by"]) == ("answered", "completed", "caller")
        assert 6500 < call["ended_at"] - call["answered_at"] < 20_000
        await stack.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])
    assert len(stack.rows("SELECT 1 FROM calls")) == before + 2


async def test_a_call_that_began_and_ended_while_ctserver_was_away_comes_into_the_journal(stack: Stack) -> None:
    await stack.healthy()
    before = len(stack.rows("SELECT 1 FROM calls"))
    stack.signal(signal.SIGKILL)
    began = time.time() * 1000
    try:
        await _rings_and_is_recorded(stack, decided_by=AWAY)
    finally:
        stack.start_server()
    (call,) = await stack.eventually(
        "SELECT * FROM calls WHERE state = 'ended' ORDER BY arrived_at LIMIT -1 OFFSET ?", before
    )
    assert (call["did"], call["outcome"], call["reason"]) == (POOL[0], "answered", "completed")
    assert call["answered_by"].startswith("PJSIP/ct-out-")
    assert began <= call["arrived_at"] <= call["ringing_at"] <= call["answered_at"]
    assert 1400 < call["ended_at"] - call["answered_at"] < 10_000, "1.5 s were talked"
    await stack.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])
    assert len(stack.rows("SELECT 1 FROM calls")) == before + 1


async def test_who_is_kept_out_does_not_ring_with_or_without_ctserver_and_rings_when_he_is_let_through(
    stack: Stack,
) -> None:
    await stack.healthy()
    nuisance = f"+447700900{time.time_ns() % 1000:03}"
    made = stack.ctserver("token", "admin", "block")
    own = {"Authorization": f"Bearer {re.findall('ct_[A-Za-z0-9_-]+', made.stdout)[-1]}"}
    address = f"{stack.url}/api/v1/blocked/{nuisance.replace('+', '%2B')}"
    with stack.phone() as phone:
        async with aiohttp.ClientSession(headers=own) as client:
            async with client.put(address, json={"why": "sells lamps"}) as answer:
                assert answer.status == 200, await answer.text()
            assert (await stack.call(POOL[0], caller=nuisance)).status != 0
            stack.signal(signal.SIGTERM)
            for _ in range(3):  # on a busy machine the script may need more than its 0.8 s
                before = phone.rang()
                if (await stack.call(POOL[0], caller=nuisance, talk_ms=100)).status != 0:
                    break
            assert phone.rang() == before, "he rang"
            stack.start_server()
            await stack.healthy()
            async with client.delete(address) as answer:
                assert answer.status == 200, await answer.text()
        assert (await stack.call(POOL[0], caller=nuisance, talk_ms=300)).status == 0
    told = "SELECT outcome, routed_by FROM calls WHERE caller = ? AND state = 'ended' ORDER BY arrived_at"
    await stack.eventually(f"SELECT 1 FROM ({told} DESC LIMIT 1) WHERE outcome = 'answered'", nuisance)
    rows = [tuple(row) for row in stack.rows(told, nuisance)]
    assert (rows[0], rows[-2], rows[-1]) == (("blocked", "ctserver"), ("blocked", "script"), ("answered", "ctserver"))


async def test_bad_clients_at_the_fastagi_port_do_no_harm(stack: Stack) -> None:
    await stack.healthy()
    held = []
    for number in range(60):
        _, writer = await asyncio.open_connection("127.0.0.1", stack.ports["fastagi"])
        if number % 3 == 0:
            writer.close()
        elif number % 3 == 1:
            writer.write(b"\xff\x00garbage" * 1000)
            held.append(writer)
        else:
            held.append(writer)
    await _rings_and_is_recorded(stack)
    for writer in held:
        writer.close()
    await stack.healthy()


async def _rings_and_is_recorded(
    stack: Stack, number: str = POOL[0], *, decided_by: tuple[str, ...] = ("ctserver",)
) -> str:
    """Places a call; who decided on the line."""
    before = _recorded(stack)
    log = stack.folder / "pbx" / "log" / "full.log"
    offset = log.stat().st_size
    with stack.phone() as phone:
        outcome = await stack.call(number, talk_ms=1500)
        assert outcome.status == 0, outcome.output
        assert phone.rang() == 1
    rang = outcome.seconds_to(180)
    assert rang is not None
    assert rang < RINGS_WITHIN, f"it rang after {rang:.3f} s"
    said = log.read_bytes()[offset:].decode(errors="replace")
    decider = next((name for name in decided_by if f"Asked: {name}," in said), None)
    assert decider, f"not decided by {decided_by}"
    for _ in range(600):
        if any(file.stat().st_size > 16_000 for file in _recorded(stack) - before):
            return decider
        await asyncio.sleep(0.1)
    raise AssertionError("there is no recording with sound on it")


def _recorded(stack: Stack) -> set[Path]:
    return set(stack.recordings.rglob("*.wav"))


@contextmanager
def _takes_questions_and_dies(port: int) -> Iterator[list[bytes]]:
    """A FastAGI server that reads the question and closes without an answer."""
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\n\n"))
        writer.transport.abort()

    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", port))
    task = loop.create_task(asyncio.start_server(take, sock=listening))
    try:
        yield asked
    finally:
        if task.done():
            task.result().close()
