"""Whose number and whose call it is stays hidden on every route of the rights table: pages, files, the API and both streams."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import zipfile
from typing import Any

import pytest

from ctserver.domain.rights import TABLE, Right, Role
from ctserver.http.rights import NOBODY, ROUTES, SOMEBODY
from ctserver.services import visits
from ctserver.services.visits import PageView
from ctserver.storage import callbacks, marks

from .test_pages import ring as ring_with_path
from .test_pause import talk
from .test_rights import OTHER_SITE
from .test_rights import ring as missed

WISHED = "+447400123456"
SECRETS = ("900123", "900 123", "Алексей", "400123456", "7400 123456")
"""Of the caller, his name, and the visitor who waits to be rung: none may be read by an analyst."""
NOTE = "<script>alert('note')</script>"  # of the shop
STREAMS = {"/events": "?page=live", "/api/v1/events": ""}  # with what they tell most
SECONDS = 0.5  # a stream is read so long


@pytest.fixture
def toml(toml: Any) -> Any:
    toml.write_text(toml.read_text() + OTHER_SITE)
    return toml


@pytest.fixture
async def ids_of(site: Any) -> dict[str, str]:
    """A call of each kind in the shop, and what belongs to it."""
    call = await ring_with_path(site, wave_file=True)
    await missed(site, "+442079460102", "office")
    await talk(site)
    now = site.clock[0]
    wish = callbacks.Callback("w" * 26, "site", "shop", "", "", WISHED, "office", "", "", "", now, now)
    await site.db.write(lambda tx: callbacks.add(tx, wish))
    await site.db.write(lambda tx: marks.put_note(tx, call, NOTE, "alice", now))
    for sql in (
        """UPDATE sessions SET properties = '{"name": "Алексей", "tel": "07700 900123"}'""",
        f"UPDATE calls SET keys = '07700900123' WHERE id = '{call}'",
    ):
        await site.db.run(lambda connection, sql=sql: connection.execute(sql).close())
    row = await site.db.one(
        "SELECT session, visitor FROM calls JOIN sessions ON sessions.id = session WHERE calls.id = $1", (call,)
    )
    return {"call": call, "session": row["session"], "visitor": row["visitor"]}


def addresses(found: dict[str, str]) -> dict[str, str]:
    """Every GET route for somebody who is logged in, with the ids of the shop's call."""
    made = {}
    for route, need in ROUTES.items():
        path = route.removeprefix("GET ")
        if not route.startswith("GET ") or not (isinstance(need, Right) or need is SOMEBODY):
            continue
        kind = "session" if "/sessions/" in path else "visitor" if "/visitors/" in path else "call"
        path = path.replace("{id}", found[kind]).replace("{number}", "+442079460101").replace("{kind}", "xlsx")
        made[route] = re.sub(r"\{\w+\}", "x", path)
    return made


async def read(site: Any, path: str) -> tuple[int, str]:
    """Status and text; what is packed is unpacked, of a stream its beginning."""
    beginning = {"Last-Event-ID": "0."} if path in STREAMS else {}
    address = path + STREAMS.get(path, "")
    async with site.client.get(address, headers=beginning, allow_redirects=False) as response:
        body = b""
        if path in STREAMS and response.status == 200:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECONDS):
                    async for part in response.content.iter_any():
                        body += part
        else:
            body = await response.read()
        if path.endswith(".xlsx") and body.startswith(b"PK"):
            packed = zipfile.ZipFile(io.BytesIO(body))
            body = b"".join(packed.read(name) for name in packed.namelist())
        return response.status, body.decode("utf-8", "replace")


async def test_an_analyst_reads_no_callers_number_and_no_name_anywhere(site: Any, ids_of: dict[str, str]) -> None:
    await site.log_in_as("analyst")
    opened = 0
    for route, path in addresses(ids_of).items():
        status, text = await read(site, path)
        assert status < 500, route
        for secret in SECRETS:
            assert secret not in text, (route, secret)
        opened += status == 200
        may = ROUTES[route] is SOMEBODY or ROUTES[route] in TABLE[Role.ANALYST]
        assert may or status == 403, (route, status)
    assert opened >= 35
    for path in ("/calls/rows?q=%2B447700900123", "/calls/suggest?q=77009", "/api/v1/calls?caller=%2B447700900123"):
        _, text = await read(site, path)
        assert ids_of["call"] not in text, path


async def test_the_same_routes_tell_an_owner_so_that_the_walk_could_fail(site: Any, ids_of: dict[str, str]) -> None:
    await site.log_in_as("owner")
    telling = set()
    for path in addresses(ids_of).values():
        for _ in range(5):  # on a busy machine a stream may have told nothing yet
            status, text = await read(site, path)
            if path not in STREAMS or any(secret in text for secret in SECRETS):
                break
        assert NOTE not in text or path.startswith(("/api/", "/odata/")) or path.endswith(".xlsx"), path
        if status == 200 and any(secret in text for secret in SECRETS):
            telling.add(path)
    call = ids_of["call"]
    assert telling >= {
        "/calls", "/calls/rows", f"/calls/{call}", f"/visitors/{ids_of['session']}", "/calls/export.xlsx", "/missed", "/live", "/events",
        "/api/v1/calls", f"/api/v1/calls/{call}", "/api/v1/events", "/api/v1/feeds/calls.json",
        "/api/v1/feeds/calls.csv", "/odata/v4/Calls",
    }  # fmt: skip


async def test_another_sites_call_visitor_and_numbers_are_not_there_by_any_route(
    site: Any, ids_of: dict[str, str]
) -> None:
    await site.log_in_as("client", sites="other")
    for route, path in addresses(ids_of).items():
        status, text = await read(site, path)
        assert status < 500, route
        if "{id}" in route or "{number}" in route:
            assert status in (403, 404), (route, status)
        if ROUTES[route] is not SOMEBODY or path == "/":
            hidden = {*SECRETS, NOTE, *ids_of.values()} - {
                id for id in ids_of.values() if id in path
            }  # a page names itself
            for secret in hidden:
                assert secret not in text, (route, secret)


async def test_whoever_was_given_lines_reads_of_visitors_what_led_to_his_calls_and_nothing_else(
    site: Any, ids_of: dict[str, str]
) -> None:
    looks = PageView("shop", "", "https://shop.example/only-looks", "", "", ("main",))
    shown = await visits.record(site.db, site.settings, [], looks, site.clock[0])
    telling = set()
    for role, given in (("owner", {}), ("manager", {"lines": "office"})):
        await site.log_in_as(role, **given)
        for route, path in addresses({**ids_of, "session": shown.session, "visitor": shown.visitor}).items():
            status, text = await read(site, path)
            if not given:
                telling |= {path} if "only-looks" in text else set()
                continue
            assert ROUTES[route] is not Right.VISITORS or status == 403, route
            assert "only-looks" not in text, (role, route)
            assert shown.session not in text.replace(path, ""), (role, route)
            assert "+442079460190" not in text, (role, route)  # of the line `night`
        if given:
            assert "title x" in await site.page(f"/calls/{ids_of['call']}")
    assert telling >= {
        "/visitors",
        "/visitors/rows",
        f"/visitors/{shown.session}",
        "/live",
        "/numbers",
        "/events",
        "/api/v1/sessions",
    }


def test_every_stream_of_the_table_is_read() -> None:
    assert {f"GET {path}" for path in STREAMS} <= set(ROUTES)
    assert NOBODY not in {ROUTES[f"GET {path}"] for path in STREAMS}
