"""What is going on now: calls that have not ended, and the visitors who hold numbers."""

from __future__ import annotations

from ctserver import ids
from ctserver.domain.clock import DAY_MS
from ctserver.storage.db import Database, Row

MOST = 200
LATEST = 1_000  # showings


async def calls_now(db: Database) -> list[Row]:
    """Calls that nobody saw end, newest first, as rows of the journal."""
    return await db.fetch(
        """
        SELECT c.*, '' AS recording FROM calls c WHERE c.state IN ('arrived', 'ringing', 'talking')
        ORDER BY c.arrived_at DESC LIMIT $1
        """,
        (MOST,),
    )


async def visitors_now(db: Database, now: int) -> list[Row]:
    """Who holds a number, the last seen first: number, session, site, source, the page he is on and how many he saw.

    Looked at are the latest showing of each number and the LATEST showings of all: everybody who holds a number alone, and
    those who share one as far back as they can be told apart. So the cost is bounded, however short of numbers a pool is.
    """
    return await db.fetch(
        """
        SELECT h.number, h.session, h.how, h.shown_at, h.seen_at, h.until, s.site, s.landing_url, s.city, s.region, s.country,
               s.device, s.medium, s.source, s.campaign, s.term, s.content, s.click_ids,
               (SELECT v.url FROM visits v WHERE v.session = h.session ORDER BY v.at DESC LIMIT 1) AS url,
               (SELECT COUNT(*) FROM visits v WHERE v.session = h.session) AS pages
        FROM (
            SELECT l.number, l.session, l.how, l.shown_at, l.seen_at, l.until
            FROM (
                SELECT lease AS id FROM numbers WHERE until > $1
                UNION SELECT id FROM (SELECT id FROM leases WHERE id > $2 ORDER BY id DESC LIMIT $3) AS latest
            ) AS shown JOIN leases l ON l.id = shown.id
            WHERE l.until > $1 ORDER BY l.seen_at DESC LIMIT $4
        ) h JOIN sessions s ON s.id = h.session ORDER BY h.seen_at DESC
        """,
        (now, ids.first(now - DAY_MS), LATEST, MOST),
    )
