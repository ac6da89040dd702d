"""Invitations, forgotten passwords and word of changed ones, by a real mail server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from ctserver import ids
from ctserver.config import Settings
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.http.deps import DEPS
from ctserver.http.passwords import ASKED_AGAIN_MS, ASKED_SECONDS
from ctserver.outbound import GiveUp
from ctserver.services.letters import VIA
from ctserver.sinks import Sinks
from ctserver.storage import preferences, users
from ctserver.storage.preferences import Preferences
from tests.conftest import PATIENCE

from .conftest import HASH, PASSWORD
from .test_people import NEW, follow, found, send, set_up_factor

MAIL = """
[notify.mail]
type = "email"
host = "127.0.0.1"
port = %d
security = "none"
sender = "Calls <calls@example.com>"
"""


class Box:
    """Takes mail; or takes it and says it did not."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: list[str] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return self.answers.pop(0) if self.answers else "250 queued"


@pytest.fixture
def toml(toml: Path, free_port: int) -> Path:
    toml.write_text(toml.read_text() + MAIL % free_port)
    return toml


@pytest.fixture
async def box(free_port: int) -> AsyncIterator[Box]:
    made = Box()
    controller = Controller(made, hostname="127.0.0.1", port=free_port)
    controller.start()
    yield made
    controller.stop()


@pytest.fixture
async def post(box: Box, site: Any, settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """The delivery, running; gives a function that waits for the next letter."""
    sinks = Sinks(site.db, settings, lambda: site.clock[0])
    facts = site.client.server.app[DEPS].facts
    facts.subscribers, facts.on_wake = sinks.facts.subscribers, sinks.facts.on_wake
    await sinks.start()
    read = 0

    async def letter() -> EmailMessage:
        nonlocal read
        async with asyncio.timeout(PATIENCE):
            while len(box.mails) <= read:
                await asyncio.sleep(0.01)
        read += 1
        return box.mails[read - 1]

    letter.delivery = sinks.delivery  # type: ignore[attr-defined]
    yield letter
    await sinks.stop()


@pytest.fixture(autouse=True)
def clock_of_today(site: Any) -> None:
    """Links end by the real clock when their letter goes out."""
    site.clock[0] = ids.now_ms()


def words(mail: EmailMessage) -> tuple[str, str]:
    """Plain, and HTML."""
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain
    assert html
    return plain.get_content(), html.get_content()


def path_of(mail: EmailMessage) -> str:
    """Of the link; the same in both forms."""
    plain, html = words(mail)
    link = found(r"http://127\.0\.0\.1:8080(/link/[\w-]{43})\s", plain)
    assert f'href="http://127.0.0.1:8080{link}"' in html
    return link


async def everything(site: Any) -> str:
    """All that the database holds."""
    tables = await site.db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
    rows = [await site.db.fetch(f"SELECT * FROM {row['name']}") for row in tables]
    return str([[tuple(row) for row in table] for table in rows])


async def settled(site: Any, state: str) -> Any:
    async with asyncio.timeout(PATIENCE):
        while (row := await site.db.one("SELECT * FROM outbox ORDER BY id DESC"))["state"] != state:
            await asyncio.sleep(0.01)
    return row


async def ask(site: Any, name: str, **more: Any) -> tuple[int, str]:
    token = found(r'name="csrf" value="([^"]+)"', await site.page("/forgot"))
    response = await site.post("/forgot", {"login": name, "csrf": token, **more.pop("data", {})}, **more)
    return response.status, re.sub(r'value="[^"]*"', "", await response.text())


async def put(site: Any, login: str, email: str, hashed: str = HASH) -> None:
    person = Person(login, Role.MANAGER, email=email)
    await site.db.write(lambda tx: users.put_user(tx, f"u-{login}", login, hashed, site.clock[0], person))


# ---- invitations


async def test_an_invitation_goes_by_mail_and_nothing_else_ever_holds_its_link(alice: Any, post: Any) -> None:
    status, html = await send(alice, "/users/invite", role="analyst", email="bob@example.com", by="mail")
    assert (status, "The e-mail is on its way" in html, "/link/" in html) == (200, True, False)
    mail = await post()
    assert (mail["To"], mail["Subject"]) == ("bob@example.com", "Your ctserver account")
    assert "alice has invited you to ctserver at 127.0.0.1:8080." in words(mail)[0]
    row = await settled(alice, "done")
    path = path_of(mail)
    secret = path.rpartition("/")[2]
    assert secret not in await everything(alice)
    assert secret not in await alice.page("/deliveries") + await alice.page(f"/deliveries/{row['id']}")
    assert (row["addressee"], row["said"]) == ("bob@example.com", "Your ctserver account")
    alice.client.session.cookie_jar.clear()
    assert (await follow(alice, path, login="bob"))[0] == 303
    assert (await alice.get(path)).status == 404


async def test_a_letter_needs_an_address(alice: Any, post: Any) -> None:
    status, html = await send(alice, "/users/invite", role="analyst", by="mail")
    assert (status, "An e-mail needs an address" in html) == (400, True)
    assert (await send(alice, "/users/u1/password", by="mail"))[0] == 400
    assert await alice.db.fetch("SELECT 1 FROM links") == []


async def test_a_letter_that_arrives_twice_opens_with_either(alice: Any, box: Box, post: Any) -> None:
    box.answers.append("451 who knows")
    await send(alice, "/users/invite", role="analyst", email="bob@example.com", by="mail")
    first = await post()
    row = await alice.db.one("SELECT id FROM outbox")
    await settled(alice, "waiting")
    await post.delivery.resume(VIA)
    second = await post()
    assert path_of(first) == path_of(second)
    assert first["Message-ID"] == second["Message-ID"]
    assert str(row["id"]) in str(first["Message-ID"])


async def test_a_letter_whose_invitation_was_withdrawn_is_not_sent(alice: Any, box: Box, settings: Settings) -> None:
    """It waits for the delivery; meanwhile the owner thinks again."""
    sinks = Sinks(alice.db, settings)
    alice.client.server.app[DEPS].facts.subscribers = sinks.facts.subscribers
    await send(alice, "/users/invite", role="analyst", email="bob@example.com", by="mail")
    row = await alice.db.one("SELECT id FROM links")
    await send(alice, "/users/withdraw", id=row["id"])
    await sinks.start()
    assert "withdrawn" in (await settled(alice, "dropped"))["answer"]
    await sinks.stop()
    assert box.mails == []


# ---- forgotten


async def test_who_forgot_his_password_gets_a_link_that_works_once_and_ends_every_login(site: Any, post: Any) -> None:
    await put(site, "bob", "bob@example.com")
    assert (await site.log_in(login="bob")).status == 303
    site.client.session.cookie_jar.clear()
    assert 'href="/forgot"' in await site.page("/login")
    assert (await ask(site, "BOB@example.com"))[0] == 200
    mail = await post()
    assert mail["Subject"] == "A new password for ctserver"
    path = path_of(mail)
    assert (await follow(site, path))[0] == 303
    assert len(await site.db.fetch("SELECT 1 FROM logins WHERE login = 'bob'")) == 1
    told = await post()
    assert (told["Subject"], told["To"]) == ("Your password was changed", "bob@example.com")
    assert "from the address 127.0.0.1" in words(told)[0]
    site.client.session.cookie_jar.clear()
    assert (await site.get(path)).status == 404
    assert (await site.log_in(PASSWORD, login="bob")).status == 403
    assert (await site.log_in(NEW, login="bob")).status == 303
    said = [tuple(row) for row in await site.db.fetch("SELECT action, subject FROM audit")]
    assert ("asked for a new password", "BOB@example.com") in said


async def test_the_answer_tells_nobody_who_there_is(site: Any, post: Any, box: Box) -> None:
    await put(site, "bob", "bob@example.com")
    await put(site, "carol", "")
    await put(site, "dave", "dave@example.com", hashed="")  # he comes by the company's own login
    answers, took = set(), []
    for name in ("bob", "carol", "dave", "nobody"):
        started = asyncio.get_running_loop().time()
        answers.add(await ask(site, name))
        took.append(asyncio.get_running_loop().time() - started)
    assert len(answers) == 1
    assert min(took) >= ASKED_SECONDS  # the work is done before that, whoever asks
    assert (await post())["To"] == "bob@example.com"
    assert len(await site.db.fetch("SELECT 1 FROM outbox")) == 1


async def test_one_letter_in_five_minutes_and_not_too_many_questions(site: Any, post: Any) -> None:
    await put(site, "bob", "bob@example.com")
    assert [(await ask(site, "bob"))[0] for _turn in range(6)] == [200] * 5 + [429]
    assert len(await site.db.fetch("SELECT 1 FROM outbox")) == 1
    site.clock[0] += ASKED_AGAIN_MS + 1
    assert (await ask(site, "bob"))[0] == 200
    assert len(await site.db.fetch("SELECT 1 FROM outbox")) == 2
    assert len(await site.db.fetch("SELECT 1 FROM links")) == 1
    first, second = path_of(await post()), path_of(await post())
    assert ((await site.get(first)).status, (await site.get(second)).status) == (404, 200)


async def test_a_form_of_another_site_asks_for_nothing(site: Any, post: Any) -> None:
    await put(site, "bob", "bob@example.com")
    assert (await ask(site, "bob", data={"csrf": "wrong"}))[0] == 400
    assert await site.db.fetch("SELECT 1 FROM outbox") == []


async def test_the_link_ends(site: Any, post: Any) -> None:
    await put(site, "bob", "bob@example.com")
    await ask(site, "bob")
    path = path_of(await post())
    site.clock[0] += 60 * 60_000 - 1000
    assert (await site.get(path)).status == 200
    site.clock[0] += 2000
    assert (await site.get(path)).status == 404


async def test_a_new_password_does_not_go_round_the_second_factor(alice: Any, post: Any) -> None:
    await set_up_factor(alice)
    await alice.db.run(lambda one: one.execute("UPDATE users SET email = 'alice@example.com'").close())
    alice.client.session.cookie_jar.clear()
    await ask(alice, "alice")
    await follow(alice, path_of(await post()))
    assert (await alice.get("/calls")).status == 303


async def test_letters_are_written_in_the_language_of_those_who_read_them(site: Any, post: Any) -> None:
    await put(site, "bob", "bob@example.com")
    await site.db.write(lambda tx: preferences.put(tx, "bob", Preferences("ru", "Asia/Yekaterinburg")))
    await ask(site, "bob")
    mail = await post()
    plain, html = words(mail)
    assert mail["Subject"] == "Новый пароль для ctserver"
    assert "Ссылка сработает один раз" in plain
    assert '<html lang="ru">' in html
    assert "Выбрать новый пароль</a>" in html
    await put(site, "carol", "carol@example.com")
    await ask(site, "carol", headers={"Accept-Language": "ru"})
    assert (await post())["Subject"] == "Новый пароль для ctserver"


async def test_nobody_logs_in_with_a_password_as_one_who_has_none(site: Any) -> None:
    await put(site, "dave", "dave@example.com", hashed="")
    for password in ("nobody has this password", "x"):
        assert (await site.log_in(password, login="dave")).status == 403


async def test_letters_can_be_tried_on_the_page_of_deliveries(site: Any, box: Box, settings: Settings) -> None:
    sinks = Sinks(site.db, settings)
    with pytest.raises(GiveUp, match="nobody to send to"):
        await sinks.delivery.test(VIA)
    await sinks.stop()
