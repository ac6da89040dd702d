"""What callers can choose, names and numbers, is data: nothing is executed, forged or broken, whatever it holds."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from ctserver.asterisk import evidence
from tests.e2e.test_lines import Lines, header
from tests.stories.phone import Phone, Talk

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CANARY = Path("/tmp/ctserver-canary")
TOUCH = f"touch {CANARY}"
NAMES = {
    "a function": f"${{SHELL({TOUCH})}}",
    "an expression": "$[1+1] ${EXTEN} ${ENV(PATH)}",
    "backticks": f"`{TOUCH}`;{TOUCH};|{TOUCH}&",
    "quotes": r"\"\";" + f"$({TOUCH})" + r"\\\"'",
    "fields": "x,Line: forged: y,DialStatus: ANSWER,Stage: blocked)",
    "a path": "../../../../tmp/ctserver-canary",
    "brackets": "a)b(c]d[e}f{g?h:i^j|k&l~m",
    "page": "<script>alert(1)</script>=cmd|' /C calc'!A0",
    "an event": "x%0d%0aEvent: UserEvent%0d%0aUserEvent: CTEnd%0d%0a%0d%0a",
    "unicode": "\u202eЁж \U0001f600 \u0000\u0007"[:8],
    "long": "A${SHELL(" + "x" * 3000 + ")}",
}
NUMBERS = {
    "a function": "%24%7BSHELL(touch%20/tmp/ctserver-canary)%7D",
    "a newline": "+447700900123%0D%0AAction:%20Command",
    "quotes": "%22%3B%60touch%20/tmp/ctserver-canary%60",
    "commas": "1,2,Line%3A%20forged",
    "pipes": "office|1|no|yes|Local",
    "long": "+44" + "7" * 3000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lines]:
    CANARY.unlink(missing_ok=True)
    async with Lines(tmp_path_factory.mktemp("hostile")).running() as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _quiet(world: Lines) -> AsyncIterator[None]:
    async with world.one_test():
        yield
    assert not CANARY.exists(), "something was executed"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_is_only_a_name(world: Lines, name: str) -> None:
    """On the line that does most with it: the source goes before it, a header beside it."""
    line = "known"
    before = world.calls(line)
    call = world.trunk.dial(world.numbers[line], name=name)
    alice = await world.phones["alice"].rings()
    assert header(alice, "X-Ct-Source") == "google / cpc"
    await alice.answer()
    await call.status(200)
    await asyncio.sleep(0.3)
    await call.hang_up()
    row = await world.journal(line, count=before + 1)
    assert (row["outcome"], row["line"], row["caller"]) == ("answered", line, "+447700900123")
    assert (world.ended()["Line"], world.ended()["DialStatus"]) == (line, "ANSWER")
    assert len(row["caller_name"]) <= 200
    await _all_is_well(world)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
async def test_a_number_is_only_a_number(world: Lines, number: str) -> None:
    """Nobody can be rung at such a number: it counts as withheld, or Asterisk itself refuses the message."""
    before = world.calls("known")
    refused = refusing(world)
    stranger = Phone(number, "127.0.0.1", world.trunk.pbx)
    await stranger.open(0)
    try:
        await stranger.dial(world.numbers["known"]).ended(5)
    except TimeoutError:
        assert world.calls("known") == before
        assert not refused
    else:
        row = await world.journal("known", count=before + 1)
        assert (row["outcome"], row["line"]) in (("missed", "known"), ("blocked", "known"))
        assert len(row["caller"]) <= 64
    finally:
        stranger.close()
    await _all_is_well(world)


@pytest.mark.parametrize("tail", [f"${{SHELL({TOUCH})}}", "%0d%0aX", ",1,System(id)", "|&;`id`", "7" * 2000])
async def test_a_called_number_is_only_a_number(world: Lines, tail: str) -> None:
    """The dialled digits that a trunk sends: whatever else stands there is left out."""
    host, port = world.trunk.pbx
    number = world.numbers["plain"]
    refusing(world)
    call = world.trunk.dial(number, uri=f"sip:{number}{tail.replace(' ', '%20')}@{host}:{port}")
    with contextlib.suppress(TimeoutError):  # refused as no SIP address
        await call.ended(2)
    await _all_is_well(world)


@pytest.mark.parametrize("where", ["name", "number", "called"])
async def test_ten_kilobytes_harm_nobody(world: Lines, where: str) -> None:
    refusing(world)
    host, port = world.trunk.pbx
    number, much = world.numbers["plain"], f"'${{SHELL({TOUCH})}}`id`;" * 250
    assert len(much) > 10_000
    safe = quote(much, safe="")[:10_000]
    stranger = await Phone(safe if where == "number" else "+447700900155", "127.0.0.1", world.trunk.pbx).open(0)
    uri = f"sip:{number}{safe}@{host}:{port}" if where == "called" else ""
    call = stranger.dial(number, name=much if where == "name" else "", uri=uri)
    with contextlib.suppress(TimeoutError):
        await call.ended(1)
    stranger.close()
    await _all_is_well(world)


async def test_headers_beside_the_caller_do_no_harm(world: Lines) -> None:
    evil = f'"${{SHELL({TOUCH})}}" <sip:${{EXTEN}}@127.0.0.1>'
    names = ("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "Subject", "X-Ct-Source", "Privacy")
    refused = refusing(world)
    await world.trunk.dial(world.numbers["plain"], *((name, evil) for name in names)).ended()
    assert refused == ["alice"]
    await _all_is_well(world)


async def test_a_message_from_a_hostile_name_has_a_safe_file(world: Lines) -> None:
    before = world.calls("message")
    call = world.trunk.dial(world.numbers["message"], name="../../x;" + NAMES["a function"])
    await call.status(200)
    call.speak()
    await asyncio.sleep(3.5)
    await call.hang_up()
    await world.journal("message", count=before + 1)
    names = [file.name for file in world.recordings.rglob("*") if file.is_file()]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names), names


async def test_what_came_of_them_is_whole_in_notes_files_and_pages(world: Lines) -> None:
    """After one of the worst kind at least, if this test runs alone."""
    refusing(world)
    for evil in ("fields", "page"):
        await world.trunk.dial(world.numbers["known"], name=NAMES[evil]).ended()
    await world.quiet()
    (notes,) = world.recordings.glob("ct-calls-*.log")
    lines = notes.read_text(encoding="utf-8").splitlines()
    await world.eventually("SELECT 1 FROM calls WHERE state = 'ended' LIMIT 1 OFFSET ?", len(lines) - 1)
    assert all(len(evidence.messages(line)) == 2 for line in lines), "each note is one line, and whole"
    async with world.session() as client:
        table = list(
            csv.reader(io.StringIO(await world.page(client, "/calls/export.csv?cols=caller,caller_name,line")))
        )
        page = await world.page(client, "/calls")
    assert len(table) == 1 + len(lines)
    assert {len(row) for row in table} == {len(table[0])}
    assert not [cell for row in table for cell in row if cell.startswith(("=", "@"))]
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def refusing(world: Lines) -> list[str]:
    """Every phone is busy from now on; who was rung."""
    rung: list[str] = []

    def refuse(talk: Talk) -> None:
        rung.append(talk.phone.user)
        talk.refuse(486)

    for phone in world.phones.values():
        phone.on_call = refuse
    return rung


async def _all_is_well(world: Lines) -> None:
    """Asterisk and ctserver are there, and linked."""
    assert not CANARY.exists(), "something was executed"
    await world.healthy(10)
    assert "Asterisk" in await asyncio.to_thread(world.pbx.cli, "core show version")
