"""One real Chromium for all tests. For the script: a small fake of the two endpoints it talks to, and pages on *.test hosts.
For the dashboard: a shop's server, people who are logged in, and pages whose every fault is noticed."""

import asyncio
import copy
import json
import re
from pathlib import Path

import phonenumbers
import pytest
import pytest_asyncio
from aiohttp import web
from phonenumbers import PhoneNumberFormat as Format
from playwright.async_api import async_playwright, expect

from ctserver.http.script import build
from tests.browser.shop import PASSWORD, Shop

PATIENCE = 60.0  # seconds that a busy machine may take; nothing waits longer than it must
expect.set_options(timeout=1000 * PATIENCE)

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "web/static/ct.js").read_text()
VENDOR = Path(__file__).parent / "vendor"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents and asyncio.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.e2e)


def number(e164: str) -> dict:
    """An E.164 number in the words of the answer: n, c, p, l and the displays f."""
    parsed = phonenumbers.parse(e164)
    local = phonenumbers.national_significant_number(parsed)
    shown = [phonenumbers.format_number(parsed, form) for form in (Format.INTERNATIONAL, Format.NATIONAL)]
    national = "".join(filter(str.isdigit, shown[1]))
    prefix = national.removesuffix(local) if national.endswith(local) else ""
    region = phonenumbers.region_code_for_number(parsed)
    prefix = prefix or phonenumbers.ndd_prefix_for_region(region or "", True) or ""
    return {"n": e164, "c": str(parsed.country_code), "p": prefix, "l": local, "f": shown}


def target(key: str, e164: str, **more) -> dict:
    return {"k": key, **{k: v for k, v in number(e164).items() if k != "f"}, **more}


OWN, FIRST, SECOND = "+442079460000", "+442079460101", "+442079460102"
CONFIG = {
    "s": "demo",
    "t": [target("main", OWN)],
    "a": [FIRST, SECOND],
    "consent": "none",
    "dnt": 0,
    "days": 90,
    "sub": "",
    "ga4": "",
}


class World:
    """What the server side says and what it was told."""

    def __init__(self) -> None:
        self.config = copy.deepcopy(CONFIG)
        self.pages: dict[str, tuple[str, dict]] = {}
        self.give: dict[str, str] = {"main": FIRST}
        self.visits: list[dict] = []
        self.signals: list[dict] = []
        self.headers: list[dict] = []
        self.delay, self.status, self.raw = 0.0, 200, None
        self.hold, self.beat = 1800, 30
        self.answering = asyncio.Event()  # cleared, visits are not answered until it is set
        self.answering.set()

    def page(self, body: str, path: str = "/", head: str = "", headers=None, script: bool = True) -> str:
        tag = f'<script async src="{self.origin}/ct.js?site=demo"></script>' if script else ""
        html = f"<!doctype html><html><head><meta charset=utf-8><title>T</title>{tag}{head}</head><body>{body}</body>"
        self.pages[path] = (html, headers or {})
        return f"http://shop.test:{self.port}{path}"

    @property
    def origin(self) -> str:
        return f"http://ct.test:{self.port}"

    def kinds(self) -> list[str]:
        return [signal["k"] for signal in self.signals]

    async def serve(self, request: web.Request) -> web.Response:
        if request.path in self.pages:
            html, headers = self.pages[request.path]
            return web.Response(text=html, content_type="text/html", headers=headers)
        if request.path.startswith("/vendor/"):
            return web.FileResponse(VENDOR / request.path[8:])
        return web.Response(status=404)

    async def script(self, _: web.Request) -> web.Response:
        body = build({**self.config, "o": self.origin}, SOURCE)
        return web.Response(text=body, content_type="text/javascript")

    async def visit(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.text())
        self.visits.append(asked)
        self.headers.append(dict(request.headers))
        allow = {"Access-Control-Allow-Origin": "*"}
        await asyncio.sleep(self.delay)
        await self.answering.wait()
        if self.status != 200 or self.raw is not None:
            return web.Response(status=self.status, text=self.raw, headers=allow)
        given = {key: number(self.give[key]) for key in asked["n"] if key in self.give}
        visitor = asked["v"] or f"v{len(self.visits)}"
        answer = {"v": visitor, "e": "e-" + visitor, "n": given, "h": self.hold, "b": self.beat}
        return web.json_response(answer, headers=allow)

    async def signal(self, request: web.Request) -> web.Response:
        self.signals.append(json.loads(await request.text()))
        return web.Response(status=204, headers={"Access-Control-Allow-Origin": "*"})


@pytest_asyncio.fixture(loop_scope="session")
async def world():
    """A server for one test alone: what the pages of another send when they are closed comes late, and not here."""
    world = World()
    app = web.Application()
    app.router.add_get("/ct.js", world.script)
    app.router.add_post("/v1/visit", world.visit)
    app.router.add_post("/v1/signal", world.signal)
    app.router.add_get("/{path:.*}", world.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    world.port = runner.addresses[0][1]
    yield world
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium():
    async with async_playwright() as playwright:
        # Playwright switches the back/forward cache off; the tests need it.
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium):
    """A browser of its own. Its script waits longer for answers than a visitor's: a busy machine is not what the tests are about."""
    context = await chromium.new_context()
    await context.add_init_script(
        "const timeout = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = (ms) => timeout(15 * ms);"
    )
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(context):
    """A tab whose page errors fail the test."""
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


async def until(condition) -> None:
    """Wait until the condition of the test process holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def true_in(page, expression: str) -> None:
    """Wait until the expression holds in the page.

    Playwright's `wait_for_function` looks again by an eval inside the page, which a strict CSP forbids: it works as long as the first
    look finds it true.
    """
    async with asyncio.timeout(PATIENCE):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def becomes(look, wanted) -> None:
    """Assert that what `look` sees is `wanted`, now or a little later."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while (seen := await look()) != wanted and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    assert seen == wanted


async def answered(page) -> None:
    """Wait until the script has shown what the server gave the page first."""
    async with asyncio.timeout(PATIENCE):
        await page.evaluate("new Promise(done => ct('numbers', done))")


# ---- the dashboard

AXE = (VENDOR / "axe.min.js").read_text()
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(tmp_path_factory):
    """A running server with ten days of a shop."""
    made = Shop(tmp_path_factory.mktemp("shop"))
    await made.fill(10, 24)
    await made.start()
    await made.busy()
    yield made
    await made.close()


async def log_in(page, login, password=PASSWORD):
    """As a person does."""
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", password)
    await page.locator("form button.primary").click()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cookies(shop, chromium):
    """login -> the cookies of somebody who has logged in; each logs in once."""
    kept = {}

    async def of(login):
        if login not in kept:
            context = await chromium.new_context()
            page = await context.new_page()
            await page.goto(f"{shop.address}/login")
            await log_in(page, login)
            await page.wait_for_url(f"{shop.address}/")
            kept[login] = await context.storage_state()
            await context.close()
        return kept[login]

    return of


class Wrong(list):
    """What went wrong in the pages of a test, with the address of each: messages of the console, errors, requests to others.

    Not: that htmx had no answer to a poll, as it says of one that is cut off by leaving the page, or after 20 busy seconds. Of a
    server that is away or fails the browser tells, too.
    """

    def watch(self, page, address):
        poll = re.compile("htmx:(afterRequest|sendAbort|sendError|timeout), ")
        note = lambda text: None if poll.match(text) else self.append(f"{page.url.removeprefix(address)}: {text}")  # noqa: E731
        page.on("console", lambda m: note(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: note(str(error)))
        page.on("request", lambda r: None if r.url.startswith((address, "blob:", "data:")) else note(r.url))


@pytest_asyncio.fixture(loop_scope="session")
async def wrong():
    """Must be empty in the end; a test that breaks something on purpose empties it."""
    found = Wrong()
    yield found
    assert found == []


@pytest_asyncio.fixture(loop_scope="session")
async def come(shop, chromium, cookies, wrong):
    """Opens a tab in which `login` is logged in ("": nobody is)."""
    contexts = []

    async def opened(login="alice", size="desktop", scheme="light", locale="en-GB", **more):
        state = await cookies(login) if login else None
        context = await chromium.new_context(
            viewport=SIZES[size], color_scheme=scheme, storage_state=state, locale=locale, accept_downloads=True, **more
        )
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE)
        page = await context.new_page()
        wrong.watch(page, shop.address)
        return page

    yield opened
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(shop, come):
    """Opens a page of the dashboard as alice, the owner, sees it."""

    async def opened(path, size="desktop", **more):
        page = await come(size=size, **more)
        await page.goto(shop.address + path)
        await page.wait_for_load_state("networkidle")
        return page

    return opened
