"""A button under a message was pressed: what a channel that hears it asks, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ctserver.outbound import Button


@dataclass(frozen=True, slots=True)
class Press:
    """`action` of the message `id`, by somebody in a chat that goes by these names (ids, @name). `who` is what he calls
    himself: a stranger's words."""

    channel: str
    chats: frozenset[str]
    who: str
    action: str
    id: str


@dataclass(frozen=True, slots=True)
class Pressed:
    """`words` for him who pressed; `buttons` that stand under the message from now on, None: as they were."""

    words: str
    buttons: tuple[Button, ...] | None = None


Hear = Callable[[Press], Awaitable[Pressed]]
