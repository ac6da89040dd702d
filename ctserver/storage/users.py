"""Who may log in, and what is known of him."""

from __future__ import annotations

from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.storage.db import Database, Row, Transaction


async def count(db: Database) -> int:
    row = await db.one("SELECT COUNT(*) AS n FROM users")
    return int(row["n"]) if row else 0


async def password_hash(db: Database, login: str) -> str | None:
    row = await db.one("SELECT password_hash FROM users WHERE login = $1", (login,))
    return str(row["password_hash"]) if row else None


async def everybody(db: Database) -> list[Row]:
    """Every user with the time of his last request, `seen_at` (None: never), by login."""
    return await db.fetch(
        """
        SELECT u.*, (SELECT MAX(l.seen_at) FROM logins l WHERE l.login = u.login) AS seen_at FROM users u ORDER BY u.login
        """
    )


async def one(db: Database, login: str) -> Person | None:
    row = await db.one("SELECT * FROM users WHERE login = $1", (login,))
    return person_of(row) if row else None


def put_user(tx: Transaction, id: str, login: str, password_hash: str, now: int, person: Person | None = None) -> None:
    """A new user (an owner, unless `person` says otherwise), or a new password for one; whoever was logged in as him is
    logged out. Of a user who is there, only `person` changes more than the password."""
    tx.execute(
        """
        INSERT INTO users (id, login, password_hash, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (login) DO UPDATE SET password_hash = $3
        """,
        (id, login, password_hash, now),
    )
    tx.execute("DELETE FROM logins WHERE login = $1", (login,))
    if person is not None:
        change(tx, person)


def change(tx: Transaction, person: Person) -> bool:
    """Everything of a user but his password and second factor. False: there is no such user."""
    return (
        tx.execute(
            """
            UPDATE users SET role = $2, name = $3, email = $4, sites = $5, lines = $6
            WHERE login = $1
            """,
            (
                person.login,
                person.role.value,
                person.name,
                person.email,
                " ".join(person.sites),
                " ".join(person.lines),
            ),
        )
        == 1
    )


def person_of(row: Row) -> Person:
    return Person(
        login=row["login"],
        role=Role(row["role"]),
        name=row["name"],
        email=row["email"],
        sites=tuple(row["sites"].split()),
        lines=tuple(row["lines"].split()),
        second_factor=row["totp_secret"] != "",
    )
