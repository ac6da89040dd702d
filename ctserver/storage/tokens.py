"""Keys to the API. The database holds their hashes only."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.person import Person
from ctserver.domain.rights import Right
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.users import person_of


@dataclass(frozen=True, slots=True)
class Token:
    """A key, with its user and the rights it was given; it never may more than he."""

    id: str
    scopes: frozenset[Right]
    seen_at: int
    person: Person


def add(
    tx: Transaction, id: str, token_hash: str, login: str, name: str, scopes: frozenset[Right], now: int,
    expires_at: int | None,
) -> None:  # fmt: skip
    tx.execute(
        """
        INSERT INTO tokens (id, token_hash, login, name, scopes, created_at, seen_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
        """,
        (id, token_hash, login, name, " ".join(sorted(scopes)), now, expires_at),
    )


async def by_hash(db: Database, token_hash: str, now: int) -> Token | None:
    row = await db.one(
        """
        SELECT u.*, t.id AS token_id, t.scopes, t.seen_at FROM tokens t JOIN users u ON u.login = t.login
        WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)
        """,
        (token_hash, now),
    )
    return Token(row["token_id"], rights_of(row["scopes"]), row["seen_at"], person_of(row)) if row else None


async def of_user(db: Database, login: str) -> list[Row]:
    return await db.fetch("SELECT * FROM tokens WHERE login = $1 ORDER BY created_at DESC", (login,))


def seen(tx: Transaction, id: str, now: int) -> None:
    tx.execute("UPDATE tokens SET seen_at = $2 WHERE id = $1", (id, now))


def revoke(tx: Transaction, login: str, id: str) -> bool:
    return tx.execute("DELETE FROM tokens WHERE login = $1 AND id = $2", (login, id)) == 1


def rights_of(text: str) -> frozenset[Right]:
    """Rights that there are no longer are left out."""
    known = {right.value for right in Right}
    return frozenset(Right(name) for name in text.split() if name in known)
