"""Filters and columns under a name of one's own."""

from __future__ import annotations

from ctserver import ids
from ctserver.storage.db import Database, Row, Transaction


async def of(db: Database, login: str, page: str) -> list[Row]:
    """id, name and query of a person's views of a page, by name."""
    return await db.fetch(
        "SELECT id, name, query FROM saved_views WHERE login = $1 AND page = $2 ORDER BY name LIMIT 100", (login, page)
    )


def put(tx: Transaction, login: str, page: str, name: str, query: str, now: int) -> None:
    """A view; one of the same name is replaced."""
    tx.execute(
        """
        INSERT INTO saved_views (id, login, page, name, query) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (login, page, name) DO UPDATE SET query = $5
        """,
        (ids.new(now), login, page, name, query),
    )


def remove(tx: Transaction, login: str, id: str) -> bool:
    """Only one's own."""
    return tx.execute("DELETE FROM saved_views WHERE id = $1 AND login = $2", (id, login)) == 1
