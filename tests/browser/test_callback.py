"""The callback button in a real Chromium: it is there for visitors whom ct.js knows, asks once, and says what comes."""

import json

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.browser.conftest import ROOT

SOURCE = (ROOT / "web/static/ct-callback.js").read_text()
PAGE = "<!doctype html><html lang=en><title>Shop</title><h1>Shop</h1><script src=/ct-callback.js data-after=0 {own}></script>"
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"


async def shop(answer, own=""):
    """A page with a strict policy; (server, what it was asked)."""
    asked = []

    async def take(request):
        asked.append(json.loads(await request.text()))
        return web.json_response(answer)

    async def script(_):
        body = SOURCE.replace("__CT_SITE__", '"shop"').replace("__CT_ORIGIN__", '""')
        return web.Response(text=body, content_type="text/javascript")

    async def page(_):
        headers = {"Content-Security-Policy": POLICY}
        return web.Response(text=PAGE.replace("{own}", own), content_type="text/html", headers=headers)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/ct-callback.js", script)
    app.router.add_post("/v1/callback", take)
    server = TestServer(app)
    await server.start_server()
    return server, asked


async def opened(chromium, server, *, known=True):
    page = await (await chromium.new_context()).new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    if known:
        kept = json.dumps({"v": "v" * 26, "e": "e" * 26, "n": {}})
        await page.add_init_script(f"localStorage['ct:shop'] = {kept!r}")
    # a closed shadow root cannot be looked into from outside: the test opens it
    await page.add_init_script(
        "const attach = Element.prototype.attachShadow;"
        "Element.prototype.attachShadow = function () { return attach.call(this, { mode: 'open' }) };"
    )
    await page.goto(str(server.make_url("/")))
    return page, said


async def test_a_visitor_leaves_his_number(chromium):
    server, asked = await shop({"at": 1})
    page, said = await opened(chromium, server)
    await page.get_by_role("button", name="Call me back").click()
    await page.get_by_label("Your phone number").fill("07400 123456")
    await page.get_by_role("button", name="Call me", exact=True).click()
    await page.get_by_text("We are calling you now.").wait_for()
    assert [(body["s"], body["n"], body["v"], body["x"]) for body in asked] == [("shop", "07400 123456", "v" * 26, "")]
    assert asked[0]["w"] >= 0
    assert said == []
    await server.close()


async def test_the_button_is_not_there_for_strangers(chromium):
    server, asked = await shop({"at": 1})
    page, said = await opened(chromium, server, known=False)
    await page.wait_for_timeout(400)
    assert await page.get_by_role("button").count() == 0
    assert (asked, said) == ([], [])
    await server.close()


async def test_what_cannot_be_done_is_said_in_the_sites_own_words(chromium):
    server, asked = await shop({"no": "country"}, "data-button='Ring me' data-country='Only in this country.'")
    page, _ = await opened(chromium, server)
    await page.get_by_role("button", name="Ring me").click()
    field = page.get_by_label("Your phone number")
    await field.fill("abc")
    await field.press("Enter")
    await page.get_by_text("Please check the number.").wait_for()
    assert asked == []
    await field.fill("+33 6 12 34 56 78")
    await field.press("Enter")
    await page.get_by_text("Only in this country.").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_label("Your phone number").wait_for(state="hidden")
    await server.close()
