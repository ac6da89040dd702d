"""From a web page to the dashboard: a visitor, a call, its source, its recording."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest
import sound
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import POOL, Stack

pytestmark = pytest.mark.e2e

CAMPAIGN = "utm_source=google&utm_medium=cpc&utm_campaign=spring-tune-up&gclid=click-1"


async def test_a_visitor_calls_the_number_he_is_shown_and_the_manager_hears_it(stack: Stack, browser: Browser) -> None:
    await stack.healthy()
    shop = await browser.new_page()
    number = await _arrive(shop, stack, CAMPAIGN)
    assert number in POOL

    with stack.phone() as phone:
        outcome = await stack.call(number, caller="+447700900321", talk_ms=4000)
        assert outcome.status == 0, outcome.output
        assert phone.rang() == 1

    (call,) = await stack.eventually("SELECT * FROM calls WHERE did = ? AND state = 'ended'", number)
    assert (call["source"], call["medium"], call["campaign"]) == ("google", "cpc", "spring-tune-up")
    assert call["caller"] == "+447700900321"
    assert (call["outcome"], call["reason"], call["line"], call["site"]) == ("answered", "completed", "office", "demo")
    assert call["arrived_at"] <= call["ringing_at"] < call["answered_at"] < call["ended_at"]
    assert 3_000 < call["ended_at"] - call["answered_at"] < 7_000
    assert call["routed_by"] == "ctserver"
    assert call["confidence"] > 0.5

    (recording,) = await stack.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])
    file = stack.recordings / recording["file"]
    assert sound.seconds(file) > 3
    assert sound.tone_share(file, 0, 440) > 0.9, "the caller's tone is not on the left channel"
    assert sound.tone_share(file, 0, 1000) < 0.05
    assert sound.tone_share(file, 1, 1000) > 0.9, "the company's tone is not on the right channel"
    assert sound.tone_share(file, 1, 440) < 0.05

    page = await _log_in(browser, stack)
    row = page.locator("#call-rows tr", has_text="spring-tune-up")
    await expect(row).to_contain_text("google / cpc")
    await row.locator("a.open").click()
    await expect(page.locator("h1")).to_contain_text("+44 7700 900321")
    await expect(page.get_by_text("/demo?utm_source=google").first).to_be_visible()
    played = await page.evaluate(
        """async () => {
            const audio = document.querySelector('audio');
            await audio.play();
            await new Promise(done => setTimeout(done, 1500));
            return {at: audio.currentTime, length: audio.duration, error: audio.error && audio.error.message};
        }"""
    )
    assert played["error"] is None
    assert played["at"] > 0.5
    assert abs(played["length"] - sound.seconds(file)) < 0.1
    part = await page.request.get(f"{stack.url}/calls/{call['id']}/recording", headers={"Range": "bytes=100-199"})
    assert part.status == 206
    assert len(await part.body()) == 100


async def test_two_visitors_are_told_apart(stack: Stack, browser: Browser) -> None:
    await stack.healthy()
    contexts = [await browser.new_context() for _ in range(2)]
    pages = [await context.new_page() for context in contexts]
    numbers = [
        await _arrive(pages[0], stack, "utm_source=newsletter&utm_medium=email&utm_campaign=november"),
        await _arrive(pages[1], stack, "utm_source=yandex&utm_medium=cpc&utm_campaign=hire&yclid=7"),
    ]
    assert numbers[0] != numbers[1]
    with stack.phone():
        outcomes = await asyncio.gather(*(stack.call(number, talk_ms=1500) for number in numbers))
        assert [outcome.status for outcome in outcomes] == [0, 0]
    for number, campaign in zip(numbers, ("november", "hire"), strict=True):
        await stack.eventually(
            "SELECT * FROM calls WHERE did = ? AND campaign = ? AND outcome = 'answered'", number, campaign
        )


async def test_a_static_number_names_its_source(stack: Stack) -> None:
    await stack.healthy()
    with stack.phone():
        assert (await stack.call("+442079460190", talk_ms=800)).status == 0
    (call,) = await stack.eventually("SELECT * FROM calls WHERE did = '+442079460190' AND state = 'ended'")
    assert (call["source"], call["attribution"], call["confidence"]) == ("billboard", "static", 1.0)


async def test_a_trunk_may_write_the_number_in_its_own_way(stack: Stack) -> None:
    await stack.healthy()
    with stack.phone():
        for spelling in ("442079460190", "02079460190"):
            before = len(stack.rows("SELECT 1 FROM calls WHERE did = '+442079460190'"))
            assert (await stack.call(spelling, talk_ms=500, caller="07700900444")).status == 0
            rows = await stack.eventually(
                "SELECT * FROM calls WHERE did = '+442079460190' AND state = 'ended' LIMIT -1 OFFSET ?", before
            )
            assert rows[-1]["caller"] == "+447700900444"


async def test_a_busy_line_is_a_missed_call(stack: Stack) -> None:
    await stack.healthy()
    outcome = await stack.call(POOL[2], timeout=30)  # no phone is there: the line cannot be reached
    assert outcome.status != 0
    rows = await stack.eventually("SELECT * FROM calls WHERE did = ? AND outcome = 'missed'", POOL[2], seconds=40)
    assert rows[-1]["reason"] in ("no_answer", "unreachable", "congestion")


async def test_the_command_line_places_a_test_call(stack: Stack) -> None:
    await stack.healthy()
    with stack.phone():
        done = stack.ctserver("testcall", "020 7946 0190", "--caller", "+447700900777")
        assert done.returncode == 0, done.stderr
        rows = await stack.eventually("SELECT * FROM calls WHERE caller = '+447700900777'")
        assert rows[0]["did"] == "+442079460190"
        await stack.eventually("SELECT * FROM calls WHERE caller = '+447700900777' AND answered_at IS NOT NULL")
        stack.pbx.cli("channel request hangup all")
        (ended,) = await stack.eventually("SELECT * FROM calls WHERE caller = '+447700900777' AND state = 'ended'")
        assert ended["outcome"] == "answered"


async def test_the_buttons_place_test_calls(stack: Stack, browser: Browser) -> None:
    await stack.healthy()
    shop = await browser.new_page()
    await _arrive(shop, stack, CAMPAIGN)
    with stack.phone():
        before = len(stack.rows("SELECT 1 FROM calls"))
        await shop.locator("[data-ct-testcall]").click()
        await stack.eventually("SELECT 1 FROM calls LIMIT -1 OFFSET ?", before)
        page = await _log_in(browser, stack)
        await page.goto(f"{stack.url}/numbers")
        await page.locator("form[action='/testcall'] button").first.click()
        await expect(page.locator("#main .flash")).to_contain_text("test call")
        await stack.eventually("SELECT 1 FROM calls LIMIT -1 OFFSET ?", before + 1)
        stack.pbx.cli("channel request hangup all")


async def _arrive(page: Page, stack: Stack, query: str) -> str:
    """Open the shop by a campaign link; the number on the page when the script is done."""
    await page.goto(f"{stack.url}/demo?{query}")
    await expect(page.locator("#shop-number")).not_to_have_text("+44 20 7946 0000")
    shown = await page.locator("#shop-number").inner_text()
    link = await page.locator("a.call").get_attribute("href")
    number = "+" + re.sub(r"\D", "", shown)
    assert link == f"tel:{number}", "the link and the text show different numbers"
    return number


async def _log_in(browser: Browser, stack: Stack) -> Page:
    login, password = stack.login()
    page = await browser.new_page()
    await page.goto(f"{stack.url}/calls")
    await page.locator("[name=login]").fill(login)
    await page.locator("[name=password]").fill(password)
    await page.locator("button.primary").click()
    await expect(page).to_have_url(f"{stack.url}/calls")
    return page


async def test_the_dashboard_tells_whether_the_script_is_on_the_site(stack: Stack, browser: Browser) -> None:
    await stack.healthy()
    page = await _log_in(browser, stack)
    await page.goto(f"{stack.url}/numbers")
    await page.locator("[data-check=demo]").click()
    await expect(page.locator("[data-checked=demo]")).to_contain_text("The script works")
    await expect(page.locator("[data-checked=demo]")).to_contain_text("+44")


async def test_check_is_content_with_a_running_ctserver(stack: Stack) -> None:
    await stack.healthy()
    done = stack.ctserver("check")
    assert done.returncode == 0, done.stdout
    assert "ctserver is running" in done.stdout
    assert "logged in" in done.stdout


async def test_what_is_said_while_the_recording_is_paused_is_on_no_disk(stack: Stack, browser: Browser) -> None:
    """Paused from Live: once it resumes by itself, once by hand."""
    await stack.healthy()
    page = await _log_in(browser, stack)
    await page.goto(f"{stack.url}/live")
    pause, resume = (page.get_by_role("button", name=name) for name in ("Pause the recording", "Resume"))
    with stack.phone():
        calling = asyncio.create_task(stack.call("+442079460190", caller="+447700900555", talk_ms=14_000))
        await pause.click()
        await expect(page.get_by_text("Recording paused")).to_be_visible()
        await expect(pause).to_be_visible()
        await asyncio.sleep(0.8)
        await pause.click()
        await asyncio.sleep(0.8)
        await resume.click()
        await expect(pause).to_be_visible()
        assert (await calling).status == 0
    (call,) = await stack.eventually("SELECT * FROM calls WHERE caller = '+447700900555' AND state = 'ended'")
    (made,) = await stack.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])
    pauses = stack.rows("SELECT * FROM pauses WHERE call = ? ORDER BY began_at", call["id"])
    assert [row["resumed_by"] for row in pauses] == ["", "admin"]
    assert 1900 < pauses[0]["ended_at"] - pauses[0]["began_at"] < 8000
    for channel in (0, 1):
        loud = sound.loud_tenths(stack.recordings / made["file"], channel)
        quiet = [tenth for tenth in range(len(loud)) if not loud[tenth]]
        for row in pauses:  # a quarter of a second on either side: the way to Asterisk, and the start of the sound
            first, last = ((row[name] - call["answered_at"]) / 100 for name in ("began_at", "ended_at"))
            assert not any(loud[int(first) + 3 : int(last) - 3]), f"{first}-{last}: {quiet}"
        assert sum(loud) > 20, f"only {sum(loud)} tenths of {len(loud)} are heard"
        assert len(loud) - sum(loud) < 60
    told = stack.rows("SELECT action, login, via FROM audit WHERE subject = ? ORDER BY at, id", call["id"])
    assert [(row["action"], row["via"]) for row in told] == [
        ("recording paused", "page"), ("recording resumed", "server"), ("recording paused", "page"), ("recording resumed", "page"),
    ]  # fmt: skip
    await page.goto(f"{stack.url}/calls/{call['id']}")
    await expect(page.get_by_text("admin paused the recording").first).to_be_visible()
    await expect(page.get_by_text("The recording resumed by itself")).to_be_visible()


async def test_a_caller_who_is_never_recorded_and_a_full_disk(stack: Stack) -> None:
    """He rings and is answered, and no sound is written: while ctserver decides, while it is away, and for everybody while
    the disk is nearly full."""
    await stack.healthy()
    with stack.phone() as phone:
        assert (await stack.call("+442079460190", caller="07700900888", talk_ms=500)).status == 0
        assert not _sound(stack)
        stack.signal(signal.SIGTERM)
        try:
            assert (await stack.call("+442079460190", caller="+447911123456", talk_ms=500)).status == 0
            assert not _sound(stack)
        finally:
            text = stack.config.read_text(encoding="utf-8")
            stack.config.write_text(text.replace("min_free_mb = 0", "min_free_mb = 0\nstop_free_mb = 900000000"))
            stack.start_server()
        health = await stack.health_of("recordings")
        assert "calls are not recorded any more" in health
        assert (await stack.call("+442079460190", caller="+447700900111", talk_ms=500)).status == 0
        assert phone.rang() == 3
    assert not _sound(stack)
    stack.config.write_text(text, encoding="utf-8")
    stack.signal(signal.SIGTERM)
    stack.start_server()
    await stack.healthy()
    for caller in ("+447700900888", "+447911123456", "+447700900111"):
        rows = await stack.eventually("SELECT * FROM calls WHERE caller = ? AND state = 'ended'", caller)
        assert rows[-1]["outcome"] == "answered"


def _sound(stack: Stack) -> list[Path]:
    """What Asterisk has written and ctserver has not taken yet."""
    return list(stack.recordings.glob("*.wav"))
