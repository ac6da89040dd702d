"""The AMI link against a PBX on a real socket that does what Asterisk does, and what it should not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ctserver import ids
from ctserver.asterisk import ami
from ctserver.asterisk.ami import AmiError, Link, LinkDown, LoginRefused
from ctserver.asterisk.wire import Message
from tests.conftest import PATIENCE

Until = Callable[..., Awaitable[None]]


class Client:
    """A running Link and what it was told."""

    def __init__(
        self, pbx: Any, secret: str = "s3cret", on_up: Callable[[Link], Awaitable[None]] | None = None
    ) -> None:
        self.events: list[Message] = []
        self.ups = self.refused = 0
        self._on_up = on_up
        self.link = Link("127.0.0.1", pbx.port, "ctserver", secret, on_up=self._up, consume=self._consume, name="pbx")
        self.task = asyncio.create_task(self.link.run())

    async def _up(self, link: Link) -> None:
        self.ups += 1
        if self._on_up:
            await self._on_up(link)

    async def _consume(self, batch: list[Message]) -> None:
        if any(message["Event"] == "Hold" for message in batch):
            self.refused += 1
            raise RuntimeError("this event cannot be used")
        self.events += [message for message in batch if message["Event"] != "FullyBooted"]

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def client(pbx: Any, until: Until) -> AsyncIterator[Client]:
    made = Client(pbx)
    await until(lambda: made.link.problem is None)
    yield made
    await made.stop()


async def test_it_logs_in_and_gives_events_on_in_order(pbx: Any, client: Client, until: Until) -> None:
    pbx.say("".join(f"Event: Hangup\nNumber: {number}\n\n" for number in range(2000)))
    await until(lambda: len(client.events) == 2000)
    assert [event["Number"] for event in client.events] == [str(number) for number in range(2000)]


async def test_events_that_tell_us_nothing_are_not_read(pbx: Any, client: Client, until: Until) -> None:
    pbx.say("Event: VarSet\nNumber: 1\n\nEvent: Hangup\nNumber: 2\n\n")
    await until(lambda: [event["Number"] for event in client.events] == ["2"])


async def test_cyrillic_names_survive_being_cut(pbx: Any, client: Client, until: Until) -> None:
    for byte in "Event: Newchannel\r\nCallerIDName: Алексей\r\n\r\n".encode():
        pbx.links[0].write(bytes([byte]))
        await asyncio.sleep(0)
    await until(lambda: bool(client.events))
    assert client.events[0]["CallerIDName"] == "Алексей"


async def test_an_action_is_answered(client: Client) -> None:
    assert (await client.link.send({"Action": "Ping"}))["Ping"] == "Pong"


async def test_the_pbx_says_no_in_its_own_words(pbx: Any, client: Client) -> None:
    pbx.answers["Originate"] = "Response: Error\nActionID: @ID@\nMessage: Permission denied\n\n"
    with pytest.raises(AmiError, match="Permission denied"):
        await client.link.send({"Action": "Originate"})


async def test_a_list_that_is_refused_is_refused_at_once(pbx: Any, client: Client) -> None:
    pbx.answers["CoreShowChannels"] = "Response: Error\nActionID: @ID@\nMessage: Permission denied\n\n"
    with pytest.raises(AmiError, match="Permission denied"):
        await client.link.send_list({"Action": "CoreShowChannels"}, seconds=1)


async def test_a_list_comes_whole(pbx: Any, client: Client) -> None:
    pbx.answers["CoreShowChannels"] = (
        "Response: Success\nActionID: @ID@\nEventList: start\nMessage: Channels will follow\n\n"
        "Event: CoreShowChannel\nActionID: @ID@\nUniqueid: 1.1\n\nEvent: CoreShowChannel\nActionID: @ID@\nUniqueid: 1.2\n\n"
        "Event: CoreShowChannelsComplete\nActionID: @ID@\nEventList: Complete\nListItems: 2\n\n"
    )
    answers = await client.link.send_list({"Action": "CoreShowChannels"})
    assert [answer.get("Uniqueid") for answer in answers] == [None, "1.1", "1.2", None]


@pytest.mark.parametrize("value", ["x\r\n\r\nAction: Command\r\nCommand: core stop now", "x\ny", "x\0", "x\ty"])
async def test_control_characters_never_reach_the_pbx(pbx: Any, client: Client, value: str) -> None:
    before = len(pbx.actions)
    with pytest.raises(ValueError, match="control characters"):
        await client.link.send({"Action": "Originate", "CallerID": value})
    await client.link.send({"Action": "Ping"})
    assert [action["Action"] for action in pbx.actions[before:]] == ["Ping"]


async def test_control_characters_in_a_secret_never_reach_the_pbx(pbx: Any) -> None:
    with pytest.raises(ValueError, match="control characters"):
        await ami.attempt("127.0.0.1", pbx.port, "ctserver", "x\r\n\r\nAction: Command")
    assert not pbx.sent("Command")


async def test_a_refused_login_is_told_and_tried_again_with_patience(pbx: Any, until: Until) -> None:
    client = Client(pbx, secret="wrong")
    await until(lambda: client.link.problem != "not connected yet")
    assert "login refused for AMI user 'ctserver': Authentication failed" in str(client.link.problem)
    with pytest.raises(LinkDown, match="login refused"):
        await client.link.send({"Action": "Ping"})
    await asyncio.sleep(0.4)
    assert len(pbx.sent("Login")) == 1
    await client.stop()


async def test_a_single_attempt_tells_a_refused_login(pbx: Any) -> None:
    with pytest.raises(LoginRefused, match="Authentication failed"):
        await ami.attempt("127.0.0.1", pbx.port, "ctserver", "wrong")
    await ami.attempt("127.0.0.1", pbx.port, "ctserver", "s3cret")


async def test_the_link_is_made_again_when_the_pbx_closes_it(pbx: Any, client: Client, until: Until) -> None:
    pbx.hang_up()
    await until(lambda: client.link.problem is not None)
    await until(lambda: client.ups == 2 and client.link.problem is None)
    pbx.say("Event: Hangup\nNumber: 1\n\n")
    await until(lambda: len(client.events) == 1)


async def test_actions_that_wait_when_the_pbx_closes_fail_and_are_not_sent_again(
    pbx: Any, client: Client, until: Until
) -> None:
    pbx.mute = {"Originate", "Redirect"}
    waiting = [asyncio.create_task(client.link.send({"Action": name})) for name in ("Originate", "Redirect")]
    await until(lambda: bool(pbx.sent("Originate") and pbx.sent("Redirect")))
    pbx.hang_up()
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), PATIENCE)
    assert [type(answer) for answer in answers] == [LinkDown, LinkDown]
    await until(lambda: client.ups == 2 and client.link.problem is None)
    await client.link.send({"Action": "Ping"})
    assert (len(pbx.sent("Originate")), len(pbx.sent("Redirect"))) == (1, 1)


async def test_a_silent_pbx_is_noticed_and_left_within_seconds(pbx: Any, client: Client, until: Until) -> None:
    pbx.silent = True
    await until(lambda: client.link.problem is not None)
    assert client.link.problem == "the PBX does not answer"
    pbx.silent = False
    await until(lambda: client.ups == 2 and client.link.problem is None)


async def test_a_pbx_that_shuts_down_is_heard_to_its_last_word(pbx: Any, client: Client, until: Until) -> None:
    pbx.answers["Ping"] = "Response: Error\nActionID: @ID@\nMessage: Asterisk is shutting down\n\n"
    await until(lambda: len(pbx.sent("Ping")) == 1)
    await asyncio.sleep(0.1)
    before = ids.now_ms()
    pbx.say("Event: Shutdown\nShutdown: Cleanly\n\n")
    pbx.hang_up()
    await until(lambda: [event["Event"] for event in client.events] == ["Shutdown"])
    assert before <= client.link.alive_at <= ids.now_ms()


async def test_a_pbx_that_takes_the_connection_and_says_nothing_is_let_go(pbx: Any, until: Until) -> None:
    pbx.mute = {"Login"}
    client = Client(pbx)
    await until(lambda: client.link.problem == "no answer in time")
    await until(lambda: pbx.closed_by_client == 1)
    await client.stop()


async def test_whatever_goes_wrong_at_login_the_link_is_tried_again(pbx: Any, until: Until) -> None:
    failures = [RuntimeError("the database is away"), None]

    async def on_up(_: Link) -> None:
        if error := failures.pop(0):
            raise error

    client = Client(pbx, on_up=on_up)
    await until(lambda: client.link.problem == "the database is away")
    await until(lambda: client.link.problem is None)
    assert not client.task.done()
    await client.stop()


async def test_a_consumer_that_raises_does_not_end_the_link(pbx: Any, client: Client, until: Until) -> None:
    pbx.say("Event: Hold\n\n")
    await until(lambda: client.refused == 1)  # what follows is another batch
    pbx.say("Event: Hangup\nNumber: 2\n\n")
    await until(lambda: bool(client.events))
    assert pbx.made == 1


async def test_without_a_link_an_action_fails_at_once(pbx: Any) -> None:
    await pbx.stop()
    client = Client(pbx)
    await asyncio.sleep(0.05)
    with pytest.raises(LinkDown, match=r"(?i)refused|connect"):
        await client.link.send({"Action": "Ping"})
    await client.stop()


async def test_a_megabyte_of_garbage_does_no_harm(pbx: Any, client: Client, until: Until) -> None:
    pbx.say(b"\xff\xfe garbage: \xd0" * 80_000 + b"\n\nEvent: Hangup\nNumber: 1\n\n")
    await until(lambda: bool(client.events) and client.events[-1].get("Number") == "1")
    assert pbx.made == 1
