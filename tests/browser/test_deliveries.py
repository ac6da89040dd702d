"""Deliveries in a real browser: every state that a channel and a message can be in, readable, live, on every screen."""

import asyncio
import os
from pathlib import Path

import pytest_asyncio

from ctserver import ids
from ctserver.domain.fact import ENDED, Fact
from ctserver.storage import outbox, vias
from ctserver.storage.outbox import Entry
from ctserver.storage.vias import State

from . import bare
from .conftest import AXE, ROOT, SIZES, log_in

PICTURES = os.environ.get("CTSERVER_TEST_PICTURES")  # a folder for screenshots, to be looked at
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


@pytest_asyncio.fixture(loop_scope="session")
async def office(tmp_path, monkeypatch):
    """A server with messages of every kind behind it; its address, database and delivery."""
    for name in ("NOTIFY_SECRET_SMS", "NOTIFY_SECRET_BOT"):
        monkeypatch.setenv(f"CTSERVER_{name}", "k3y")
    monkeypatch.setenv("CTSERVER_WEBHOOK_SECRET_CRM", "whsec_" + "A" * 44)
    now = ids.now_ms()
    paused = State("notify.sms", 3, 3, now - 12 * MINUTE, now + HOUR, "error 300: the key is wrong")
    failing = State(
        "hook.crm", 9, 0, now - 2 * HOUR, 0, "answered 503 Service Unavailable: <b>maintenance</b> until tonight"
    )
    async with bare.dashboard(ROOT, tmp_path, SETTINGS) as (address, db, sinks):
        await db.write(lambda tx: [vias.save(tx, paused), vias.save(tx, failing)])
        await sinks.start()
        await db.write(lambda tx: fill(tx, now))
        yield address, db, sinks.delivery


def fill(tx, now):
    """Fifty-six messages; the newest five tell of everything that can become of one."""
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
    put(tx, now - MINUTE, "notify.bot", "dropped", answer="somebody spoke with the caller at 2026-11-22T12:40:00.000Z")
    put(tx, now, "notify.push", "waiting")
    put(tx, now - 30 * MINUTE, "notify.mail", "done", kind="disk", detail="9 MB free of 40 GB on /var/lib/ctserver")


def put(tx, at, via, state, *, took=240, tries=None, answer=None, kind="call.missed", detail=""):
    fact, row = ids.new(at), ids.new(at)
    outbox.add_fact(tx, fact, Fact(kind, at, "x", detail, data=CALL if kind != "disk" else {}))
    entry = Entry(row, f"alert.missed {via}" if via != "hook.crm" else via, via, TO.get(via, ""), at)
    outbox.enqueue(tx, fact, at, entry, at)
    due_at = at if state in ("done", "failed", "dropped") else at + 2 * HOUR
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


@pytest_asyncio.fixture(loop_scope="session")
async def alice(office, chromium):
    """The page, with alice logged in; whatever goes wrong in it fails the test."""
    address, _, _ = office
    wrong = []
    context = await chromium.new_context(viewport=SIZES["desktop"], locale="en-GB")
    context.set_default_timeout(8_000)
    page = await context.new_page()
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((address, "data:")) else wrong.append(r.url))
    await page.goto(f"{address}/login")
    await log_in(page, "alice")
    await page.wait_for_url(f"{address}/")
    await page.goto(f"{address}/deliveries")
    yield page
    await context.close()
    assert wrong == []


async def readable(page, name):
    """Nothing is wider than the window, and axe finds no fault: desktop and phone, light and dark, English and Russian."""
    await page.evaluate(AXE)
    for spoken, scheme, size in (
        ("en", "light", "desktop"),
        ("ru", "dark", "phone"),
        ("ru", "light", "desktop"),
        ("en", "dark", "phone"),
    ):
        if await page.evaluate("document.documentElement.lang") != spoken:
            await page.locator(f'form[action="/language"] button[lang="{spoken}"]').click()
            await page.locator(f'html[lang="{spoken}"]').wait_for()
            await page.evaluate(AXE)
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size(SIZES[size])
        if PICTURES:
            await page.screenshot(
                path=Path(PICTURES) / f"{name}-{size}-{scheme}-{spoken}.png", full_page=size == "phone"
            )
        wide, window = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window, (name, size, spoken)
        if (scheme == "light") == (spoken == "en"):
            found = await page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], (name, size, scheme)
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(SIZES["desktop"])


async def test_the_page_can_be_read_by_everybody_on_every_screen(alice):
    await readable(alice, "deliveries")
    taken = alice.locator(".log tbody tr", has_text="crm.example.com").filter(has_text="Accepted")
    await taken.first.locator("a.open").click()
    await alice.wait_for_url("**/deliveries/*")
    await readable(alice, "delivery")


async def test_each_channel_says_how_it_is_and_what_to_do(alice, office):
    _, db, _ = office
    sms, crm, mail = (alice.locator(f"[id='via-{name}']") for name in ("notify.sms", "hook.crm", "notify.mail"))
    assert "Paused" in await sms.inner_text()
    assert "error 300: the key is wrong" in await sms.inner_text()
    assert "Failing" in await crm.inner_text()
    assert "<b>maintenance</b>" in await crm.inner_text()
    assert "Working" in await mail.inner_text()
    assert await mail.get_by_role("button").all_inner_texts() == ["Test", "Send again: 1"]
    await sms.get_by_role("button", name="Try sms now").click()
    await sms.get_by_text("Working").wait_for()
    row = await db.one("SELECT paused_until, failures FROM vias WHERE via = 'notify.sms'")
    assert tuple(row) == (0, 0)
    await crm.get_by_role("button", name="Test crm").click()
    await alice.locator(".flash.bad").wait_for()
    assert "crm did not accept the test: " in await alice.locator(".flash").inner_text()


async def test_the_log_is_narrowed_paged_and_goes_back(alice, office):
    address, _, _ = office
    assert await alice.locator(".log tbody tr").count() == 50
    await alice.get_by_role("link", name="Show older").click()
    await alice.wait_for_url("**before=*")
    assert await alice.locator(".log tbody tr").count() == 6
    await alice.goto(f"{address}/deliveries")
    await alice.locator("#h-log ~ .d-bar").get_by_role("link", name="Failed 1").click()
    await alice.wait_for_url("**state=failed")
    assert "no such mailbox" in await alice.locator(".log tbody tr").inner_text()
    await alice.goto(f"{address}/deliveries")
    await alice.locator(".channel .d-name", has_text="bot").click()
    await alice.wait_for_url("**via=notify.bot")
    assert await alice.locator(".log tbody tr").count() == 11
    await alice.select_option("select[name=kind]", "disk")
    await alice.get_by_text("Nothing matches").wait_for()
    await alice.goto(f"{address}/deliveries?kind=disk")
    assert "9 MB free" in await alice.locator(".log tbody tr").inner_text()
    await alice.fill("#q", "sales@")
    await alice.wait_for_url("**q=sales*")
    assert await alice.locator(".log tbody tr").count() == 1


async def test_the_page_changes_while_it_is_looked_at(alice, office):
    _, db, delivery = office
    now = ids.now_ms()
    first = await alice.locator(".log tbody tr").first.get_attribute("id")
    await alice.locator(".log tbody a.open").first.focus()
    await db.write(lambda tx: put(tx, now + 5, "notify.mail", "done", kind=ENDED))
    await alice.locator(".log tbody tr:first-child", has_text="Call ended").wait_for(timeout=9_000)
    assert await alice.evaluate("document.activeElement.closest('tr').id") == first, "the place of a reader is kept"
    assert delivery.problems().keys() == {"notify.sms", "hook.crm"}


async def test_one_that_was_given_up_is_sent_again_by_hand(alice, office):
    _, db, _ = office
    await alice.locator(".log tbody tr", has_text="no such mailbox").locator("a.open").click()
    await alice.get_by_role("button", name="Send again").click()
    await alice.wait_for_load_state()
    async with asyncio.timeout(5):
        while not (await db.one("SELECT COUNT(*) AS n FROM tries WHERE outcome <> 'done' AND answer LIKE '%onnect%'"))[
            "n"
        ]:
            await asyncio.sleep(0.05)
    await alice.reload()
    assert "Will be retried" in await alice.locator(".timeline").inner_text()
    rows = await db.fetch("SELECT action, detail FROM audit WHERE action = 'sent again'")
    assert [tuple(row) for row in rows] == [("sent again", "notify.mail sales@example.com")]
