"""The API: tokens, scopes, pages and changes, errors, feeds, OData, metrics; and its description."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ctserver.http.auth import ASKED_AGAIN_SECONDS
from ctserver.http.rights import ROUTES
from tests.conftest import PATIENCE

from .test_pages import EVIL, ring
from .test_people import csrf, found, send

ALL = (
    "calls",
    "callers",
    "listen",
    "download",
    "export",
    "reports",
    "visitors",
    "numbers",
    "work",
    "system",
    "deliveries",
)


async def token(site: Any, *scopes: str, days: str = "0") -> str:
    """Made on the account page."""
    data = [
        ("csrf", await csrf(site)),
        ("name", "sheet"),
        ("days", days),
        *(("scope", scope) for scope in scopes or ALL),
    ]
    response = await site.post("/account/tokens", data)
    return found(r'<code id="token">(ct_[\w-]+)</code>', await response.text())


class Program:
    """Asks with a token and no cookies."""

    def __init__(self, site: Any, key: str) -> None:
        self.site = site
        self.headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **headers: str) -> Any:
        return await self.site.get(path, headers={**self.headers, **headers})

    async def post(self, path: str) -> Any:
        return await self.site.post(path, headers=self.headers)

    async def json(self, path: str) -> Any:
        response = await self.get(path)
        assert response.status == 200, (path, await response.text())
        return await response.json()


@pytest.fixture
async def program(alice: Any) -> Program:
    """With a token of alice, who is then logged out of this browser."""
    key = await token(alice)
    alice.client.session.cookie_jar.clear()
    return Program(alice, key)


# ---- tokens


async def test_a_token_is_shown_once_and_kept_as_a_hash(alice: Any) -> None:
    key = await token(alice)
    assert key not in await alice.page("/account")
    assert key not in str([tuple(row) for row in await alice.db.fetch("SELECT * FROM tokens")])


@pytest.mark.parametrize("how", ["bearer", "basic", "query"])
async def test_a_token_comes_as_bearer_as_password_or_in_the_address(program: Program, how: str) -> None:
    key = program.headers["Authorization"].split()[1]
    site, path = program.site, "/api/v1/calls"
    if how == "query":
        response = await site.get(f"{path}?api_key={key}")
    elif how == "basic":
        import base64

        response = await site.get(
            path, headers={"Authorization": "Basic " + base64.b64encode(f"x:{key}".encode()).decode()}
        )
    else:
        response = await site.get(path, headers=program.headers)
    assert response.status == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic !!", "Basic eA==", "Digest x", "Bearer \udcff"])
async def test_without_a_good_token_there_is_a_problem(site: Any, header: str) -> None:
    response = await site.get("/api/v1/calls", headers={"Authorization": header})
    assert response.status == 401
    assert response.content_type == "application/problem+json"
    assert (await response.json())["title"] == "Unauthorized"
    assert "Bearer" in response.headers["WWW-Authenticate"]


async def test_a_token_may_what_was_ticked_and_opens_no_page(alice: Any) -> None:
    key = await token(alice, "calls")
    call = await ring(alice, wave_file=True)
    alice.client.session.cookie_jar.clear()
    program = Program(alice, key)
    one = await program.json(f"/api/v1/calls/{call}")
    assert (one["caller"], one["caller_name"], one["recording"]) == ("+44 77•• ••••23", "", False)
    for path in ("/api/v1/sessions", f"/api/v1/calls/{call}/recording/sound", "/api/v1/feeds/calls.csv", "/metrics"):
        response = await program.get(path)
        assert (response.status, response.content_type) == (403, "application/problem+json"), path
    assert (await program.get("/api/v1/calls?caller=%2B447700900123")).status == 403
    assert (await program.get("/calls")).status == 303


async def test_a_token_falls_with_the_role_of_its_user(alice: Any, program: Program) -> None:
    sql = "UPDATE users SET role = 'client', sites = 'other'"
    call = await ring(alice)
    await alice.db.run(lambda connection: connection.execute(sql).close())
    assert (await program.json("/api/v1/calls"))["data"] == []
    assert (await program.get(f"/api/v1/calls/{call}")).status == 404
    assert (await program.get("/metrics")).status == 403


async def test_a_token_ends_and_can_be_revoked(alice: Any) -> None:
    short, other = await token(alice, "calls", days="30"), await token(alice, "calls")
    row = await alice.db.one("SELECT id FROM tokens WHERE expires_at IS NULL")
    await send(alice, "/account/tokens/revoke", id=row["id"])
    alice.client.session.cookie_jar.clear()
    assert (await Program(alice, other).get("/api/v1/calls")).status == 401
    assert (await Program(alice, short).get("/api/v1/calls")).status == 200
    alice.clock[0] += 30 * 86_400_000
    assert (await Program(alice, short).get("/api/v1/calls")).status == 401


@pytest.mark.parametrize("overrides", [{"api.per_minute": "40"}])
async def test_a_token_that_asks_too_often_must_wait(program: Program) -> None:
    answers = [(await program.get("/api/v1/tags")).status for _turn in range(12)]
    assert answers == [200] * 10 + [429] * 2
    program.site.clock[0] += 60_000
    assert (await program.get("/api/v1/tags")).status == 200


# ---- calls


async def test_a_call_has_its_fields(alice: Any, program: Program) -> None:
    call = await ring(alice)
    one = await program.json(f"/api/v1/calls/{call}")
    assert one["caller"] == "+447700900123"
    assert one["arrived_at"] == "2023-11-14T22:13:16.000Z"
    assert (one["outcome"], one["talk_seconds"], one["source"], one["line"]) == ("answered", 1, "x", "office")
    assert one["click_ids"] == {"gclid": "x"}
    [leg] = (await program.json(f"/api/v1/calls/{call}/legs"))["data"]
    assert (leg["status"], leg["cause"]) == ("ANSWER", 16)
    session = await program.json(f"/api/v1/sessions/{one['session']}")
    assert [visit["title"] for visit in session["visits"]] == ["title x"]
    assert "tapped" in [signal["kind"] for signal in session["signals"]]
    assert (await program.json(f"/api/v1/visitors/{session['visitor']}"))["sessions"] == 1
    assert [row["id"] for row in (await program.json("/api/v1/sessions"))["data"]] == [session["id"]]


async def many(site: Any, count: int) -> list[str]:
    """Calls, the newest first."""
    from ctserver.domain.call import Arrived
    from ctserver.services.attribution import Attributor
    from ctserver.services.calls import Journal

    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    at = site.clock[0]
    await journal.apply(
        [
            Arrived(f"{n}.1", at + n, f"{n}.1", "PJSIP/t", "+442079460101", f"+44770090{n:04}", "=1+1")
            for n in range(count)
        ]
    )
    return [row["id"] for row in await site.db.fetch("SELECT id FROM calls ORDER BY arrived_at DESC")]


async def walk(program: Program, path: str) -> list[str]:
    ids: list[str] = []
    following: str | None = path
    while following:
        page = await program.json(following)
        ids += [call["id"] for call in page["data"]]
        following = page["next"]
    return ids


async def test_pages_bring_every_call_once(alice: Any, program: Program) -> None:
    ids = await many(alice, 25)
    assert await walk(program, "/api/v1/calls?limit=10") == ids
    assert await walk(program, "/api/v1/calls?limit=25") == ids
    since = alice.clock[0] + 20
    assert await walk(program, f"/api/v1/calls?since={since}&limit=2") == ids[:5]
    assert await walk(program, "/api/v1/calls?caller=%2B447700900003") == [ids[21]]
    assert await walk(program, "/api/v1/calls?site=other") == []


async def test_notes_come_page_by_page(alice: Any, program: Program) -> None:
    calls = await many(alice, 5)
    for call in calls[:3]:
        await alice.client.patch(f"/api/v1/calls/{call}", json={"note": "n"}, headers=program.headers)
    found, following = [], "/api/v1/notes?limit=2"
    while following:
        page = await program.json(following)
        found += [note["call"] for note in page["data"]]
        following = page["next"]
    assert found == sorted(calls[:3], reverse=True)


async def test_who_asks_for_changes_misses_none(alice: Any, program: Program) -> None:
    from ctserver.storage import calls, recordings

    ids = await many(alice, 12)
    cursor = (await program.json("/api/v1/calls?limit=1"))["cursor"]
    assert (await program.json(f"/api/v1/calls?updated_after={cursor}"))["data"] == []
    for id in (ids[3], ids[0], ids[3], ids[7]):
        await alice.db.write(lambda tx, id=id: calls.touch(tx, id))
    await alice.db.write(lambda tx: recordings.expect(tx, ids[5], 0))
    assert await walk(program, f"/api/v1/calls?updated_after={cursor}&limit=2") == [ids[0], ids[3], ids[7]]
    await alice.db.write(lambda tx: recordings.adopted(tx, ids[5], "a.wav", 1, 1000))
    [*_, heard] = (await program.json(f"/api/v1/calls?updated_after={cursor}"))["data"]
    assert (heard["id"], heard["recording"]) == (ids[5], True)
    await alice.db.write(lambda tx: calls.touch(tx, ids[0]))
    assert await walk(program, f"/api/v1/calls?updated_after={cursor}&limit=2") == [ids[3], ids[7], ids[5], ids[0]]
    last = (await program.json(f"/api/v1/calls?updated_after={cursor}"))["cursor"]
    assert (await program.json(f"/api/v1/calls?updated_after={last}"))["data"] == []
    assert len(await walk(program, "/api/v1/calls?updated_after=2001-01-01")) == 12


async def test_category_note_and_tags_are_set_and_written_down(alice: Any, program: Program) -> None:
    call = await ring(alice)
    path = f"/api/v1/calls/{call}"
    body = {"category": "order", "value": 12550, "note": EVIL, "tags": ["VIP", "again"]}
    response = await alice.client.patch(path, json=body, headers=program.headers)
    one = await response.json()
    assert response.status == 200
    assert (one["category"], one["value"], one["note"], sorted(one["tags"])) == ("order", 12550, EVIL, ["again", "vip"])
    [note] = (await program.json("/api/v1/notes"))["data"]
    assert (note["call"], note["text"], note["login"]) == (call, EVIL, "alice")
    response = await alice.client.patch(path, json={"tags": ["again"], "value": None}, headers=program.headers)
    one = await response.json()
    assert (one["category"], one["value"], one["tags"]) == ("order", None, ["again"])
    assert (await program.json("/api/v1/tags"))["data"] == [{"tag": "again", "calls": 1}]
    row = await alice.db.one("SELECT * FROM audit WHERE action = 'call changed' ORDER BY id LIMIT 1")
    assert (row["via"], row["login"], row["subject"]) == ("api", "alice", call)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"category": "nonsense"}, 422),
        ({"value": -1}, 422),
        ({"tags": [""]}, 422),
        ({"unknown": 1}, 422),
        ([], 422),
        ("x", 422),
    ],
)
async def test_what_cannot_be_set_is_told(alice: Any, program: Program, body: Any, status: int) -> None:
    path = f"/api/v1/calls/{await ring(alice)}"
    response = await alice.client.patch(path, json=body, headers=program.headers)
    assert (response.status, response.content_type) == (status, "application/problem+json")
    for data, kind, wanted in (("{", "application/json", 400), ("a=b", "application/x-www-form-urlencoded", 415)):
        response = await alice.client.patch(path, data=data, headers={**program.headers, "Content-Type": kind})
        assert response.status == wanted


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=1001", "since=yesterday", "since=99999999999999999", "outcome=maybe", "nonsense=1", "cursor=%00", "cursor=x.y",
     "updated_after=never", "since=%F0%9F%98%80"],
)  # fmt: skip
async def test_a_wrong_question_is_told(program: Program, query: str) -> None:
    response = await program.get(f"/api/v1/calls?{query}")
    assert (response.status, response.content_type) == (400, "application/problem+json"), await response.text()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json; charset=nonsense"}, 400),
        (b"{}", {"Content-Type": "application/json; charset=base64"}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 60_000, {}, 400),
        (b"not packed", {"Content-Encoding": "gzip"}, 400),
        (b" " * 70_000, {}, 413),
        (b"a=\xff", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem_and_no_failure(
    alice: Any, caplog: Any, body: bytes, headers: dict[str, str], status: int
) -> None:
    program = Program(alice, await token(alice, "calls", "work", "block"))
    kind = {"Content-Type": "application/json", "Connection": "close", **program.headers, **headers}
    for method, path in (("PATCH", f"/api/v1/calls/{await ring(alice)}"), ("PUT", "/api/v1/blocked/+447700900123")):
        response = await alice.client.request(method, path, data=body, headers=kind)
        assert (response.status, response.content_type) == (status, "application/problem+json"), (path, headers)
        assert (await response.json())["status"] == status
    assert not caplog.records


async def test_who_has_the_answer_already_is_told_so(alice: Any, program: Program) -> None:
    path = f"/api/v1/calls/{await ring(alice)}"
    tag = (await program.get(path)).headers["ETag"]
    response = await program.get(path, **{"If-None-Match": tag})
    assert (response.status, await response.read()) == (304, b"")
    assert (await program.get(path, **{"If-None-Match": '"other"'})).status == 200


async def test_the_sound_is_taken_away_and_written_down(alice: Any, program: Program) -> None:
    call = await ring(alice, wave_file=True)
    assert (await program.json(f"/api/v1/calls/{call}/recording"))["state"] == "ready"
    response = await program.get(f"/api/v1/calls/{call}/recording/sound")
    assert (await response.read())[:4] == b"RIFF"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert await alice.db.one("SELECT 1 FROM audit WHERE action = 'downloaded' AND subject = $1", (call,)) is not None


async def test_reports_numbers_and_pools_answer(alice: Any, program: Program) -> None:
    await ring(alice)
    report = await program.json("/api/v1/reports?by=source&since=2023-11-01&until=2023-12-01")
    assert report["total"]["calls"] == 1
    assert [line["value"] for line in report["lines"]][:1] == ["x / x"]
    for query, calls in (
        ("channel=-", 0),
        ("line=office", 1),
        ("source=x&line=office", 1),
        ("source=y", 0),
        ("number=%2B1", 0),
    ):
        narrowed = await program.json(f"/api/v1/reports?by=source&since=2023-11-01&until=2023-12-01&{query}")
        assert narrowed["total"]["calls"] == calls, query
    assert {row["number"] for row in (await program.json("/api/v1/numbers"))["data"]} >= {
        "+442079460101",
        "+442079460190",
    }
    [pool] = (await program.json("/api/v1/pools"))["data"]
    assert (pool["id"], pool["numbers"], pool["shown"]) == ("small", 3, 1)
    for query in ("by=nonsense", "zone=Mars/Phobos", "since=2023-12-02&until=2023-12-01", "unit=hour&since=1971-01-01"):
        assert (await program.get(f"/api/v1/reports?{query}")).status == 400, query


async def test_the_stream_brings_changes_and_goes_on_where_one_was(alice: Any, program: Program) -> None:
    from ctserver.http.deps import DEPS

    call = await ring(alice)
    begin = (await program.json(f"/api/v1/calls/{call}"))["updated_at"]
    assert begin
    async with asyncio.timeout(PATIENCE):
        response = await program.get("/api/v1/events", **{"Last-Event-ID": "0."})
        text = ""
        while "\n\n" not in text.partition("event: call")[2]:
            text += (await response.content.readany()).decode()
        assert json.loads(text.split("data: ")[1].split("\n")[0])["id"] == call
        alice.client.server.app[DEPS].live.close()
        await response.read()


async def test_the_stream_brings_at_once_what_only_the_table_tells(alice: Any, program: Program) -> None:
    call = await ring(alice)
    async with asyncio.timeout(10):
        response = await program.get("/api/v1/events")
        await response.content.readuntil(b"\n\n")
        body = {"note": "rang about knots"}
        assert (await alice.client.patch(f"/api/v1/calls/{call}", json=body, headers=program.headers)).status == 200
        assert b"about knots" in await response.content.readuntil(b"\n\n")


async def test_the_stream_ends_with_its_token(alice: Any, program: Program) -> None:
    async with asyncio.timeout(PATIENCE):
        response = await program.get("/api/v1/events")
        await response.content.readuntil(b"\n\n")
        await alice.db.run(lambda connection: connection.execute("DELETE FROM tokens").close())
        await asyncio.sleep(ASKED_AGAIN_SECONDS)
        await ring(alice)
        alice.live.changed()
        assert b"event: call" not in await response.read()


# ---- feeds


async def test_a_feed_is_flat_whole_and_no_formula(alice: Any, program: Program) -> None:
    ids = await many(alice, 12)
    rows = await program.json("/api/v1/feeds/calls.json")
    assert [row["id"] for row in rows] == ids[::-1]
    text = await (await program.get("/api/v1/feeds/calls.csv?separator=;&bom=1")).text()
    assert text.startswith("\ufeff")
    table = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff")), delimiter=";"))
    assert [row["id"] for row in table] == ids[::-1]
    assert {row["caller_name"] for row in table} == {"'=1+1"}
    assert table[0]["caller"] == "+447700900000"
    assert await program.json("/api/v1/feeds/calls.json?site=other") == []
    assert (await program.get("/api/v1/feeds/calls.csv?separator=x")).status == 400


async def test_odata_is_read_as_excel_does(alice: Any, program: Program) -> None:
    ids = await many(alice, 12)
    assert (await program.json("/odata/v4/"))["value"][0]["name"] == "Calls"
    metadata = await (await program.get("/odata/v4/$metadata")).text()
    assert 'Name="arrived_at" Type="Edm.DateTimeOffset"' in metadata
    page = await program.json("/odata/v4/Calls?$top=2&$select=id,arrived_at")
    assert page["value"][0] == {"id": ids[-1], "arrived_at": "2023-11-14T22:13:20.000Z"}
    narrow = (
        "arrived_at ge 2023-11-14T22:13:20.002Z and arrived_at lt 2023-11-14T22:13:20.005Z and did eq '+442079460101'"
    )
    found = await program.json(f"/odata/v4/Calls?$filter={narrow.replace('+', '%2B')}")
    assert [row["id"] for row in found["value"]] == ids[::-1][2:5]
    assert len((await program.json("/odata/v4/Calls?$filter=updated_at ge 2001-01-01T00:00:00Z"))["value"]) == 12
    for query, status in (("$skip=1", 501), ("$filter=site ne 'x'", 501), ("$filter=(", 501), ("$select=nothing", 400), ("$top=x", 400),
                          ("$filter=arrived_at ge 'x'", 400), ("$orderby=site", 501), ("$filter=source eq ''", 501), ("$format=xml", 501),
                          ("$filter=source eq 'a' and source eq 'b'", 501), ("$filter=arrived_at ge 2001-01-01 and arrived_at gt 2000-01-01", 501),
                          ("$filter=updated_at ge 2001-01-01&$orderby=arrived_at", 501)):  # fmt: skip
        response = await program.get(f"/odata/v4/Calls?{query}")
        assert response.status == status, query


# ---- metrics, CORS, description


async def test_metrics_are_for_this_machine_and_the_right_token(alice: Any, program: Program) -> None:
    await ring(alice)
    text = await (await program.get("/metrics")).text()
    assert 'ctserver_up{part="AMI"} 1.0' in text
    assert 'ctserver_calls_day{outcome="answered"} 1.0' in text
    assert 'ctserver_pool_numbers{pool="small"} 3.0' in text
    assert "4477" not in text
    assert (await alice.get("/metrics")).status == 200
    assert (await alice.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status == 401


async def test_the_board_for_grafana_shows_what_there_is(alice: Any, program: Program, root: Path) -> None:
    await ring(alice)
    text = await (await program.get("/metrics")).text()
    board = json.loads((root / "docs" / "grafana.json").read_text())
    asked = set(
        re.findall(r"\bctserver_\w+", " ".join(one["expr"] for panel in board["panels"] for one in panel["targets"]))
    )
    assert len(asked) >= 5
    assert asked <= set(re.findall(r"^(ctserver_\w+)", text, re.M))


@pytest.mark.parametrize("overrides", [{"api.metrics_from": "[]"}, {"server.trust_proxy": "true"}])
async def test_metrics_are_closed_to_everybody_else(site: Any) -> None:
    assert (await site.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"})).status == 401


async def test_other_websites_may_not_ask(program: Program) -> None:
    response = await program.get("/api/v1/tags", Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in response.headers
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    response = await program.site.client.options("/api/v1/tags", headers=preflight)
    assert response.status in (401, 405)
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("overrides", [{"api.origins": '["https://bi.example"]'}])
async def test_those_that_are_named_may_with_a_token(program: Program) -> None:
    response = await program.site.client.options("/api/v1/tags", headers={"Origin": "https://bi.example"})
    assert response.status == 204
    response = await program.get("/api/v1/tags", Origin="https://bi.example")
    assert response.headers["Access-Control-Allow-Origin"] == "https://bi.example"
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_the_description_has_every_operation_with_its_right(alice: Any) -> None:
    document = await (await alice.get("/api/openapi.json")).json()
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described == {route for route in ROUTES if " /api/v1/" in route}
    for methods in document["paths"].values():
        for one in methods.values():
            assert "Takes the right `" in one["description"]
    for name, schema in document["components"]["schemas"].items():
        for field, part in schema["properties"].items():
            if field in ("at", "start", "until") or field.endswith(("_at", "_until")):
                assert "date-time" in str(part), (name, field)
    html = await alice.page("/api/docs")
    assert "/api/v1/calls/{id}/recording/sound" in html
