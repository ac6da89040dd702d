"""Account, users, audit log and the API's description in a real browser: used, readable, on a desktop and on a phone."""

import os
from pathlib import Path

import pyotp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from ctserver import config, files, ids
from ctserver.http import server
from ctserver.http.deps import Deps, Health
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.recordings.places import Places
from ctserver.services.blocked import BlackList
from ctserver.storage import migrate, sqlite, users

ROOT = Path(__file__).parents[2]
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
PASSWORD = "correct horse"
PICTURES = os.environ.get("CTSERVER_TEST_PICTURES")  # a folder for screenshots, to be looked at


@pytest_asyncio.fixture(loop_scope="session")
async def address(tmp_path):
    """A server with one user, alice."""
    settings = config.load(ROOT / "ctserver.toml")
    db = await sqlite.open(tmp_path / "ctserver.db")
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await db.write(lambda tx: users.put_user(tx, "u1", "alice", hashed, ids.now_ms()))

    async def health():
        return Health({"database": "ok", "AMI": "ok"})

    deps = Deps(
        db=db,
        settings=settings,
        uses=config.number_uses(settings),
        testcall=None,
        health=health,
        now=ids.now_ms,
        sounds=Places(settings),
        rules=[],
        gate=Gate(settings, Geo(None)),
        black_list=BlackList(settings),
    )
    running = TestServer(server.make(deps))
    await running.start_server()
    yield f"http://127.0.0.1:{running.port}"
    await running.close()
    await db.close()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(address, chromium):
    """A page on which alice has logged in; whatever goes wrong in it fails the test."""
    wrong = []
    context = await chromium.new_context(viewport=SIZES["desktop"], locale="en-GB")
    context.set_default_timeout(8_000)
    page = await context.new_page()
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((address, "data:")) else wrong.append(r.url))
    await page.goto(f"{address}/login")
    await log_in(page)
    await page.wait_for_url(f"{address}/")
    yield page
    await context.close()
    assert wrong == []


async def log_in(page, login="alice", password=PASSWORD):
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", password)
    await page.get_by_role("button", name="Log in").click()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_second_factor_is_set_up_and_asked_for(alice, address):
    await alice.goto(f"{address}/account")
    await alice.fill("section[aria-labelledby=h-factor] input[name=old]", PASSWORD)
    await alice.get_by_role("button", name="Set it up").click()
    await alice.wait_for_selector(".qr svg")
    totp = pyotp.TOTP(await alice.input_value("input[name=secret]"))
    await alice.fill("input[name=code]", totp.at(ids.now_ms() // 1000))
    await alice.get_by_role("button", name="Turn it on").click()
    codes = await alice.locator("#codes code").all_inner_texts()
    assert len(codes) == 10
    await alice.get_by_role("button", name="Log out").click()
    await log_in(alice)
    await alice.wait_for_selector("h1:has-text('Second factor')")
    await alice.fill("input[name=code]", codes[0].upper())
    await alice.get_by_role("button", name="Log in").click()
    await alice.wait_for_url(f"{address}/")


@pytest.mark.asyncio(loop_scope="session")
async def test_somebody_is_invited_comes_and_is_seen_in_the_log(alice, address, chromium):
    await alice.goto(f"{address}/users")
    await alice.get_by_role("radio", name="Operator").check()
    await alice.get_by_role("checkbox", name="Front desk").check()
    await alice.get_by_role("button", name="Make the link").click()
    link = (await alice.locator("#link").inner_text()).replace("http://127.0.0.1:8080", address)
    other = await (await chromium.new_context()).new_page()
    await other.goto(link)
    await other.fill("input[name=login]", "bob")
    for name in ("password", "again"):
        await other.fill(f"input[name={name}]", "a long new password")
    await other.get_by_role("button", name="Log in").click()
    await other.wait_for_url(f"{address}/")
    assert (await other.goto(f"{address}/users")).status == 403
    await other.context.close()
    await alice.goto(f"{address}/audit?login=bob")
    assert "followed an invitation" in await alice.inner_text("table")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_token_made_here_opens_the_api(alice, address):
    await alice.goto(f"{address}/account")
    await alice.fill("section[aria-labelledby=h-tokens] input[name=name]", "Sheet")
    await alice.get_by_role("button", name="Make a token").click()
    token = await alice.locator("#token").inner_text()
    answer = await alice.request.get(
        f"{address}/api/v1/calls", headers={"Authorization": f"Bearer {token}", "Cookie": ""}
    )
    assert answer.status == 200
    assert (await answer.json())["data"] == []


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
async def test_the_pages_are_readable_and_fit(alice, address, size, scheme):
    await alice.set_viewport_size(SIZES[size])
    await alice.emulate_media(color_scheme=scheme)
    for path in ("/account", "/users", "/users/u1", "/audit", "/api/docs"):
        await alice.goto(address + path)
        width = await alice.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], path
        if PICTURES:
            await alice.screenshot(
                path=f"{PICTURES}/{path.strip('/').replace('/', '-')}-{size}-{scheme}.png", full_page=True
            )
        await alice.evaluate(AXE)
        found = await alice.evaluate("axe.run({resultTypes: ['violations']})")
        serious = [one["id"] + " " + one["nodes"][0]["html"][:200] for one in found["violations"] if one["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == [], path
