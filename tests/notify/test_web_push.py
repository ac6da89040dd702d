"""Web push from a ringing call to a browser: a push service on a real socket, and browsers that decrypt what it was given."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import http_ece
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from ctserver import config, ids
from ctserver.domain.call import Arrived, CallerHungUp, LegRinging, LegStarted
from ctserver.domain.fact import Fact
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.sinks import Sinks
from ctserver.storage import push, users
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE

TABLES = """
[outbound]
private_networks = ["127.0.0.0/8"]
[notify.push]
type = "push"
contact = "mailto:a@example.com"
[alerts.calls]
on = ["ringing", "missed"]
by = "push"
[alerts.disk]
on = ["disk"]
by = "push"
[alerts.named]
on = ["pbx_unreachable"]
by = "push"
to = ["olga"]
"""
PEOPLE = (
    Person("alice", Role.OWNER),
    Person("ana", Role.ANALYST),
    Person("olga", Role.OPERATOR, lines=("night",)),
    Person("oleg", Role.OPERATOR, lines=("office",)),
)


@dataclass
class Browser:
    """What a browser keeps of a subscription, and the pushes that its service took for it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = b"0123456789abcdef"
    status: int = 201
    got: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    def subscription(self, endpoint: str, login: str) -> push.Subscription:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return push.Subscription(
            endpoint, login, urlsafe_b64encode(point).decode(), urlsafe_b64encode(self.secret).decode()
        )

    def take(self, headers: dict[str, str], body: bytes) -> None:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        self.got.append((headers, json.loads(plain)))


@dataclass
class World:
    sinks: Sinks
    journal: Journal
    browsers: dict[str, Browser]
    db: Sqlite
    calls: int = 0

    async def ring(self, caller: str = "+447700900123") -> str:
        """A call that rings; its linkedid."""
        self.calls += 1
        linkedid, at = f"17000000{self.calls:02}.1", ids.now_ms()
        leg = f"{linkedid}2"
        arrived = Arrived(linkedid, at, linkedid, "PJSIP/trunk-1", "02079460190", caller, "Alex")
        await self.journal.apply(
            [arrived, LegStarted(linkedid, at, leg, "PJSIP/night-1"), LegRinging(linkedid, at, leg)]
        )
        return linkedid

    async def hang_up(self, linkedid: str) -> None:
        await self.journal.apply([CallerHungUp(linkedid, ids.now_ms() + 9_000, 16)])

    async def answers(self, count: int) -> list[tuple[str, str]]:
        """State and answer of so many messages, as soon as all are settled."""
        async with asyncio.timeout(PATIENCE):
            while True:
                rows = await self.db.fetch("SELECT state, answer FROM outbox ORDER BY id")
                if len(rows) == count and all(row["state"] in ("done", "dropped", "failed") for row in rows):
                    return [tuple(row) for row in rows]
                await asyncio.sleep(0.01)

    def got(self, login: str) -> list[dict[str, str]]:
        return [words for _, words in self.browsers[login].got]


@pytest.fixture
async def world(db: Sqlite, toml: Path, serve: Any) -> Any:
    """Four people with a browser each."""
    browsers = {person.login: Browser() for person in PEOPLE}

    async def take(request: web.Request) -> web.Response:
        browser = browsers[request.path.strip("/")]
        if browser.status == 201:
            browser.take(dict(request.headers), await request.read())
        return web.Response(status=browser.status)

    url = await serve(take)
    for person in PEOPLE:
        await db.write(lambda tx, person=person: users.put_user(tx, person.login, person.login, "", 1, person))
        found = browsers[person.login].subscription(f"{url}/{person.login}", person.login)
        await db.write(lambda tx, found=found: push.put(tx, found, 1))
    toml.write_text(toml.read_text() + TABLES)
    settings = config.load(toml)
    sinks = Sinks(db, settings)
    await sinks.start()
    yield World(sinks, Journal(db, settings, Attributor(settings, {}), "pbx", sinks.facts), browsers, db)
    await sinks.stop()


async def test_a_ringing_call_is_pushed_to_those_who_may_see_it_as_they_may_see_it(world: World, until: Any) -> None:
    await world.hang_up(await world.ring())
    await world.hang_up(await world.ring())
    await until(lambda: len(world.got("olga")) == 4)
    for browser in world.browsers.values():
        browser.got.clear()
    linkedid = await world.ring()
    await until(lambda: all(world.got(login) for login in ("alice", "ana", "olga")))
    row = await world.db.one("SELECT id FROM calls WHERE linkedid = $1", (linkedid,))
    (rings,) = world.got("alice")
    assert rings["title"] == "Ringing: +44 7700 900123"
    assert "billboard" in rings["text"]
    assert "3rd call" in rings["text"]
    assert rings["text"].count("Ringing") == rings["text"].count("http") == 0
    assert row is not None
    assert rings["link"] == f"http://127.0.0.1:8080/calls/{row['id']}"
    assert "7700" not in json.dumps(world.got("ana"), ensure_ascii=False)
    assert "Alex" not in json.dumps(world.got("ana"))
    assert world.got("ana")[0]["title"] == "Ringing: +44 77•• ••••23"
    assert world.got("olga") == [rings]
    await world.hang_up(linkedid)
    await until(lambda: all(len(world.got(login)) == 2 for login in ("alice", "ana", "olga")))
    missed = world.got("alice")[1]
    assert missed["title"] == "Missed call: +44 7700 900123"
    assert missed["tag"] == rings["tag"] == row["id"], "it takes the place of the one before"
    assert world.got("oleg") == [], "it is not his line"


async def test_what_the_push_service_is_told(world: World, until: Any) -> None:
    await world.hang_up(await world.ring())
    await until(lambda: len(world.got("alice")) == 2)
    (ringing, _), (missed, _) = world.browsers["alice"].got
    assert (ringing["TTL"], missed["TTL"]) == ("60", "3600"), "that it rings is no news a minute later"
    assert ringing["Topic"] == missed["Topic"]
    assert ringing["Content-Encoding"] == "aes128gcm"
    token, _, public = ringing["Authorization"].removeprefix("vapid t=").partition(",k=")
    assert public == world.sinks.push_key
    assert Vapid02.verify(ringing["Authorization"])
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == "mailto:a@example.com"
    assert claims["aud"].startswith("http://127.0.0.1:")
    assert 0 < claims["exp"] - ids.now_ms() / 1000 <= 86_400


async def test_what_is_no_call_goes_to_those_who_see_everything_or_are_named(world: World, until: Any) -> None:
    now = ids.now_ms()
    for kind, subject in (("disk", "disk"), ("pbx_unreachable", "pbx")):
        fact = Fact(kind, now, subject, "<b>9 MB free</b>")
        await world.db.write(lambda tx, fact=fact: world.sinks.facts.record(tx, fact, now))  # type: ignore[misc]
    world.sinks.facts.wake()
    await until(lambda: world.got("alice") and world.got("ana") and world.got("olga"))
    assert [one["title"] for one in world.got("alice")] == ["The disk is nearly full"]
    assert [one["title"] for one in world.got("olga")] == ["Asterisk pbx cannot be reached"]
    assert world.got("oleg") == []


async def test_browsers_that_are_gone_are_forgotten_and_nobody_left_to_tell_is_no_failure(
    world: World, until: Any
) -> None:
    world.browsers["alice"].status, world.browsers["ana"].status = 410, 404
    await world.db.write(lambda tx: users.remove(tx, "oleg"))
    await world.ring()
    await until(lambda: world.got("olga"))
    assert await world.answers(1) == [("done", "taken for 1 of 3 browsers")]
    assert {person.login for _, person in await push.readers(world.db, "")} == {"olga"}
    world.browsers["olga"].status = 410
    await world.ring()
    assert (await world.answers(2))[1] == ("dropped", "the browser has switched notifications off")
    await world.ring()
    nobody = "nobody who may know it has switched on notifications in a browser"
    assert (await world.answers(3))[2] == ("dropped", nobody)
    assert await world.db.fetch("SELECT 1 FROM facts WHERE kind = 'delivery_failing'") == []
    assert await push.readers(world.db, "") == []


async def test_the_key_is_made_once_and_readable_by_us_alone(world: World, toml: Path) -> None:
    (file,) = toml.parent.rglob("push-key.pem")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    again = Sinks(world.db, config.load(toml))
    assert (again.push_key, file.read_bytes()) == (world.sinks.push_key, before)
    assert len(urlsafe_b64decode(again.push_key + "=")) == 65
    await again.stop()


async def test_a_login_has_twenty_browsers_at_most(db: Sqlite) -> None:
    await db.write(lambda tx: users.put_user(tx, "u", "alice", "", 1))
    for number in range(push.MOST + 3):
        one = push.Subscription(f"https://push.example/{number}", "alice", "p", "a")
        await db.write(lambda tx, one=one, number=number: push.put(tx, one, number))  # type: ignore[misc]
    kept = await push.readers(db, "alice")
    assert len(kept) == push.MOST
    assert kept[0][0].endpoint.endswith("/3")
