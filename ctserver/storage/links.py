"""Links that let somebody in once: an invitation (no login yet), or the way to a new password."""

from __future__ import annotations

from ctserver.domain.person import Person
from ctserver.storage.db import Database, Row, Transaction


def add(tx: Transaction, token_hash: str, id: str, person: Person, made_by: str, now: int, expires_at: int) -> None:
    """`person.login` is "" for an invitation. Of those to a new password, the latest is the only one that is good."""
    if person.login:
        tx.execute("DELETE FROM links WHERE login = $1", (person.login,))
    tx.execute(
        """
        INSERT INTO links (token_hash, id, login, email, role, sites, lines, made_by, made_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        (
            token_hash,
            id,
            person.login,
            person.email,
            person.role.value,
            " ".join(person.sites),
            " ".join(person.lines),
            made_by,
            now,
            expires_at,
        ),
    )


def rekey(tx: Transaction, id: str, token_hash: str, now: int) -> int | None:
    """From here on this token opens the link, and no other; when it ends. None: it was used or withdrawn, or has ended."""
    if not tx.execute("UPDATE links SET token_hash = $2 WHERE id = $1 AND expires_at > $3", (id, token_hash, now)):
        return None
    row = tx.one("SELECT expires_at FROM links WHERE id = $1", (id,))
    return int(row["expires_at"]) if row else None


def made_since(tx: Transaction, login: str, since: int) -> bool:
    """Was a link to a new password made for him lately, that nobody has followed?"""
    return tx.one("SELECT 1 FROM links WHERE login = $1 AND made_at > $2", (login, since)) is not None


async def by_token(db: Database, token_hash: str, now: int) -> Row | None:
    return await db.one("SELECT * FROM links WHERE token_hash = $1 AND expires_at > $2", (token_hash, now))


async def invitations(db: Database, now: int) -> list[Row]:
    """Those that nobody has followed yet, newest first."""
    return await db.fetch("SELECT * FROM links WHERE login = '' AND expires_at > $1 ORDER BY made_at DESC", (now,))


def take(tx: Transaction, token_hash: str) -> bool:
    """Each is good once: False if somebody else was faster."""
    return tx.execute("DELETE FROM links WHERE token_hash = $1", (token_hash,)) == 1


def withdraw(tx: Transaction, id: str) -> bool:
    return tx.execute("DELETE FROM links WHERE id = $1", (id,)) == 1


def forget_expired(tx: Transaction, now: int) -> int:
    return tx.execute("DELETE FROM links WHERE expires_at <= $1", (now,))
