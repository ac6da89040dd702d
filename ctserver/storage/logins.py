"""Logins: browsers that were let in."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.person import Person
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.users import person_of


@dataclass(frozen=True, slots=True)
class Login:
    """A browser that was let in. `waiting`: the password was right, the second factor is still to come."""

    id: str
    csrf: str
    seen_at: int
    waiting: bool
    person: Person


def add(tx: Transaction, token_hash: str, id: str, login: str, csrf: str, now: int, expires_at: int, address: str,
        browser: str, waiting: bool) -> None:  # fmt: skip
    tx.execute(
        """
        INSERT INTO logins (token_hash, id, login, csrf, created_at, seen_at, expires_at, address, browser, waiting)
        VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)
        """,
        (token_hash, id, login, csrf, now, expires_at, address, browser, int(waiting)),
    )


async def by_token(db: Database, token_hash: str, now: int) -> Login | None:
    """The login with this token, if it is still good."""
    row = await db.one(
        """
        SELECT u.*, l.id AS login_id, l.csrf, l.seen_at, l.waiting
        FROM logins l JOIN users u ON u.login = l.login WHERE l.token_hash = $1 AND l.expires_at > $2
        """,
        (token_hash, now),
    )
    return Login(row["login_id"], row["csrf"], row["seen_at"], bool(row["waiting"]), person_of(row)) if row else None


async def of_user(db: Database, login: str, now: int) -> list[Row]:
    """id, created_at, seen_at, address, browser of his logins, the last used first."""
    return await db.fetch(
        """
        SELECT id, created_at, seen_at, address, browser FROM logins
        WHERE login = $1 AND expires_at > $2 AND waiting = 0 ORDER BY seen_at DESC
        """,
        (login, now),
    )


def seen(tx: Transaction, id: str, now: int, address: str) -> None:
    tx.execute("UPDATE logins SET seen_at = $2, address = $3 WHERE id = $1", (id, now, address))


def let_in(tx: Transaction, id: str, expires_at: int) -> None:
    """The second factor was right as well."""
    tx.execute("UPDATE logins SET waiting = 0, expires_at = $2 WHERE id = $1", (id, expires_at))


def revoke(tx: Transaction, login: str, id: str) -> bool:
    """End one of his logins."""
    return tx.execute("DELETE FROM logins WHERE login = $1 AND id = $2", (login, id)) == 1


def revoke_others(tx: Transaction, login: str, kept: str) -> int:
    """End all of his logins but the one with the id `kept` ("": all)."""
    return tx.execute("DELETE FROM logins WHERE login = $1 AND id <> $2", (login, kept))


def knows_address(tx: Transaction, login: str, address: str) -> bool:
    """Is he logged in from this address elsewhere?"""
    sql = "SELECT 1 FROM logins WHERE login = $1 AND address = $2 AND waiting = 0"
    return tx.one(sql, (login, address)) is not None


def end(tx: Transaction, token_hash: str) -> None:
    tx.execute("DELETE FROM logins WHERE token_hash = $1", (token_hash,))


def forget_expired(tx: Transaction, now: int) -> int:
    return tx.execute("DELETE FROM logins WHERE expires_at <= $1", (now,))
