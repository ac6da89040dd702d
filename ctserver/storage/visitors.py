"""Sessions as people look at them: newest first, with what came of each."""

from __future__ import annotations

from ctserver import ids
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row
from ctserver.storage.search import LOOKS_THROUGH, Page, like


async def page(db: Database, scope: Scope, *, site: str, source: str, called: bool, before: str, limit: int) -> Page:
    """Sessions before the one with id `before` (or the newest), with the number of pages and the id of a call. `source`
    is part of a source's name, campaign or landing page; `called`: only those that called. Nobody waits for a filter that
    finds little: a page looks through LOOKS_THROUGH sessions and no more."""
    last = before or ids.LAST
    low = await db.one(
        "SELECT id, started_at FROM sessions WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2", (last, LOOKS_THROUGH)
    )
    pattern = like(source) if source else ""
    rows = await db.fetch(
        """
        SELECT s.*, (SELECT COUNT(*) FROM visits v WHERE v.session = s.id) AS pages,
               (SELECT MAX(c.id) FROM calls c WHERE c.session = s.id) AS call
        FROM sessions s
        WHERE s.id >= $7 AND s.id < $2 AND ($1 = '' OR REPLACE($1, ' ' || s.site || ' ', '') <> $1)
          AND ($3 = '' OR s.site = $3)
          AND ($4 = '' OR s.source LIKE $4 ESCAPE '\\' OR s.campaign LIKE $4 ESCAPE '\\' OR s.landing_url LIKE $4 ESCAPE '\\')
          AND ($5 = 0 OR EXISTS (SELECT 1 FROM calls c WHERE c.session = s.id))
        ORDER BY s.id DESC LIMIT $6
        """,
        (scope.values[0], last, site, pattern, int(called), limit + 1, low["id"] if low else ""),
    )
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1]["id"], None)
    return Page(rows, low["id"], low["started_at"]) if low else Page(rows, None, None)


async def one(db: Database, scope: Scope, id: str) -> Row | None:
    return await db.one(
        "SELECT * FROM sessions WHERE id = $2 AND ($1 = '' OR REPLACE($1, ' ' || site || ' ', '') <> $1)",
        (scope.values[0], id),
    )


async def same_visitor(db: Database, scope: Scope, visitor: str, id: str) -> list[Row]:
    """His other sessions, newest first."""
    return await db.fetch(
        """
        SELECT s.*, (SELECT COUNT(*) FROM visits v WHERE v.session = s.id) AS pages,
               (SELECT MAX(c.id) FROM calls c WHERE c.session = s.id) AS call
        FROM sessions s WHERE s.visitor = $2 AND s.id <> $3
          AND ($1 = '' OR REPLACE($1, ' ' || s.site || ' ', '') <> $1)
        ORDER BY s.started_at DESC LIMIT 30
        """,
        (scope.values[0], visitor, id),
    )


async def calls_of(db: Database, scope: Scope, session: str) -> list[Row]:
    """The calls credited to a session, newest first, as rows of the journal."""
    return await db.fetch(
        """
        SELECT c.*, r.state AS recording FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.session = $3 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        ORDER BY c.id DESC LIMIT 50
        """,
        (*scope.values, session),
    )


async def numbers_of(db: Database, session: str) -> list[Row]:
    """The numbers that a session was shown: number, how (free, else shared), shown_at, until."""
    return await db.fetch(
        "SELECT number, how, shown_at, until FROM leases WHERE session = $1 ORDER BY shown_at LIMIT 50",
        (session,),
    )
