"""More stories: lines with hours, menus and voicemail, callers who are not wanted, and calls that ctserver places."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from tests.e2e.conftest import Stack
from tests.stories.phone import Phone
from tests.stories.stories import story
from tests.stories.world import World

VISITOR = "+447400123321"  # the callback refuses numbers that no plan assigns
BLOCKED = "+447700900666"


@story("missed voicemail")
async def voicemail(world: World) -> None:
    """Nobody answers; the caller leaves a message."""
    call = world.trunk.dial(world.numbers["message"])
    await world.phones["alice"].rings()
    await call.status(200)
    call.speak()
    await asyncio.sleep(4)
    await call.hang_up()


@story("missed out_of_hours")
async def out_of_hours(world: World) -> None:
    """The caller hears that the line is closed."""
    await world.trunk.dial(world.numbers["closed"]).ended()


@story("answered completed")
async def menu_key(world: World) -> None:
    """The caller presses 1, and Alice answers."""
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    call.speak()  # Asterisk times keys by the sound that comes with them
    await asyncio.sleep(1)
    await call.press("1")
    await world.phones["alice"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def menu_wrong_key(world: World) -> None:
    """The caller presses 7, then nothing: the line's own phone rings."""
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    call.speak()
    await asyncio.sleep(1)
    await call.press("7")
    await world.phones["bob"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed abandoned_ivr")
async def menu_abandoned(world: World) -> None:
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    await asyncio.sleep(1.5)
    await call.hang_up()


@story("answered completed")
async def queue_line(world: World) -> None:
    """A line that is a queue: the caller hears ringing until a member answers."""
    call = world.trunk.dial(world.numbers["sales"])
    await world.phones["bob"].picks_up(0.5)
    await call.status(200)
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed abandoned")
async def queue_line_abandoned(world: World) -> None:
    call = world.trunk.dial(world.numbers["sales"])
    await world.phones["alice"].rings()
    await world.phones["bob"].rings()
    await asyncio.sleep(1)
    call.cancel()


@story("answered completed")
async def one_after_another(world: World) -> None:
    """A line with two steps: Alice does not answer, Bob does."""
    call = world.trunk.dial(world.numbers["mixed"])
    await (await world.phones["alice"].rings()).ended()
    await world.phones["bob"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed no_answer")
async def nobody_of_two(world: World) -> None:
    """A line with two steps, and nobody answers at either."""
    call = world.trunk.dial(world.numbers["mixed"])
    await world.phones["alice"].rings()
    await world.phones["bob"].rings()
    await call.ended()


@story("missed no_answer")
async def voicemail_without_a_message(world: World) -> None:
    """The caller hangs up before the tone."""
    call = world.trunk.dial(world.numbers["message"])
    await world.phones["alice"].rings()
    await call.status(200)
    await asyncio.sleep(0.3)
    await call.hang_up()


@story("blocked blocked")
async def blocked(world: World) -> None:
    """A caller of the black list is refused before anything rings."""
    stranger = await Phone(BLOCKED, "127.0.0.1", world.trunk.pbx).open(0)
    try:
        await stranger.dial(world.numbers["alice"]).ended()
    finally:
        stranger.close()


@story("answered completed", "answered completed")
async def asked_after_the_call(world: World) -> None:
    """The caller hangs up; Alice is asked what it was about and presses a key. Then another caller, and she presses none."""
    for keys in ("1", ""):
        call = world.trunk.dial(world.numbers["asked"])
        alice = await world.phones["alice"].picks_up(0.5)
        await call.status(200)
        alice.speak()
        await asyncio.sleep(1)
        await call.hang_up()
        await asyncio.sleep(0.8)
        await alice.press(keys)
        await alice.ended()


# ---- calls that ctserver places


@story("answered completed")
async def callback(world: World) -> None:
    """A visitor asks to be called: Alice answers, then he does."""
    await ask(world, await visitor(world))
    alice = await world.phones["alice"].picks_up(0.5)
    carol = await world.phones["carol"].picks_up(1)
    alice.speak()
    carol.speak()
    await asyncio.sleep(1.5)
    await carol.hang_up()
    await alice.ended()


@story("missed visitor_away")
async def callback_visitor_away(world: World) -> None:
    """Alice answers, the visitor is busy."""
    await ask(world, await visitor(world), "+447400123322")
    alice = await world.phones["alice"].picks_up(0.5)
    alice.speak()
    (await world.phones["carol"].called()).refuse(486)
    await alice.ended()


@story("missed no_answer")
async def callback_company_away(world: World) -> None:
    """Nobody of the company answers: the visitor is not rung."""
    await ask(world, await visitor(world), "+447400123323")
    await (await world.phones["alice"].rings()).ended()


@story("missed abandoned", "answered completed")
async def click_to_call(world: World) -> None:
    """A missed caller is rung back from the dashboard."""
    world.trunk.user = "+447400123399"
    missed = world.trunk.dial(world.numbers["alice"])
    await world.phones["alice"].rings()
    await asyncio.sleep(0.7)
    missed.cancel()
    await asyncio.sleep(0.5)
    await world.ring_back("+447400123399")
    company = await world.phones["alice"].picks_up(0.3)
    company.speak()
    await asyncio.sleep(1)
    visitor = await world.phones["carol"].picks_up(0.7)
    visitor.speak()
    await asyncio.sleep(1)
    await visitor.hang_up()


async def post(world: Stack, path: str, body: dict[str, Any]) -> Any:
    """What the server answers a page of the shop."""
    async with aiohttp.ClientSession() as client:
        headers = {"Origin": "http://127.0.0.1"}
        async with client.post(world.url + path, data=json.dumps(body), headers=headers) as answer:
            refused = answer.headers.get("X-Ct-Refused", "")
            return await answer.json() if answer.status == 200 else refused


async def visitor(world: Stack) -> dict[str, str]:
    """Somebody who came by an advertisement and looks at the page."""
    url = "http://127.0.0.1/?utm_source=google&utm_medium=cpc&utm_campaign=spring"
    came = await post(world, "/v1/visit", {"s": "shop", "u": url, "r": "", "t": "Shop", "n": ["main"]})
    return {"s": "shop", "v": came["v"], "e": came["e"]}


async def ask(world: Stack, who: dict[str, str], number: str = VISITOR, **more: Any) -> Any:
    """The widget's request."""
    return await post(world, "/v1/callback", {**who, "n": number, "u": "http://127.0.0.1/", "w": 5, "x": "", **more})
