"""What everything that leaves ctserver obeys: a message or a fact is handed to the other side, which takes it, or asks
for patience, or refuses.

    OutboundError
        Retry      not now: the other side is away, slow, or asks to wait
        GiveUp     never: the same again would be refused again
        Nobody     there is nobody to tell
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ctserver.outbound.attachment import Attachment


class OutboundError(Exception):
    """Why something was not delivered, in the other side's words. Holds no secret."""


class Retry(OutboundError):
    """Try again, `after` seconds from now if the other side named a time."""

    def __init__(self, why: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(why)


class GiveUp(OutboundError):
    """Do not try this one again. `unauthorised`: our key or password was refused, so the next one would be too."""

    def __init__(self, why: str, *, unauthorised: bool = False) -> None:
        self.unauthorised = unauthorised
        super().__init__(why)


class Nobody(OutboundError):
    """There is nobody to tell, and that is no mistake."""


DONE, CALL_BACK = "done", "call"


@dataclass(frozen=True, slots=True)
class Button:
    """Something a person can do from a message: `url` is opened, or `action` (DONE, CALL_BACK) is done. Channels that
    cannot hear what is pressed leave actions out."""

    text: str
    url: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """The call that a message tells of; site and line are "" where it has none."""

    call: str
    site: str
    line: str


@dataclass(frozen=True, slots=True)
class Message:
    """Words for one person or group.

    `id` stays the same over all tries; `to` is written as the channel wants it (E.164, an e-mail address, a chat id,
    or "" where the channel has one fixed place). `text` is plain; `short` fits into as few SMS as the template allows. After
    `useful_seconds` (0: no such time) nobody wants to know it any more. Channels that know who reads ask with `about` whether
    he may know it, and `for_login` for the same message to him: (login, is the caller's number masked).
    """

    id: str
    to: str
    subject: str
    text: str
    short: str = ""
    html: str = ""
    attachment: Attachment | None = None
    buttons: tuple[Button, ...] = ()
    about: About | None = None
    for_login: Callable[[str, bool], Awaitable[Message]] | None = None
    useful_seconds: int = 0


class Channel(Protocol):
    """A way to tell a person something. `attaches`: the largest file that it can send, in bytes; 0: none."""

    @property
    def attaches(self) -> int: ...

    async def send(self, message: Message) -> str:
        """The other side's words when it took the message. Raises Retry or GiveUp."""

    async def close(self) -> None:
        """Give back connections."""
