"""What the attribution of a call is made from: everybody who was shown the number, and the caller's earlier calls."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from ctserver import ids
from ctserver.domain.attribution import CallerHistory, Candidate, EarlierCall, SignalAt
from ctserver.domain.clock import DAY_MS
from ctserver.domain.delay import PUBLISHED, Counts, DelayModel
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.sessions import source_of

MOST = 5_000


def candidates(tx: Transaction, number: str, since: int, at: int) -> list[Candidate]:
    """Every showing of `number` in this time, with its signals and the last call credited to its session."""
    rows = tx.fetch(
        """
        SELECT l.session, l.shown_at, l.seen_at, l.left_at, s.visitor, s.country, s.device,
               s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM leases l JOIN sessions s ON s.id = l.session
        WHERE l.number = $1 AND l.shown_at BETWEEN $2 AND $3 ORDER BY l.shown_at DESC LIMIT $4
        """,
        (number, since, at, MOST),
    )
    if not rows:
        return []
    signals = _signals(tx, number, since, at)
    credited = _credited(tx, number, since, at)
    return [_candidate(row, number, signals.get(row["session"], ()), credited.get(row["session"])) for row in rows]


def history(tx: Transaction, site: str, caller: str, number: str, since: int, before: int) -> CallerHistory:
    """The earlier calls of this caller to this site that say something of a call to `number`.

    Those to the same number (he has it from then), and those of a visitor who has been shown it since. Somebody who
    rings a number that he was never shown has it from elsewhere: who he was last time explains nothing.
    """
    if not caller:
        return CallerHistory()
    rows = tx.fetch(
        """
        SELECT c.arrived_at, c.session, c.confidence, s.visitor, c.medium, c.source, c.campaign, c.term, c.content,
               c.click_ids
        FROM calls c JOIN sessions s ON s.id = c.session
        WHERE c.caller = $1 AND c.site = $2 AND c.arrived_at BETWEEN $3 AND $4 AND c.session <> ''
          AND (c.did = $5 OR s.visitor IN (
              SELECT v.visitor FROM leases l JOIN sessions v ON v.id = l.session
              WHERE l.number = $5 AND l.shown_at BETWEEN $3 AND $4))
        ORDER BY c.arrived_at DESC LIMIT 50
        """,
        (caller, site, since, before, number),
    )
    return CallerHistory(
        tuple(
            EarlierCall(row["arrived_at"], row["session"], row["confidence"], row["visitor"], source_of(row))
            for row in rows
        )
    )


def save_credits(tx: Transaction, call: str, shares: dict[str, float]) -> None:
    """Session ("" for nobody we know) -> probability, of a call that has none yet."""
    for session, share in shares.items():
        tx.later(
            "INSERT INTO credits (call, session, share) VALUES ($1, $2, $3)",
            f"{call} {session}",
            (call, session, share),
        )


def forget_credits(tx: Transaction, call: str) -> None:
    """It is to have others."""
    tx.execute("DELETE FROM credits WHERE call = $1", (call,))


async def runners_up(db: Database, call: str, best: str) -> list[Row]:
    """The other sessions that may have made this call, likeliest first, and how likely."""
    return await db.fetch(
        """
        SELECT c.share, s.id, s.landing_url, s.medium, s.source, s.campaign, s.term, s.content, s.click_ids
        FROM credits c JOIN sessions s ON s.id = c.session
        WHERE c.call = $1 AND c.session <> $2 AND c.share >= 0.01 ORDER BY c.share DESC LIMIT 4
        """,
        (call, best),
    )


async def models(db: Database) -> dict[str, DelayModel]:
    """Each site's model, as far as it has learnt."""
    rows = await db.fetch("SELECT site, counts FROM models")
    return {row["site"]: replace(PUBLISHED, counts=_counts(row["counts"])) for row in rows}


async def learnt_until(db: Database, site: str) -> int | None:
    row = await db.one("SELECT learnt_until FROM models WHERE site = $1", (site,))
    return int(row["learnt_until"]) if row else None


def save_model(tx: Transaction, site: str, counts: Counts, until: int) -> None:
    tx.execute(
        """
        INSERT INTO models (site, learnt_until, counts) VALUES ($1, $2, $3)
        ON CONFLICT (site) DO UPDATE SET learnt_until = $2, counts = $3
        """,
        (site, until, json.dumps(asdict(counts))),
    )


def _counts(text: str) -> Counts:
    fields = json.loads(text)
    binned = ("callers_by_device", "callers_on", "still_on", "signal_delays")
    for name in binned:
        fields[name] = {key: tuple(bins) for key, bins in fields[name].items()}
    return Counts(**fields)


def _signals(tx: Transaction, number: str, since: int, at: int) -> dict[str, tuple[SignalAt, ...]]:
    rows = tx.fetch(
        """
        SELECT session, kind, at FROM signals
        WHERE session IN (SELECT session FROM leases WHERE number = $1 AND shown_at BETWEEN $2 AND $3)
          AND at BETWEEN $2 AND $3 AND number IN ('', $1) AND kind IN ('revealed', 'tapped', 'copied', 'hidden')
        ORDER BY at DESC LIMIT 20000
        """,
        (number, since, at),
    )
    found: dict[str, list[SignalAt]] = {}
    for row in rows:
        found.setdefault(row["session"], []).append(SignalAt(row["kind"], row["at"]))
    return {session: tuple(signals) for session, signals in found.items()}


def _credited(tx: Transaction, number: str, since: int, at: int) -> dict[str, tuple[int, float]]:
    rows = tx.fetch(
        """
        SELECT session, arrived_at, confidence FROM calls
        WHERE did = $1 AND id >= $4 AND session <> '' AND arrived_at BETWEEN $2 AND $3 ORDER BY arrived_at
        """,
        (number, since, at - 1, ids.first(max(0, since - DAY_MS))),  # an id's time is near that of its call
    )
    return {row["session"]: (row["arrived_at"], row["confidence"]) for row in rows}


def _candidate(row: Row, number: str, signals: tuple[SignalAt, ...], credited: tuple[int, float] | None) -> Candidate:
    return Candidate(
        session=row["session"],
        number=number,
        shown_at=row["shown_at"],
        last_seen_at=row["seen_at"],
        left_at=row["left_at"],
        signals=signals,
        region=row["country"],
        device=row["device"],
        source=source_of(row),
        last_call_at=credited[0] if credited else None,
        last_call_confidence=credited[1] if credited else 1.0,
        visitor=row["visitor"],
    )
