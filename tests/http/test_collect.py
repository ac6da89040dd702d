"""What visitors' pages call: good answers, refusals with a reason, and bodies that are too much."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ctserver.http import front
from ctserver.http.asked import MAX_BODY
from tests.conftest import PATIENCE

Raw = Callable[..., Awaitable[bytes]]
ORIGIN = {"Origin": "https://www.shop.example"}
VISIT: dict[str, Any] = {
    "s": "shop",
    "v": "",
    "u": "https://shop.example/?utm_source=x",
    "r": "",
    "t": "Bikes",
    "n": ["main"],
}


async def visit(site: Any, headers: dict[str, str] | None = None, **changed: Any) -> Any:
    body = json.dumps({**VISIT, **changed})
    return await site.post("/v1/visit", body, headers=headers or ORIGIN)


async def test_a_visit_gets_a_number(site: Any) -> None:
    response = await visit(site)
    answer = await response.json()
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert answer["n"]["main"]["n"] == "+442079460101"
    assert answer["n"]["main"]["f"] == ["+44 20 7946 0101", "020 7946 0101"]
    assert (answer["h"], len(answer["v"])) == (1800, 26)


async def test_every_target_of_a_page_gets_its_number(site: Any) -> None:
    main = site.settings.sites["shop"].all_targets["main"]
    names = [f"t{n}" for n in range(30)]
    site.settings.sites["shop"].all_targets.update(dict.fromkeys(names, main))
    answer = await (await visit(site, n=names)).json()
    assert list(answer["n"]) == names


async def test_the_same_visitor_keeps_the_number(site: Any) -> None:
    first = await (await visit(site)).json()
    site.clock[0] += 60_000
    second = await (await visit(site, v=first["v"], u="https://shop.example/about")).json()
    assert second == first


async def test_what_was_answered_is_in_the_database(site: Any) -> None:
    answers = await asyncio.gather(*(visit(site) for _ in range(20)))
    sessions = {(await answer.json())["e"] for answer in answers}
    assert {row["id"] for row in await site.db.fetch("SELECT id FROM sessions")} == sessions


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ('{"a":' * 10_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ("{}", "no such site"),
        ('{"s": "nope"}', "no such site"),
        ('{"s": ["shop"]}', "no such site"),
        ('{"s": "shop", "u": "https://evil.example/"}', "domains"),
        ('{"s": "shop", "u": "https://notshop.example/"}', "domains"),
        ('{"s": "shop", "u": "http://[::1"}', "domains"),
        ('{"s": "shop"}', "domains"),
    ],
)
async def test_a_refusal_says_why(site: Any, body: Any, why: str) -> None:
    for path in ("/v1/visit", "/v1/signal"):
        response = await site.post(path, body)
        assert response.status == 204
        assert why in response.headers["X-Ct-Refused"]
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert not await site.db.fetch("SELECT id FROM visits")


async def test_a_page_of_another_origin_is_refused_whatever_it_says(site: Any) -> None:
    response = await visit(site, {"Origin": "https://evil.example"})
    assert "domains" in response.headers["X-Ct-Refused"]


@pytest.mark.parametrize(
    "value", [None, 5, [], {}, True, "\ud800", "\x00", "x" * 5000, "http://[", "javascript:alert(1)"]
)
@pytest.mark.parametrize("key", ["v", "u", "r", "t", "n"])
async def test_strange_values_are_taken_as_nothing(site: Any, key: str, value: Any) -> None:
    response = await visit(site, **{key: value})
    assert response.status == 200
    rows = await site.db.fetch("SELECT url, title, referrer FROM visits")
    assert all(len(text) <= 2000 and "\x00" not in text for text in rows[0])


async def test_a_visitor_cannot_choose_his_id(site: Any) -> None:
    assert (await (await visit(site, v="admin")).json())["v"] != "admin"


async def test_a_signal_is_kept(site: Any) -> None:
    shown = await (await visit(site)).json()
    body = {"s": "shop", "v": shown["v"], "e": shown["e"], "k": "tapped", "n": "+442079460101"}
    response = await site.post("/v1/signal", json.dumps(body), headers=ORIGIN)
    assert response.status == 204
    assert "X-Ct-Refused" not in response.headers
    assert [row["kind"] for row in await site.db.fetch("SELECT kind FROM signals")] == ["tapped"]


@pytest.mark.parametrize("kind", ["", "Tapped!", "<script>", 5])
async def test_a_signal_of_no_kind_is_refused(site: Any, kind: Any) -> None:
    response = await site.post("/v1/signal", json.dumps({**VISIT, "k": kind}), headers=ORIGIN)
    assert response.headers["X-Ct-Refused"] == "no such signal"


# ---- bodies that are too much


async def test_a_gibibyte_is_refused_before_any_of_it_is_sent(site: Any, raw: Raw) -> None:
    for path in (b"/v1/visit", b"/login", b"/nowhere", b"/calls", b"/demo/testcall"):
        began = time.process_time()
        answer = await raw(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413"), path
        assert b"Connection: close" in answer
        assert time.process_time() - began < 1


async def test_a_gibibyte_that_is_sent_all_the_same_is_cut_off(site: Any) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", site.client.port)
    writer.write(b"POST /v1/visit HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
    sent, block = 0, b"x" * 65536
    try:
        while sent < 1 << 30:
            writer.write(block)
            await asyncio.wait_for(writer.drain(), PATIENCE)
            sent += len(block)
    except OSError:
        pass
    assert sent < 64 << 20
    writer.close()


@pytest.mark.parametrize("path", [b"/v1/visit", b"/v1/signal", b"/login"])
async def test_endless_chunks_are_cut_off(site: Any, raw: Raw, path: bytes) -> None:
    head = (
        b"POST "
        + path
        + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = await raw(head, *[chunk] * 8)
    assert b" 413 " in answer.split(b"\r\n")[0]


async def test_a_body_that_does_not_come_is_not_waited_for(
    site: Any, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.2)
    answer = await raw(b"POST /v1/visit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Connection: close" in answer
    assert not site.client.server.runner.server.connections


async def test_who_goes_in_the_middle_of_a_body_is_no_fault_of_ours(
    site: Any, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    server = site.client.server.runner.server
    server.handler_cancellation = False  # as under the command
    await raw(b"POST /v1/visit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", seconds=0.1)
    async with asyncio.timeout(PATIENCE):
        while server.connections:
            await asyncio.sleep(0.01)
    assert (await visit(site)).status == 200
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_body_of_the_allowed_size_is_read(site: Any) -> None:
    response = await site.post("/v1/visit", b" " * MAX_BODY)
    assert response.status == 204
    assert "not JSON" in response.headers["X-Ct-Refused"]


async def test_a_compressed_bomb_is_refused(site: Any) -> None:
    bomb = zlib.compress(b" " * (32 << 20), 9)
    assert len(bomb) < MAX_BODY
    began = time.process_time()
    response = await site.post("/v1/visit", bomb, headers={**ORIGIN, "Content-Encoding": "deflate"})
    assert response.status in (400, 413)
    assert time.process_time() - began < 2


async def test_rubbish_instead_of_http_does_no_harm(site: Any, raw: Raw) -> None:
    for rubbish in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ):
        assert b" 200 " not in (await raw(rubbish, seconds=1)).split(b"\r\n")[0]
    assert (await visit(site)).status == 200


async def test_the_script_of_a_site_is_served_and_revalidated(site: Any) -> None:
    first = await site.get("/ct.js?site=shop")
    assert (first.headers["Content-Encoding"], first.headers["Vary"]) == ("deflate", "Accept-Encoding")
    assert first.status == 200
    assert "+442079460000" in await first.text()
    assert (await site.get("/ct.js?site=shop", headers={"If-None-Match": first.headers["ETag"]})).status == 304
    version = first.headers["ETag"].strip('"')
    kept = await site.get(f"/ct.js?site=shop&v={version}")
    assert "immutable" in kept.headers["Cache-Control"]
    assert await kept.read() == await first.read()
    assert "immutable" not in (await site.get("/ct.js?site=shop&v=older")).headers["Cache-Control"]
    assert (await site.get("/ct.js")).status == 200
    assert (await site.get("/ct.js?site=nope")).status == 404


async def test_a_database_that_fails_is_503_and_the_page_keeps_its_number(site: Any) -> None:
    await site.db.run(lambda connection: connection.execute("ALTER TABLE visits RENAME TO gone").close())
    response = await visit(site)
    assert response.status == 503
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "visits" not in await response.text()
