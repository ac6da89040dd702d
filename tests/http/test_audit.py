"""Whatever is listened to, taken away or changed leaves its row in the audit log: every route of the rights table."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest

from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.http.audit import ACTIONS
from ctserver.http.deps import DEPS
from ctserver.http.rights import ANYBODY, NOBODY, ROUTES
from ctserver.ids import token_hash
from ctserver.services.letters import CHANGED, VIA, Letter
from ctserver.sinks import Sinks
from ctserver.storage import audit, callbacks, links, tokens, users, views
from ctserver.storage import quality as store
from tests.conftest import PATIENCE

from .conftest import HASH, PASSWORD
from .test_pause import talk
from .test_people import found
from .test_rights import ring

MORE = """
[callbacks]
dial = "PJSIP/{number}@trunk"
sites = ["shop"]
[notify.mail]
type = "email"
host = "127.0.0.1"
port = 1
security = "none"
sender = "calls@example.com"
to = "boss@example.com"
"""
NEW = "a new long password"
DAY_MS = 86_400_000
SECRET = "A" * 32
BROWSER = {
    "endpoint": "https://updates.push.services.mozilla.com/x",
    "keys": {"p256dh": urlsafe_b64encode(b"\4" * 65).decode(), "auth": urlsafe_b64encode(b"a" * 16).decode()},
}

TAKES_AWAY = {
    "GET /calls/{id}/recording": "listened",
    "GET /calls/export.{kind}": "exported",
    "GET /reports/export.{kind}": "exported",
    "GET /shared/{token}/recording": "listened",
    "GET /api/v1/calls/{id}/recording/sound": "downloaded",
    "GET /api/v1/feeds/calls.json": "exported",
    "GET /api/v1/feeds/calls.csv": "exported",
    "GET /odata/v4/Calls": "exported",
}
"""What is read and must be written down: recordings, and lists as files."""

BEFORE_LOGIN = {"POST /login", "POST /login/code", "POST /forgot", "POST /link/{token}"}
"""They write for themselves (test_people.py, test_letters.py); the rest that is open to anybody is no person's doing."""


@pytest.fixture
def toml(toml: Path) -> Path:
    toml.write_text(toml.read_text() + MORE)
    return toml


@pytest.fixture
async def world(alice: Any) -> AsyncIterator[Any]:
    """Everything that a route may ask for; `alice.things` names it."""
    site, now = alice, alice.clock[0]
    sinks = Sinks(site.db, site.settings)
    deps = site.client.server.app[DEPS]
    for name, value in {"delivery": sinks.delivery, "facts": sinks.facts, "push_key": "key"}.items():
        object.__setattr__(deps, name, value)
    deps.factors.begin((await site.db.one("SELECT id FROM logins"))["id"], SECRET)
    call = await ring(site, "+442079460101", "office")
    bob = Person("bob", Role.ANALYST, email="bob@example.com")
    wish = callbacks.Callback("w" * 26, "site", "shop", "", "", "+447400123456", "office", "", "", "", now, now)
    letter = Letter(CHANGED, "bob@example.com", login="bob")

    def fill(tx: Any) -> None:
        users.put_user(tx, "b" * 26, "bob", HASH, now, bob)
        links.add(tx, "hash", "l" * 26, Person("", Role.ANALYST), "alice", now, now + DAY_MS)
        store.add_share(tx, token_hash("s" * 43), call, "alice", now, now + DAY_MS)
        tokens.add(tx, "t" * 26, "hash", "alice", "sheet", frozenset(), now, None)
        views.put(tx, "alice", "calls", "mine", "", now)
        letter.post(tx, sinks.facts, now)
        callbacks.add(tx, wish)

    await site.db.write(fill)
    await talk(site)
    talking = await site.db.one("SELECT id FROM calls WHERE state = 'talking'")
    view = await site.db.one("SELECT id FROM saved_views")
    row = await site.db.one("SELECT id FROM outbox")
    site.things = {"call": call, "talking": talking["id"], "view": view["id"], "delivery": row["id"], "wish": wish.id}
    yield site
    await sinks.stop()


def cases(site: Any) -> dict[str, tuple[str, Any]]:
    """Each route: an address that does something, and what is sent there."""
    it, call = site.things, f"/calls/{site.things['call']}"
    code = pyotp.TOTP(SECRET).at(site.clock[0] // 1000)
    return {
        "POST /language": ("/language", {"language": "ru"}),
        "POST /settings": ("/settings", {"language": "en", "zone": "Europe/London", "phones": "national"}),
        "POST /calls/views": ("/calls/views", {"name": "other", "query": "site=shop"}),
        "POST /calls/views/{id}/remove": (f"/calls/views/{it['view']}/remove", {}),
        "POST /calls/{id}/marks": (f"{call}/marks", {"tag": "vip", "note": "rang twice", "value": "12"}),
        "POST /calls/{id}/callback": (f"{call}/callback", {}),
        "POST /callbacks/{id}/cancel": (f"/callbacks/{it['wish']}/cancel", {}),
        "POST /calls/{id}/scores": (f"{call}/scores", {"c.greeting": "5"}),
        "POST /calls/{id}/model": (f"{call}/model", {"why": "so friendly"}),
        "POST /calls/{id}/share": (f"{call}/share", {}),
        "POST /missed/{id}": (f"/missed/{it['call']}", {"step": "take"}),
        "POST /calls/{id}/recording/pause": (f"/calls/{it['talking']}/recording/pause", {}),
        "POST /calls/{id}/recording/resume": (f"/calls/{it['talking']}/recording/resume", {}),
        "POST /api/v1/calls/{id}/recording/pause": (f"/api/v1/calls/{it['talking']}/recording/pause", {}),
        "POST /api/v1/calls/{id}/recording/resume": (f"/api/v1/calls/{it['talking']}/recording/resume", {}),
        "POST /blocked": ("/blocked", {"number": "+447400999999", "why": "spam"}),
        "POST /blocked/remove": ("/blocked/remove", {"number": "+447400999999"}),
        "PUT /api/v1/blocked/{number}": ("/api/v1/blocked/+447400999999", {"why": "spam"}),
        "DELETE /api/v1/blocked/{number}": ("/api/v1/blocked/+447400999999", {}),
        "POST /testcall": ("/testcall", {"number": "+442079460101"}),
        "POST /account/factor": ("/account/factor", {"code": code}),
        "POST /account/factor/new": ("/account/factor/new", {"old": PASSWORD}),
        "POST /account/factor/off": ("/account/factor/off", {"old": PASSWORD}),
        "POST /account/push": ("/account/push", json.dumps(BROWSER)),
        "POST /account/push/off": ("/account/push/off", {"id": "PUSH"}),
        "POST /account/tokens": ("/account/tokens", {"name": "x", "scope": "calls", "days": "30"}),
        "POST /account/tokens/revoke": ("/account/tokens/revoke", {"id": "t" * 26}),
        "POST /users/invite": ("/users/invite", {"role": "analyst", "email": "eve@example.com", "by": "mail"}),
        "POST /users/withdraw": ("/users/withdraw", {"id": "l" * 26}),
        "POST /users/{id}": (f"/users/{'b' * 26}", {"role": "manager", "email": "bob@example.com"}),
        "POST /users/{id}/{what}": (f"/users/{'b' * 26}/password", {"by": "mail"}),
        "POST /deliveries/{id}/again": (f"/deliveries/{it['delivery']}/again", {}),
        "POST /deliveries/test": ("/deliveries/test", {"via": VIA}),
        "POST /deliveries/again": ("/deliveries/again", {"via": VIA}),
        "POST /deliveries/resume": ("/deliveries/resume", {"via": VIA}),
        "POST /api/v1/deliveries/{id}/again": (f"/api/v1/deliveries/{it['delivery']}/again", {}),
        "POST /api/v1/channels/{name}/test": (f"/api/v1/channels/{VIA}/test", {}),
        "PATCH /api/v1/calls/{id}": (f"/api/v1/calls/{it['call']}", {"note": "by a program"}),
        "GET /calls/{id}/recording": (f"{call}/recording", None),
        "GET /calls/export.{kind}": ("/calls/export.csv?site=shop", None),
        "GET /reports/export.{kind}": ("/reports/export.csv", None),
        "GET /shared/{token}/recording": (f"/shared/{'s' * 43}/recording", None),
        "GET /api/v1/calls/{id}/recording/sound": (f"/api/v1/calls/{it['call']}/recording/sound", None),
        "GET /api/v1/feeds/calls.json": ("/api/v1/feeds/calls.json", None),
        "GET /api/v1/feeds/calls.csv": ("/api/v1/feeds/calls.csv?site=shop", None),
        "GET /odata/v4/Calls": ("/odata/v4/Calls?$top=1", None),
        "POST /calls/{id}/person/export": (f"{call}/person/export", {}),
        "POST /calls/{id}/person/erase": (f"{call}/person/erase", {"last": "0123"}),
        "POST /account/password": ("/account/password", {"old": PASSWORD, "password": NEW, "again": NEW}),
        "POST /account/logins/end": ("/account/logins/end", {}),
        "POST /logout": ("/logout", {}),
    }


def changing() -> set[str]:
    """Every route of the table that changes something or takes something away."""
    changes = {route for route, need in ROUTES.items() if not route.startswith("GET ")}
    nobodys = {route for route in changes if ROUTES[route] in (NOBODY, ANYBODY)}
    return changes - nobodys | set(TAKES_AWAY)


async def test_every_route_that_changes_or_takes_away_leaves_a_row(world: Any) -> None:
    asked = cases(world)
    assert set(asked) == changing(), "a route is new or gone: what does it leave in the audit log?"
    csrf = (await world.db.one("SELECT csrf FROM logins"))["csrf"]
    for route, (path, sent) in asked.items():
        if sent == {"id": "PUSH"}:
            sent["id"] = found(r'name="id" value="(\w{20,})"', (await world.page("/account")).split("h-push")[-1])
        as_json = "/api/" in route
        body = {"json": sent} if as_json else {"data": sent}
        world.clock[0] += 10
        if route in TAKES_AWAY:
            world.clock[0] += audit.AGAIN_MS  # the same again so soon would be the same listening
        before = await rows(world)
        async with world.client.request(
            route.partition(" ")[0], path, headers={"X-Csrf": csrf}, allow_redirects=False, **body
        ) as response:
            assert response.status < 400, (route, response.status, await response.text())
            await response.read()
        new = (await rows(world))[len(before) :]
        assert len(new) == 1, (route, [tuple(row) for row in new])
        [row] = new
        assert row["action"] in ACTIONS, (route, row["action"])
        assert row["login"] == "alice", route
        assert row["address"] == "127.0.0.1", route
        if route in TAKES_AWAY:
            assert row["action"] == TAKES_AWAY[route], route
        if route.endswith("/erase"):
            continue  # its subject is what the log calls the person from now on
        assert row["subject"] in (world.things["call"], world.things["talking"]) or "/calls/{id}" not in route, route


async def rows(site: Any) -> list[Any]:
    found: list[Any] = await site.db.fetch("SELECT * FROM audit ORDER BY rowid")
    return found


def test_what_is_open_to_anybody_writes_for_itself_or_is_no_persons_doing() -> None:
    open_ones = {route for route, need in ROUTES.items() if need is ANYBODY and not route.startswith("GET ")}
    assert open_ones - BEFORE_LOGIN == {"POST /demo/testcall"}


async def test_the_row_says_what_was_changed_and_keeps_no_key_and_no_note(world: Any) -> None:
    csrf = (await world.db.one("SELECT csrf FROM logins"))["csrf"]
    call, headers = world.things["call"], {"X-Csrf": csrf}
    await world.post(f"/calls/{call}/marks", {"category": "order", "note": "his secret", "tag": "vip"}, headers=headers)
    await world.get("/api/v1/feeds/calls.csv?api_key=ct_wrong&site=shop", headers={})
    details = {row["action"]: row["detail"] for row in await rows(world)}
    assert details["call changed"] == "category=order tag=vip note"
    html = await world.page("/audit?action=call+changed")
    assert f'href="/calls/{call}"' in html
    assert "his secret" not in html


async def test_a_feed_that_is_cut_off_is_written_down_all_the_same(world: Any, raw: Callable[..., Any]) -> None:
    cookie = "; ".join(f"{one.key}={one.value}" for one in world.client.session.cookie_jar)
    request = f"GET /api/v1/feeds/calls.json HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
    await raw(request.encode(), seconds=0.3)
    async with asyncio.timeout(PATIENCE):
        while (await rows(world))[-1]["action"] != "exported":
            await asyncio.sleep(0.01)


async def test_who_listens_by_a_link_is_one_listener_however_many_pieces_he_asks_for(world: Any) -> None:
    world.client.session.cookie_jar.clear()
    for part in ("0-9", "10-19", "20-"):
        await world.get(f"/shared/{'s' * 43}/recording", headers={"Range": f"bytes={part}"})
    heard = [row for row in await rows(world) if row["action"] == "listened"]
    assert [(row["login"], row["subject"], row["detail"]) for row in heard] == [
        ("", world.things["call"], "link=alice")
    ]


async def test_the_log_speaks_the_readers_language(world: Any) -> None:
    call = world.things["call"]
    await world.get(f"/calls/{call}/recording")
    html = await world.page("/audit?lang=ru")
    assert re.search(rf'>прослушано.*?href="/calls/{call}"', html, re.S)
