"""Two Asterisks on one ctserver: their channels may have equal ids, their calls and recordings stay apart."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pbx
import pytest
import sipp

from tests.e2e import conftest
from tests.e2e.conftest import POOL, Stack
from tests.ports import free_port

pytestmark = pytest.mark.e2e

SECOND = """
[[asterisk]]
id = "two"
ami = "127.0.0.1:{second}"
ami_secret_file = "ami-secret"
spool = "two"
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, pbx.Pbx]]:
    """A stack, and the second Asterisk beside the first."""
    ami, sip = free_port(), free_port()
    stack = Stack(tmp_path_factory.mktemp("pair"), SECOND.replace("{second}", str(ami)))
    first = stack.pbx.ports
    second = pbx.Pbx(stack.folder / "pbx-two", stack.pbx.binary, pbx.Ports(sip, ami, first.rtp_end + 2, first.rtp_end + 98))  # fmt: skip
    (stack.folder / "two").mkdir()
    try:
        stack.start_pbx()
        written = stack.ctserver("dialplan", "--pbx", "two", "--write", str(stack.folder / "asterisk-two"))
        assert written.returncode == 0, written.stderr
        second.write("a secret for tests", stack.folder / "asterisk-two")
        second.start()
        stack.start_server()
        yield stack, second
    finally:
        stack.stop()
        second.stop()


async def test_calls_of_both_are_journalled_and_recorded_whether_ctserver_is_there_or_not(
    pair: tuple[Stack, pbx.Pbx],
) -> None:
    stack, second = pair
    await stack.healthy()
    with stack.phone():
        await _both(stack, second)
        stack.signal(signal.SIGKILL)
        await _both(stack, second)
    stack.start_server()
    await stack.eventually("SELECT 1 FROM calls WHERE state = 'ended' LIMIT 1 OFFSET 3")
    await stack.eventually("SELECT 1 FROM recordings WHERE state = 'ready' LIMIT 1 OFFSET 3")
    rows = stack.rows("SELECT pbx, did, outcome FROM calls ORDER BY pbx, arrived_at")
    assert [tuple(row) for row in rows] == [
        ("pbx", POOL[0], "answered"),
        ("pbx", POOL[0], "answered"),
        ("two", POOL[1], "answered"),
        ("two", POOL[1], "answered"),
    ]
    assert list((stack.folder / "two").glob("ct-calls-*.log")), "the second writes into a folder of its own"


async def test_each_remembers_its_routes_for_the_time_when_ctserver_and_its_database_are_gone(
    pair: tuple[Stack, pbx.Pbx],
) -> None:
    stack, second = pair
    await stack.healthy()
    number = POOL[2]
    with stack.phone():
        await _both(stack, second, number, number)
        stack.signal(signal.SIGKILL)
        databases = [file.rename(stack.folder / f"away-{file.name}") for file in stack.folder.glob("ctserver.db*")]
        try:
            await _both(stack, second, number, number)
        finally:
            for file in databases:
                file.rename(stack.folder / file.name.removeprefix("away-"))
        stack.start_server()
        rows = await stack.eventually("SELECT 1 FROM calls WHERE did = ? AND state = 'ended' LIMIT 1 OFFSET 3", number)
    assert rows
    told = stack.rows("SELECT pbx, routed_by, line, outcome FROM calls WHERE did = ? ORDER BY pbx, arrived_at", number)
    assert [tuple(row) for row in told] == [
        ("pbx", "ctserver", "office", "answered"),
        ("pbx", "memory", "office", "answered"),
        ("two", "ctserver", "office", "answered"),
        ("two", "memory", "office", "answered"),
    ]


async def test_a_test_call_goes_to_the_asterisk_that_is_named(pair: tuple[Stack, pbx.Pbx]) -> None:
    stack, _ = pair
    await stack.healthy()
    with stack.phone():
        placed = await asyncio.to_thread(stack.ctserver, "testcall", POOL[2], "--pbx", "two")
        assert placed.returncode == 0, placed.stderr
        (call,) = await stack.eventually("SELECT * FROM calls WHERE did = ? AND caller_name = 'Test call'", POOL[2])
    assert call["pbx"] == "two"


async def _both(stack: Stack, second: pbx.Pbx, one: str = POOL[0], other: str = POOL[1]) -> None:
    outcomes = await asyncio.gather(
        stack.call(one, talk_ms=1500),
        sipp.call(
            stack.folder,
            second.ports.sip,
            other,
            stack.caller_tone,
            talk_ms=1500,
            port=free_port(),
            rtp_port=conftest._rtp(),
        ),
    )
    assert [outcome.status for outcome in outcomes] == [0, 0]
