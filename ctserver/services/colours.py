"""Which colour and shape each source has. Those that brought most calls lately differ from one another."""

from __future__ import annotations

from datetime import UTC

from ctserver.domain import report
from ctserver.domain.clock import DAY_MS
from ctserver.domain.colours import Dot, dot_of, shared_out
from ctserver.services import reports
from ctserver.services.reports import Question
from ctserver.storage.db import Database

DAYS = 90
CALLS = report.MEASURES.index("calls")


class Colours:
    """Kept for as long as the server runs; a source keeps its dot while it is among the first."""

    def __init__(self) -> None:
        self._dots: dict[str, Dot] = {}

    async def look(self, db: Database, now: int) -> None:
        """Share the dots out anew."""
        found = await reports.ask(db, Question("source", (now - DAYS * DAY_MS, now), "month", UTC))
        self._dots = shared_out([line.value for line in found.lines if line.sums[CALLS]], self._dots)

    def of(self, label: str) -> Dot:
        return dot_of(label, self._dots)
