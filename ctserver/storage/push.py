"""Browsers to which web push may go."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ctserver.domain.person import Person
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.users import person_of

MOST = 20  # browsers of one login; the oldest make way


@dataclass(frozen=True, slots=True)
class Subscription:
    """One browser of a login: where its push service listens, and the keys it reads with (base64url)."""

    endpoint: str
    login: str
    p256dh: str
    auth: str
    created_at: int = 0

    @property
    def id(self) -> str:
        """Names it where its address, with which anybody could wake it, must not stand."""
        return id_of(self.endpoint)


def id_of(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()[:32]


async def readers(db: Database, login: str) -> list[tuple[Subscription, Person]]:
    """The browsers of a login, or with "" of everybody, and who reads there."""
    rows = await db.fetch(
        """
        SELECT u.*, p.endpoint, p.p256dh, p.auth, p.created_at AS subscribed_at
        FROM push_subscriptions p JOIN users u ON u.login = p.login
        WHERE $1 = '' OR p.login = $1 ORDER BY p.created_at, p.endpoint
        """,
        (login,),
    )
    return [(_subscription(row), person_of(row)) for row in rows]


def put(tx: Transaction, found: Subscription, now: int) -> None:
    """A browser belongs to the one who used it last."""
    tx.execute(
        """
        INSERT INTO push_subscriptions (endpoint, login, p256dh, auth, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (endpoint) DO UPDATE SET login = $2, p256dh = $3, auth = $4, created_at = $5
        """,
        (found.endpoint, found.login, found.p256dh, found.auth, now),
    )
    for endpoint in _endpoints(tx, found.login)[MOST:]:
        forget(tx, endpoint)


def forget(tx: Transaction, endpoint: str) -> None:
    tx.execute("DELETE FROM push_subscriptions WHERE endpoint = $1", (endpoint,))


def forget_one(tx: Transaction, login: str, id: str) -> bool:
    """One browser of his; False if he has none with this id."""
    found = [endpoint for endpoint in _endpoints(tx, login) if id_of(endpoint) == id]
    for endpoint in found:
        forget(tx, endpoint)
    return bool(found)


def forget_others(tx: Transaction, login: str, kept: str) -> None:
    """All browsers of his but the one with the id `kept`."""
    for endpoint in _endpoints(tx, login):
        if id_of(endpoint) != kept:
            forget(tx, endpoint)


def _endpoints(tx: Transaction, login: str) -> list[str]:
    """The newest first."""
    rows = tx.fetch(
        "SELECT endpoint FROM push_subscriptions WHERE login = $1 ORDER BY created_at DESC, endpoint", (login,)
    )
    return [row["endpoint"] for row in rows]


def _subscription(row: Row) -> Subscription:
    return Subscription(row["endpoint"], row["login"], row["p256dh"], row["auth"], row["subscribed_at"])
