"""What the tables say of the present, kept in the writer's memory: the latest session of each visitor, what it holds, and
who was last shown each number of a pool. It is read from the tables when first asked for, and kept true by
storage.sessions and storage.leases, which alone change those rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ctserver.domain.model import Lease, Session
from ctserver.domain.pool import Holder, NumberState
from ctserver.recent import Recent
from ctserver.storage.db import Transaction

VISITORS = 2_000  # remembered; to read who was long unseen from the tables again costs less than a large memory


@dataclass(slots=True)
class Showing:
    """The latest lease of a number, and when the last of its holders lets it go."""

    number: str
    lease: str
    session: str
    shown_at: int
    until: int


class PoolNow:
    """The numbers of a pool that were ever shown, the longest unshown first."""

    def __init__(self, showings: Sequence[Showing]) -> None:
        self._showings = OrderedDict((showing.number, showing) for showing in showings)
        self._soonest = 0  # no number is let go before that

    def get(self, number: str) -> Showing | None:
        return self._showings.get(number)

    def put(self, showing: Showing) -> None:
        """This number was shown just now."""
        self._showings[showing.number] = showing
        self._showings.move_to_end(showing.number)
        self.hold(showing, showing.until)

    def hold(self, showing: Showing, until: int) -> None:
        """The last of its holders lets it go then."""
        showing.until = until
        self._soonest = min(self._soonest, until)

    def states(self, numbers: Sequence[str]) -> list[NumberState]:
        return [_state(number, self._showings.get(number)) for number in numbers]

    def first(self, numbers: Sequence[str], now: int) -> list[NumberState]:
        """While some of the numbers were never shown, all; then the one that comes first: the free before the held, the
        longest unshown before the others."""
        if len(self._showings) < len(numbers):
            return self.states(numbers)
        first = self._free(now) or next(iter(self._showings.values()))
        return [_state(first.number, first)]

    def _free(self, now: int) -> Showing | None:
        if self._soonest > now:
            return None
        showings = self._showings.values()
        found = next((showing for showing in showings if showing.until <= now), None)
        if found is None:
            self._soonest = min(showing.until for showing in showings)
        return found


class Present:
    """See the module."""

    def __init__(self) -> None:
        self.sessions: Recent[tuple[str, str], Session] = Recent(VISITORS)
        self.leases: Recent[tuple[str, str], Lease] = Recent(VISITORS)
        self.pools: dict[str, PoolNow] = {}


def present(tx: Transaction) -> Present:
    found = tx.memory.get("present")
    if found is None:
        found = tx.memory["present"] = Present()
    return found


def pool_now(tx: Transaction, pool: str) -> PoolNow:
    pools = present(tx).pools
    if pool not in pools:
        rows = tx.fetch(
            "SELECT number, lease, session, shown_at, until FROM numbers WHERE pool = $1 ORDER BY shown_at", (pool,)
        )
        pools[pool] = PoolNow([Showing(*row) for row in rows])
    return pools[pool]


def _state(number: str, showing: Showing | None) -> NumberState:
    if showing is None:
        return NumberState(number, 0)
    holder = Holder(showing.session, number, showing.shown_at, showing.until, None, showing.until)
    return NumberState(number, showing.shown_at, (holder,))
