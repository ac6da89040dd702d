"""What is going on now: calls that have not ended, and the visitors who hold numbers."""

from __future__ import annotations

from ctserver.storage.db import Database, Row

MOST = 200
DAY_MS = 86_400_000


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

    A number is free when nobody holds it any more, so whoever holds it now was shown it then or later: a few rows are looked
    at, however many visitors a day there are.
    """
    return await db.fetch(
        """
        SELECT h.number, h.session, h.how, h.shown_at, h.seen_at, h.until, s.site, s.visitor, s.landing_url, s.started_at,
               s.city, s.region, s.country, s.device,
               s.medium, s.source, s.campaign, s.term, s.content, s.click_ids,
               (SELECT v.url FROM visits v WHERE v.session = h.session ORDER BY v.at DESC LIMIT 1) AS url,
               (SELECT COUNT(*) FROM visits v WHERE v.session = h.session) AS pages
        FROM (
            SELECT l.number, l.session, l.how, l.shown_at, l.seen_at, l.until
            FROM numbers n CROSS JOIN leases l
            WHERE n.until > $1 AND l.number = n.number AND l.until > $1 AND l.shown_at >= COALESCE((
                SELECT f.shown_at FROM leases f WHERE f.number = n.number AND f.how = 'free' AND f.shown_at > $2
                ORDER BY f.shown_at DESC LIMIT 1), $2)
            ORDER BY l.seen_at DESC LIMIT $3
        ) h JOIN sessions s ON s.id = h.session ORDER BY h.seen_at DESC
        """,
        (now, now - DAY_MS, MOST),
    )
