"""Leases, and the state of the numbers that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctserver import ids
from ctserver.domain.model import Lease
from ctserver.domain.pool import Holder, NumberState
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.present import Showing, pool_now, present


def held_lease(tx: Transaction, session: str, pool: str, now: int) -> Lease | None:
    """The lease that this session still holds in this pool."""
    known = present(tx).leases
    held = known.get((session, pool))
    if held is None:
        row = tx.one(
            "SELECT * FROM leases WHERE session = $1 AND pool = $2 ORDER BY shown_at DESC LIMIT 1", (session, pool)
        )
        if row is None:
            return None
        known.put((session, pool), held := lease_of(row))
    return held if held.until > now else None


def last_leases(tx: Transaction, session: str) -> list[Lease]:
    """What this session was last shown in each pool, whether it still holds it or not."""
    rows = tx.fetch("SELECT * FROM leases WHERE session = $1 ORDER BY id", (session,))
    return list({row["pool"]: lease_of(row) for row in rows}.values())


def extend_lease(tx: Transaction, lease: Lease, now: int, until: int) -> None:
    """The visitor was seen: the number stays with him until then."""
    _move_lease(tx, lease.moved(now, until))
    home = _home(tx, lease)
    showing = pool_now(tx, home).get(lease.number)
    if showing and showing.until < until:
        _hold(tx, home, showing, until)


def leave_lease(tx: Transaction, lease: Lease, now: int, until: int) -> None:
    """The visitor has closed the page: the number is free for others after `until`."""
    _move_lease(tx, lease.moved(lease.seen_at, until, left_at=now))
    row = tx.one("SELECT MAX(until) FROM leases WHERE number = $1 AND until > $2", (lease.number, now))
    home = _home(tx, lease)
    if showing := pool_now(tx, home).get(lease.number):
        _hold(tx, home, showing, row[0] if row and row[0] is not None else now)


def show_again(tx: Transaction, lease: Lease, id: str, now: int, until: int) -> None:
    """A page of his that was left, or cut off for long, is open again and still shows the number, whosever it is by now. Not
    where the settings have put the number elsewhere meanwhile."""
    showing = pool_now(tx, lease.pool).get(lease.number)
    if showing:
        how = "shared" if showing.until > now else "free"
        again = Lease(id, lease.number, lease.pool, lease.session, how, now, now, until)
        take_number(tx, again, showing.shown_at)


def _home(tx: Transaction, lease: Lease) -> str:
    """The pool that its number is in: the settings may have moved it while somebody held it."""
    if pool_now(tx, lease.pool).get(lease.number):
        return lease.pool
    row = tx.one("SELECT pool FROM numbers WHERE number = $1", (lease.number,))
    return row["pool"] if row else lease.pool


def _hold(tx: Transaction, pool: str, showing: Showing, until: int) -> None:
    pool_now(tx, pool).hold(showing, until)
    _save_showing(tx, pool, showing)


def _move_lease(tx: Transaction, lease: Lease) -> None:
    _keep_lease(tx, lease)
    tx.later(
        """
        UPDATE leases SET seen_at = moved.column2, until = moved.column3, left_at = moved.column4
        FROM (VALUES ($1, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT))) AS moved WHERE id = moved.column1
        """,
        lease.id,
        (lease.id, lease.seen_at, lease.until, lease.left_at),
        rank=2,
    )


def _keep_lease(tx: Transaction, lease: Lease) -> None:
    known, key = present(tx).leases, (lease.session, lease.pool)
    latest = known.get(key)
    if latest is None or latest.id <= lease.id:
        known.put(key, lease)


def _add_lease(tx: Transaction, lease: Lease) -> None:
    _keep_lease(tx, lease)
    tx.later(
        """
        INSERT INTO leases (id, number, pool, session, how, shown_at, seen_at, until, left_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        lease.id,
        (
            lease.id,
            lease.number,
            lease.pool,
            lease.session,
            lease.how,
            lease.shown_at,
            lease.seen_at,
            lease.until,
            lease.left_at,
        ),
    )


def _save_showing(tx: Transaction, pool: str, showing: Showing) -> None:
    tx.later(
        """
        INSERT INTO numbers (number, pool, lease, session, shown_at, until) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (number) DO UPDATE
        SET pool = excluded.pool, lease = excluded.lease, session = excluded.session,
            shown_at = excluded.shown_at, until = excluded.until
        """,
        showing.number,
        (showing.number, pool, showing.lease, showing.session, showing.shown_at, showing.until),
    )


def number_states(tx: Transaction, pool: str, numbers: Sequence[str]) -> list[NumberState]:
    """The numbers of a pool, each as held by its latest session until the last of its holders lets it go."""
    return pool_now(tx, pool).states(numbers)


def next_numbers(tx: Transaction, pool: str, numbers: Sequence[str], now: int, cool_down_ms: int) -> list[NumberState]:
    """The numbers to pick a free one from, few if possible: a big pool costs little more than a small one so."""
    return pool_now(tx, pool).first(numbers, now - cool_down_ms)


def settle_numbers(tx: Transaction, pools: Mapping[str, Sequence[str]]) -> None:
    """Put every number that was ever shown into the pool that the settings now have it in, or into none."""
    homes = {number: pool for pool, numbers in pools.items() for number in numbers}
    for row in tx.fetch("SELECT number, pool FROM numbers"):
        home = homes.get(row["number"], "")
        if home != row["pool"]:
            tx.execute("UPDATE numbers SET pool = $2 WHERE number = $1", (row["number"], home))
    tx.memory.clear()


def with_holders(tx: Transaction, pool: str, states: list[NumberState], since: int) -> list[NumberState]:
    """The same numbers with everybody they were shown to since then, for choosing one to share."""
    holders: dict[str, list[Holder]] = {}
    rows = tx.fetch(
        """
        SELECT l.number, l.session, l.shown_at, l.seen_at, l.left_at, l.until, s.region, s.country, s.device
        FROM leases l JOIN sessions s ON s.id = l.session WHERE l.pool = $1 AND l.shown_at > $2
        ORDER BY l.shown_at DESC LIMIT 1000
        """,
        (pool, since),
    )
    for row in rows:
        holders.setdefault(row["number"], []).append(
            Holder(
                session=row["session"],
                number=row["number"],
                shown_at=row["shown_at"],
                last_seen_at=row["seen_at"],
                left_at=row["left_at"],
                until=row["until"],
                region=row["region"] or row["country"],
                device=row["device"],
            )
        )
    return [
        NumberState(state.number, state.last_shown_at, _with_last(state.holders, holders.get(state.number, [])))
        for state in states
    ]


def _with_last(last: tuple[Holder, ...], found: list[Holder]) -> tuple[Holder, ...]:
    """Those who were found, and the one who holds the number longest where he is not among them: he was shown it earlier."""
    longest = max((holder.until for holder in found), default=0)
    return (*found, *(holder for holder in last if holder.until > longest))


def take_number(tx: Transaction, lease: Lease, shown_before: int) -> bool:
    """Compare-and-swap: the lease is taken if the number was last shown when its reader says it was."""
    pool = pool_now(tx, lease.pool)
    before = pool.get(lease.number)
    if (before.shown_at if before else 0) != shown_before:
        return False
    until = max(before.until, lease.until) if before else lease.until
    pool.put(showing := Showing(lease.number, lease.id, lease.session, lease.shown_at, until))
    _save_showing(tx, lease.pool, showing)
    _add_lease(tx, lease)
    return True


def add_shortage(tx: Transaction, id: str, now: int, site: str, pool: str, session: str, shown: str) -> None:
    """The pool had no number free; `shown` is what the visitor got instead."""
    tx.later(
        "INSERT INTO shortages (id, at, site, pool, session, shown) VALUES ($1, $2, $3, $4, $5, $6)",
        id,
        (id, now, site, pool, session, shown),
    )


async def shortages_since(db: Database, since: int) -> dict[str, dict[str, int]]:
    """For each pool: how often each thing was shown for want of a free number."""
    found: dict[str, dict[str, int]] = {}
    rows = await db.fetch(
        """
        WITH late AS MATERIALIZED (SELECT pool, shown FROM shortages WHERE id >= $1)
        SELECT pool, shown, COUNT(*) AS times FROM late GROUP BY pool, shown
        """,
        (ids.first(since),),
    )
    for row in rows:
        found.setdefault(row["pool"], {})[row["shown"]] = row["times"]
    return found


async def holders_at(db: Database, number: str, at: int) -> list[Row]:
    """Who held this number then, the latest showing first."""
    return await db.fetch(
        """
        SELECT l.session, l.how, l.shown_at, l.seen_at, l.until, l.left_at, s.visitor, s.site, s.landing_url,
               s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM leases l JOIN sessions s ON s.id = l.session
        WHERE l.number = $1 AND l.shown_at <= $2 AND l.until > $2 ORDER BY l.shown_at DESC LIMIT 50
        """,
        (number, at),
    )


async def holders_now(db: Database) -> list[Row]:
    """Every number that was ever shown, with its latest lease and that session's source and landing page."""
    return await db.fetch(
        """
        SELECT n.number, n.session, n.shown_at, n.until, l.seen_at, s.landing_url,
               s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM numbers n JOIN leases l ON l.id = n.lease JOIN sessions s ON s.id = n.session
        """
    )


def lease_of(row: Row) -> Lease:
    return Lease(
        row["id"],
        row["number"],
        row["pool"],
        row["session"],
        row["how"],
        row["shown_at"],
        row["seen_at"],
        row["until"],
        row["left_at"],
    )
