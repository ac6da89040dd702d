"""Account, users and the API's keys in a real browser: as people use them."""

import pyotp
from playwright.async_api import expect

from tests.browser.conftest import log_in
from tests.browser.shop import PASSWORD


async def test_who_logs_in_comes_to_the_page_he_asked_for_and_a_wrong_password_is_told(come, shop, wrong):
    page = await come("")
    await page.goto(f"{shop.address}/calls?outcome=missed")
    await log_in(page, "alice", "wrong")
    assert await page.locator("[role=alert]").inner_text() == "User name or password is wrong."
    assert [text for text in wrong if "403" not in text] == []
    wrong.clear()
    await log_in(page, "alice")
    await page.wait_for_url(f"{shop.address}/calls?outcome=missed")


async def test_a_second_factor_is_set_up_and_asked_for(come, shop):
    page = await come("")
    await page.goto(f"{shop.address}/account")
    await log_in(page, "anna")
    await page.wait_for_url(f"{shop.address}/account")
    await page.fill("section[aria-labelledby=h-factor] input[name=old]", PASSWORD)
    await page.get_by_role("button", name="Set up").click()
    await page.wait_for_selector(".qr svg")
    totp = pyotp.TOTP(await page.inner_text("section[aria-labelledby=h-factor] p code"))
    await page.fill("input[name=code]", totp.at(shop.now() // 1000))
    await page.get_by_role("button", name="Turn on").click()
    await expect(page.locator("#codes code")).to_have_count(10)
    codes = await page.locator("#codes code").all_inner_texts()
    await page.get_by_role("button", name="Log out anna").click()
    await log_in(page, "anna")
    await page.wait_for_selector("h1:has-text('Two-factor authentication')")
    await page.fill("input[name=code]", codes[0].upper())
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{shop.address}/")


async def test_somebody_is_invited_comes_sees_what_he_may_and_is_seen_in_the_log(open_page, come, shop, wrong):
    alice, bob = await open_page("/users"), await come("")
    await alice.get_by_role("radio", name="Operator").check()
    await alice.get_by_role("checkbox", name="Workshop").check()
    await alice.get_by_role("button", name="Create a link").click()
    await bob.goto(await alice.locator("#link").inner_text())
    await bob.fill("input[name=login]", "bob")
    for name in ("password", "again"):
        await bob.fill(f"input[name={name}]", "a long new password")
    await bob.get_by_role("button", name="Log in").click()
    await bob.wait_for_url(f"{shop.address}/")
    assert set(await bob.locator("nav.pages a span").all_inner_texts()).isdisjoint(
        {"Reports", "Visitors", "Deliveries"}
    )
    await bob.goto(f"{shop.address}/calls?period=30d")
    assert set(await bob.locator("tr.call td.c-line").all_inner_texts()) == {"Workshop"}
    assert (await bob.goto(f"{shop.address}/users")).status == 403
    assert len(wrong) == 1
    wrong.clear()
    await alice.goto(f"{shop.address}/audit?login=bob")
    assert "followed an invitation" in await alice.inner_text("table")


async def test_an_analyst_hears_nothing_and_sees_no_callers_number(come, shop):
    page = await come("owen")
    await page.goto(shop.address + (await shop.views())["call"])
    assert "•" in await page.locator("h1").inner_text()
    assert await page.locator("audio").count() == 0
    assert "not allowed to play recordings" in await page.inner_text("section[aria-labelledby=h-recording]")


async def test_a_token_made_here_opens_the_api(open_page, shop):
    page = await open_page("/account")
    await page.fill("section[aria-labelledby=h-tokens] input[name=name]", "Sheet")
    await page.get_by_role("button", name="Create a token").click()
    token = await page.locator("#token").inner_text()
    answer = await page.request.get(
        f"{shop.address}/api/v1/calls?limit=5", headers={"Authorization": f"Bearer {token}", "Cookie": ""}
    )
    assert answer.status == 200
    assert len((await answer.json())["data"]) == 5
