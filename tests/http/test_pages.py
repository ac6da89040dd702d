"""The dashboard's pages: what they show, what they never show raw, and the recordings."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import Any

import pytest

from ctserver import ids
from ctserver.domain import source
from ctserver.domain.call import Arrived, CallerHungUp, LegDone, LegHungUp, LegRinging, LegStarted, Routed
from ctserver.http.server import CONTENT_POLICY
from ctserver.services import visits
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.visits import PageView
from ctserver.storage import leases, recordings

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
LINKEDID = "1700000000.1"


async def ring(site: Any, *, evil: bool = False, wave_file: bool = False) -> str:
    """An answered call of a visitor who came by an advertisement; its id."""
    now = site.clock[0]
    mark = EVIL if evil else "x"
    url = f"https://shop.example/{mark}?utm_source={mark}&utm_medium={mark}&utm_campaign={mark}&utm_term={mark}&gclid={mark}"
    referrer = f"https://ref.example/{mark}"
    found = source.classify(url, referrer)
    view = PageView("shop", "", url, referrer, f"title {mark}", ("main",), source=found)
    shown = await visits.record(site.db, site.settings, [], view, now - 9_000)
    await visits.note(
        site.db, site.settings, visits.Note(shown.visitor, shown.session, "tapped", shown.numbers["main"]), now - 5_000
    )
    caller = EVIL[:40] if evil else "+447700900123"
    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    await journal.apply(
        [
            Arrived(LINKEDID, now - 4_000, LINKEDID, "PJSIP/t-1", shown.numbers["main"], caller, f"Алексей {mark}"),
            Routed(LINKEDID, now - 3_900, "1", "office", "ctserver"),
            LegStarted(LINKEDID, now - 3_800, "b", f"PJSIP/{mark}-0001"),
            LegRinging(LINKEDID, now - 3_700, "b"),
            LegDone(LINKEDID, now - 2_000, "b", "ANSWER"),
            LegHungUp(LINKEDID, now - 1_000, "b", 16),
            CallerHungUp(LINKEDID, now - 900, 16),
        ]
    )
    row = await site.db.one("SELECT id FROM calls ORDER BY id DESC")
    id = str(row["id"])
    if wave_file:
        make_wave(site.recordings / "a.wav")
        await site.db.write(lambda tx: recordings.adopted(tx, id, "a.wav", 1, 1000))
    return id


def make_wave(file: Path) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setparams((2, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<hh", i % 1000, -(i % 500)) for i in range(8000)))


def all_pages(call: str) -> list[str]:
    return [
        "/calls",
        "/calls/rows",
        f"/calls/{call}",
        "/numbers",
        "/numbers/rows",
        "/calls?q=x",
        "/calls?outcome=answered",
    ]


# ---- what is shown


async def test_the_journal_shows_the_call(alice: Any) -> None:
    call = await ring(alice)
    html = await alice.page("/calls")
    assert "+44 7700 900123" in html
    assert "Алексей x" in html
    assert f'href="/calls/{call}"' in html


async def test_the_page_of_a_call_shows_the_visitors_path(alice: Any) -> None:
    html = await alice.page(f"/calls/{await ring(alice)}")
    for text in ("title x", "https://ref.example/x", "gclid", "Front desk", "PJSIP/x", "answered", LINKEDID):
        assert text in html


async def test_the_journal_without_calls_says_what_to_do(alice: Any) -> None:
    assert "Calls will appear here" in await alice.page("/calls")


@pytest.mark.parametrize("query", ["%", "_", "\\", "'", '"', "%00", "%ed%a0%80", "%ff", "x" * 3000, "%F0%9F%98%80"])
async def test_a_search_may_hold_anything(alice: Any, query: str) -> None:
    await ring(alice)
    for name in ("q", "before", "outcome", "site"):
        assert (await alice.get(f"/calls?{name}={query}")).status in (200, 400)


@pytest.mark.parametrize(
    ("query", "found"), [("Алексей", True), ("900123", True), ("%25", False), ("_", False), ("nobody", False)]
)
async def test_a_search_finds_what_it_says(alice: Any, query: str, found: bool) -> None:
    call = await ring(alice)
    assert (f"/calls/{call}" in await alice.page(f"/calls/rows?q={query}")) == found


async def test_older_calls_are_a_page_away(alice: Any) -> None:
    journal = Journal(alice.db, alice.settings, Attributor(alice.settings, {}), "pbx")
    at = 1_700_000_000_000
    await journal.apply([Arrived(f"{n}.1", at + n, f"{n}.1", "PJSIP/t", "1", f"+4477009{n:05}", "") for n in range(60)])
    html = await alice.page("/calls")
    assert html.count('class="call') == 50
    older = html.split('hx-get="/calls/rows?before=')[1].split('"')[0]
    assert (await alice.page(f"/calls/rows?before={older}")).count('class="call') == 10


async def test_what_needs_attention_is_said_on_every_page(alice: Any) -> None:
    alice.parts["AMI"] = "login refused <b>"
    for path in ("/calls", "/numbers"):
        assert "AMI: login refused &lt;b&gt;" in await alice.page(path)


@pytest.mark.parametrize("path", ["/", "/numbers", "/pools"])
async def test_a_shortage_of_numbers_is_told_in_the_same_words_everywhere(alice: Any, path: str) -> None:
    pool, now = next(iter(alice.settings.pools)), alice.clock[0]

    def share(tx: Any) -> None:
        for _ in range(4):
            leases.add_shortage(tx, ids.new(now), now, "shop", pool, "s", "shared")

    await alice.db.write(share)
    assert "4 visitors had to share a number today" in await alice.page(path)
    russian = await (await alice.get(path, headers={"Accept-Language": "ru"})).text()
    assert "4 посетителям сегодня достался общий номер" in russian


async def test_health_is_200_or_503_and_says_what(site: Any) -> None:
    good = await site.get("/health")
    assert (good.status, await good.json()) == (200, {"ok": True, "database": "ok", "AMI": "ok"})
    site.parts["AMI"] = "no answer in time"
    bad = await site.get("/health")
    assert (bad.status, (await bad.json())["AMI"]) == (503, "no answer in time")


async def test_a_test_call_that_fails_says_why(alice: Any) -> None:
    alice.parts["AMI"] = "away"
    response = await alice.post("/testcall", {"number": "+442079460101", "csrf": await alice.csrf()})
    assert response.status == 502
    assert "the PBX &lt;b&gt;is away&lt;/b&gt;" in await response.text()


@pytest.mark.parametrize("number", ["", "999", "+442079460999", "x\r\nAction: y"])
async def test_a_test_call_goes_to_tracked_numbers_only(alice: Any, number: str) -> None:
    assert (await alice.post("/testcall", {"number": number, "csrf": await alice.csrf()})).status == 400
    assert (await alice.post("/demo/testcall", json={"number": number})).status == 404
    assert alice.placed == []


async def test_the_demo_page_places_a_few_calls_a_minute_and_takes_json_only(site: Any) -> None:
    assert (await site.post("/demo/testcall", {"number": "+442079460101"})).status == 415
    answers = [(await site.post("/demo/testcall", json={"number": "+442079460101"})).status for _ in range(7)]
    assert answers == [200] * 6 + [429]
    for body, kind in (
        ("[", "application/json"),
        ("[" * 30_000, "application/json"),
        ("{}", "application/json; charset=x"),
    ):
        assert (await site.post("/demo/testcall", data=body, headers={"Content-Type": kind})).status == 404


# ---- what is never shown raw


async def test_nothing_that_a_stranger_wrote_becomes_markup(alice: Any) -> None:
    call = await ring(alice, evil=True)
    for path in [*all_pages(call), f"/calls?q={EVIL}"]:
        html = await alice.page(path)
        for raw in ("<script>alert", "<img src=x", "onerror=alert(2)>{{", "49</"):
            assert raw not in html, path
    assert "&lt;script&gt;alert(1)" in await alice.page(f"/calls/{call}")


async def test_every_page_has_the_security_headers(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    open_pages = ["/login", "/demo", "/health", "/ct.js", "/static/app.css", "/nowhere"]
    for path in [*all_pages(call), *open_pages, f"/calls/{call}/peaks.json"]:
        headers = (await alice.get(path)).headers
        assert headers["Content-Security-Policy"] == CONTENT_POLICY, path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "same-origin", path


def test_no_page_may_run_a_script_of_its_own() -> None:
    assert "unsafe" not in CONTENT_POLICY
    assert "frame-ancestors 'none'" in CONTENT_POLICY


async def test_no_page_holds_a_script_in_itself(alice: Any) -> None:
    for path in [*all_pages(await ring(alice)), "/demo", "/login"]:
        html = await alice.page(path)
        for part in html.split("<script")[1:]:
            assert " src=" in part.split(">")[0], path
        assert " style=" not in html, path
        assert "<style" not in html, path


async def test_an_error_is_told_in_words(alice: Any) -> None:
    await alice.db.run(lambda connection: connection.execute("ALTER TABLE calls RENAME TO gone").close())
    response = await alice.get("/calls")
    text = await response.text()
    assert response.status == 503
    assert "Traceback" not in text
    assert "no such table" not in text
    assert "Calls still go through" in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/calls", 405), ("GET", f"/calls/{'0' * 26}", 404), ("GET", "/calls/x", 404)],
)
async def test_a_wrong_address_is_told_in_words(alice: Any, method: str, path: str, status: int) -> None:
    headers = {"X-Csrf": await alice.csrf()}
    response = await alice.client.request(method, path, headers=headers)
    assert response.status == status
    assert "ctserver" in await response.text()


# ---- recordings


async def test_a_recording_is_played_whole_or_in_part(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    data = (alice.recordings / "a.wav").read_bytes()
    url = f"/calls/{call}/recording"
    whole = await alice.get(url)
    assert (whole.status, await whole.read()) == (200, data)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for asked, wanted in (("0-9", data[:10]), ("100-", data[100:]), ("-5", data[-5:])):
        part = await alice.get(url, headers={"Range": f"bytes={asked}"})
        assert (part.status, await part.read()) == (206, wanted)
    assert (await alice.get(url, headers={"Range": f"bytes={len(data)}-"})).status == 416
    for strange in ("bytes=x", "bytes=9-1", "lines=1-2", "bytes=0-1,5-6"):
        assert (await alice.get(url, headers={"Range": strange})).status in (200, 206, 416)


async def test_what_a_browser_keeps_of_a_recording_is_not_played_to_whoever_comes_next(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    for path in (f"/calls/{call}/recording", f"/calls/{call}/recording?download=1"):
        heard = await alice.get(path)
        assert (heard.status, heard.headers["Cache-Control"]) == (200, "private, no-cache")
        known = {"If-None-Match": heard.headers["ETag"]}
        assert (await alice.get(path, headers=known)).status == 304
    alice.client.session.cookie_jar.clear()
    assert (await alice.get(path, headers=known)).status == 303


async def test_the_player_is_given_what_it_draws(alice: Any) -> None:
    peaks = await (await alice.get(f"/calls/{await ring(alice, wave_file=True)}/peaks.json")).json()
    assert peaks["seconds"] == 1.0
    assert len(peaks["caller"]) == len(peaks["company"]) == 20


async def test_without_a_login_there_is_no_recording(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    alice.client.session.cookie_jar.clear()
    for name in ("recording", "peaks.json"):
        response = await alice.get(f"/calls/{call}/{name}")
        assert response.status == 303
        assert b"RIFF" not in await response.read()


async def test_a_call_without_a_recording_has_none(alice: Any) -> None:
    call = await ring(alice)
    assert (await alice.get(f"/calls/{call}/recording")).status == 404
    await alice.db.write(lambda tx: recordings.adopted(tx, call, "gone.wav", 1, 1))
    assert (await alice.get(f"/calls/{call}/recording")).status == 404
    assert (await alice.get(f"/calls/{call}")).status == 200


@pytest.mark.parametrize("file", ["../ctserver.db", "/etc/passwd", "../../secret", ".", "", "link.wav"])
async def test_a_recording_is_a_file_of_the_recordings_folder(alice: Any, file: str) -> None:
    call = await ring(alice)
    (alice.recordings / "link.wav").symlink_to("/etc/passwd")
    await alice.db.write(lambda tx: recordings.adopted(tx, call, file, 1, 1))
    assert (await alice.get(f"/calls/{call}/recording")).status == 404


@pytest.mark.parametrize("id", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "x" * 26 + "/../../etc", "A" * 26])
async def test_no_path_comes_in_through_the_id(alice: Any, raw: Any, id: str) -> None:
    cookie = next(iter(alice.client.session.cookie_jar))
    for name in ("recording", "peaks.json"):
        answer = await raw(
            f"GET /calls/{id}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {cookie.key}={cookie.value}\r\n\r\n".encode()
        )
        assert b" 404 " in answer.split(b"\r\n")[0] or b" 400 " in answer.split(b"\r\n")[0]
        assert b"root:" not in answer


# ---- static files


async def test_a_static_file_with_its_version_is_kept_for_ever(site: Any) -> None:
    html = await site.page("/login")
    address = html.split('<link rel="stylesheet" href="')[1].split('"')[0]
    response = await site.get(address)
    assert "immutable" in response.headers["Cache-Control"]
    assert (await site.get("/static/app.css")).headers["Cache-Control"] == "no-cache"
    assert (await site.get(address, headers={"If-None-Match": response.headers["ETag"]})).status == 304


@pytest.mark.parametrize(
    "path",
    ["../templates/login.html", "..%2ftemplates%2flogin.html", "%2e%2e/templates/login.html", "/etc/passwd", "./../../ctserver.toml",
     "..", "", "vendor", "..\\templates", "%00", "a%00.css"],
)  # fmt: skip
async def test_static_files_are_those_of_their_folder(site: Any, raw: Any, path: str) -> None:
    answer = await raw(f"GET /static/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"400", b"303")
    assert b"csrf" not in answer
    assert b"root:" not in answer
