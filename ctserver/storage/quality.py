"""Score cards, the queue of calls to listen to, the library of model calls, and links to share a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctserver import ids
from ctserver.domain.rights import Scope
from ctserver.storage.db import Database, Row, Transaction

MOST_NOTES = 5_000


async def scores_of(db: Database, call: str) -> list[Row]:
    """criterion, score, login, at."""
    return await db.fetch("SELECT * FROM call_scores WHERE call = $1 ORDER BY criterion", (call,))


def put_scores(tx: Transaction, call: str, scores: Mapping[str, int], login: str, now: int) -> None:
    """The whole card anew; criteria that are not in it lose their score."""
    tx.execute("DELETE FROM call_scores WHERE call = $1", (call,))
    for criterion, score in scores.items():
        tx.execute(
            "INSERT INTO call_scores (call, criterion, score, login, at) VALUES ($1, $2, $3, $4, $5)",
            (call, criterion, score, login, now),
        )


async def model_of(db: Database, call: str) -> Row | None:
    return await db.one("SELECT * FROM model_calls WHERE call = $1", (call,))


def put_model(tx: Transaction, call: str, why: str, login: str, now: int) -> None:
    tx.execute(
        """
        INSERT INTO model_calls (call, why, login, at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (call) DO UPDATE SET why = $2, login = $3, at = $4
        """,
        (call, why, login, now),
    )


def forget_model(tx: Transaction, call: str) -> None:
    tx.execute("DELETE FROM model_calls WHERE call = $1", (call,))


async def answered(
    db: Database, scope: Scope, since: int, least_ms: int, most_ms: int, rated: int, limit: int, before: str = ids.LAST
) -> list[Row]:
    """Answered calls with a talk of so long since then and older than the call `before`, newest first. `rated`: 0 those
    without a score card, 1 those with one, 2 those with one below 60 of 100."""
    values = (*scope.values, ids.first(since), least_ms, most_ms, limit, before)
    if rated:
        return await db.fetch(_RATED, (*values, 60 if rated == 2 else 1000))
    return await db.fetch(_UNRATED, values)


_UNRATED = """
    SELECT c.*, r.state AS recording, NULL AS score FROM calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.outcome = 'answered' AND c.id >= $3 AND c.id < $7 AND c.ended_at - c.answered_at BETWEEN $4 AND $5
      AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
      AND NOT EXISTS (SELECT 1 FROM call_scores s WHERE s.call = c.id)
    ORDER BY c.id DESC LIMIT $6
"""
# The newest cards that fit are found first, in the order of their index.
_RATED = """
    SELECT c.*, r.state AS recording, s.score
    FROM (
        SELECT m.call, AVG(m.score) * 20.0 AS score FROM call_scores m
        WHERE m.call >= $3 AND m.call < $7 AND EXISTS (
            SELECT 1 FROM calls c WHERE c.id = m.call AND c.outcome = 'answered' AND c.ended_at - c.answered_at BETWEEN $4 AND $5
              AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
              AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2))
        GROUP BY m.call HAVING AVG(m.score) * 20.0 < $8 ORDER BY m.call DESC LIMIT $6
    ) AS s CROSS JOIN calls c LEFT JOIN recordings r ON r.call = c.id
    WHERE c.id = s.call ORDER BY s.call DESC
"""


async def missed(db: Database, scope: Scope, since: int, limit: int, before: str = ids.LAST) -> list[Row]:
    """Missed calls since then and older than the call `before`, newest first."""
    return await db.fetch(
        """
        SELECT c.*, r.state AS recording, NULL AS score FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.outcome = 'missed' AND c.id >= $3 AND c.id < $5
          AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        ORDER BY c.id DESC LIMIT $4
        """,
        (*scope.values, ids.first(since), limit, before),
    )


async def noted(
    db: Database, scope: Scope, since: int, words: Sequence[str], limit: int, before: str = ids.LAST
) -> list[Row]:
    """Calls since then and older than the call `before` that have a note with all these words (casefolded), newest first; the
    note is `note`. MOST_NOTES are looked through."""

    def unit(tx: Transaction) -> list[Row]:
        found: list[Row] = []
        for note in tx.fetch(_NOTES, (ids.first(since), MOST_NOTES, before)):
            if all(word in note["text"].casefold() for word in words):
                found += tx.fetch(_NOTED, (*scope.values, note["call"]))
            if len(found) == limit:
                break
        return found

    return await db.read(unit)


_NOTES = "SELECT call, text FROM call_notes WHERE call >= $1 AND call < $3 ORDER BY call DESC LIMIT $2"
_NOTED = """
    SELECT c.*, r.state AS recording, n.text AS note,
           (SELECT AVG(score) * 20.0 FROM call_scores WHERE call = c.id) AS score
    FROM call_notes n JOIN calls c ON c.id = n.call LEFT JOIN recordings r ON r.call = c.id
    WHERE n.call = $3 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
"""


async def models(db: Database, scope: Scope, limit: int, before: str = ids.LAST) -> list[Row]:
    """The library, the latest addition first, with `why` it is there as model_why; only what was added earlier than the
    call `before`."""
    return await db.fetch(
        """
        SELECT c.*, r.state AS recording, m.why AS model_why,
               (SELECT AVG(score) * 20.0 FROM call_scores WHERE call = c.id) AS score
        FROM model_calls m CROSS JOIN calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.id = m.call AND m.at < COALESCE((SELECT at FROM model_calls WHERE call = $4), m.at + 1) AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        ORDER BY m.at DESC LIMIT $3
        """,
        (*scope.values, limit, before),
    )


# ---- links


def add_share(tx: Transaction, token_hash: str, call: str, login: str, now: int, until: int) -> bool:
    """False if there is such a link already."""
    tx.execute("DELETE FROM shares WHERE expires_at <= $1", (now,))
    return bool(
        tx.execute(
            """
            INSERT INTO shares (token_hash, call, login, at, expires_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (token_hash) DO NOTHING
            """,
            (token_hash, call, login, now, until),
        )
    )


def end_shares(tx: Transaction, call: str) -> None:
    tx.execute("DELETE FROM shares WHERE call = $1", (call,))


async def shares_of(db: Database, call: str, now: int) -> list[Row]:
    """The links to this call that are still good."""
    return await db.fetch("SELECT * FROM shares WHERE call = $1 AND expires_at > $2 ORDER BY at", (call, now))


async def shared(db: Database, token_hash: str, now: int) -> Row | None:
    """The call that a link leads to, as a row of the journal with `expires_at` and `shared_by` (a login); None when the link has ended."""
    return await db.one(
        """
        SELECT c.*, r.state AS recording, s.expires_at, s.login AS shared_by FROM shares s JOIN calls c ON c.id = s.call
        LEFT JOIN recordings r ON r.call = c.id WHERE s.token_hash = $1 AND s.expires_at > $2
        """,
        (token_hash, now),
    )
