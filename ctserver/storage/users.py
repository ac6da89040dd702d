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


async def by_id(db: Database, id: str) -> Row | None:
    """All columns of a user."""
    return await db.one("SELECT * FROM users WHERE id = $1", (id,))


def called(tx: Transaction, text: str) -> list[Person]:
    """Those with this login or e-mail address who have both a password and an address; five at most."""
    rows = tx.fetch(
        """
        SELECT * FROM users WHERE (login = $1 OR LOWER(email) = LOWER($1)) AND email <> '' AND password_hash <> ''
        ORDER BY login LIMIT 5
        """,
        (text,),
    )
    return [person_of(row) for row in rows]


def owners(tx: Transaction) -> int:
    row = tx.one("SELECT COUNT(*) AS n FROM users WHERE role = 'owner'")
    return int(row["n"]) if row else 0


def exists(tx: Transaction, login: str) -> bool:
    return tx.one("SELECT 1 FROM users WHERE login = $1", (login,)) is not None


def put_user(tx: Transaction, id: str, login: str, password_hash: str, now: int, person: Person | None = None) -> None:
    """A new user (an owner, unless `person` says otherwise), or a new password for one; whoever was logged in as him is
    logged out, and no browser is notified any more. Of a user who is there, only `person` changes more than the password."""
    tx.execute(
        """
        INSERT INTO users (id, login, password_hash, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (login) DO UPDATE SET password_hash = $3
        """,
        (id, login, password_hash, now),
    )
    tx.execute("DELETE FROM logins WHERE login = $1", (login,))
    tx.execute("DELETE FROM push_subscriptions WHERE login = $1", (login,))
    if person is not None:
        change(tx, person)


def change(tx: Transaction, person: Person) -> bool:
    """Everything of a user but his password and second factor. False: there is no such user."""
    changed = tx.execute(
        "UPDATE users SET role = $2, name = $3, email = $4, sites = $5, lines = $6 WHERE login = $1",
        (
            person.login,
            person.role.value,
            person.name,
            person.email,
            " ".join(person.sites),
            " ".join(person.lines),
        ),
    )
    return changed == 1


def set_password(tx: Transaction, login: str, password_hash: str, kept: str) -> None:
    """Ends all logins but the one with the id `kept`, and every link to a new password."""
    tx.execute("UPDATE users SET password_hash = $2 WHERE login = $1", (login, password_hash))
    tx.execute("DELETE FROM logins WHERE login = $1 AND id <> $2", (login, kept))
    tx.execute("DELETE FROM links WHERE login = $1", (login,))


def remove(tx: Transaction, login: str) -> None:
    """The user, whatever lets somebody in as him, and what he had chosen: his login may be another's one day. The audit log
    keeps his name."""
    tx.execute("DELETE FROM logins WHERE login = $1", (login,))
    tx.execute("DELETE FROM recovery_codes WHERE login = $1", (login,))
    tx.execute("DELETE FROM links WHERE login = $1", (login,))
    tx.execute("DELETE FROM tokens WHERE login = $1", (login,))
    tx.execute("DELETE FROM push_subscriptions WHERE login = $1", (login,))
    tx.execute("DELETE FROM saved_views WHERE login = $1", (login,))
    tx.execute("DELETE FROM preferences WHERE login = $1", (login,))
    tx.execute("DELETE FROM users WHERE login = $1", (login,))


# ---- who comes by a sign-in provider


def by_subject(tx: Transaction, subject: str) -> Person | None:
    """Who is this to the provider; `subject` is its issuer, a space, and the name by which it knows him."""
    row = tx.one("SELECT * FROM users WHERE subject = $1", (subject,))
    return person_of(row) if row else None


def link_by_email(tx: Transaction, email: str, subject: str) -> Person | None:
    """The one user with this address whom no provider knows yet; from here on this one does."""
    rows = tx.fetch(
        "SELECT * FROM users WHERE LOWER(email) = LOWER($1) AND email <> '' AND subject = '' LIMIT 2", (email,)
    )
    if len(rows) != 1:
        return None
    tx.execute("UPDATE users SET subject = $2 WHERE login = $1", (rows[0]["login"], subject))
    return person_of(rows[0])


def add_by_provider(tx: Transaction, id: str, person: Person, subject: str, now: int) -> None:
    """Without a password: no text is the one whose hash is empty."""
    tx.execute(
        "INSERT INTO users (id, login, password_hash, created_at, subject) VALUES ($1, $2, '', $3, $4)",
        (id, person.login, now, subject),
    )
    change(tx, person)


# ---- the second factor


async def second_factor(db: Database, login: str) -> tuple[str, int]:
    """(its secret or "", the last step whose code was used)."""
    row = await db.one("SELECT totp_secret, totp_step FROM users WHERE login = $1", (login,))
    return (row["totp_secret"], row["totp_step"]) if row else ("", 0)


def put_second_factor(tx: Transaction, login: str, secret: str, step: int, code_hashes: list[str]) -> None:
    """A new one with its recovery codes; secret "" takes it away."""
    tx.execute("UPDATE users SET totp_secret = $2, totp_step = $3 WHERE login = $1", (login, secret, step))
    put_recovery_codes(tx, login, code_hashes)


def put_recovery_codes(tx: Transaction, login: str, code_hashes: list[str]) -> None:
    """These instead of those from before."""
    tx.execute("DELETE FROM recovery_codes WHERE login = $1", (login,))
    for code_hash in code_hashes:
        tx.execute("INSERT INTO recovery_codes (login, code_hash) VALUES ($1, $2)", (login, code_hash))


def use_step(tx: Transaction, login: str, step: int) -> bool:
    """False: a code of this step or a later one was used meanwhile."""
    return tx.execute("UPDATE users SET totp_step = $2 WHERE login = $1 AND totp_step < $2", (login, step)) == 1


def use_recovery_code(tx: Transaction, login: str, code_hash: str) -> bool:
    return tx.execute("DELETE FROM recovery_codes WHERE login = $1 AND code_hash = $2", (login, code_hash)) == 1


async def recovery_codes_left(db: Database, login: str) -> int:
    row = await db.one("SELECT COUNT(*) AS n FROM recovery_codes WHERE login = $1", (login,))
    return int(row["n"]) if row else 0


def invited(row: Row, login: str) -> Person:
    """Who is made of a row of links, with the login that he chose."""
    return Person(
        login,
        Role(row["role"]),
        email=row["email"],
        sites=tuple(row["sites"].split()),
        lines=tuple(row["lines"].split()),
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
        by_provider=row["subject"] != "" and row["password_hash"] == "",
    )
