"""Who gets a number, with real requests: people; not bots, not excluded addresses, not one address that asks too much."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from ctserver import config, files
from ctserver.config import number_uses
from ctserver.http import server
from ctserver.http.deps import Deps, Health
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.recordings.places import Places
from ctserver.services.blocked import BlackList
from ctserver.storage import migrate, sqlite

PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"
)
TOML = """
[server]
trust_proxy = true
[lines.office]
dial = "PJSIP/100"
[sites.shop]
domains = ["shop.example"]
number = "+44 20 7946 0000"
pool = "main"
exclude_ips = ["192.0.2.0/24", "2001:db8::/32"]
[pools.main]
numbers = ["+44 20 7946 0101", "+44 20 7946 0102", "+44 20 7946 0103"]
[limits]
new_visitors_per_minute = 20
visits_per_site_per_minute = 1000
[privacy]
ip = "truncate"
"""


ADVERTISED = "https://shop.example/?utm_source=somewhere&utm_medium=cpc"


class Pages:
    """A site's pages, open in browsers behind a proxy of ours."""

    def __init__(self, client: Any, db: sqlite.Sqlite, clock: list[int]) -> None:
        self.client, self.db, self.clock = client, db, clock

    async def visit(
        self, ip: str = "203.0.113.7", visitor: str = "", url: str = ADVERTISED, **headers: str
    ) -> aiohttp.ClientResponse:
        return await self._post("/v1/visit", {"s": "shop", "v": visitor, "u": url, "n": ["main"]}, ip, headers)

    async def signal(self, ip: str, visitor: str, session: str) -> aiohttp.ClientResponse:
        return await self._post("/v1/signal", {"s": "shop", "v": visitor, "e": session, "k": "beat"}, ip, {})

    async def _post(self, path: str, body: dict[str, Any], ip: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        sent = {"Origin": "https://shop.example", "User-Agent": PHONE, "X-Forwarded-For": ip, **headers}
        response: aiohttp.ClientResponse = await self.client.post(path, data=json.dumps(body), headers=sent)
        await response.read()
        return response


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    (tmp_path / "ctserver.toml").write_text(TOML, encoding="utf-8")
    settings = config.load(tmp_path / "ctserver.toml")
    db = await sqlite.open(tmp_path / "ctserver.db")
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    clock = [1_800_000_000_000]

    async def no_call(number: str) -> None: ...

    async def healthy() -> Health:
        return Health({})

    app = server.make(
        Deps(
            db=db,
            settings=settings,
            uses=number_uses(settings),
            testcall=no_call,
            health=healthy,
            now=lambda: clock[0],
            sounds=Places(settings),
            gate=Gate(settings, Geo(None)),
            black_list=BlackList(settings),
        )
    )
    client = TestClient(TestServer(app))
    await client.start_server()
    yield Pages(client, db, clock)
    await client.close()
    await db.close()


async def test_a_person_gets_a_number_and_what_is_known_of_him_is_kept(pages: Pages) -> None:
    response = await pages.visit("203.0.113.7")
    assert response.status == 200
    (row,) = await pages.db.fetch("SELECT * FROM sessions")
    assert (row["device"], row["browser"], row["os"]) == ("phone", "Chrome", "Android")
    assert (row["channel"], row["ip"]) == ("paid_other", "203.0.113.0")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, "bot"),
        ({"User-Agent": PHONE.replace("Chrome/", "HeadlessChrome/")}, "headless"),
        ({"Sec-Purpose": "prefetch;prerender"}, "prefetch"),
        ({"User-Agent": ""}, "no user agent"),
    ],
)
async def test_who_is_no_person_gets_no_number(pages: Pages, headers: dict[str, str], why: str) -> None:
    response = await pages.visit(**headers)
    assert (response.status, why in response.headers["X-Ct-Refused"]) == (204, True)
    assert await pages.db.fetch("SELECT * FROM leases") == []


@pytest.mark.parametrize("ip", ["192.0.2.77", "2001:db8::5"])
async def test_excluded_addresses_see_the_pages_own_number(pages: Pages, ip: str) -> None:
    response = await pages.visit(ip)
    assert (response.status, response.headers["X-Ct-Refused"]) == (204, "this address is excluded")


async def test_one_address_asking_for_ten_thousand_sessions_leaves_the_others_their_numbers(pages: Pages) -> None:
    """The pool has three numbers; the attacker may take all, but not all the time, and others are always served."""
    statuses = []
    others = []
    for number in range(10_000):
        statuses.append((await pages.visit("198.51.100.1")).status)
        pages.clock[0] += 5
        if number % 500 == 0:
            others.append((await pages.visit(f"203.0.113.{number // 500}")).status)
    assert set(others) == {200}
    assert statuses.count(200) <= 20 + 50 * 20 // 60 + 1
    assert await pages.db.fetch("SELECT 1 FROM sessions WHERE ip = '198.51.100.0' LIMIT 1 OFFSET 60") == []


async def test_one_visitor_whom_ever_new_advertisements_bring_leaves_the_others_their_numbers(pages: Pages) -> None:
    first = json.loads(await (await pages.visit("198.51.100.1")).text())
    statuses = []
    for number in range(300):
        url = f"https://shop.example/?utm_source=s{number}&utm_medium=cpc"
        statuses.append((await pages.visit("198.51.100.1", visitor=first["v"], url=url)).status)
        pages.clock[0] += 5
    assert statuses.count(200) <= 20 + 2
    assert (await pages.visit("203.0.113.9")).status == 200


async def test_one_address_has_a_tenth_of_a_sites_page_views_and_as_many_signals(pages: Pages) -> None:
    first = json.loads(await (await pages.visit("198.51.100.1")).text())
    statuses = [(await pages.visit("198.51.100.1", visitor=first["v"])).status for _ in range(150)]
    assert statuses.count(200) == 99
    assert (await pages.visit("203.0.113.9")).status == 200
    said = [await pages.signal("198.51.100.1", visitor=first["v"], session=first["e"]) for _ in range(150)]
    refused = [answer.headers.get("X-Ct-Refused") for answer in said]
    assert refused == [None] * 100 + ["too many signals from this address"] * 50
    assert "X-Ct-Refused" not in (await pages.signal("203.0.113.9", visitor=first["v"], session=first["e"])).headers


async def test_who_is_known_is_not_counted_as_new(pages: Pages) -> None:
    first = json.loads(await (await pages.visit()).text())
    for _ in range(60):
        assert (await pages.visit(visitor=first["v"])).status == 200
    invented = [(await pages.visit(visitor=f"{number:026}")).status for number in range(30)]
    assert 204 in invented, "an invented visitor id passes for a known one"


async def test_a_site_has_a_limit_of_its_own(pages: Pages) -> None:
    statuses = [(await pages.visit(f"10.{number >> 8}.{number & 255}.1")).status for number in range(1_010)]
    assert statuses.count(204) == 10
