"""A person who left a trace in every table: he came, rang, was called back, written about and told of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ctserver import ids
from ctserver.domain import call as machine
from ctserver.domain.model import Attribution, Source
from ctserver.storage import audit, callbacks, calls, demo, marks, outbox, outgoing, quality, recordings
from ctserver.storage.audit import Entry
from ctserver.storage.callbacks import Callback
from ctserver.storage.db import Transaction
from ctserver.storage.outgoing import Outgoing
from ctserver.storage.sqlite import Sqlite

OF_CALLS = (
    "legs", "steps", "pauses", "credits", "recordings", "call_tags", "call_notes", "missed_work", "call_scores", "model_calls", "shares",
)  # fmt: skip
OF_SESSIONS = ("visits", "signals", "leases")
TABLES = ("calls", "sessions", *OF_CALLS, *OF_SESSIONS, "facts", "outbox", "tries", "callbacks", "outgoing", "audit",
          "shortages", "saved_views")  # fmt: skip
URL = "https://shop.example/knots?gclid=abc123#top"


@dataclass(frozen=True, slots=True)
class Life:
    """What he left, by id."""

    number: str
    call: str
    session: str
    visitor: str
    callback: str
    fact: str
    sound: Path


async def lives(
    db: Sqlite,
    at: int,
    number: str,
    folder: Path,
    *,
    confidence: float = 0.98,
    properties: Mapping[str, str] | None = None,
) -> Life:
    """He came at `at` and rang ten seconds later."""
    call = ids.steady(at + 10_000, f"call {number}")
    session, callback, fact = ids.new(at), ids.new(at + 90_000), ids.new(at + 70_000)
    life = Life(number, call, session, ids.new(at), callback, fact, folder / call[:6] / f"{call}.wav")
    life.sound.parent.mkdir(parents=True, exist_ok=True)
    life.sound.write_bytes(b"RIFF" + number.encode())
    life.sound.with_suffix(".peaks.json").write_text("{}")

    def unit(tx: Transaction) -> None:
        _comes(tx, life, at, properties or {})
        _rings(tx, life, at + 10_000, confidence)
        _is_told_of(tx, life, at + 70_000)
        _is_called_back(tx, life, at + 90_000)

    await db.write(unit)
    return life


def _comes(tx: Transaction, life: Life, at: int, properties: Mapping[str, str]) -> None:
    row = (life.session, "shop", life.visitor, at, at + 5, URL, "https://search.example/?q=me", "cpc", "google", "spring",
           "knots", "ad1", '{"gclid": "abc123"}', "paid_search", "GB", "London", "London", "phone", "Firefox", "Android",
           "192.0.2.0", '{"ga": "1.2"}', json.dumps(dict(properties)))  # fmt: skip
    demo.insert(tx, demo.SESSION, [row])
    demo.insert(tx, demo.VISIT, [(ids.new(at), life.session, at, URL, f"Thanks, {life.number}", "")])
    demo.insert(tx, demo.LEASE, [(ids.new(at), "+442079460101", "small", life.session, at, at + 5, at + 600)])
    tx.execute(
        "INSERT INTO signals (id, session, number, kind, at) VALUES ($1, $2, '+442079460101', 'tapped', $3)",
        (ids.new(at), life.session, at),
    )
    tx.execute(
        "INSERT INTO shortages (id, at, site, pool, session, shown) VALUES ($1, $2, 'shop', 'small', $3, 'shared')",
        (ids.new(at), at, life.session),
    )


def _rings(tx: Transaction, life: Life, at: int, confidence: float) -> None:
    digits = life.number.removeprefix("+")
    channel = f"DAHDI/i1/{digits}-1"  # as ISDN names them
    arrived = machine.Arrived(life.call, at, life.call, channel, "+442079460101", life.number, "Ann Other")
    begun = machine.begin(arrived, id=life.call, pbx="pbx", site="shop", line="office")
    source = Source("cpc", "google", "spring", "knots", "ad1", {"gclid": "abc123"})
    ended = replace(
        begun, state=machine.ENDED, ended_at=at + 60_000, answered_at=at + 5_000, outcome="answered", reason="answered",
        keys="4711#0815", attribution=Attribution("likely", confidence, life.session, source, "one visitor held the number"),
        legs=(machine.Leg("2.1", "PJSIP/100-1", at), machine.Leg("2.2", f"Local/{digits}@office-1", at)),
        steps=(machine.Step(at, "menu", "", ""), machine.Step(at, "attended", channel, "2.1")),
    )  # fmt: skip
    calls.save(tx, ended)
    tx.execute("INSERT INTO credits (call, session, share) VALUES ($1, $2, $3)", (life.call, life.session, confidence))
    recordings.expect(tx, life.call, at)
    recordings.adopted(tx, life.call, f"{life.call[:6]}/{life.call}.wav", life.sound.stat().st_size, 55_000)
    recordings.kept(
        tx, life.call, f"{life.call[:6]}/{life.call}.wav", "wav", "disk", life.sound.stat().st_size, "0" * 64
    )
    tx.execute("INSERT INTO pauses (call, began_at, login) VALUES ($1, $2, 'bob')", (life.call, at))
    marks.add_tag(tx, life.call, "vip", "bob", at)
    marks.put_note(tx, life.call, f"Ann, mother of two, ring {life.number[:6]} {life.number[6:]}", "bob", at)
    marks.set_category(tx, life.call, "order")
    tx.execute(
        "INSERT INTO missed_work (call, assignee, state, login, at) VALUES ($1, 'bob', '', 'bob', $2)", (life.call, at)
    )
    quality.put_scores(tx, life.call, {"greeting": 4}, "bob", at)
    quality.put_model(tx, life.call, "Ann laughs", "bob", at)
    quality.add_share(tx, f"hash {life.call}", life.call, "bob", at, at + 1_000 * 86_400_000)


def _is_told_of(tx: Transaction, life: Life, at: int) -> None:
    data = {"call_id": life.call, "caller": life.number, "caller_name": "Ann Other", "click_ids": {"gclid": "abc123"}}
    text = json.dumps(data)
    tx.execute(
        """
        INSERT INTO facts (id, at, kind, subject, detail, once, call, data)
        VALUES ($1, $2, 'call.ended', $3, '', $4, $3, $5)
        """,
        (life.fact, at, life.call, f"{life.call} call.ended", text),
    )
    entry = outbox.Entry(ids.new(at), "hook:crm", "hook:crm", life.number, at, life.number, life.number)
    outbox.enqueue(tx, life.fact, 1, entry, at)
    outbox.claim(tx, [entry.id], "c", at + 1)
    outbox.add_try(tx, entry.id, at, 20, "done", f"thanks, {life.number}")
    outbox.settle(tx, entry.id, "c", "done", at, f"Call from {life.number}", "200 Ann Other")


def _is_called_back(tx: Transaction, life: Life, at: int) -> None:
    wish = Callback(
        life.callback, "site", "shop", life.session, life.call, life.number, "office", URL, "", "192.0.2.0", at, at
    )
    callbacks.add(tx, wish)
    tx.execute("UPDATE callbacks SET state = 'done' WHERE id = $1", (life.callback,))
    outgoing.save(
        tx, Outgoing(ids.new(at), "pbx", f"9.{life.call}", life.number, "PJSIP/100", life.callback, at, at + 9)
    )
    audit.add(tx, Entry(at, "bob", "page", "listened", life.call, "", "192.0.2.9"))
    audit.add(tx, Entry(at + 1, "bob", "page", "exported", "csv", f"q={life.number.replace('+', '%2B')}", "192.0.2.9"))
    tx.execute(
        "INSERT INTO saved_views (id, login, page, name, query) VALUES ($1, 'bob', 'calls', $2, $3)",
        (ids.new(at), f"view {life.number} {at}", f"q={life.number.replace('+', '%2B')}&site=shop"),
    )


async def sizes(db: Sqlite) -> dict[str, int]:
    """table -> rows."""
    queries = {name: f"SELECT COUNT(*) AS n FROM {name}" for name in TABLES}
    return {name: (await db.one(sql))["n"] for name, sql in queries.items()}
