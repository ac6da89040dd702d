"""How a person wants the pages written: language, time zone, phone numbers."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from ctserver.storage.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class Preferences:
    """`language` as in ctserver.language.LANGUAGES, `zone` an IANA name, "" for what browser and server have;
    `phones` is "international" or "national"."""

    language: str = ""
    zone: str = ""
    phones: str = "international"


async def of(db: Database, login: str) -> Preferences:
    """Those of a login; who has chosen nothing has the defaults."""
    row = await db.one("SELECT language, zone, phones FROM preferences WHERE login = $1", (login,))
    return Preferences(row["language"], row["zone"], row["phones"]) if row else Preferences()


async def of_addressee(db: Database, addressee: str) -> Preferences:
    """Those of whoever has this login or e-mail address."""
    row = await db.one(
        """
        SELECT p.language, p.zone, p.phones FROM users u JOIN preferences p ON p.login = u.login
        WHERE u.login = $1 OR (u.email <> '' AND LOWER(u.email) = LOWER($1)) LIMIT 1
        """,
        (addressee,),
    )
    return Preferences(row["language"], row["zone"], row["phones"]) if row else Preferences()


def put(tx: Transaction, login: str, chosen: Preferences) -> None:
    tx.execute(
        """
        INSERT INTO preferences (login, language, zone, phones) VALUES ($1, $2, $3, $4)
        ON CONFLICT (login) DO UPDATE SET language = $2, zone = $3, phones = $4
        """,
        (login, *astuple(chosen)),
    )
