"""Notifications in a real browser: the switch in all its states, and the real service worker showing what is pushed.

Two things of the outside are played: the browser maker's push service (headless Chromium has none), and a finger on the
notification.
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path

import pytest_asyncio
from playwright.async_api import expect

from ctserver.storage import push

from . import bare
from .conftest import AXE, PATIENCE, ROOT, SIZES, Wrong, true_in, until
from .shop import PASSWORD

PICTURES = os.environ.get("CTSERVER_TEST_PICTURES")  # a folder for screenshots, to be looked at
SUBSCRIBE = """

    const made = () => ({
        endpoint: "https://push.example/" + localStorage.endpoint,
        toJSON() { return { endpoint: this.endpoint, keys: { p256dh: localStorage.p256dh, auth: "eHh4eHh4eHh4eHh4eHh4eA" } }; },
        async unsubscribe() { localStorage.removeItem("endpoint"); return true; },
    });
    PushManager.prototype.getSubscription = async () => (localStorage.endpoint ? made() : null);
    PushManager.prototype.subscribe = async function (options) {
        if (options.applicationServerKey.length !== 65 || !options.userVisibleOnly) throw new Error("a bad key");
        const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
        const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
        localStorage.p256dh = btoa(String.fromCharCode(...point)).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
        localStorage.endpoint = Date.now();
        return made();
    };
"""


@pytest_asyncio.fixture(loop_scope="session")
async def place(tmp_path):
    """A server with one user, alice, and a push channel; its address and its database."""
    table = {"notify.push.type": "push", "notify.push.contact": "mailto:a@example.com"}
    rule = {"alerts.ring.by": "push", "alerts.ring.on": '["ringing", "missed"]'}
    async with bare.dashboard(ROOT, tmp_path, {**table, **rule}) as (address, db, _):
        yield address, db


@pytest_asyncio.fixture(loop_scope="session")
async def opened(place, chromium):
    """Opens the account in a browser of its own; whatever goes wrong in a page fails the test."""
    address, _ = place
    wrong, contexts = Wrong(), []

    async def opened(allowed=True, script="", locale="en-GB", path="/account"):
        context = await chromium.new_context(viewport=SIZES["desktop"], locale=locale)
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE)
        if allowed:
            await context.grant_permissions(["notifications"], origin=address)
        if script:
            await context.add_init_script(script)
        page = await context.new_page()
        wrong.watch(page, address)
        await page.goto(f"{address}/login")
        await page.fill("input[name=login]", "alice")
        await page.fill("input[name=password]", PASSWORD)
        await page.locator("form button").first.click()
        await page.wait_for_url(f"{address}/")
        await page.goto(f"{address}{path}")
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert wrong == []


async def state(page):
    await true_in(page, "document.getElementById('push').dataset.state")
    return await page.evaluate("document.getElementById('push').dataset.state")


async def seen(page):
    """What of the switch can be read."""
    return await page.locator("#push").inner_text()


async def test_the_switch_says_what_the_browser_can_and_asks_on_a_click_only(opened, place):
    refuse = (
        "Notification.requestPermission = async () => { window.asked = (window.asked || 0) + 1; return 'denied'; };"
    )
    page = await opened(script=SUBSCRIBE + refuse)
    assert await state(page) == "off"
    assert await seen(page) == "Notify me in this browser"
    assert await page.evaluate("window.asked") is None
    await page.get_by_role("button", name="Notify me in this browser").click()
    await true_in(page, "window.asked === 1")
    assert await page.evaluate("navigator.serviceWorker.getRegistration('/')") is None
    blocked = "Object.defineProperty(Notification, 'permission', { get: () => 'denied' });"
    page = await opened(script=blocked)
    assert (await state(page), "blocked for this page" in await seen(page)) == ("blocked", True)
    page = await opened(script="delete window.PushManager;", locale="ru-RU")
    assert (await state(page), "iPhone" in await seen(page)) == ("unsupported", True)
    assert "Уведомления" in await page.locator("#notifications h2").inner_text()
    page = await opened(script="Object.defineProperty(window, 'isSecureContext', { get: () => false });")
    assert (await state(page), "https" in await seen(page)) == ("insecure", True)


async def test_the_switch_is_turned_on_and_off_and_the_server_knows(opened, place):
    address, db = place
    page = await opened(script=SUBSCRIBE)
    await page.get_by_role("button", name="Notify me in this browser").click()
    await page.wait_for_url(f"{address}/account?done=push-on")
    assert await state(page) == "on"
    assert "Incoming call · Missed call" in await page.locator("#notifications").inner_text()
    ((kept, person),) = await push.readers(db, "")
    assert (person.login, kept.endpoint.startswith("https://push.example/")) == ("alice", True)
    row = page.locator(".devices tbody tr")
    await expect(row).to_contain_text("push.example this browser", use_inner_text=True)
    await readable(page, "notifications-on")
    await page.locator("#push").get_by_role("button", name="Turn off").click()
    await page.wait_for_url(f"{address}/account?done=push-off")
    assert await state(page) == "off"
    assert await push.readers(db, "") == []


async def test_a_browser_without_a_push_service_says_so_and_stays_off(opened, place):
    page = await opened(
        script="PushManager.prototype.subscribe = async () => { throw new Error('push service not available'); };"
    )
    await page.get_by_role("button", name="Notify me in this browser").click()
    await page.locator("#push .flash").wait_for()
    assert "push service not available" in await seen(page)
    assert await state(page) == "off"
    assert await push.readers(place[1], "") == []


async def test_the_worker_shows_what_is_pushed_and_a_click_opens_the_call(opened, place):
    address, _ = place
    page = await opened()
    await page.evaluate("navigator.serviceWorker.register('/push-worker.js').then(() => navigator.serviceWorker.ready)")
    push_it = await deliverer(page, address)
    call = "01" + "0" * 24
    rings = {"title": "Ringing: +44 7700 900123", "text": "google / cpc\n3rd call", "tag": call}
    shown = await pushed(page, push_it, {**rings, "link": f"https://elsewhere.example/calls/{call}?x=1"})
    assert shown == [{"title": rings["title"], "body": rings["text"], "tag": call}]
    missed = {"title": "Missed call: +44 7700 900123", "text": "", "tag": call, "link": f"/calls/{call}"}
    await pushed(page, push_it, missed)
    assert len(await notifications(page, 1)) == 1, "it takes the place of the one before"
    worker = await worker_of(page)
    opened_by_a_click = """async () => {
        const asked = [];
        self.clients.openWindow = async (path) => { asked.push(path); };
        const shown = () => self.registration.getNotifications(), rest = () => new Promise((go) => setTimeout(go, 20));
        let [notification] = await shown();
        for (let turn = 0; turn < 2000 && !notification; turn++) { await rest(); [notification] = await shown(); }
        self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        for (let turn = 0; turn < 2000 && !(asked.length && !(await shown()).length); turn++) await rest();
        return [asked, (await shown()).length];
    }"""
    assert await worker.evaluate(opened_by_a_click) == [[f"/calls/{call}"], 0]
    await pushed(page, push_it, "what is no JSON", "ctserver")


async def test_a_link_to_elsewhere_opens_a_page_of_ours(opened, place):
    address, _ = place
    page = await opened()
    await page.evaluate("navigator.serviceWorker.register('/push-worker.js').then(() => navigator.serviceWorker.ready)")
    push_it = await deliverer(page, address)
    await pushed(page, push_it, {"title": "x", "link": "https://elsewhere.example/account?done=1"})
    clicked = """async () => {
        const asked = [];
        self.clients.openWindow = async (path) => { asked.push(path); };
        const [notification] = await self.registration.getNotifications();
        self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        for (let turn = 0; turn < 2000 && !asked.length; turn++) await new Promise((go) => setTimeout(go, 20));
        return asked;
    }"""
    assert await (await worker_of(page)).evaluate(clicked) == ["/account?done=1"]


async def worker_of(page):
    """The page's service worker, once Playwright knows of it."""
    await until(lambda: page.context.service_workers)
    return page.context.service_workers[0]


async def deliverer(page, address):
    """Delivers pushes to the page's service worker as the browser does."""
    tools = await page.context.new_cdp_session(page)
    found = {}
    tools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda e: found.update({r["scopeURL"]: r["registrationId"] for r in e["registrations"]}),
    )
    await tools.send("ServiceWorker.enable")
    while f"{address}/" not in found:
        await page.wait_for_timeout(20)

    async def deliver(data):
        await tools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": address, "registrationId": found[f"{address}/"], "data": data},
        )

    return deliver


async def notifications(page, count):
    """As many as that; what Chromium tells of them follows a moment later."""
    return await _shown(page, lambda found: len(found) == count)


async def titled(page, title):
    """Wait until such a notification is shown."""
    found = await _shown(page, lambda found: title in [one["title"] for one in found])
    assert title in [one["title"] for one in found]
    return found


async def pushed(page, push_it, data, title=""):
    """What is shown of it. A push by the developer tools is lost when the worker is just being stopped: then it comes again."""
    title = title or data["title"]
    for _ in range(6):
        await push_it(data if isinstance(data, str) else json.dumps(data))
        with contextlib.suppress(AssertionError):
            return await titled(page, title)
    raise AssertionError(f"{title} is not shown")


async def _shown(page, wanted):
    end = asyncio.get_running_loop().time() + PATIENCE / 6
    while True:
        found = await page.evaluate(
            "navigator.serviceWorker.ready.then((w) => w.getNotifications())"
            ".then((all) => all.map(({ title, body, tag }) => ({ title, body, tag })))"
        )
        if wanted(found) or asyncio.get_running_loop().time() > end:
            return found
        await page.wait_for_timeout(40)


async def readable(page, name):
    """No fault found by axe, nothing wider than the window, on a desktop and on a phone."""
    for size, view in SIZES.items():
        await page.set_viewport_size(view)
        if PICTURES:
            await page.screenshot(path=Path(PICTURES) / f"{name}-{size}.png")
        wide, window = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window
        await page.evaluate(AXE)
        found = await page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
