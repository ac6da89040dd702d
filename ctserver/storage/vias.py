"""What is wrong with each web hook and channel."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ctserver.storage.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class State:
    """Failures and refusals of our key in a row, since when, until when it rests, and the latest words."""

    via: str
    failures: int = 0
    refusals: int = 0
    failing_at: int | None = None
    paused_until: int = 0
    problem: str = ""

    def failed(self, problem: str, now: int) -> State:
        since = now if self.failing_at is None else self.failing_at
        return replace(self, failures=self.failures + 1, failing_at=since, problem=problem)

    def refused(self, problem: str, now: int) -> State:
        return replace(self.failed(problem, now), refusals=self.refusals + 1)

    def resting(self, until: int) -> State:
        return replace(self, paused_until=until)


async def states(db: Database) -> list[State]:
    rows = await db.fetch("SELECT via, failures, refusals, failing_at, paused_until, problem FROM vias")
    return [State(*row) for row in rows]


def save(tx: Transaction, state: State) -> None:
    tx.execute(
        """
        INSERT INTO vias (via, failures, refusals, failing_at, paused_until, problem) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (via) DO UPDATE
        SET failures = $2, refusals = $3, failing_at = $4, paused_until = $5, problem = $6
        """,
        (state.via, state.failures, state.refusals, state.failing_at, state.paused_until, state.problem),
    )
