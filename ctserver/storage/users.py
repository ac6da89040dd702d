"""Who may log in, and who is."""

from __future__ import annotations

from ctserver.storage.db import Database, Row, Transaction


async def count(db: Database) -> int:
    row = await db.one("SELECT COUNT(*) AS n FROM users")
    return int(row["n"]) if row else 0


async def password_hash(db: Database, login: str) -> str | None:
    row = await db.one("SELECT password_hash FROM users WHERE login = $1", (login,))
    return str(row["password_hash"]) if row else None


def put_user(tx: Transaction, id: str, login: str, password_hash: str, now: int) -> None:
    """A new user, or a new password for one; whoever was logged in as him is logged out."""
    tx.execute(
        """
        INSERT INTO users (id, login, password_hash, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (login) DO UPDATE SET password_hash = $3
        """,
        (id, login, password_hash, now),
    )
    tx.execute("DELETE FROM logins WHERE login = $1", (login,))


def add_login(tx: Transaction, token_hash: str, login: str, csrf: str, expires_at: int) -> None:
    tx.execute(
        "INSERT INTO logins (token_hash, login, csrf, expires_at) VALUES ($1, $2, $3, $4)",
        (token_hash, login, csrf, expires_at),
    )


async def login_of(db: Database, token_hash: str, now: int) -> Row | None:
    """login and csrf of a token that is still good."""
    return await db.one("SELECT login, csrf FROM logins WHERE token_hash = $1 AND expires_at > $2", (token_hash, now))


def end_login(tx: Transaction, token_hash: str) -> None:
    tx.execute("DELETE FROM logins WHERE token_hash = $1", (token_hash,))


def forget_expired(tx: Transaction, now: int) -> int:
    return tx.execute("DELETE FROM logins WHERE expires_at <= $1", (now,))
