"""A login at Asterisk's manager interface for one examination: asks, and remembers what it hears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from ctserver.asterisk import ami
from ctserver.asterisk.wire import Message, text
from ctserver.config import Asterisk, Settings

LOGIN_SECONDS = 8.0
LOOK_SECONDS = 0.05


class Ear:
    """What was heard since the login, in order."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.link: ami.Link | None = None

    async def send(self, action: dict[str, str]) -> Message:
        """Raises AmiError, TimeoutError."""
        assert self.link is not None, "ears are made by listen()"
        return await self.link.send(action)

    async def steps(self, context: str) -> list[Message] | None:
        """The dialplan of a context, step by step; None: there is no such context. Raises AmiError, TimeoutError."""
        assert self.link is not None, "ears are made by listen()"
        try:
            return (await self.link.send_list({"Action": "ShowDialPlan", "Context": context}))[1:]
        except ami.LinkDown:
            raise
        except ami.AmiError as error:
            if "permission" in str(error).lower():
                raise
            return None

    async def value(self, expression: str, channel: str = "") -> str:
        """What `${expression}` is, for a channel or for none; "" if it is nothing or cannot be told."""
        action = {"Action": "Getvar", "Variable": expression} | ({"Channel": channel} if channel else {})
        try:
            return text(await self.send(action), "Value")
        except (ami.AmiError, TimeoutError):
            return ""

    async def until(self, wanted: Callable[[Message], bool], seconds: float) -> Message | None:
        """The first message of this kind, also one heard already; None if it does not come in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if found := next(filter(wanted, self.heard), None):
                return found
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(LOOK_SECONDS)

    async def hear(self, messages: Sequence[Message]) -> None:
        self.heard += messages


@contextlib.asynccontextmanager
async def listen(settings: Settings, pbx: Asterisk) -> AsyncIterator[Ear]:
    """Raises AmiError, TimeoutError if there is no login."""
    ear, up = Ear(), asyncio.Event()

    async def ready(_: ami.Link) -> None:
        up.set()

    host, _, port = pbx.ami.rpartition(":")
    link = ami.Link(
        host, int(port), pbx.ami_user, settings.secret(pbx), on_up=ready, consume=ear.hear, name=pbx.id
    )  # fmt: skip
    ear.link = link
    task = asyncio.create_task(link.run())
    try:
        await asyncio.wait_for(up.wait(), LOGIN_SECONDS)
        yield ear
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
