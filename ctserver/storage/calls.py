"""Calls, their legs and their steps."""

from __future__ import annotations

from collections.abc import Sequence

from ctserver import ids
from ctserver.domain import channel
from ctserver.domain.call import Call, Leg, Step
from ctserver.domain.model import Attribution, Source
from ctserver.domain.times import times
from ctserver.recent import Recent
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.sessions import source_of, source_values

CALLS = 5_000  # of which it is remembered whether they are a caller's first


def save(tx: Transaction, call: Call, saved: Call | None = None) -> None:
    """Write the call as it is now, with those of its legs and steps that `saved`, its state in the table, has not got so.
    (For `updated_at` see touch.)"""
    attribution = call.attribution
    took = times(call, call.arrived_at)
    source = attribution.source or Source("", "")
    tx.later(
        _SAVE,
        call.id,
        (
            call.id,
            call.pbx,
            call.linkedid,
            call.uniqueid,
            call.channel,
            call.site,
            call.did,
            call.caller,
            call.caller_name,
            call.line,
            call.routed_by,
            call.state,
            call.arrived_at,
            call.ringing_at,
            call.answered_at,
            call.ended_at,
            call.outcome,
            call.reason,
            call.hangup_cause,
            call.dial_status,
            int(call.caller_gave_up),
            call.answered_by,
            attribution.kind,
            attribution.confidence,
            attribution.why,
            attribution.session or "",
            *source_values(source),
            _source_channel(attribution.source),
            _moment(tx),
            call.hung_up_by,
            call.queue,
            call.queue_status,
            call.stage,
            int(call.closed),
            int(call.blocked),
            call.keys,
            call.message_seconds,
            took.wait,
            took.ring,
            took.ivr,
            took.talk,
            took.hold,
        ),
        rank=0,
    )
    for leg in call.legs:
        if saved is None or leg not in saved.legs:
            _save_leg(tx, call.id, leg)
    for step in call.steps:
        if saved is None or step not in saved.steps:
            _save_step(tx, call.id, step)


_SAVE = """
    INSERT INTO calls (
        id, pbx, linkedid, uniqueid, channel, site, did, caller, caller_name, line, routed_by, state,
        arrived_at, ringing_at, answered_at, ended_at, outcome, reason, hangup_cause, dial_status, caller_gave_up,
        answered_by, attribution, confidence, why, session, medium, source, campaign, term, content, click_ids,
        source_channel, updated_at,
        hung_up_by, queue, queue_status, stage, closed, blocked, keys, message_seconds,
        wait_ms, ring_ms, ivr_ms, talk_ms, hold_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47)
    ON CONFLICT (id) DO UPDATE SET
        line = excluded.line, routed_by = excluded.routed_by, state = excluded.state, ringing_at = excluded.ringing_at,
        answered_at = excluded.answered_at, ended_at = excluded.ended_at, outcome = excluded.outcome,
        reason = excluded.reason, hangup_cause = excluded.hangup_cause, dial_status = excluded.dial_status,
        caller_gave_up = excluded.caller_gave_up, answered_by = excluded.answered_by, updated_at = excluded.updated_at,
        hung_up_by = excluded.hung_up_by, queue = excluded.queue, queue_status = excluded.queue_status,
        stage = excluded.stage, closed = excluded.closed, blocked = excluded.blocked, keys = excluded.keys,
        message_seconds = excluded.message_seconds, wait_ms = excluded.wait_ms, ring_ms = excluded.ring_ms,
        ivr_ms = excluded.ivr_ms, talk_ms = excluded.talk_ms, hold_ms = excluded.hold_ms
"""


def touch(tx: Transaction, call: str) -> None:
    """Something about the call has changed: those who fetch changes will see it again. `updated_at` is the wall clock, but
    grows with every change and in the order of the commits, whatever the clock does."""
    tx.execute("UPDATE calls SET updated_at = $2 WHERE id = $1", (call, _moment(tx)))


def _moment(tx: Transaction) -> int:
    """For `updated_at`. The last one is remembered: it is changed here alone."""
    last = tx.memory.get("updated_at")
    if last is None:
        row = tx.one("SELECT COALESCE(MAX(updated_at), 0) AS at FROM calls")
        last = row["at"] if row else 0
    tx.memory["updated_at"] = moment = max(ids.now_ms(), last + 1)
    return moment


def by_key(tx: Transaction, pbx: str, linkedid: str) -> Call | None:
    """The call of a PBX with this Linkedid, whole."""
    row = tx.one("SELECT * FROM calls WHERE pbx = $1 AND linkedid = $2", (pbx, linkedid))
    if row is None:
        return None
    leg_rows = tx.fetch("SELECT * FROM legs WHERE call = $1 ORDER BY started_at, uniqueid", (row["id"],))
    return call_of(row, leg_rows, tx.fetch("SELECT * FROM steps WHERE call = $1 ORDER BY at", (row["id"],)))


def one(tx: Transaction, id: str) -> Call | None:
    """The call with this id, without its legs."""
    row = tx.one("SELECT * FROM calls WHERE id = $1", (id,))
    return call_of(row) if row else None


def is_first(tx: Transaction, call: Call) -> bool:
    """Has this number not rung before? Asked with every fact of the call, so that the answer is remembered."""
    known: Recent[str, bool] = tx.memory.setdefault("first calls", Recent(CALLS))
    first = known.get(call.id)
    if first is None:
        known.put(call.id, first := bool(call.caller) and not _has_earlier(tx, call.caller, call.arrived_at))
    return first


def _has_earlier(tx: Transaction, caller: str, at: int) -> bool:
    return tx.one("SELECT 1 FROM calls WHERE caller = $1 AND arrived_at < $2 LIMIT 1", (caller, at)) is not None


def of_site(tx: Transaction, site: str, since: int, until: int) -> list[Call]:
    """The calls to a site's numbers that arrived in [since, until), without their legs."""
    rows = tx.fetch(
        "SELECT * FROM calls WHERE site = $1 AND arrived_at >= $2 AND arrived_at < $3 ORDER BY arrived_at",
        (site, since, until),
    )
    return [call_of(row) for row in rows]


def between(tx: Transaction, since: int, until: int) -> list[Call]:
    """All calls that arrived in [since, until), without their legs."""
    rows = tx.fetch(
        "SELECT * FROM calls WHERE arrived_at >= $1 AND arrived_at < $2 ORDER BY arrived_at", (since, until)
    )
    return [call_of(row) for row in rows]


def set_attribution(tx: Transaction, call: str, attribution: Attribution) -> None:
    """Another answer for a call in the journal."""
    source = attribution.source or Source("", "")
    tx.execute(
        """
        UPDATE calls SET attribution = $2, confidence = $3, why = $4, session = $5,
                         medium = $6, source = $7, campaign = $8, term = $9, content = $10, click_ids = $11,
                         source_channel = $12
        WHERE id = $1
        """,
        (
            call,
            attribution.kind,
            attribution.confidence,
            attribution.why,
            attribution.session or "",
            *source_values(source),
            _source_channel(attribution.source),
        ),
    )
    touch(tx, call)


async def open_calls(db: Database, pbx: str) -> list[Call]:
    """The calls of this PBX that nobody saw end yet."""
    rows = await db.fetch("SELECT * FROM calls WHERE state IN ('arrived', 'ringing', 'talking') ORDER BY arrived_at")
    ours = [row for row in rows if row["pbx"] == pbx]  # here, since the index of `pbx` holds every call there ever was
    return [call_of(row, await legs(db, row["id"]), await steps(db, row["id"])) for row in ours]


async def by_linkedid(db: Database, pbx: str, linkedid: str) -> Row | None:
    """A call as Asterisk knows it: id, state, outcome, reason, answered_by, hangup_cause, routed_by."""
    return await db.one(
        """
        SELECT id, state, outcome, reason, answered_by, hangup_cause, routed_by FROM calls
        WHERE pbx = $1 AND linkedid = $2
        """,
        (pbx, linkedid),
    )


async def by_id(db: Database, id: str) -> Call | None:
    row = await db.one("SELECT * FROM calls WHERE id = $1", (id,))
    return call_of(row, await legs(db, id), await steps(db, id)) if row else None


async def legs(db: Database, call: str) -> list[Row]:
    return await db.fetch("SELECT * FROM legs WHERE call = $1 ORDER BY started_at, uniqueid", (call,))


async def steps(db: Database, call: str) -> list[Row]:
    return await db.fetch("SELECT * FROM steps WHERE call = $1 ORDER BY at", (call,))


def call_of(row: Row, leg_rows: Sequence[Row] = (), step_rows: Sequence[Row] = ()) -> Call:
    source = source_of(row)
    attribution = Attribution(
        row["attribution"], row["confidence"], row["session"] or None, source if source.source else None, row["why"]
    )
    return Call(
        id=row["id"],
        pbx=row["pbx"],
        linkedid=row["linkedid"],
        uniqueid=row["uniqueid"],
        channel=row["channel"],
        did=row["did"],
        caller=row["caller"],
        caller_name=row["caller_name"],
        arrived_at=row["arrived_at"],
        state=row["state"],
        line=row["line"],
        routed_by=row["routed_by"],
        site=row["site"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        reason=row["reason"],
        hangup_cause=row["hangup_cause"],
        answered_by=row["answered_by"],
        caller_gave_up=bool(row["caller_gave_up"]),
        dial_status=row["dial_status"],
        hung_up_by=row["hung_up_by"],
        queue=row["queue"],
        queue_status=row["queue_status"],
        stage=row["stage"],
        closed=bool(row["closed"]),
        blocked=bool(row["blocked"]),
        keys=row["keys"],
        message_seconds=row["message_seconds"],
        legs=tuple(_leg_of(leg) for leg in leg_rows),
        steps=tuple(Step(step["at"], step["kind"], step["detail"], step["leg"]) for step in step_rows),
        attribution=attribution,
    )


def _source_channel(source: Source | None) -> str:
    return channel.channel(source) if source else ""


def _save_leg(tx: Transaction, call: str, leg: Leg) -> None:
    tx.later(
        """
        INSERT INTO legs (call, uniqueid, channel, started_at, ringing_at, answered_at, ended_at, status, cause, name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (call, uniqueid) DO UPDATE
        SET ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, ended_at = excluded.ended_at,
            status = excluded.status, cause = excluded.cause, name = excluded.name
        """,
        f"{call} {leg.uniqueid}",
        (
            call,
            leg.uniqueid,
            leg.channel,
            leg.started_at,
            leg.ringing_at,
            leg.answered_at,
            leg.ended_at,
            leg.status,
            leg.cause,
            leg.name,
        ),
    )


def _save_step(tx: Transaction, call: str, step: Step) -> None:
    tx.later(
        "INSERT INTO steps (call, at, kind, detail, leg) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        f"{call} {step}",
        (call, step.at, step.kind, step.detail, step.leg),
    )


def _leg_of(row: Row) -> Leg:
    return Leg(
        row["uniqueid"],
        row["channel"],
        row["started_at"],
        row["ringing_at"],
        row["answered_at"],
        row["ended_at"],
        row["status"],
        row["cause"],
        row["name"],
    )
