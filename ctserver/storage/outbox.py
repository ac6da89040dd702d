"""Facts, and the outbox: one row for each fact and each sink that is to be told of it.

A row is claimed by compare-and-swap, so that two who see it send it once; a claim that its holder does not keep expires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.json import encode

from ctserver import ids
from ctserver.domain.fact import Fact
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.recent import Recent
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.search import Page, looks_of

WAITING, SENDING, DONE, FAILED, DROPPED = "waiting", "sending", "done", "failed", "dropped"
STATES = (WAITING, SENDING, DONE, FAILED, DROPPED)
CALLS = 5_000  # of which it is remembered what was told
BY_HAND = "by hand"  # the lane of what a person has sent again: it waits for nothing of its call


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact for one sink. See the columns in migrations/0002_outbox.sql."""

    id: str
    sink: str
    via: str
    addressee: str
    due_at: int
    lane: str = ""
    topic: str = ""


def add_fact(tx: Transaction, id: str, fact: Fact) -> bool:
    """False if a fact with its key is there already."""
    if fact.once is not None:
        before = told(tx, fact.call) if fact.call else known(tx, [fact.once])
        if fact.once in before:
            return False
        before.add(fact.once)
    tx.later(
        """
        INSERT INTO facts (id, at, kind, subject, detail, once, call, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (once) DO NOTHING
        """,
        id,
        (
            id,
            fact.at,
            fact.kind,
            fact.subject,
            fact.detail,
            fact.once,
            fact.call,
            encode(fact.data).decode(),
        ),
    )
    return True


def told(tx: Transaction, call: str) -> set[str]:
    """The keys of the facts of a call that were told once for all."""
    remembered: Recent[str, set[str]] = tx.memory.setdefault("told", Recent(CALLS))
    keys = remembered.get(call)
    if keys is None:
        rows = tx.fetch("SELECT once FROM facts WHERE call = $1 AND once IS NOT NULL", (call,))
        remembered.put(call, keys := {row["once"] for row in rows})
    return keys


def known(tx: Transaction, keys: Sequence[str]) -> set[str]:
    """Those of the keys whose facts are there already."""
    return {key for key in keys if tx.one("SELECT 1 FROM facts WHERE once = $1", (key,))}


def last_fact(tx: Transaction, kind: str, subject: str) -> int | None:
    """When the latest such fact happened."""
    row = tx.one("SELECT MAX(at) AS at FROM facts WHERE kind = $1 AND subject = $2", (kind, subject))
    return int(row["at"]) if row and row["at"] is not None else None


def enqueue(tx: Transaction, fact: str, place: int, entry: Entry, now: int) -> None:
    """To be delivered from `due_at` on; a sink is told of a fact once."""
    tx.later(
        """
        INSERT INTO outbox (id, fact, sink, via, addressee, lane, place, topic, state, written_at, due_at,
                            claim, claimed_until, tries, said, answer)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10, '', 0, 0, '', '')
        ON CONFLICT (fact, sink) DO NOTHING
        """,
        entry.id,
        (
            entry.id,
            fact,
            entry.sink,
            entry.via,
            entry.addressee,
            entry.lane,
            place,
            entry.topic,
            now,
            entry.due_at,
        ),
        rank=2,
    )


# ---- delivery


async def due(db: Database, via: str, now: int, limit: int) -> list[Row]:
    """What may be sent now, with its fact; nothing overtakes an earlier row of its lane."""
    return await db.fetch(
        """
        SELECT o.*, f.kind, f.at, f.subject, f.detail, f.call, f.data FROM outbox o JOIN facts f ON f.id = o.fact
        WHERE o.via = $1 AND o.state = 'waiting' AND o.due_at <= $2
          AND (o.lane = '' OR NOT EXISTS (
              SELECT 1 FROM outbox e WHERE e.sink = o.sink AND e.lane = o.lane AND e.place < o.place
                                       AND e.state IN ('waiting', 'sending')))
        ORDER BY o.due_at, o.place LIMIT $3
        """,
        (via, now, limit),
    )


async def next_due(db: Database, via: str, now: int) -> int | None:
    """When something becomes due that is not due at `now`."""
    row = await db.one(
        "SELECT MIN(due_at) AS at FROM outbox WHERE via = $1 AND state = 'waiting' AND due_at > $2", (via, now)
    )
    return int(row["at"]) if row and row["at"] is not None else None


def claim(tx: Transaction, ids: Sequence[str], claim: str, until: int) -> set[str]:
    """Those of the waiting rows that are ours now."""
    return {
        id
        for id in ids
        if tx.execute(
            "UPDATE outbox SET state = 'sending', claim = $2, claimed_until = $3 WHERE id = $1 AND state = 'waiting'",
            (id, claim, until),
        )
    }


def settle(tx: Transaction, id: str, claim: str, state: str, now: int, said: str, answer: str) -> bool:
    """Done or failed after one more try, or dropped without; False if the claim is no longer ours."""
    return bool(
        tx.execute(
            """
            UPDATE outbox SET state = $3, settled_at = $4, said = $5, answer = $6, claim = '', tries = tries + $7
            WHERE id = $1 AND claim = $2 AND state = 'sending'
            """,
            (id, claim, state, now, said, answer, int(state != DROPPED)),
        )
    )


def put_back(tx: Transaction, id: str, claim: str, due_at: int, answer: str, tries: int) -> None:
    """To be tried again from `due_at` on, after `tries` more that count: a refusal of our key says nothing of this one."""
    tx.execute(
        """
        UPDATE outbox SET state = 'waiting', due_at = $3, answer = $4, claim = '', tries = tries + $5
        WHERE id = $1 AND claim = $2 AND state = 'sending'
        """,
        (id, claim, due_at, answer, tries),
    )


def unclaim(tx: Transaction, ids: Sequence[str], claim: str) -> None:
    """They were claimed too early."""
    for id in ids:
        tx.execute(
            "UPDATE outbox SET state = 'waiting', claim = '' WHERE id = $1 AND claim = $2 AND state = 'sending'",
            (id, claim),
        )


def add_try(tx: Transaction, id: str, at: int, took_ms: int, outcome: str, answer: str) -> None:
    tx.execute(
        """
        INSERT INTO tries (outbox, at, took_ms, outcome, answer) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (outbox, at) DO NOTHING
        """,
        (id, at, took_ms, outcome, answer),
    )


def again(tx: Transaction, id: str, now: int) -> bool:
    """A person asks: whatever became of it, send it once more, with all its tries. False if there is none, or it is under
    way."""
    return bool(
        tx.execute(
            """
            UPDATE outbox SET state = 'waiting', due_at = $2, written_at = $2, tries = 0, settled_at = NULL, lane = $3
            WHERE id = $1 AND state <> 'sending'
            """,
            (id, now, BY_HAND),
        )
    )


def again_all(tx: Transaction, via: str, now: int) -> int:
    """Everything that was given up."""
    return tx.execute(
        """
        UPDATE outbox SET state = 'waiting', due_at = $2, written_at = $2, tries = 0, settled_at = NULL
        WHERE via = $1 AND state = 'failed'
        """,
        (via, now),
    )


def hurry(tx: Transaction, via: str, now: int) -> int:
    """What waits after a failed try need not wait any longer."""
    return tx.execute(
        """
        UPDATE outbox SET due_at = $2 WHERE via = $1 AND state = 'waiting' AND due_at > $2
           AND EXISTS (SELECT 1 FROM tries t WHERE t.outbox = outbox.id)
        """,
        (via, now),
    )


def release(tx: Transaction, now: int | None = None) -> int:
    """Give back the claims that ran out by `now`; without it all of them (nobody else serves this database)."""
    return tx.execute(
        "UPDATE outbox SET state = 'waiting', claim = '' WHERE state = 'sending' AND ($1 < 0 OR claimed_until <= $1)",
        (-1 if now is None else now,),
    )


def drop_strangers(tx: Transaction, vias: Sequence[str], now: int, why: str) -> int:
    """What waits for a web hook or channel that the settings no longer have."""
    rows = tx.fetch("SELECT DISTINCT via FROM outbox WHERE state IN ('waiting', 'sending')")
    return sum(
        tx.execute(
            "UPDATE outbox SET state = 'dropped', settled_at = $2, answer = $3, claim = '' "
            "WHERE via = $1 AND state IN ('waiting', 'sending')",
            (row["via"], now, why),
        )
        for row in rows
        if row["via"] not in vias
    )


def forget(tx: Transaction, before: int, limit: int = 1000) -> int:
    """Old facts that nobody waits for any more go, with their deliveries; returns how many, `limit` at most."""
    old = tx.fetch(
        """
        SELECT id FROM facts WHERE at < $1
           AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.fact = facts.id AND o.state IN ('waiting', 'sending'))
        LIMIT $2
        """,
        (before, limit),
    )
    for row in old:
        tx.execute("DELETE FROM tries WHERE outbox IN (SELECT id FROM outbox WHERE fact = $1)", (row["id"],))
        tx.execute("DELETE FROM outbox WHERE fact = $1", (row["id"],))
        tx.execute("DELETE FROM facts WHERE id = $1", (row["id"],))
    return len(old)


# ---- what a person sees


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries; "" stands for all. `text` is part of an addressee or a call's id; `before` the id of the row that
    the next page goes on from."""

    via: str = ""
    state: str = ""
    kind: str = ""
    text: str = ""
    before: str = ""

    @property
    def narrowed(self) -> bool:
        return bool(self.state) or self.picks

    @property
    def picks(self) -> bool:
        """Is anything asked for that has no index in the order of the page?"""
        return bool(self.via or self.kind or self.text)


async def page(db: Database, wanted: Wanted, scope: Scope, limit: int) -> Page:
    """The newest first, with their facts and whose calls they are about (site, line, caller; None where about none). Who does
    not see all calls sees what is about those that he sees, and nothing that is about none. Like a page of the journal it looks through so many and no more."""
    before, text = wanted.before or ids.LAST, wanted.text.lower()
    floor_sql, page_sql = (_FLOOR_IN_STATE, _PAGE_IN_STATE) if wanted.state else (_FLOOR, _PAGE)
    state = (wanted.state,) if wanted.state else ()

    def unit(tx: Transaction) -> Page:
        low: Row | None = None
        for looks in looks_of(wanted.picks or any(scope.values), limit):
            low = tx.one(floor_sql, (before, looks, *state)) if looks else None
            values = (*scope.values, wanted.via, wanted.kind, text, low["id"] if low else "", before, limit + 1, *state)
            rows = tx.fetch(page_sql, values)
            if len(rows) > limit:
                return Page(rows[:limit], rows[limit - 1]["id"], None)
            if low is None:
                break
        return Page(rows, low["id"], low["written_at"]) if low else Page(rows, None, None)

    return await db.read(unit)


_WITHIN = """
    SELECT o.*, f.kind, f.at, f.subject, f.detail, f.call, c.caller, c.site, c.line
    FROM outbox o CROSS JOIN facts f LEFT JOIN calls c ON c.id = f.call
    WHERE f.id = o.fact AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
      AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
      AND ($3 = '' OR o.via = $3) AND ($4 = '' OR f.kind = $4)
      AND ($5 = '' OR LOWER(o.addressee) LIKE '%' || $5 || '%' OR f.call = $5)
      AND o.id >= $6 AND o.id < $7
"""
_PAGE = _WITHIN + "ORDER BY o.id DESC LIMIT $8"
_PAGE_IN_STATE = _WITHIN + "AND o.state = $9 ORDER BY o.id DESC LIMIT $8"
_FLOOR = "SELECT id, written_at FROM outbox WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2"
_FLOOR_IN_STATE = "SELECT id, written_at FROM outbox WHERE state = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2"


async def one(db: Database, id: str, scope: Scope = EVERYTHING) -> Row | None:
    """As on a page."""
    return await db.one(
        """
        SELECT o.*, f.kind, f.at, f.subject, f.detail, f.call, c.caller, c.site, c.line
        FROM outbox o JOIN facts f ON f.id = o.fact LEFT JOIN calls c ON c.id = f.call
        WHERE o.id = $3 AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        """,
        (*scope.values, id),
    )


async def tries_of(db: Database, id: str) -> list[Row]:
    return await db.fetch("SELECT at, took_ms, outcome, answer FROM tries WHERE outbox = $1 ORDER BY at", (id,))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one via: how many in each state, those that are settled since a moment; and the median from fact to answer of
    the last that were taken, in milliseconds (None: none was)."""

    states: Mapping[str, int]
    median_ms: int | None


async def figures(db: Database, vias: Sequence[str], since: int) -> dict[str, Figures]:
    """By via. What waits or was given up counts however old it is; what was taken or not needed, since `since`."""

    def unit(tx: Transaction) -> dict[str, Figures]:
        return {via: Figures(_states(tx, via, since), _median_ms(tx, via)) for via in vias}

    return await db.read(unit)


def _states(tx: Transaction, via: str, since: int) -> dict[str, int]:
    found = {}
    for state in STATES:
        row = tx.one(
            "SELECT COUNT(*) AS n FROM outbox WHERE via = $1 AND state = $2 AND due_at >= $3",
            (via, state, since if state in (DONE, DROPPED) else 0),
        )
        found[state] = int(row["n"]) if row else 0
    return found


def _median_ms(tx: Transaction, via: str) -> int | None:
    rows = tx.fetch(
        """
        SELECT settled_at - due_at AS ms FROM outbox WHERE via = $1 AND state = 'done' ORDER BY due_at DESC, place DESC LIMIT 49
        """,
        (via,),
    )
    took = sorted(int(row["ms"]) for row in rows)
    return took[len(took) // 2] if took else None
