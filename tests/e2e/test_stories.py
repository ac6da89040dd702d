"""Stories live: what ctserver writes into its journal while a real Asterisk plays them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stories.stories import STORIES
from tests.stories.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

STEPS = {
    "attended_transfer": ["hold", "unhold", "attended"],
    "blind_transfer_to_nobody": ["transfer"],
    "pick_up": ["pickup"],
    "forward": ["forward"],
    "queue_abandoned": ["queued"],
    "rejected": [],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with World(tmp_path_factory.mktemp("stories")).running() as made:
        yield made


@pytest.mark.parametrize("name", STEPS)
async def test_a_story_ends_up_in_the_journal(world: World, name: str) -> None:
    world.forget()
    before = len(world.rows("SELECT 1 FROM calls"))
    await STORIES[name].play(world)
    await world.quiet()
    (wanted,) = STORIES[name].calls
    call = (await world.eventually("SELECT * FROM calls WHERE state = 'ended' ORDER BY id LIMIT -1 OFFSET ?", before))[
        0
    ]
    assert f"{call['outcome']} {call['reason']}" == wanted
    steps = world.rows("SELECT kind FROM steps WHERE call = ? ORDER BY at, kind = 'attended'", call["id"])
    assert [step["kind"] for step in steps] == STEPS[name]
    assert (call["talk_ms"] > 0) == (call["outcome"] == "answered")
    assert call["wait_ms"] + call["talk_ms"] + call["hold_ms"] <= call["ended_at"] - call["arrived_at"]
    await asyncio.sleep(0.2)
