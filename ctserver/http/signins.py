"""Sign-ins under way at a provider: each is for one browser, good once, and for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.identity import Flow

LASTS_MS = 10 * MINUTE_MS
MAX = 10_000


@dataclass(frozen=True, slots=True)
class Signin:
    """`browser` is the hash of its cookie, `target` the page it wanted."""

    flow: Flow
    browser: str
    target: str
    at: int


class Signins:
    """In memory: who signs in while ctserver is restarted begins again."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Signin] = OrderedDict()

    def begin(self, signin: Signin) -> None:
        self._open[signin.flow.state] = signin
        if len(self._open) > MAX:
            self._open.popitem(last=False)

    def take(self, state: str, browser: str, now: int) -> Signin | None:
        """The one with this state, if it is this browser's; it cannot be taken again, whoever asked."""
        found = self._open.pop(state, None)
        good = found is not None and found.browser == browser and 0 <= now - found.at <= LASTS_MS
        return found if good else None
