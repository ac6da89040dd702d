"""Switching notifications on and off: what the server keeps of a browser, for whom, and when it lets go of it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from ctserver.config import Settings
from ctserver.http.auth import PUSH_COOKIE
from ctserver.http.dashboard.devices import told_of
from ctserver.http.deps import DEPS
from ctserver.storage import push, users

from .conftest import PASSWORD, Site
from .test_people import csrf, found, send

POINT = urlsafe_b64encode(b"\4" + b"x" * 64).decode().rstrip("=")
SECRET = urlsafe_b64encode(b"y" * 16).decode().rstrip("=")
CHROME, FIREFOX = "https://fcm.googleapis.com/fcm/send/abc", "https://updates.push.services.mozilla.com/wpush/v2/def"


def body(endpoint: str = CHROME, p256dh: str = POINT, auth: str = SECRET) -> str:
    return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": {"p256dh": p256dh, "auth": auth}})


@pytest.fixture
def able(site: Site) -> Site:
    """The settings have a channel of the type push."""
    object.__setattr__(site.client.app[DEPS], "push_key", "B" + "A" * 86)
    return site


async def switch_on(site: Site, text: str = "") -> int:
    answer = await site.post("/account/push", text or body(), headers={"X-Csrf": await csrf(site)})
    return int(answer.status)


async def known(site: Site) -> list[tuple[str, str]]:
    return [(person.login, one.endpoint) for one, person in await push.readers(site.db, "")]


async def test_a_browser_is_switched_on_listed_and_switched_off(able: Site) -> None:
    await able.log_in()
    assert await switch_on(able) == 204
    assert await known(able) == [("alice", CHROME)]
    html = await able.page("/account?done=push-on")
    assert "Chrome" in html
    assert "this browser" in html[html.index("Browsers that notify you") : html.index('id="h-password"')]
    assert CHROME not in html, "whoever has the address could wake the browser"
    assert (await send(able, "/account/push/off", id="0" * 32))[0] == 404
    assert (await send(able, "/account/push/off", id=push.id_of(CHROME)))[0] == 303
    assert await known(able) == []
    rows = await able.db.fetch(
        "SELECT action, subject, detail FROM audit WHERE action LIKE 'notifications%' ORDER BY action DESC"
    )
    assert [tuple(row) for row in rows] == [
        ("notifications switched on", "alice", "Chrome"),
        ("notifications switched off", "alice", ""),
    ]


async def test_nobody_switches_on_without_a_login_without_the_token_or_without_a_channel(site: Site) -> None:
    assert (await site.post("/account/push", body())).status == 403
    await site.log_in()
    assert (await site.post("/account/push", body())).status == 403
    assert (await site.post("/account/push", body(), headers={"X-Csrf": "x"})).status == 403
    assert await switch_on(site) == 404
    assert 'add a channel with <code>type = "push"</code>' in await site.page("/account")
    assert await known(site) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 20_000,
        body("http://push.example/x"),
        body("https://push.example/" + "x" * 1000),
        body("https:///x"),
        body("javascript:alert(1)"),
        body("https://push.example/\r\nx: y"),
        body(p256dh="AAAA"),
        body(p256dh="!" * 88),
        body(p256dh="A" * 87),
        body(auth="AA"),
    ],
)
async def test_what_is_no_subscription_is_refused(able: Site, text: str) -> None:
    await able.log_in()
    assert await switch_on(able, text or " ") == 400
    assert await known(able) == []


async def test_a_browser_belongs_to_the_one_who_used_it_last(able: Site) -> None:
    await able.log_in()
    await switch_on(able)
    await able.log_in_as("analyst")
    assert await switch_on(able) == 204
    assert await known(able) == [("analyst", CHROME)]
    assert (await send(able, "/account/push/off", id=push.id_of(FIREFOX)))[0] == 404


async def test_nobody_switches_off_the_browser_of_another(able: Site) -> None:
    await able.log_in()
    await switch_on(able)
    await able.log_in_as("analyst")
    assert (await send(able, "/account/push/off", id=push.id_of(CHROME)))[0] == 404
    assert await known(able) == [("alice", CHROME)]


async def test_logging_out_takes_this_browser_away_and_no_other(able: Site) -> None:
    await able.log_in()
    await switch_on(able, body(FIREFOX))
    await switch_on(able)
    assert (await send(able, "/logout"))[0] == 303
    assert await known(able) == [("alice", FIREFOX)]
    assert PUSH_COOKIE not in {cookie.key for cookie in able.client.session.cookie_jar}


async def test_what_ends_the_other_logins_ends_their_notifications(able: Site) -> None:
    await able.log_in()
    await switch_on(able, body(FIREFOX))
    await switch_on(able)
    assert (await send(able, "/account/logins/end"))[0] == 303
    assert await known(able) == [("alice", CHROME)]
    await switch_on(able, body(FIREFOX))
    new = "a new long password"
    assert (await send(able, "/account/password", old=PASSWORD, password=new, again=new))[0] == 303
    assert await known(able) == [("alice", FIREFOX)]
    await able.db.write(lambda tx: users.remove(tx, "alice"))
    assert await able.db.fetch("SELECT 1 FROM push_subscriptions") == []


async def test_who_is_logged_out_by_another_or_by_a_link_is_notified_nowhere(able: Site) -> None:
    await able.log_in_as("analyst")
    await switch_on(able)
    await able.log_in()
    id = "u-analyst"
    assert (await send(able, f"/users/{id}/logins"))[0] == 303
    assert await known(able) == []
    await able.log_in_as("analyst")
    await switch_on(able)
    await able.log_in()
    _status, html = await send(able, f"/users/{id}/password")
    able.client.session.cookie_jar.clear()
    path = found(r"(/link/[\w-]{43})", html)
    token = found(r'name="csrf" value="([^"]+)"', await able.page(path))
    new = {"password": "a new long password", "again": "a new long password", "csrf": token}
    assert (await able.post(path, new)).status == 303
    assert await known(able) == []


async def test_the_worker_is_at_the_root_and_asked_for_anew(site: Site) -> None:
    answer = await site.get("/push-worker.js")
    assert (answer.status, answer.content_type, answer.headers["Cache-Control"]) == (200, "text/javascript", "no-cache")
    assert "worker-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "notificationclick" in await answer.text()


ALERTS = """
[notify.push]
type = "push"
contact = "mailto:a@example.com"
[notify.mine]
type = "push"
contact = "mailto:a@example.com"
to = "alice"
[notify.mail]
type = "email"
host = "127.0.0.1"
sender = "ct@example.com"
[alerts.all]
on = ["ringing", "missed"]
by = "push"
[alerts.bob]
on = ["disk"]
by = "push"
to = ["bob"]
[alerts.mine]
on = ["voicemail", "missed"]
by = "mine"
[alerts.mail]
on = ["daily"]
by = "mail"
"""


def test_the_page_tells_of_what_one_is_notified(toml: Any) -> None:
    from ctserver import config

    toml.write_text(toml.read_text() + ALERTS)
    settings: Settings = config.load(toml)
    assert told_of(settings, "alice") == ["ringing", "missed", "voicemail"]
    assert told_of(settings, "bob") == ["ringing", "missed", "disk"]
