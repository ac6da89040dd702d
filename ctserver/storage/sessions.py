"""Sessions, visits, leases and the state of numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ctserver.domain.attribution import Candidate
from ctserver.domain.model import Lease, Session, Source, Visit
from ctserver.domain.pool import Holder, NumberState
from ctserver.storage.db import Database, Row, Transaction


def latest_session(tx: Transaction, site: str, visitor: str) -> Session | None:
    """The visitor's last session on this site."""
    row = tx.one(
        "SELECT * FROM sessions WHERE visitor = $1 AND site = $2 ORDER BY started_at DESC LIMIT 1", (visitor, site)
    )
    return session_of(row) if row else None


def session_by_id(tx: Transaction, id: str) -> Session | None:
    row = tx.one("SELECT * FROM sessions WHERE id = $1", (id,))
    return session_of(row) if row else None


def add_session(tx: Transaction, session: Session) -> None:
    source = session.source
    tx.execute(
        """
        INSERT INTO sessions (id, site, visitor, started_at, last_seen_at, landing_url, referrer,
                              medium, source, campaign, term, content, click_ids, region, device)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """,
        (
            session.id,
            session.site,
            session.visitor,
            session.started_at,
            session.last_seen_at,
            session.landing_url,
            session.referrer,
            source.medium,
            source.source,
            source.campaign,
            source.term,
            source.content,
            click_ids_text(source),
            session.region,
            session.device,
        ),
    )


def touch_session(tx: Transaction, id: str, now: int) -> None:
    tx.execute("UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2", (id, now))


def add_visit(tx: Transaction, visit: Visit) -> None:
    tx.execute(
        "INSERT INTO visits (id, session, at, url, title, referrer) VALUES ($1, $2, $3, $4, $5, $6)",
        (visit.id, visit.session, visit.at, visit.url, visit.title, visit.referrer),
    )


def extend_lease(tx: Transaction, session: str, pool: str, now: int, until: int) -> str | None:
    """The number that this session still holds in this pool, now held until then; None if it holds none."""
    rows = tx.fetch(
        """
        UPDATE leases SET seen_at = $3, until = $4, left_at = NULL
        WHERE id = (SELECT id FROM leases WHERE session = $1 AND pool = $2 AND until > $3 ORDER BY shown_at DESC LIMIT 1)
        RETURNING id, number
        """,
        (session, pool, now, until),
    )
    if not rows:
        return None
    lease, number = rows[0]
    tx.execute("UPDATE numbers SET until = $2 WHERE number = $1 AND lease = $3", (number, until, lease))
    return str(number)


def mark_left(tx: Transaction, session: str, now: int) -> None:
    """The visitor closed the page; the number stays his until its time is over."""
    tx.execute("UPDATE leases SET left_at = $2 WHERE session = $1 AND until > $2", (session, now))


def next_numbers(tx: Transaction, pool: str, numbers: Sequence[str], now: int) -> list[NumberState]:
    """The numbers to pick from for a newcomer: while some were never shown, all; then the one that comes first, the
    free before the held, the longest unshown before the others. A big pool costs little more than a small one so."""
    row = tx.one(
        """
        SELECT number, session, shown_at, until, (SELECT COUNT(*) FROM numbers WHERE pool = $1) AS shown
        FROM numbers WHERE pool = $1 ORDER BY CASE WHEN until <= $2 THEN 0 ELSE 1 END, shown_at LIMIT 1
        """,
        (pool, now),
    )
    if row and row["shown"] == len(numbers) and row["number"] in numbers:
        return [_state(row["number"], row)]
    return number_states(tx, pool, numbers)


def forget_moved_numbers(tx: Transaction, pools: Mapping[str, Sequence[str]]) -> None:
    """Numbers that the settings no longer have in a pool leave it; their leases stay."""
    for row in tx.fetch("SELECT number, pool FROM numbers WHERE pool <> ''"):
        if row["number"] not in pools.get(row["pool"], ()):
            tx.execute("UPDATE numbers SET pool = '' WHERE number = $1", (row["number"],))


def number_states(tx: Transaction, pool: str, numbers: Sequence[str]) -> list[NumberState]:
    """The numbers of a pool with the latest holder of each; a number never shown has no row yet."""
    known = {row["number"]: row for row in tx.fetch("SELECT * FROM numbers WHERE pool = $1", (pool,))}
    return [_state(number, known.get(number)) for number in numbers]


def take_number(tx: Transaction, lease: Lease, shown_before: int) -> bool:
    """Compare-and-swap: the lease is taken if the number was last shown when its reader says it was."""
    changed = tx.execute(
        """
        INSERT INTO numbers (number, pool, lease, session, shown_at, until) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (number) DO UPDATE
        SET pool = $2, lease = $3, session = $4, shown_at = $5, until = $6
        WHERE numbers.shown_at = $7
        """,
        (lease.number, lease.pool, lease.id, lease.session, lease.shown_at, lease.until, shown_before),
    )
    if changed != 1:
        return False
    tx.execute(
        "INSERT INTO leases (id, number, pool, session, shown_at, seen_at, until) VALUES ($1, $2, $3, $4, $5, $5, $6)",
        (lease.id, lease.number, lease.pool, lease.session, lease.shown_at, lease.until),
    )
    return True


def candidates(tx: Transaction, number: str, since: int, until: int) -> list[Candidate]:
    """Every session that was shown `number` between these times."""
    rows = tx.fetch(
        """
        SELECT l.session, l.shown_at, l.seen_at, l.until, s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM leases l JOIN sessions s ON s.id = l.session
        WHERE l.number = $1 AND l.shown_at BETWEEN $2 AND $3 ORDER BY l.shown_at DESC LIMIT 500
        """,
        (number, since, until),
    )
    return [Candidate(row["session"], row["shown_at"], row["seen_at"], row["until"], source_of(row)) for row in rows]


def add_signal(tx: Transaction, id: str, session: str, number: str, kind: str, now: int) -> None:
    tx.execute(
        "INSERT INTO signals (id, session, number, kind, at) VALUES ($1, $2, $3, $4, $5)",
        (id, session, number, kind, now),
    )


async def session_path(db: Database, session: str) -> tuple[Session | None, list[Visit], list[Row]]:
    """A session with its visits and signals, oldest first."""
    row = await db.one("SELECT * FROM sessions WHERE id = $1", (session,))
    visits = await db.fetch("SELECT * FROM visits WHERE session = $1 ORDER BY at, id LIMIT 200", (session,))
    signals = await db.fetch("SELECT * FROM signals WHERE session = $1 ORDER BY at, id LIMIT 200", (session,))
    return (session_of(row) if row else None), [visit_of(visit) for visit in visits], signals


async def holders_now(db: Database) -> list[Row]:
    """Every number that was ever shown, with its latest lease and that session's source and landing page."""
    return await db.fetch(
        """
        SELECT n.number, n.session, n.shown_at, n.until, l.seen_at, s.landing_url,
               s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM numbers n JOIN leases l ON l.id = n.lease JOIN sessions s ON s.id = n.session
        """
    )


def session_of(row: Row) -> Session:
    return Session(
        id=row["id"],
        site=row["site"],
        visitor=row["visitor"],
        started_at=row["started_at"],
        last_seen_at=row["last_seen_at"],
        landing_url=row["landing_url"],
        referrer=row["referrer"],
        source=source_of(row),
        region=row["region"],
        device=row["device"],
    )


def visit_of(row: Row) -> Visit:
    return Visit(row["id"], row["session"], row["at"], row["url"], row["title"], row["referrer"])


def source_of(row: Row) -> Source:
    clicks = row["click_ids"]
    return Source(
        row["medium"],
        row["source"],
        row["campaign"],
        row["term"],
        row["content"],
        json.loads(clicks) if clicks not in ("", "{}") else {},
    )


def click_ids_text(source: Source) -> str:
    """The click ids as the columns of that name hold them: a JSON object."""
    return json.dumps(source.click_ids) if source.click_ids else "{}"


def _state(number: str, row: Row | None) -> NumberState:
    if row is None:
        return NumberState(number, 0)
    holder = Holder(row["session"], number, row["shown_at"], row["shown_at"], None, row["until"])
    return NumberState(number, row["shown_at"], (holder,))
