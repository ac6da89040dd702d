"""What the routes that visitors' pages call have at hand, wherever they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

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


class Route(NamedTuple):
    method: str
    path: str
    handler: Callable[[Desk, Asked], Awaitable[Answer]]
