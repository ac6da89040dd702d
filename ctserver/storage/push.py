"""Browsers to which web push may go."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.storage.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class Subscription:
    """One browser of a login: where its push service listens, and the keys it reads with (base64url)."""

    endpoint: str
    login: str
    p256dh: str
    auth: str


async def subscriptions(db: Database, login: str) -> list[Subscription]:
    """Those of a login; "": all."""
    rows = await db.fetch(
        "SELECT endpoint, login, p256dh, auth FROM push_subscriptions WHERE $1 = '' OR login = $1 ORDER BY created_at",
        (login,),
    )
    return [Subscription(row["endpoint"], row["login"], row["p256dh"], row["auth"]) for row in rows]


def put(tx: Transaction, found: Subscription, now: int) -> None:
    """A browser belongs to the one who used it last."""
    tx.execute(
        """
        INSERT INTO push_subscriptions (endpoint, login, p256dh, auth, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (endpoint) DO UPDATE SET login = $2, p256dh = $3, auth = $4
        """,
        (found.endpoint, found.login, found.p256dh, found.auth, now),
    )


def forget(tx: Transaction, endpoint: str) -> None:
    tx.execute("DELETE FROM push_subscriptions WHERE endpoint = $1", (endpoint,))
