"""Which line a call to a tracked number goes to. Stands in the way of a ringing phone: answers from memory, and what the
database knows besides (source, who spoke to the caller last) only if it comes at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ctserver import ids
from ctserver.config import Line, NumberUse, Settings, number_uses
from ctserver.config.server import Server
from ctserver.domain import phone
from ctserver.domain.clock import HOUR_MS
from ctserver.domain.hours import Hours
from ctserver.services.blocked import BlackList
from ctserver.services.callers import Caller, Callers, Doorkeeper
from ctserver.services.recorded import Recorded

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1  # for what is nice to know; the call goes on without it
STORE_AGAIN_MS = HOUR_MS  # an answer may be lost on its way, or a PBX set up anew
NOT_RECORDED = {"CT_REFUSED": "yes"}  # whatever line the call comes to
START = "start"  # stands for the ring seconds: the line has a context of its own


@dataclass(frozen=True, slots=True)
class Route:
    """A line as the dialplan needs it. `way`: how long it rings in seconds, or a word for what the dialplan does."""

    line: str
    dial: str
    way: str
    record: bool

    def encode(self, *, store: bool) -> str:
        """The value of CT_ROUTE: `line|way|record|store|dial string` (the dial string last: it may hold |).

        `store` asks the dialplan to keep this answer in AstDB for the time when nobody answers.
        """
        yes_no = {True: "yes", False: "no"}
        return f"{self.line}|{self.way}|{yes_no[self.record]}|{yes_no[store]}|{self.dial}"


@dataclass(frozen=True, slots=True)
class Answer:
    """CT_ROUTE, and the other variables of the call: name -> value."""

    route: str
    variables: Mapping[str, str] = field(default_factory=dict)


class Router:
    """The routes of all tracked numbers. Remembers which ones each PBX was asked to store, and when."""

    def __init__(
        self,
        settings: Settings,
        callers: Callers | None = None,
        now: Callable[[], int] = ids.now_ms,
        black_list: BlackList | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        self._country = settings.server.country
        self._uses: Mapping[str, NumberUse] = number_uses(settings)
        self._lines = settings.lines
        self._sites = settings.sites
        self._routes = {name: route_of(name, line) for name, line in settings.lines.items()}
        self._hours = {name: hours_of(line, settings.server) for name, line in settings.lines.items()}
        self._reach = {name: _reach(settings.lines, name) for name in settings.lines}
        self._asks = {name: any(wants_to_know(self._lines[way]) for way in ways) for name, ways in self._reach.items()}
        self._default = settings.default_line
        self._stored: dict[tuple[str, str], int] = {}
        self._doorkeeper = Doorkeeper(settings.callers, black_list or BlackList(settings))
        self._recorded = recorded or Recorded(settings)
        self._callers = callers
        self._now = now

    def route(self, did: str) -> Route:
        """The route of a called number, written in whatever way the trunk writes it. Unknown: the default line."""
        use = self._uses.get(phone.from_trunk(did, self._country))
        return self._routes[use.line if use else self._default]

    async def answer(self, did: str, caller: str = "", pbx: str = "") -> Answer:
        """The route for a caller; to be stored by the PBX that asks if it has not been told so within the hour."""
        number = phone.from_trunk(did, self._country)
        use = self._uses.get(number)
        route, now = self._routes[use.line if use else self._default], self._now()
        asks = self._callers is not None and self._asks[route.line]
        if asks or self._doorkeeper.watches:
            caller = phone.from_trunk(caller, self._country)
            if refused := self._doorkeeper.refuse(caller, now):
                return Answer(Route(route.line, "", refused, record=False).encode(store=False))
        recorded = self._recorded.allows(caller)
        store = (
            recorded and number in self._uses and now - self._stored.get((pbx, did), -STORE_AGAIN_MS) >= STORE_AGAIN_MS
        )
        if store:
            self._stored[pbx, did] = now
        variables = self._states(route.line, now) if route.way == START else {}
        if self._callers and asks:
            variables |= await self._look(self._callers, Caller(number, caller, route.line, now))
        if not recorded:
            route, variables = replace(route, record=False), variables | NOT_RECORDED
        return Answer(route.encode(store=store), variables)

    def hours(self, line: str) -> Hours:
        return self._hours[line]

    def table(self) -> dict[str, Route]:
        """The digits of every tracked number, in each way that trunks write it, with its route."""
        return {
            digits: self._routes[use.line] for number, use in self._uses.items() for digits in phone.spellings(number)
        }

    def asked(self) -> dict[str, str]:
        """The digits of every number, in each way that trunks write it, whose calls are asked about afterwards; with its site."""
        return {
            digits: use.site
            for number, use in self._uses.items()
            if use.site and self._sites[use.site].after_call.keys
            for digits in phone.spellings(number)
        }

    @property
    def default(self) -> Route:
        """The route of numbers that nobody listed."""
        return self._routes[self._default]

    def _states(self, line: str, now: int) -> dict[str, str]:
        """Of each line with hours that this call may come to: open or closed."""
        timed = [name for name in self._reach[line] if self._lines[name].hours]
        return {f"CT_HOURS_{name}": "open" if self._hours[name].is_open(now) else "closed" for name in timed}

    async def _look(self, callers: Callers, caller: Caller) -> dict[str, str]:
        try:
            return await asyncio.wait_for(callers.look(caller), LOOK_SECONDS)
        except TimeoutError:
            log.debug("who rings %s was not known in time", caller.did)
        except Exception:
            log.exception("who rings %s could not be looked up", caller.did)
        return {}


def route_of(name: str, line: Line) -> Route:
    dial = line.dial[0] if line.dial else f"Local/{line.extension}/n" if line.extension else ""
    return Route(name, dial, str(line.ring_seconds) if line.plain else START, line.record)


def hours_of(line: Line, server: Server) -> Hours:
    """The line's hours, with the country and the time zone of the server where it names none."""
    return Hours(line.hours, line.holidays or server.country, line.time_zone or server.time_zone)


def wants_to_know(line: Line) -> bool:
    return line.wants_source or line.returning


def _reach(lines: Mapping[str, Line], start: str) -> list[str]:
    """The lines that a call to `start` may come to, by itself or by keys, the nearest first."""
    found, ways = [start], [start]
    while ways:
        line = lines[ways.pop(0)]
        for name in [*line.leads_to(), *line.menu.keys.values()]:
            if name not in found:
                found.append(name)
                ways.append(name)
    return found
