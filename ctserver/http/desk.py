"""What the routes that visitors' pages call have at hand, wherever they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from ctserver.config import Settings
from ctserver.http.asked import Answer, Asked
from ctserver.http.gate import Gate
from ctserver.services.reception import Reception


@dataclass(frozen=True, slots=True)
class Desk:
    """`numbers` are all that visitors may be shown."""

    settings: Settings
    gate: Gate
    numbers: Collection[str]
    reception: Reception
    now: Callable[[], int]


class Asking(NamedTuple):
    """What the reception was asked for somebody. `told` makes his answer of what it said; it raises what `reply` raises."""

    reply: asyncio.Future[Any]
    told: Callable[[asyncio.Future[Any]], Answer]


class Route(NamedTuple):
    """Handlers are plain functions: a task for each request, and the turns of the loop that it takes, cost as much as what
    is done for it."""

    method: str
    path: str
    handler: Callable[[Desk, Asked], Answer | Asking]
