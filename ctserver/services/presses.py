"""Buttons under alerts in a chat: "Done" settles a missed call, "Call back" has the caller rung.

Whoever is in the chat that was told of the call may press, and nobody else: a button names the delivery it stands under.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ctserver.config import Settings
from ctserver.domain import callback as rules
from ctserver.domain import missed as work
from ctserver.domain.callback import Refused
from ctserver.language import gettext as _
from ctserver.language import written_for
from ctserver.outbound import CALL_BACK, DONE, Button
from ctserver.outbound.press import Press, Pressed
from ctserver.services.alerts import Alerts, via
from ctserver.storage import audit, missed, outbox
from ctserver.storage.db import Database, Row, Transaction

WHO = 60  # characters of a name
Ring = Callable[[str, str, int], Awaitable[None]]
"""Have the caller of this call rung, for somebody, now. Raises Refused."""


class Presses:
    """Does what is asked; `changed` is called when a missed call was settled."""

    def __init__(
        self, db: Database, settings: Settings, alerts: Alerts, ring: Ring | None, changed: Callable[[], None]
    ) -> None:
        self._db, self._settings, self._alerts = db, settings, alerts
        self._ring, self._changed = ring, changed

    async def press(self, press: Press, now: int) -> Pressed:
        row = await outbox.one(self._db, press.id)
        rule = row["sink"].partition(" ")[0].rpartition(".")[2] if row else ""
        with written_for(await self._alerts.reader(rule, row["addressee"] if row else "")):
            if row is None or not row["call"] or not self._told(row, press):
                return Pressed(_("This message is too old, or it was not sent to this chat."))
            who = f"{_shown(press.who) or '?'} (Telegram)"
            if press.action == DONE:
                return await self._done(row["call"], who, now)
            if press.action == CALL_BACK:
                return await self._call_back(row["call"], who, now)
            return Pressed(_("This button no longer works."))

    def _told(self, row: Row, press: Press) -> bool:
        """Was this chat told of the call by this channel?"""
        chat = (row["addressee"] or self._settings.notify[press.channel].to).partition("/")[0]
        return row["via"] == via(press.channel) and chat in press.chats

    async def _done(self, call: str, who: str, now: int) -> Pressed:
        def unit(tx: Transaction) -> str:
            if by := missed.settled_by(tx, call):
                return by
            for id in missed.with_later(tx, call):
                missed.settle(tx, id, work.CALLED_BACK, who, now)
            audit.add(tx, audit.Entry(now, who, "telegram", "missed call done", call))
            return who

        by = await self._db.write(unit)
        self._changed()
        words = _("Done.") if by == who else _("%(who)s is already on it.") % {"who": by}
        link = f"{self._settings.server.public_url}/calls/{call}"
        return Pressed(words, (Button(_("Open the call"), link), Button(f"\u2713 {by}", action=DONE)))

    async def _call_back(self, call: str, who: str, now: int) -> Pressed:
        if self._ring is None:
            return Pressed(_(rules.REFUSALS["off"]))
        try:
            await self._ring(call, who, now)
        except Refused as refusal:
            return Pressed(_(rules.REFUSALS.get(str(refusal), rules.REFUSED)))
        await self._db.write(lambda tx: audit.add(tx, audit.Entry(now, who, "telegram", "called back", call)))
        return Pressed(_("Your phones ring first, then the caller's."))


def _shown(who: str) -> str:
    """A stranger's name, as one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in who).split())[:WHO]
