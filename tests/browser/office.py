"""A dashboard that sends: channels in every state, and messages of every kind behind them. For tests of Deliveries and for
docs/pictures/make.py."""

from contextlib import asynccontextmanager

from ctserver import ids
from ctserver.domain.fact import Fact, iso
from ctserver.storage import outbox, vias
from ctserver.storage.outbox import Entry
from ctserver.storage.vias import State

from . import bare
from .conftest import ROOT

MINUTE, HOUR = 60_000, 3_600_000
SETTINGS = {
    "notify.mail.type": "email",
    "notify.mail.host": "127.0.0.1",
    "notify.mail.sender": "calls@example.com",
    "notify.sms.type": "smsru",
    "notify.push.type": "push",
    "notify.push.contact": "mailto:a@example.com",
    "notify.bot.type": "telegram",
    "notify.bot.base_url": "http://127.0.0.1:1",
    "notify.bot.buttons": "false",
    "webhooks.crm.url": "https://crm.example.com/hook",
    "alerts.missed.on": '["missed"]',
    "alerts.missed.by": "mail",
    "alerts.missed.to": '["sales@example.com"]',
}
CALL = {"caller": "+447700900123", "source": "google", "medium": "cpc", "waited_seconds": 21.5}
SAID = "Missed call: +44 7700 900123\n22 November 2026, 14:32, Front desk, Shop\nSource: google / cpc, spring\nWaited: 21 s"
ANSWERS = {
    "notify.mail": "250 2.0.0 Ok: queued as 4F2A1",
    "notify.sms": "id 202647-1000021",
    "notify.push": "taken for 2 of 2 browsers",
    "notify.bot": "message 4711",
    "hook.crm": "200 ok",
}
TO = {
    "notify.mail": "sales@example.com",
    "notify.sms": "+447700900001",
    "notify.bot": "-1001234567",
    "hook.crm": "crm.example.com",
}
SECRETS = {
    "CTSERVER_NOTIFY_SECRET_SMS": "k3y",
    "CTSERVER_NOTIFY_SECRET_BOT": "k3y",
    "CTSERVER_WEBHOOK_SECRET_CRM": "whsec_" + "A" * 44,
}

CALLS, SITE = 7, "demo"
_CALL = """
    INSERT INTO calls (id, pbx, linkedid, uniqueid, channel, site, did, caller, caller_name, line, routed_by, state, arrived_at,
                       ended_at, outcome, reason, dial_status, caller_gave_up, answered_by, attribution, confidence, why, session,
                       medium, source, campaign, term, content, click_ids)
    VALUES ($1, 'pbx', $2, $2, 'PJSIP/trunk-1', $5, '+442079460101', $4, '', 'office', 'ctserver', 'ended', $3, $3, 'missed',
            'no_answer', 'NOANSWER', 0, '', 'none', 0, '', '', '', '', '', '', '', '{}')
"""


@asynccontextmanager
async def office_of(folder):
    """Its address, database and delivery; SECRETS must stand in the environment."""
    now = ids.now_ms()
    paused = State("notify.sms", 3, 3, now - 2 * MINUTE, now + HOUR, "error 300: the key is wrong")
    failing = State(
        "hook.crm",
        9,
        0,
        now - 3 * MINUTE - 20_000,
        0,
        "answered 503 Service Unavailable: <b>maintenance</b> until tonight",
    )
    async with bare.dashboard(ROOT, folder, SETTINGS) as (address, db, sinks):
        await db.write(lambda tx: [vias.save(tx, paused), vias.save(tx, failing)])
        await sinks.start()
        await db.write(lambda tx: fill(tx, now))
        yield address, db, sinks.delivery


def fill(tx, now):
    """Fifty-six messages; the newest five tell of everything that can become of one."""
    for number in range(CALLS):
        tx.execute(_CALL, (f"{number:026}", f"16{number}.1", now - number * HOUR, f"+44770090012{number}", SITE))
    for number in range(50):
        at = now - 5 * MINUTE - number * 37 * MINUTE
        via = list(ANSWERS)[number % len(ANSWERS)]
        put(tx, at, via, "done", took=120 + 70 * (number % 9))
    put(tx, now - 4 * MINUTE, "notify.mail", "failed", answer="550 5.1.1 <b>no such mailbox</b>", kind="call.missed")
    put(
        tx,
        now - 3 * MINUTE,
        "hook.crm",
        "waiting",
        tries=3,
        answer="answered 503 Service Unavailable: <b>maintenance</b> until tonight",
    )
    put(tx, now - 2 * MINUTE, "notify.sms", "waiting", answer="error 300: the key is wrong")
    put(tx, now - MINUTE, "notify.bot", "dropped", answer=f"somebody spoke with the caller at {iso(now - 2 * MINUTE)}")
    put(tx, now, "notify.push", "waiting")
    put(
        tx,
        now - 30 * MINUTE,
        "notify.mail",
        "done",
        kind="disk",
        detail="9 MB free, less than the 500 MB of [recordings] min_free_mb",
    )


def put(tx, at, via, state, *, took=240, tries=None, answer=None, kind="call.missed", detail=""):
    fact, row = ids.new(at), ids.new(at)
    call = f"{at // MINUTE % CALLS:026}" if kind != "disk" else ""
    outbox.add_fact(tx, fact, Fact(kind, at, "x", detail, call=call, data=CALL if call else {}))
    entry = Entry(row, f"alert.missed {via}" if via != "hook.crm" else via, via, TO.get(via, ""), at)
    outbox.enqueue(tx, fact, at, entry, at)
    due_at = at if state in ("done", "failed", "dropped") else at + 30 * MINUTE
    answer = ANSWERS[via] if answer is None and state == "done" else answer or ""
    said = SAID if via != "hook.crm" else '{"type":"call.missed","data":{"caller":"+447700900123","source":"google"}}'
    count = tries if tries is not None else int(state in ("done", "failed"))
    tx.execute(
        "UPDATE outbox SET state = $2, due_at = $3, settled_at = $4, said = $5, answer = $6, tries = $7 WHERE id = $1",
        (row, state, due_at, at + took if due_at == at else None, said if state == "done" else "", answer, count),
    )
    for number in range(count):
        outcome = "retry" if state == "waiting" else state
        outbox.add_try(tx, row, at + number * 9000 + 5, took - 20, outcome, answer)
    if state == "waiting" and answer and not count:  # our key was refused, which counts as none
        outbox.add_try(tx, row, at + 5, took - 20, "refused", answer)
