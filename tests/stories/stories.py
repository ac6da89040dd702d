"""What happens in each story, and what must be in the journal afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.stories.world import World

Play = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    """`calls` are the outcomes and reasons expected, in the order in which the calls arrive."""

    play: Play
    calls: tuple[str, ...]


STORIES: dict[str, Story] = {}


def story(*calls: str) -> Callable[[Play], Play]:
    def tell(play: Play) -> Play:
        STORIES[play.__name__] = Story(play, calls)
        return play

    return tell


# ---- one phone


@story("answered completed")
async def answered(world: World) -> None:
    """Alice answers; the caller hangs up."""
    call = world.trunk.dial(world.numbers["alice"], name="Carla Caller")
    await world.phones["alice"].picks_up()
    await asyncio.sleep(2)
    await call.hang_up()


@story("answered completed")
async def answered_and_hung_up_by_the_company(world: World) -> None:
    world.trunk.dial(world.numbers["alice"])
    talk = await world.phones["alice"].picks_up()
    await asyncio.sleep(1.5)
    await talk.hang_up()


@story("answered completed")
async def cyrillic_name(world: World) -> None:
    """A caller's name with letters beyond ASCII, quotes and a backslash."""
    call = world.trunk.dial(world.numbers["alice"], name=r"Алексей \"Ёж\" Ёлкин \\")
    await world.phones["alice"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed busy")
async def busy(world: World) -> None:
    call = world.trunk.dial(world.numbers["alice"])
    (await world.phones["alice"].called()).refuse(486, "Busy Here")
    await call.ended()


@story("missed no_answer")
async def no_answer(world: World) -> None:
    call = world.trunk.dial(world.numbers["alice"])
    await world.phones["alice"].rings()
    await call.status(480)  # not 603: she has not declined


@story("missed abandoned")
async def abandoned(world: World) -> None:
    call = world.trunk.dial(world.numbers["alice"])
    await world.phones["alice"].rings()
    await asyncio.sleep(1.5)
    call.cancel()


@story("missed abandoned_early")
async def abandoned_early(world: World) -> None:
    """The caller gives up before the phone has rung."""
    call = world.trunk.dial(world.numbers["alice"])
    await world.phones["alice"].called()
    await asyncio.sleep(0.3)
    call.cancel()


@story("missed rejected")
async def rejected(world: World) -> None:
    """Alice presses the red button while it rings."""
    call = world.trunk.dial(world.numbers["alice"])
    talk = await world.phones["alice"].rings()
    await asyncio.sleep(0.7)
    talk.refuse(603, "Decline")
    await call.ended()


@story("missed unreachable")
async def unreachable(world: World) -> None:
    """A line whose phone was never plugged in."""
    call = world.trunk.dial(world.numbers["gone"])
    await call.ended()


@story("missed congestion")
async def congestion(world: World) -> None:
    call = world.trunk.dial(world.numbers["alice"])
    (await world.phones["alice"].called()).refuse(503, "Service Unavailable")
    await call.ended()


@story("answered broken")
async def broken_by_the_network(world: World) -> None:
    """They talk; then no sound comes from the phone any more, and Asterisk gives up."""
    world.trunk.dial(world.numbers["alice"])
    talk = await world.phones["alice"].picks_up(0.5)
    talk.speak()
    await asyncio.sleep(1)
    assert talk.voice
    talk.voice.cancel()
    await talk.ended()


# ---- several phones


@story("answered completed")
async def ring_group(world: World) -> None:
    """Two phones ring; Bob is faster."""
    call = world.trunk.dial(world.numbers["group"])
    await world.phones["alice"].rings()
    await world.phones["bob"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed no_answer")
async def ring_group_one_refuses(world: World) -> None:
    call = world.trunk.dial(world.numbers["group"])
    (await world.phones["alice"].called()).refuse(603, "Decline")
    await world.phones["bob"].rings()
    await call.ended()


@story("answered completed")
async def sequence(world: World) -> None:
    """Alice's phone rings and nobody comes; then Bob's."""
    call = world.trunk.dial(world.numbers["sequence"])
    await world.phones["alice"].rings()
    await world.phones["bob"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed", "missed abandoned")
async def two_calls_at_once(world: World) -> None:
    first = world.trunk.dial(world.numbers["alice"])
    talk = await world.phones["alice"].rings()
    second = world.trunk.dial(world.numbers["group"])
    await world.phones["bob"].rings()
    await talk.answer()
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.sleep(0.5)
    await first.hang_up()


# ---- the queue


@story("answered completed")
async def queue_answered(world: World) -> None:
    call = world.trunk.dial(world.numbers["queue"])
    await world.phones["alice"].rings()
    await world.phones["bob"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed abandoned")
async def queue_abandoned(world: World) -> None:
    call = world.trunk.dial(world.numbers["queue"])
    await world.phones["alice"].rings()
    await world.phones["bob"].rings()
    await asyncio.sleep(1)
    await call.hang_up()


@story("missed no_answer")
async def queue_timeout(world: World) -> None:
    """It rings twice, and nobody answers."""
    call = world.trunk.dial(world.numbers["queue"])
    for phone in ("alice", "bob"):
        world.phones[phone].on_call = lambda talk: talk.ring()
    await call.ended()


# ---- from hand to hand


@story("answered completed")
async def blind_transfer(world: World) -> None:
    """Alice sends the caller on to Bob, unseen."""
    call = world.trunk.dial(world.numbers["alice"])
    first = await world.phones["alice"].picks_up()
    await asyncio.sleep(1)
    await first.transfer("102")
    await first.hang_up()
    await world.phones["bob"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered lost_in_transfer")
async def blind_transfer_to_nobody(world: World) -> None:
    """Alice sends the caller on to Bob, who does not come; the caller gives up."""
    call = world.trunk.dial(world.numbers["alice"])
    first = await world.phones["alice"].picks_up()
    await asyncio.sleep(1)
    await first.transfer("102")
    await first.hang_up()
    await world.phones["bob"].rings()
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def attended_transfer(world: World) -> None:
    """Alice asks Bob first, the caller being on hold, and then leaves the two to each other."""
    call = world.trunk.dial(world.numbers["alice"])
    alice, bob = world.phones["alice"], world.phones["bob"]
    first = await alice.picks_up()
    await asyncio.sleep(1)
    await first.hold()
    second = alice.dial("102")
    await bob.picks_up(0.7)
    await second.status(200)
    await asyncio.sleep(1)
    await first.transfer("102", instead_of=second)
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def attended_transfer_while_ringing(world: World) -> None:
    """Alice rings Bob and leaves before he has answered."""
    call = world.trunk.dial(world.numbers["alice"])
    alice, bob = world.phones["alice"], world.phones["bob"]
    first = await alice.picks_up()
    await asyncio.sleep(0.7)
    await first.hold()
    second = alice.dial("102")
    talk = await bob.rings()
    await second.status(180)
    await first.transfer("102", instead_of=second)
    await asyncio.sleep(1)
    await talk.answer()
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def hold(world: World) -> None:
    call = world.trunk.dial(world.numbers["alice"])
    talk = await world.phones["alice"].picks_up()
    await asyncio.sleep(1)
    await talk.hold()
    await asyncio.sleep(1.5)
    await talk.resume()
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def pick_up(world: World) -> None:
    """Alice's phone rings; Carol takes the call at hers."""
    call = world.trunk.dial(world.numbers["alice"])
    await world.phones["alice"].rings()
    await asyncio.sleep(1)
    await world.phones["carol"].talks_to("*8")
    await asyncio.sleep(1.5)
    await call.hang_up()


@story("answered completed")
async def forward(world: World) -> None:
    """Alice's phone sends its calls on to Bob's."""
    call = world.trunk.dial(world.numbers["alice"])
    (await world.phones["alice"].called()).forward("sip:102@127.0.0.1")
    await world.phones["bob"].picks_up()
    await asyncio.sleep(1)
    await call.hang_up()


# ---- how trunks write numbers


@story("answered completed")
async def number_in_to(world: World) -> None:
    """The trunk calls its account by name; the number that was dialled stands in To, behind a name."""
    uri = f"sip:trunk@{world.trunk.pbx[0]}:{world.trunk.pbx[1]}"
    call = world.trunk.dial(world.numbers["alice"], uri=uri, called='"Sales: London, me@here" ')
    await world.phones["alice"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def number_in_diversion(world: World) -> None:
    """Another operator has sent the call on to the trunk's own name: the number stands in Diversion."""
    uri = f"sip:s@{world.trunk.pbx[0]}:{world.trunk.pbx[1]}"
    number = world.numbers["alice"]
    call = world.trunk.dial("trunk", ("Diversion", f"<sip:{number}@192.0.2.1>;reason=unconditional"), uri=uri)
    await world.phones["alice"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()


@story("answered completed")
async def asserted_identity(world: World) -> None:
    """From says anonymous; the trunk vouches for the number."""
    world.trunk.user = "anonymous"
    identity = ("P-Asserted-Identity", '"Carla" <sip:+447700900777@192.0.2.1>')
    call = world.trunk.dial(world.numbers["alice"], identity, name="Anonymous")
    await world.phones["alice"].picks_up(0.5)
    await asyncio.sleep(1)
    await call.hang_up()
