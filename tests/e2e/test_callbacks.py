"""Calls that ctserver places: the company first, then the visitor; and what staff dials. A real Asterisk rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.test_lines import Lines
from tests.stories.ways import VISITOR, ask, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SETTINGS = """
[callbacks]
dial = "PJSIP/ct-out/sip:{number}@@CAROL@"
sites = ["shop"]
ring_seconds = 5
retry_minutes = 1
accept_key = "1"
announcement = "beep"
"""


class Rung(Lines):
    """Carol's phone is the visitor's; the line of the site rings Alice."""

    def start_pbx(self) -> None:
        text = self.config.read_text(encoding="utf-8") + SETTINGS
        text = text.replace('domains = ["127.0.0.1"]\n', 'domains = ["127.0.0.1"]\nserve_bots = true\n', 1)
        self.config.write_text(text, encoding="utf-8")
        super().start_pbx()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rung]:
    async with Rung(tmp_path_factory.mktemp("callbacks")).running() as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _quiet(world: Rung) -> AsyncIterator[None]:
    async with world.one_test():
        yield


async def test_a_visitor_asks_and_both_sides_talk(world: Rung) -> None:
    assert "at" in await ask(world, await visitor(world))
    alice = await world.phones["alice"].picks_up(0.3)
    assert "Callback Google" in (await _from(alice))
    assert VISITOR in (await _from(alice))
    await asyncio.sleep(0.8)
    await alice.press("1")
    carol = await world.phones["carol"].picks_up(0.5)
    alice.speak()
    carol.speak()
    await asyncio.sleep(1.5)
    await alice.hang_up()
    await carol.ended()
    (call,) = await world.eventually("SELECT * FROM calls WHERE routed_by = 'callback' AND state = 'ended'")
    assert (call["caller"], call["site"], call["line"], call["source"]) == (VISITOR, "shop", "plain", "google")
    assert (call["attribution"], call["outcome"]) == ("exact", "answered")
    (row,) = await world.eventually("SELECT * FROM callbacks WHERE state = 'done'")
    assert (row["result"], row["attempts"]) == ("talked", 1)
    (out,) = await world.eventually("SELECT * FROM outgoing WHERE number = ? AND answered_at IS NOT NULL", VISITOR)
    assert (out["callback"], out["staff"]) == (row["id"], "")
    assert out["began_at"] + 300 < out["answered_at"] < out["ended_at"] - 1000
    await world.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])


async def test_a_mailbox_that_presses_no_key_is_not_connected(world: Rung) -> None:
    await _clear(world)
    assert "at" in await ask(world, await visitor(world), "+447400123322")
    alice = await world.phones["alice"].picks_up(0.2)
    alice.speak()
    await alice.ended(20)
    assert world.phones["carol"].ringing.empty()
    (row,) = await world.eventually("SELECT * FROM callbacks WHERE result <> '' AND number = '+447400123322'")
    assert (row["result"], row["state"]) == ("company_away", "waiting")
    assert row["due_at"] - row["started_at"] >= 60_000


async def test_who_answers_and_hangs_up_at_once_is_not_there(world: Rung) -> None:
    await _clear(world)
    assert "at" in await ask(world, await visitor(world), "+447400123329")
    alice = await world.phones["alice"].picks_up(0.2)
    await asyncio.sleep(0.8)
    await alice.hang_up()
    (row,) = await world.eventually("SELECT * FROM callbacks WHERE result <> '' AND number = '+447400123329'")
    assert row["result"] == "company_away"
    assert world.phones["carol"].ringing.empty()


async def test_a_visitor_who_does_not_answer_is_tried_again_later(world: Rung) -> None:
    await _clear(world)
    assert "at" in await ask(world, await visitor(world), "+447400123323")
    alice = await world.phones["alice"].picks_up(0.2)
    await asyncio.sleep(0.8)
    await alice.press("1")
    await world.phones["carol"].rings()
    await alice.ended(15)
    (row,) = await world.eventually("SELECT * FROM callbacks WHERE result <> '' AND number = '+447400123323'")
    assert (row["result"], row["state"]) == ("visitor_away", "waiting")
    (call,) = await world.eventually("SELECT * FROM calls WHERE caller = '+447400123323' AND state = 'ended'")
    assert call["outcome"] == "missed"


async def test_of_a_queue_the_visitor_is_rung_when_a_member_has_answered(world: Rung) -> None:
    """Although a caller of that line is answered at once, to hear music."""
    await _clear(world)
    missed = world.trunk.dial(world.numbers["held"])
    await missed.status(200)
    await missed.hang_up()
    call = await world.journal("held")
    world.forget()
    await world.ring_back(call["caller"])
    await world.phones["alice"].rings()
    await asyncio.sleep(1)
    assert world.phones["carol"].ringing.empty()
    bob = await world.phones["bob"].picks_up(0.2)
    carol = await world.phones["carol"].picks_up(0.3)
    bob.speak()
    carol.speak()
    await asyncio.sleep(0.7)
    await carol.hang_up()
    await world.eventually("SELECT * FROM callbacks WHERE kind = 'desk' AND result = 'talked'")


async def test_who_asks_twice_is_rung_once(world: Rung) -> None:
    await _clear(world)
    who = await visitor(world)
    first, second = await asyncio.gather(ask(world, who, "+447400123324"), ask(world, who, "07400 123324"))
    assert "at" in first
    assert "at" in second
    await world.phones["alice"].rings()
    await asyncio.sleep(2)
    assert world.phones["alice"].ringing.empty()
    assert len(world.rows("SELECT 1 FROM callbacks WHERE number = '+447400123324'")) == 1


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+449098790000", "number"),  # premium
        ("999", "number"),
        ("+33 1 23 45 67 89", "country"),
        ("020 7946 0000", "ours"),
        ("${SHELL(id)}", "number"),
        ("+44 7400 123321\r\nAction: Command", "number"),
    ],
)
async def test_numbers_that_are_not_rung(world: Rung, number: str, why: str) -> None:
    assert (await ask(world, await visitor(world), number)).get("no") == why


async def test_robots_and_strangers_are_not_rung(world: Rung) -> None:
    who = await visitor(world)
    before = len(world.rows("SELECT 1 FROM callbacks"))
    assert "at" in await ask(world, who, "+447400123330", x="http://spam.example")
    assert "at" in await ask(world, who, "+447400123330", w=0)
    assert (await ask(world, {**who, "v": "0" * 26}, "+447400123330")).get("no") == "session"
    assert len(world.rows("SELECT 1 FROM callbacks")) == before


async def test_one_number_is_left_only_so_often(world: Rung) -> None:
    who = await visitor(world)
    for _ in range(3):
        await ask(world, who, "+447400123331", d=60)
        await _clear(world)
    assert (await ask(world, who, "+447400123331", d=60)).get("no") == "often"


async def test_what_staff_dials_is_seen(world: Rung) -> None:
    """A phone of the company rings a missed caller in the PBX's ordinary outbound context."""
    missed = world.trunk.dial(world.numbers["bob"])
    bob = await world.phones["bob"].rings()
    bob.refuse(486)
    await missed.ended()
    call = await world.journal("bob")
    out = world.phones["bob"].dial("00447700900123")
    await world.phones["carol"].picks_up(0.3)
    await out.status(200)
    await asyncio.sleep(1)
    await out.hang_up()
    (row,) = await world.eventually("SELECT * FROM outgoing WHERE answered_at IS NOT NULL AND staff = 'PJSIP/bob'")
    assert row["number"] == call["caller"]
    assert row["began_at"] >= call["ended_at"]


async def _from(talk: Any) -> str:
    return str(talk.remote)


async def _clear(world: Rung) -> None:
    """What earlier tests left waiting is not to be rung any more."""
    import sqlite3

    with sqlite3.connect(world.folder / "ctserver.db", timeout=5) as connection:
        connection.execute("UPDATE callbacks SET state = 'failed' WHERE state IN ('waiting', 'calling')")
    connection.close()
