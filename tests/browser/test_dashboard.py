"""The dashboard at work in a real browser: what a manager does in it on a day, by mouse, by keyboard and by finger."""

import asyncio
import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import true_in, until

PLAYING = "() => { const a = document.querySelector('audio'); return !a.paused && a.currentTime > 0; }"
STATE = "() => { const a = document.querySelector('audio'); return [a.paused, a.currentTime, a.playbackRate]; }"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def views(shop):
    return await shop.views()


# ---- a call


async def test_a_recording_is_heard_by_keyboard_and_by_mouse(open_page, views):
    page = await open_page(views["call"])
    await page.keyboard.press("Space")
    await true_in(page, PLAYING)
    await page.keyboard.press("Space")
    await true_in(page, "document.querySelector('audio').paused")
    at = (await page.evaluate(STATE))[1]
    await page.keyboard.press("ArrowRight")
    assert abs((await page.evaluate(STATE))[1] - at - 5) < 0.1
    await page.keyboard.press(">")
    assert (await page.evaluate(STATE))[2] == 1.25
    box = await page.locator(".wave").bounding_box()
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    seconds = float(await page.locator("#player").get_attribute("data-seconds"))
    assert abs((await page.evaluate(STATE))[1] - seconds / 2) < 1
    assert await page.locator(".wave").get_attribute("aria-valuenow") == str(round(seconds / 2))


async def test_silence_is_skipped_and_a_party_muted(open_page, views):
    page = await open_page(views["call"])
    await page.keyboard.press("s")
    assert await page.get_by_role("button", name="Skip silence").get_attribute("aria-pressed") == "true"
    peaks = await (await page.request.get(page.url + "/peaks.json")).json()
    quiet, step = [max(a, b) < 3 for a, b in zip(peaks["caller"], peaks["company"], strict=True)], 0
    step = peaks["seconds"] / len(quiet)
    long = next(i for i in range(len(quiet)) if all(quiet[i : i + int(1.5 / step)]))
    end = next(i for i in range(long, len(quiet)) if not quiet[i]) * step
    slowly = "at => { const a = document.querySelector('audio'); a.currentTime = at; a.playbackRate = 0.1; }"
    await page.evaluate(slowly, long * step + 0.3)
    await page.get_by_role("button", name="Mute the caller").click()
    await page.get_by_role("button", name="Play").click()
    await page.evaluate("window.played = performance.now()")
    await true_in(page, f"document.querySelector('audio').currentTime >= {end - 0.2}")
    assert await page.evaluate("performance.now() - played") < 10_000, "it was not skipped"
    assert await page.get_by_role("button", name="Mute the caller").get_attribute("aria-pressed") == "true"
    await page.keyboard.press("Space")


async def test_a_call_is_marked_by_keyboard_and_keeps_tag_note_and_worth(open_page, views):
    page = await open_page(views["call"])
    await page.keyboard.press("1")
    await page.wait_for_selector("[data-category='1'][aria-pressed=true]")
    await page.keyboard.press("t")
    await page.keyboard.type("vintage")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".chip:has-text('vintage')")
    await page.keyboard.press("n")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("Rings again on Monday <b>")
    await page.keyboard.press("Tab")
    await page.keyboard.type("120,50")
    async with page.expect_response("**/marks"):
        await page.keyboard.press("Control+Enter")
    await page.wait_for_selector("#marks .soft:has-text('alice')")
    await page.reload()
    assert await page.get_by_label("Note").input_value() == "Rings again on Monday <b>"
    assert await page.get_by_label("Value").input_value() == "120.50"
    await page.locator(".chip:has-text('vintage')").click()
    await page.wait_for_selector(".chip:has-text('vintage')", state="detached")


@pytest.mark.parametrize(
    ("answer", "told"),
    [(None, "no connection"), (500, "the server could not"), (403, "you have been logged out")],
)
async def test_what_was_not_saved_is_told_and_what_was_typed_stays(open_page, views, wrong, answer, told):
    page = await open_page(views["call"])
    refuse = (lambda route: route.abort()) if answer is None else (lambda route: route.fulfill(status=answer))
    await page.route("**/marks", refuse)
    await page.fill("#marks textarea", "tandem?")
    await page.keyboard.press("Control+Enter")
    await page.locator("#failed", has_text=told).wait_for()
    assert await page.locator("#failed [data-why]:visible").count() == 1
    assert await page.input_value("#marks textarea") == "tandem?"
    await page.unroute("**/marks")
    await page.focus("#marks textarea")
    await page.keyboard.press("Control+Enter")
    await page.locator("#failed").wait_for(state="hidden")
    wrong.clear()  # the console tells of it, too


async def test_the_next_calls_are_walked_through_by_keyboard(open_page, shop):
    page = await open_page("/calls?outcome=answered")
    links = await page.locator("tr.call a.open").evaluate_all(
        "links => links.slice(0, 3).map((one) => one.getAttribute('href'))"
    )
    for key in ("j", "j", "k", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_url(shop.address + links[0] + "*")
    await page.keyboard.press("?")
    await expect(page.locator("dialog#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog#keys")).to_be_hidden()
    await page.keyboard.press("u")
    await page.wait_for_url(re.compile(r"/calls(\?|$)"))
    await page.keyboard.press("/")
    await page.keyboard.type("07700900")
    await page.wait_for_url("**q=07700900*")


async def test_a_call_is_rated_kept_as_a_model_and_shared_with_a_stranger(open_page, come, views):
    page = await open_page(views["call"])
    for fieldset in await page.locator("#quality fieldset").all():
        await fieldset.get_by_text("4", exact=True).click()
    await page.get_by_role("button", name="Save rating").click()
    await page.wait_for_selector("#quality .count:has-text('80 of 100')")
    await page.get_by_label("What others can learn from it").fill("Asks for the name at once")
    await page.get_by_role("button", name="Add to library").click()
    await page.wait_for_selector("text=In the library:")
    await page.get_by_role("button", name="Create a link").click()
    link = await page.locator("#link, pre code").first.inner_text()
    stranger = await come("")
    await stranger.goto(link)
    assert "7700 900" not in await stranger.inner_text("body")
    await stranger.get_by_role("button", name="Play").click()
    await true_in(stranger, PLAYING)
    await page.goto(page.url.split("/calls/")[0] + "/quality?queue=models")
    assert "Asks for the name at once" in await page.inner_text("main")


# ---- missed


async def test_missed_callers_are_taken_rung_back_reached_and_given_up(open_page, shop):
    page = await open_page("/missed?days=30")
    waiting = page.locator("tr.call", has_text="I'll take it")
    name = await waiting.first.locator("a.open").inner_text()
    await waiting.first.get_by_role("button", name="I'll take it").click()
    await page.wait_for_selector(f"tr.call:has-text('{name}'):has-text('alice')")
    await page.get_by_role("link", name="Mine 1").click()
    row = page.locator("tr.call")
    await expect(row).to_have_count(1)
    async with page.expect_navigation():
        await row.get_by_role("button", name="Call back").click()
    [wish] = await shop.db.fetch("SELECT * FROM callbacks")
    await until(lambda: any(wish["id"] in channel for channel in shop.placed))
    await page.locator("tr.call").get_by_role("button", name="Reached").click()
    await page.wait_for_selector("text=Nobody is waiting for you")
    await page.get_by_role("link", name=re.compile("^Resolved")).click()
    settled = page.locator("tr.call", has_text=name).first
    assert "called back" in await settled.inner_text()
    await settled.get_by_role("button", name="Take back").click()
    await page.wait_for_selector(f"tr.call:has-text('{name}')", state="detached")
    await page.get_by_role("link", name=re.compile("^To do")).click()
    await page.locator("tr.call", has_text=name).get_by_role("button", name="Give up").click()
    await page.wait_for_selector(f"tr.call:has-text('{name}')", state="detached")


async def test_missed_calls_are_worked_through_by_keyboard(open_page):
    page = await open_page("/missed?days=30")
    rows = page.locator("tbody tr.call")
    first, second = [await rows.nth(place).get_attribute("id") for place in (0, 1)]
    await rows.first.get_by_role("button", name="Reached").focus()
    await page.keyboard.press("Enter")
    await page.locator(f"#{first}").wait_for(state="detached")
    await true_in(page, f"document.activeElement.closest('tr')?.id === '{second}'")
    assert await page.evaluate("document.activeElement.textContent.trim()") == "Reached"
    await page.get_by_role("link", name=re.compile("^Resolved")).click()
    await page.locator(f"#{first}").get_by_role("button", name="Take back").click()


async def test_a_form_is_sent_once_however_impatient_one_is(open_page, shop):
    page = await open_page("/numbers")
    before = len(shop.placed)
    asked = []

    async def slow(route):
        asked.append(route)
        await asyncio.sleep(1.2)
        await route.continue_()

    await page.route("**/testcall", slow)
    box = await page.get_by_role("button", name=re.compile("^Test call")).first.bounding_box()
    for _ in range(2):
        await page.mouse.click(box["x"] + 20, box["y"] + 8)
        await asyncio.sleep(0.6)
    await page.wait_for_url("**/calls?done=testcall")
    assert (len(asked), len(shop.placed) - before) == (1, 1)


async def test_a_double_click_settles_one_missed_call_not_two(open_page):
    page = await open_page("/missed?days=30")
    todo = page.locator(".segments a", has_text="To do").locator("b")
    before = int(await todo.inner_text())
    box = await page.get_by_role("button", name="Reached").first.bounding_box()
    await page.mouse.move(box["x"] + 20, box["y"] + 8)
    asked = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    for count in (1, 2):
        await page.mouse.down(click_count=count)
        await page.mouse.up(click_count=count)
        await page.locator(".segments b", has_text=re.compile(f"^{before - 1}$")).wait_for()
    await asyncio.sleep(0.3)
    assert len(asked) == 1
    await page.get_by_role("link", name=re.compile("^Resolved")).click()
    await page.get_by_role("button", name="Take back").first.click()


@pytest.mark.parametrize("locale", ["en-GB", "ru-RU"])
async def test_what_can_be_done_for_a_missed_caller_stands_in_one_line_on_a_phone(open_page, locale):
    page = await open_page("/missed", size="phone", locale=locale)
    lines = await page.locator("td.m-act").evaluate_all(
        "(all) => all.map((act) => new Set([...act.children].map((one) => one.offsetTop)).size)"
    )
    assert set(lines) == {1}


# ---- live


async def test_live_follows_a_call_and_survives_a_restart_of_the_server(open_page, shop, wrong):
    page, other = await open_page("/live"), await open_page("/numbers")
    phone = await open_page("/numbers", size="phone")
    await page.evaluate("window.opened = 1")
    await shop.rings("9.1", "+442079460190", "+447700900555", "Early")
    await page.wait_for_selector("#live tr:has-text('Early')")
    note = await other.wait_for_selector(".toast:has-text('Early')")
    box, main = await note.bounding_box(), await other.locator("main").bounding_box()
    assert box["x"] + box["width"] < main["x"], "over nothing of the page"
    await other.close()
    box = await (await phone.wait_for_selector(".toast:has-text('Early')")).bounding_box()
    top, bar = await phone.locator(".tools").bounding_box(), await phone.locator(".pages").bounding_box()
    assert top["y"] + top["height"] < box["y"]
    assert box["y"] + box["height"] <= bar["y"] + 1, "one border for both"
    await phone.close()
    assert wrong == []
    await shop.stop()
    await asyncio.sleep(0.3)
    await shop.start()
    await shop.rings("9.2", "+442079460191", "+447700900556", "Later")
    await page.wait_for_selector("#live tr:has-text('Later')")
    assert await page.evaluate("window.opened") == 1, "found back by itself, without a reload"
    wrong[:] = [text for text in wrong if "ERR_" not in text]  # the console tells that the server was away
    for id in ("9.1", "9.2"):
        await shop.hangs_up(id)
    await page.wait_for_selector("#live tr:has-text('Later')", state="detached")


# ---- the rest


async def test_a_visitor_is_found_and_his_way_is_shown(open_page):
    page = await open_page("/visitors")
    await page.get_by_text("Those who called").click()
    await page.wait_for_url("**called=1*")
    await page.get_by_label("Search visitors").fill("google")
    await page.wait_for_url("**q=google*")
    assert await page.locator("tr.call").count() == await page.locator("tr.call .w-call a").count() > 0
    await page.locator("tr.call a.open").first.click()
    await page.wait_for_url("**/visitors/*")
    assert "called" in await page.inner_text(".path")


async def test_visitors_of_several_sites_tell_which_one_they_came_to(open_page):
    page = await open_page("/visitors")
    assert {"Lighthouse Bicycles"} <= set(await page.locator(".w-page .soft").all_inner_texts())
    assert await page.locator("td.w-page", has_text="Home page").count() > 0
    await page.get_by_label("Site").select_option("bikes")
    await page.wait_for_url("**site=bikes*")
    await page.wait_for_function("!document.querySelector('.w-page .soft')")


async def test_a_row_is_opened_by_a_slow_finger_after_the_search_was_typed(open_page):
    page = await open_page("/visitors")
    await page.get_by_label("Search visitors").fill("google")
    await page.wait_for_url("**q=google*")
    await page.locator("tr.call a.open").first.hover()
    await page.mouse.down()
    await page.wait_for_timeout(400)  # the field has been left: what is under the finger stays
    await page.mouse.up()
    await page.wait_for_url("**/visitors/*")


async def test_a_test_call_is_asked_of_the_pbx(open_page, shop):
    page = await open_page("/numbers")
    await page.get_by_role("button", name="Test call to +44 20 7946 0105").click()
    await page.wait_for_url(f"{shop.address}/calls?done=testcall")
    assert "call" in await page.inner_text(".flash.ok")
    assert "+442079460105" in shop.placed


async def test_language_and_theme_are_chosen_and_stay(come, shop):
    page = await come("jack")
    await page.goto(f"{shop.address}/missed")
    for _ in range(2):
        await page.locator("[data-theme-switch]").click()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.get_by_role("button", name="Русский").click()
    await page.wait_for_selector("h1:has-text('Пропущенные')")
    await page.reload()
    assert await page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == [
        "ru",
        "dark",
    ]
    await page.get_by_role("button", name="English").click()
    await page.wait_for_selector("h1:has-text('Missed')")


async def test_without_javascript_everything_but_playing_and_live_works(come, shop):
    page = await come(java_script_enabled=False)
    await page.goto(f"{shop.address}/calls")
    await page.get_by_text("Missed", exact=True).nth(1).click()
    await page.get_by_role("button", name="Show", exact=True).first.click()
    await page.wait_for_url("**outcome=missed*")
    await page.locator("tr.call a.open").first.click()
    await page.wait_for_url("**/calls/*")
    await page.get_by_role("textbox", name="Note").fill("no script")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save", exact=True).click()
    assert await page.get_by_role("textbox", name="Note").input_value() == "no script"
