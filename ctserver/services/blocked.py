"""The black list: callers who are not put through, by the settings and by what people say on pages. Asked from memory, since a
phone is about to ring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ctserver.config import Settings
from ctserver.domain import phone
from ctserver.domain.words import N_
from ctserver.storage import blocked
from ctserver.storage.blocked import Entry
from ctserver.storage.db import Database, Transaction

FEWEST_DIGITS = 3  # of a number, or of a beginning with its country code: less would be a country
LONGEST_WHY = 200


class CannotBlock(ValueError):
    """Why not: a text for gettext."""


class BlackList:
    """Holds the callers of the settings; `load` adds those that people have named."""

    def __init__(self, settings: Settings) -> None:
        self._country = settings.server.country
        self._wanted = settings.callers
        self.settled = frozenset(self.read(text) for text in self._wanted.blocked)
        self.entries: dict[str, Entry] = {}
        self._remember()

    def read(self, text: str) -> str:
        """A number or a beginning (with * behind it), in whatever way it is written, as the list holds it."""
        text = text.strip()
        if text.endswith("*"):
            return phone.beginning(text.rstrip("*"), self._country) + "*"
        return phone.from_trunk(text, self._country)

    @property
    def empty(self) -> bool:
        return not (self._numbers or self._starts)

    def holds(self, number: str) -> bool:
        """Is a caller with this number, as the journal has it, kept out?"""
        return number in self._numbers or (bool(self._starts) and number.startswith(self._starts))

    async def load(self, db: Database) -> None:
        self.entries = {entry.number: entry for entry in await blocked.everybody(db)}
        self._remember()
        await db.write(self._tell_script)

    async def add(self, db: Database, text: str, why: str, login: str, now: int) -> str:
        """Keep this caller out from his next call on; gives his number as the list holds it. Raises CannotBlock."""
        number = self.read(text)
        if sum(map(str.isdigit, number)) < FEWEST_DIGITS:
            raise CannotBlock(
                N_("That is not a phone number. Write it as on a business card, or a prefix such as +4470*.")
            )
        if number.endswith("*") and not number.startswith("+"):
            raise CannotBlock(N_("A prefix needs its country code: write it as +4470*."))
        entry = Entry(number, why.strip()[:LONGEST_WHY], login, now)
        await self._change(db, lambda tx: blocked.put(tx, entry))
        return number

    async def remove(self, db: Database, number: str) -> bool:
        """Let him through again, whom people had kept out. False: they had not."""
        if number not in self.entries:
            return False
        await self._change(db, lambda tx: blocked.remove(tx, number))
        return True

    async def _change(self, db: Database, change: Callable[[Transaction], object]) -> None:
        def unit(tx: Transaction) -> dict[str, Entry]:
            change(tx)
            return self._tell_script(tx)

        self.entries = await db.write(unit)
        self._remember()

    def _remember(self) -> None:
        both = [*self.settled, *self.entries]
        self._numbers = frozenset(entry for entry in both if not entry.endswith("*"))
        self._starts = tuple(entry[:-1] for entry in both if entry.endswith("*"))

    def _tell_script(self, tx: Transaction) -> dict[str, Entry]:
        """Write what agi-scripts/ct_route.py does with them; gives the entries as they are in the database now."""
        entries = {entry.number: entry for entry in blocked.listed(tx)}
        ways = dict.fromkeys(self._spellings([*self.settled, *entries]), self._wanted.then)
        if self._wanted.anonymous != "accept":
            ways[""] = self._wanted.anonymous
        blocked.replace_refusals(tx, ways)
        return entries

    def _spellings(self, entries: Iterable[str]) -> Iterator[str]:
        for entry in entries:
            if entry.endswith("*"):
                yield from (f"{digits}*" for digits in phone.beginnings(entry[:-1], self._country))
                continue
            try:
                yield from phone.spellings(phone.e164(entry, self._country))
            except phone.NotANumber:
                yield "".join(filter(str.isdigit, entry))
