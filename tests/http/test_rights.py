"""Every route and every role, with real requests; and whose calls each sees."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import web

from ctserver.domain.call import Arrived, CallerHungUp, Routed
from ctserver.domain.rights import Right, Role, may, rights_of
from ctserver.http.auth import COOKIE
from ctserver.http.rights import ANYBODY, NOBODY, ROUTES, SOMEBODY
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.storage import recordings

from .test_pages import make_wave

OTHER_SITE = """
[sites.other]
name = "Other"
categories = ["lamp"]
domains = ["other.example"]
number = "+44 20 7946 0500"
pool = "others"
line = "night"
[pools.others]
numbers = ["+44 20 7946 0501"]
"""
CALLER = "+447700900123"
NAMES = {
    "id": "0" * 26,
    "number": "+442079460101",
    "path": "app.css",
    "what": "factor",
}  # whatever else a path names: "x"


@pytest.fixture
def toml(toml: Any) -> Any:
    toml.write_text(toml.read_text() + OTHER_SITE)
    return toml


def address(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    return method, re.sub(r"\{(\w+)\}", lambda found: NAMES.get(found[1], "x"), path)


async def test_every_route_says_what_it_takes_and_nothing_else_stands_in_the_table(site: Any) -> None:
    routes: set[str] = set()
    for route in site.client.server.app.router.routes():
        assert isinstance(route, web.AbstractRoute)
        if route.method != "HEAD":
            routes.add(f"{route.method} {route.resource.canonical}")
    assert routes == set(ROUTES)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_may_what_its_rights_say_on_every_route(site: Any, role: Role) -> None:
    csrf = await site.log_in_as(role, sites="shop", lines="office")
    for route, need in ROUTES.items():
        if need in (NOBODY, ANYBODY) or route == "POST /logout":
            continue
        method, path = address(route)
        async with site.client.request(method, path, headers={"X-Csrf": csrf}, allow_redirects=False) as response:
            allowed = need is SOMEBODY or need in rights_of(role, ["shop"], ["office"])
            assert (response.status != 403) is allowed, (route, response.status)
            assert response.status < 500, route
            assert response.status != 401, route


async def test_without_a_login_only_open_routes_answer(site: Any) -> None:
    for route, need in ROUTES.items():
        method, path = address(route)
        if need in (NOBODY, ANYBODY):
            continue
        async with site.client.request(method, path, allow_redirects=False) as response:
            wanted = (
                401 if path.startswith(("/api/v1/", "/api/openapi", "/odata/")) else 303 if method == "GET" else 403
            )
            assert response.status == wanted, (route, response.status)


async def test_without_the_token_of_his_forms_nobody_changes_anything(site: Any) -> None:
    await site.log_in_as("owner")
    for route, need in ROUTES.items():
        method, path = address(route)
        if method != "GET" and need not in (NOBODY, ANYBODY):
            async with site.client.request(method, path, allow_redirects=False) as response:
                assert response.status == 403, route


# ---- whose calls


async def ring(site: Any, did: str, line: str, *, recorded: bool = True) -> str:
    """A call to a number, put through to a line; its id."""
    now = site.clock[0]
    site.clock[0] += 10_000
    key = f"{did[-3:]}.{now}"
    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    await journal.apply(
        [
            Arrived(key, now, key, "PJSIP/t-1", did, CALLER, "Алексей"),
            Routed(key, now + 1, "1", line, "ctserver"),
            CallerHungUp(key, now + 900, 16),
        ]
    )
    row = await site.db.one("SELECT id FROM calls WHERE linkedid = $1", (key,))
    id = str(row["id"])
    if recorded:
        make_wave(site.recordings / f"{id}.wav")
        await site.db.write(lambda tx: recordings.expect(tx, id, now))
        await site.db.write(lambda tx: recordings.adopted(tx, id, f"{id}.wav", 1, 1000))
    return id


@pytest.fixture
async def calls(site: Any) -> dict[str, str]:
    """Two calls of the shop, one on each line, and one of the other site."""
    return {
        "office": await ring(site, "+442079460101", "office"),
        "night": await ring(site, "+442079460102", "night"),
        "other": await ring(site, "+442079460501", "night"),
    }


@pytest.mark.parametrize(
    ("role", "sites", "lines", "seen"),
    [
        ("owner", "", "", {"office", "night", "other"}),
        ("manager", "", "", {"office", "night", "other"}),
        ("manager", "other", "", {"other"}),
        ("operator", "", "office", {"office"}),
        ("operator", "", "night", {"night", "other"}),
        ("operator", "shop", "night", {"night"}),
        ("operator", "", "", set()),
        ("analyst", "", "", {"office", "night", "other"}),
        ("client", "shop", "", {"office", "night"}),
        ("client", "", "", set()),
    ],
)
async def test_whose_calls_a_person_sees(
    site: Any, calls: dict[str, str], role: str, sites: str, lines: str, seen: set[str]
) -> None:
    await site.log_in_as(role, sites=sites, lines=lines)
    html = await site.page("/calls/rows")
    hears = may(Role(role), Right.LISTEN)
    for name, id in calls.items():
        shown = name in seen
        assert (f"/calls/{id}" in html) is shown, name
        assert (await site.get(f"/calls/{id}")).status == (200 if shown else 404), name
        for file in ("recording", "peaks.json"):
            wanted = 403 if not hears else 200 if shown else 404
            assert (await site.get(f"/calls/{id}/{file}")).status == wanted, name
        if shown:
            page = await site.page(f"/calls/{id}")
            for other, other_id in calls.items():
                assert (f"/calls/{other_id}" in page) <= (other in seen), f"{name} names {other}"


async def test_an_analyst_sees_no_callers_and_cannot_search_for_them(site: Any, calls: dict[str, str]) -> None:
    await site.log_in_as("analyst")
    for path in ("/calls", "/calls/rows", f"/calls/{calls['office']}"):
        html = await site.page(path)
        assert "+44 77•• ••••23" in html
        for secret in ("900123", "900 123", CALLER, "Алексей"):
            assert secret not in html, path
    for search in ("7700900123", "Алексей"):
        assert calls["office"] not in await site.page(f"/calls/rows?q={search}")
    assert "You are not allowed to play recordings." in await site.page(f"/calls/{calls['office']}")


async def test_numbers_and_pools_are_those_of_ones_sites(site: Any) -> None:
    await site.log_in_as("client", sites="other")
    overview = await site.page("/")
    assert '<a href="/pools">others</a>' in overview
    assert '<a href="/pools">small</a>' not in overview
    for path in ("/numbers", "/numbers/rows", "/pools"):
        html = await site.page(path)
        assert "others" in html
        for strange in ("pool-small", "pool small", ">small", "0101", "0190", "shop"):
            assert strange not in html, (path, strange)
    assert "/testcall" not in await site.page("/numbers")
    assert (await site.get("/api/v1/numbers/+442079460501/holder")).status == 200
    assert (await site.get("/api/v1/numbers/+442079460101/holder")).status == 404


async def test_filters_offer_only_what_is_ones_own(site: Any) -> None:
    for role, own, numbers, lamp in (
        ("client", {"sites": "other"}, {"0501"}, True),
        ("client", {"sites": "shop"}, {"0101", "0102", "0103", "0190"}, False),
        ("operator", {"lines": "night"}, {"0190", "0501"}, True),
    ):
        await site.log_in_as(role, **own)
        offered = await site.page("/calls/suggest")
        assert {number[-4:] for number in re.findall(r'value="(\+\d+)"', offered)} == numbers
        for path in ("/calls", "/reports"):
            assert (">lamp<" in await (await site.get(path)).text()) is (
                lamp and (role, path) != ("operator", "/reports")
            )


async def test_a_question_for_the_head_alone_gets_no_body_on_any_route(site: Any, raw: Any) -> None:
    await site.log_in_as("owner")
    cookie = next(f"{one.key}={one.value}" for one in site.client.session.cookie_jar if one.key == COOKIE)
    for route in ROUTES:
        method, path = address(route.replace("{kind}", "csv"))
        if method == "GET":
            asked = f"HEAD {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            head, _, body = (await raw(asked.encode())).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), route
            assert body == b"", route


async def test_a_manager_of_one_site_places_test_calls_to_its_numbers_only(site: Any) -> None:
    csrf = await site.log_in_as("manager", sites="other")
    assert (await site.post("/testcall", {"number": "+442079460101", "csrf": csrf})).status == 400
    assert (await site.post("/testcall", {"number": "+442079460501", "csrf": csrf})).status == 303
    assert site.placed == ["+442079460501"]


async def test_numbers_pools_and_test_calls_are_those_of_ones_lines(site: Any) -> None:
    csrf = await site.log_in_as("manager", lines="night")
    for path in ("/numbers", "/numbers/rows", "/pools", "/"):
        html = await site.page(path)
        assert "others" in html, path
        for strange in ("pool-small", "pool small", ">small", "0101"):
            assert strange not in html, (path, strange)
    answer = await (await site.get("/api/v1/numbers")).json()
    assert {row["number"][-4:] for row in answer["data"]} == {"0190", "0501"}
    assert [pool["id"] for pool in (await (await site.get("/api/v1/pools")).json())["data"]] == ["others"]
    assert (await site.post("/testcall", {"number": "+442079460101", "csrf": csrf})).status == 400
    assert (await site.post("/testcall", {"number": "+442079460190", "csrf": csrf})).status == 303


async def test_a_role_that_changes_holds_at_once(site: Any) -> None:
    await site.log_in_as("manager")
    assert (await site.get("/numbers")).status == 200
    await site.db.run(
        lambda connection: connection.execute("UPDATE users SET role = 'operator' WHERE login = 'manager'").close()
    )
    assert (await site.get("/numbers")).status == 403
