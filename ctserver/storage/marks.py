"""What people say of a call: category, value, tags, note."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row, Transaction

MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class Marks:
    """`value` in hundredths; `note_by` and `note_at` tell who wrote the note last, and when."""

    category: str = ""
    value: int | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    note_by: str = ""
    note_at: int = 0


async def of_call(db: Database, row: Row) -> Marks:
    """`row` is a row of calls."""
    tags = await db.fetch("SELECT tag FROM call_tags WHERE call = $1 ORDER BY at, tag", (row["id"],))
    note = await db.one("SELECT text, login, at FROM call_notes WHERE call = $1", (row["id"],))
    said = (note["text"], note["login"], note["at"]) if note else ("", "", 0)
    return Marks(row["category"], row["value"], tuple(tag["tag"] for tag in tags), *said)


async def known_tags(db: Database, scope: Scope) -> list[str]:
    """Tags of the latest calls that have some and are in the scope, the commonest first, for those who type one."""
    rows = await db.fetch(_SEEN_TAGS, scope.values) if any(scope.values) else await db.fetch(_KNOWN_TAGS)
    return [row["tag"] for row in rows]


_KNOWN_TAGS = """
    SELECT latest.tag, COUNT(*) AS uses FROM (SELECT call, tag FROM call_tags ORDER BY call DESC LIMIT 5000) AS latest
    GROUP BY latest.tag ORDER BY uses DESC, latest.tag LIMIT 100
"""
_SEEN_TAGS = """
    SELECT latest.tag, COUNT(*) AS uses
    FROM (SELECT call, tag FROM call_tags ORDER BY call DESC LIMIT 5000) AS latest JOIN calls c ON c.id = latest.call
    WHERE ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
    GROUP BY latest.tag ORDER BY uses DESC, latest.tag LIMIT 100
"""


def set_category(tx: Transaction, call: str, category: str) -> None:
    tx.execute("UPDATE calls SET category = $2 WHERE id = $1", (call, category))


def set_category_once(tx: Transaction, call: str, category: str) -> bool:
    """Unless it has one; whether it was set."""
    return tx.execute("UPDATE calls SET category = $2 WHERE id = $1 AND category = ''", (call, category)) > 0


def set_value(tx: Transaction, call: str, value: int | None) -> None:
    tx.execute("UPDATE calls SET value = $2 WHERE id = $1", (call, value))


def add_tag(tx: Transaction, call: str, tag: str, login: str, now: int) -> None:
    """MOST_TAGS at most; one that is there already stays."""
    row = tx.one("SELECT COUNT(*) AS tags FROM call_tags WHERE call = $1", (call,))
    if row and row["tags"] < MOST_TAGS:
        tx.execute(
            "INSERT INTO call_tags (call, tag, login, at) VALUES ($1, $2, $3, $4) ON CONFLICT (call, tag) DO NOTHING",
            (call, tag, login, now),
        )


def remove_tag(tx: Transaction, call: str, tag: str) -> None:
    tx.execute("DELETE FROM call_tags WHERE call = $1 AND tag = $2", (call, tag))


def tags(tx: Transaction, call: str) -> list[str]:
    return [row["tag"] for row in tx.fetch("SELECT tag FROM call_tags WHERE call = $1 ORDER BY at, tag", (call,))]


def put_note(tx: Transaction, call: str, text: str, login: str, now: int) -> None:
    """An empty text removes the note."""
    if not text:
        tx.execute("DELETE FROM call_notes WHERE call = $1", (call,))
        return
    tx.execute(
        """
        INSERT INTO call_notes (call, text, login, at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (call) DO UPDATE SET text = $2, login = $3, at = $4
        """,
        (call, text, login, now),
    )
