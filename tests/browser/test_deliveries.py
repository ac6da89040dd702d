"""Deliveries in a real browser: every state that a channel and a message can be in, readable, live, on every screen."""

import asyncio
import os
from pathlib import Path

import pytest_asyncio

from ctserver import ids
from ctserver.domain.fact import ENDED

from .conftest import AXE, PATIENCE, SIZES, Wrong, log_in
from .office import SECRETS, office_of, put

PICTURES = os.environ.get("CTSERVER_TEST_PICTURES")  # a folder for screenshots, to be looked at


@pytest_asyncio.fixture(loop_scope="session")
async def office(tmp_path, monkeypatch):
    """A server with messages of every kind behind it; its address, database and delivery."""
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    async with office_of(tmp_path) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def alice(office, chromium):
    """The page, with alice logged in; whatever goes wrong in it fails the test."""
    address, _, _ = office
    wrong = Wrong()
    context = await chromium.new_context(viewport=SIZES["desktop"], locale="en-GB")
    context.set_default_timeout(1000 * PATIENCE)
    page = await context.new_page()
    wrong.watch(page, address)
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
            await page.wait_for_load_state()
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
    assert "Error 300: the key is wrong" in await sms.inner_text()
    assert "Failing" in await crm.inner_text()
    assert ": maintenance until tonight" in await crm.inner_text(), "without the tags, and not bold"
    assert await crm.locator("b", has_text="maintenance").count() == 0
    assert "Working" in await mail.inner_text()
    assert await mail.get_by_role("button").all_inner_texts() == ["Test", "Send again: 1"]
    await sms.get_by_role("button", name="Try sms now").click()
    await sms.get_by_text("Working").wait_for()
    row = await db.one("SELECT paused_until, failures FROM vias WHERE via = 'notify.sms'")
    assert tuple(row) == (0, 0)
    await crm.get_by_role("button", name="Test crm").click()
    await alice.locator("main .flash.bad").wait_for()
    assert "crm did not accept the test: " in await alice.locator("main .flash").inner_text()


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


async def test_a_row_names_the_caller_and_leads_to_the_call(alice):
    about = alice.locator(".log tbody tr", has_text="Missed call").first.locator(".d-what a").last
    assert (await about.inner_text()).startswith("+44 7700 90012")
    await about.click()
    await alice.wait_for_url("**/calls/*")
    await alice.locator(".log tbody tr").wait_for(state="detached")


async def test_the_page_changes_while_it_is_looked_at(alice, office):
    _, db, delivery = office
    now = ids.now_ms()
    first = await alice.locator(".log tbody tr").first.get_attribute("id")
    await alice.locator(".log tbody a.open").first.focus()
    await db.write(lambda tx: put(tx, now + 5, "notify.mail", "done", kind=ENDED))
    await alice.locator(".log tbody tr:first-child", has_text="Call ended").wait_for()
    assert await alice.evaluate("document.activeElement.closest('tr').id") == first, "the place of a reader is kept"
    assert delivery.problems().keys() == {"notify.sms", "hook.crm"}


async def test_one_that_was_given_up_is_sent_again_by_hand(alice, office):
    _, db, _ = office
    await alice.locator(".log tbody tr", has_text="no such mailbox").locator("a.open").click()
    await alice.get_by_role("button", name="Send again").click()
    async with asyncio.timeout(PATIENCE):
        while not (await db.one("SELECT COUNT(*) AS n FROM tries WHERE outcome <> 'done' AND answer LIKE '%onnect%'"))[
            "n"
        ]:
            await asyncio.sleep(0.05)
    await alice.reload()
    assert "Will be retried" in await alice.locator(".timeline").inner_text()
    rows = await db.fetch("SELECT action, detail FROM audit WHERE action = 'sent again'")
    assert [tuple(row) for row in rows] == [("sent again", "notify.mail sales@example.com")]
