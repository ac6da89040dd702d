"""Trouble that a person should know of: what /health says for a while becomes a fact, once in some hours."""

from __future__ import annotations

from collections.abc import Mapping

from ctserver.config import Settings
from ctserver.domain import fact as facts
from ctserver.domain.clock import HOUR_MS, MINUTE_MS
from ctserver.domain.fact import Fact
from ctserver.services.facts import Facts
from ctserver.storage import outbox, recordings
from ctserver.storage.db import Database, Transaction

PATIENCE_MS = MINUTE_MS  # a PBX that restarts is no trouble yet
LATELY_MS = 6 * HOUR_MS
ENOUGH = 3  # answered calls without a recording, and none with one


class Watch:
    """Remembers since when each part does not work."""

    def __init__(self, db: Database, settings: Settings, facts: Facts) -> None:
        self._db = db
        self._recorded = {name for name, line in settings.lines.items() if line.record}
        self._only = settings.asterisk[0].id if settings.asterisk else ""
        self._facts = facts
        self._since: dict[str, int] = {}

    async def look(self, parts: Mapping[str, str], now: int) -> None:
        """`parts` as /health tells them: name -> "ok", or what is wrong."""
        for name, state in parts.items():
            if state == "ok":
                self._since.pop(name, None)
            elif now - self._since.setdefault(name, now) >= PATIENCE_MS and (kind := _kind(name)):
                await self._tell(
                    Fact(kind, now, self._subject(name), state, data={"part": name, "problem": state}), now
                )
        found = await recordings.lately(self._db, now - LATELY_MS)
        missing = sum(counts[0] for line, counts in found.items() if line in self._recorded)
        ready = sum(counts[1] for counts in found.values())
        stopped = parts.get("recordings", "ok") != "ok"  # that they lack is no news then
        if missing >= ENOUGH and not ready and not stopped:
            detail = f"{missing} answered calls of the last hours have no recording"
            data = {"missing": missing, "ready": ready}
            await self._tell(Fact(facts.RECORDING_FAILING, now, "recordings", detail, data=data), now)

    def _subject(self, part: str) -> str:
        """The id of the PBX, of a link; else the part's own name."""
        if not part.startswith("AMI"):
            return part
        return part.removeprefix("AMI").strip() or self._only

    async def _tell(self, fact: Fact, now: int) -> None:
        def unit(tx: Transaction) -> bool:
            last = outbox.last_fact(tx, fact.kind, fact.subject)
            return (last is None or now - last >= facts.QUIET_MS) and self._facts.record(tx, fact, now)

        if await self._db.write(unit):
            self._facts.wake()


def _kind(part: str) -> str | None:
    if part.startswith("AMI"):
        return facts.PBX
    return facts.DISK if part in ("disk", "recordings") else None
