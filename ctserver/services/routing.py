"""Which line a call to a tracked number goes to. Answers from memory alone: it stands in the way of a ringing phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctserver.config import NumberUse, Settings, number_uses
from ctserver.domain import phone


@dataclass(frozen=True, slots=True)
class Route:
    """A line as the dialplan needs it."""

    line: str
    dial: str
    ring_seconds: int
    record: bool

    def encode(self, *, store: bool) -> str:
        """The value of CT_ROUTE: `line|ring seconds|record|store|dial string` (the dial string last: it may hold |).

        `store` asks the dialplan to keep this answer in AstDB for the time when nobody answers.
        """
        yes_no = {True: "yes", False: "no"}
        return f"{self.line}|{self.ring_seconds}|{yes_no[self.record]}|{yes_no[store]}|{self.dial}"


class Router:
    """The routes of all tracked numbers. Remembers which ones the dialplan was already asked to store."""

    def __init__(self, settings: Settings) -> None:
        self._country = settings.server.country
        self._uses: Mapping[str, NumberUse] = number_uses(settings)
        self._routes = {
            name: Route(name, line.dial, line.ring_seconds, line.record) for name, line in settings.lines.items()
        }
        self._default = settings.default_line
        self._stored: set[str] = set()

    def route(self, did: str) -> Route:
        """The route of a called number, written in whatever way the trunk writes it. Unknown: the default line."""
        use = self._uses.get(phone.from_trunk(did, self._country))
        return self._routes[use.line if use else self._default]

    def answer(self, did: str) -> str:
        """The encoded route, to be stored by the dialplan the first time that a known number is asked for."""
        number = phone.from_trunk(did, self._country)
        store = number in self._uses and did not in self._stored
        if store:
            self._stored.add(did)
        return self.route(did).encode(store=store)

    def table(self) -> dict[str, Route]:
        """The digits of every tracked number, in each way that trunks write it, with its route."""
        return {
            digits: self._routes[use.line] for number, use in self._uses.items() for digits in phone.spellings(number)
        }

    @property
    def default(self) -> Route:
        """The route of numbers that nobody listed."""
        return self._routes[self._default]
