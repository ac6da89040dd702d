"""Calls that we place: taken from visitors and from the dashboard, placed when they are due, told of afterwards.

A row stands in the database before anything is dialled, and an attempt is claimed by changing that row, so nobody is rung
twice for one wish: not after a crash, not by two ctservers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ctserver import ids
from ctserver.config import Line, NumberUse, Settings, number_uses
from ctserver.domain import callback as rules
from ctserver.domain import label, phone
from ctserver.domain.callback import CallbackEnded, Placed, Refused
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ctserver.domain.hours import Hours
from ctserver.services.recorded import Recorded
from ctserver.services.routing import Answer, hours_of
from ctserver.storage import callbacks, calls, outgoing, sessions
from ctserver.storage.callbacks import Callback
from ctserver.storage.db import Database, StorageError, Transaction

log = logging.getLogger(__name__)

SLACK_SECONDS = 20  # for the announcement and the key
PLACED = "placed"  # CT_ROUTE of a call that may go on

Place = Callable[[str, str, int], Awaitable[None]]


class NotSent(Exception):
    """No PBX was asked, or it refused: nobody was rung, so it does not count as an attempt."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor asks for; `number` is as he wrote it, `address` as much of his as the settings keep."""

    site: str
    session: str
    visitor: str
    number: str
    page: str
    address: str
    delay_ms: int = 0


class Callbacks:
    """One for the whole ctserver. `place(callback, channel, seconds)` makes a PBX dial."""

    def __init__(self, db: Database, settings: Settings, place: Place, recorded: Recorded | None = None) -> None:
        self._db = db
        self._settings = settings
        self._rules = settings.callbacks
        self._place = place
        self._recorded = recorded or Recorded(settings)
        self._uses: Mapping[str, NumberUse] = number_uses(settings)
        self._ours = {
            *self._uses,
            *(target.number for s in settings.sites.values() for target in s.all_targets.values()),
        }
        self._countries = frozenset(self._rules.countries or [settings.server.country])
        self._hours: dict[str, Hours] = {name: hours_of(line, settings.server) for name, line in settings.lines.items()}
        rule = self._rules
        self._patience = rules.Patience(rule.company_attempts, rule.visitor_attempts, rule.retry_minutes * MINUTE_MS)

    @property
    def possible(self) -> bool:
        return bool(self._rules.dial)

    def line_of(self, site: str) -> str:
        return self._settings.sites[site].line or self._settings.default_line

    def opens_at(self, site: str, now: int) -> int | None:
        """When the site's line is open, now or later; None: never."""
        return self._hours[self.line_of(site)].next_opening(now)

    # ---- wishes

    async def ask(self, wish: Wish, now: int) -> int:
        """Keep a visitor's wish; when he will be rung, epoch ms. Raises Refused with a word for the page."""
        if not self.possible or wish.site not in self._rules.sites:
            raise Refused("off")
        try:
            number = phone.e164(wish.number, self._settings.server.country)
        except phone.NotANumber:
            raise Refused("number") from None
        rules.check_number(number, self._countries, self._ours, stranger=True)
        due_at = self.opens_at(wish.site, now + wish.delay_ms)
        if due_at is None:
            raise Refused("closed")
        row = self._row(rules.SITE, number, self.line_of(wish.site), now, due_at)
        return await self._db.write(lambda tx: self._keep(tx, row, wish, now))

    def _keep(self, tx: Transaction, row: Callback, wish: Wish, now: int) -> int:
        session = sessions.session_by_id(tx, wish.session)
        if session is None or (session.site, session.visitor) != (wish.site, wish.visitor):
            raise Refused("session")  # only who has seen the page may ask
        if again := callbacks.open_for(tx, row.number):
            return again.due_at  # he is waiting already
        counts = callbacks.asked_since(tx, row.number, wish.address, wish.site, now - DAY_MS, now - HOUR_MS)
        most = (self._rules.per_number_a_day, self._rules.per_address_an_hour, self._rules.per_site_an_hour)
        by_number, by_address, by_site = (count >= limit for count, limit in zip(counts, most, strict=True))
        if by_number or by_site or (by_address and wish.address):
            raise Refused("often")
        callbacks.add(tx, _of(row, site=wish.site, session=session.id, page=wish.page, address=wish.address))
        return row.due_at

    async def ring(self, call_id: str, login: str, now: int) -> None:
        """Somebody at the dashboard wants to speak to the caller of this call now. Raises Refused."""
        call = await calls.by_id(self._db, call_id)
        if not self.possible or call is None:
            raise Refused("off")
        rules.check_number(call.caller, self._countries, self._ours, stranger=False)
        row = self._row(rules.DESK, call.caller, self._known(call.line), now, now)
        session = call.attribution.session or ""

        def keep(tx: Transaction) -> None:
            if callbacks.open_for(tx, row.number):
                raise Refused("waiting")
            callbacks.add(tx, _of(row, site=call.site, session=session, answers=call.id, login=login))

        await self._db.write(keep)
        await self.work(now)
        tried = await self._db.write(lambda tx: callbacks.by_id(tx, row.id))
        if tried is not None and tried.state == rules.FAILED:
            raise Refused("pbx")

    def _known(self, line: str) -> str:
        """The line itself, or the default one if the settings have lost it since."""
        return line if line in self._settings.lines else self._settings.default_line

    def _row(self, kind: str, number: str, line: str, now: int, due_at: int) -> Callback:
        return Callback(ids.new(now), kind, "", "", "", number, line, "", "", "", now, due_at)

    # ---- placing

    async def work(self, now: int) -> None:
        """Place what is due; give up for lost what never ended."""
        if not self.possible:
            return
        for callback in await self._db.write(lambda tx: self._due(tx, now)):
            await self._attempt(callback, now)

    def _due(self, tx: Transaction, now: int) -> list[Callback]:
        for callback in callbacks.lost(tx, now - rules.LOST_MS):
            self._settle(tx, callback, rules.LOST, now)
        return callbacks.due(tx, now, self._rules.at_once)

    async def _attempt(self, callback: Callback, now: int) -> None:
        opens_at = self._hours[self._known(callback.line)].next_opening(now) if callback.kind == rules.SITE else now
        if opens_at != now:
            await self._db.write(lambda tx: callbacks.postpone(tx, callback.id, opens_at or now + DAY_MS))
            return
        channel = f"{callbacks.CHANNEL}{callback.id}-{callback.attempts + 1}"
        if not await self._db.write(lambda tx: callbacks.claim(tx, callback, channel, now)):
            return
        try:
            await self._place(callback.id, channel, self._seconds(callback.line))
        except NotSent as error:
            log.warning("callback %s was not placed: %s", callback.id, error)
            await self._db.write(lambda tx: self._result(tx, channel, rules.NOT_PLACED, now))
        except Exception as error:  # asked, and no answer: perhaps it rings, so it is not asked again
            log.warning("callback %s: the PBX did not say whether it rings: %s", callback.id, error)

    def _seconds(self, line: str) -> int:
        """How long the company may take to answer."""
        entry: Line = self._settings.lines[self._known(line)]
        return entry.ring_seconds * max(1, len(entry.dial)) + SLACK_SECONDS

    # ---- what the dialplan asks

    async def route(self, id: str, side: str) -> Answer:
        """The variables of one half of a call that we placed; none if it may not go on."""
        callback = await self._db.write(lambda tx: callbacks.by_id(tx, id[:40]))
        if callback is None or callback.state != rules.CALLING:
            log.warning("the PBX asked for the callback %r, which is not being called", id[:40])
            return Answer("")
        if side == "visitor":
            dial = self._rules.dial.replace("{number}", callback.number)
            shown = {"CT_SHOWN": self._rules.caller_id, "CT_DIAL": dial, "CT_RING": str(self._rules.ring_seconds)}
            return Answer(PLACED, {**shown, "CT_CALLER": callback.number})
        return Answer(PLACED, await self._company(callback))

    async def _company(self, callback: Callback) -> dict[str, str]:
        source = await self._db.write(lambda tx: sessions.session_by_id(tx, callback.session))
        name = label.short(source.source) if source else ""
        site = self._settings.sites.get(callback.site)
        line = self._known(callback.line)
        record = self._settings.lines[line].record and self._recorded.allows(callback.number)
        found = {
            "CT_CALLER": callback.number,
            "CT_SHOWN": f"Callback {name}".strip(),
            "CT_DID": site.number if site else "",
            "CT_LINE": line,
            "CT_RECORD": "yes" if record else "no",
        }
        if site and site.after_call.keys:
            found["CT_SITE"] = callback.site
        told = self._rules.announcement or self._rules.accept_key
        if told and not self._settings.lines[line].queue:  # whoever takes calls from a queue is there
            found |= {"CT_ACCEPT": "U(ct-accept^s^1)", "__CT_ACCEPT_SOUND": self._rules.announcement}
            found |= {"__CT_ACCEPT_KEY": self._rules.accept_key}
        return found

    # ---- what came of it

    async def heard(self, pbx: str, events: Sequence[Placed]) -> None:
        """What a PBX tells of calls that we or staff placed."""
        units = [self._db.write(partial(self._one, pbx=pbx, event=event)) for event in events]  # one commit for all
        for result in await asyncio.gather(*units, return_exceptions=True):
            if isinstance(result, StorageError):
                log.error("what became of a call of ours is not saved: %s", result)
            elif isinstance(result, BaseException):
                log.error("what became of a call of ours is lost", exc_info=result)

    def _one(self, tx: Transaction, pbx: str, event: Placed) -> None:
        if isinstance(event, CallbackEnded):
            self._result(tx, event.channel, event.result, event.at)
        else:
            number = phone.from_trunk(event.number, self._settings.server.country)
            row = outgoing.Outgoing(
                ids.new(event.at), pbx, event.uniqueid, number, event.staff, event.callback, event.at,
                event.answered_at, event.ended_at, event.status,
            )  # fmt: skip
            outgoing.save(tx, row)

    def _result(self, tx: Transaction, channel: str, result: str, now: int) -> None:
        callback = callbacks.by_channel(tx, channel)
        if callback is not None and callback.state == rules.CALLING:
            self._settle(tx, callback, result, now)

    def _settle(self, tx: Transaction, callback: Callback, result: str, now: int) -> None:
        patience = self._patience if callback.kind == rules.SITE else rules.Patience(1, 1, 0)
        what = rules.after(result, (*callback.results, result), callback.asked_at, now, patience)
        callbacks.settle(tx, callback, result, what.state, what.due_at)


def _of(
    row: Callback, *, site: str, session: str, page: str = "", address: str = "", answers: str = "", login: str = ""
) -> Callback:
    return Callback(
        row.id, row.kind, site, session, answers, row.number, row.line, page, login, address, row.asked_at, row.due_at
    )
