"""Buttons under a missed call in Telegram, against a Bot API that keeps messages, waits with getUpdates and forgets what was
confirmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver import config
from ctserver.config.notify import Telegram
from ctserver.notify.telegram import Telegram as Bot
from ctserver.notify.telegram_buttons import Buttons
from ctserver.outbound.client import Client
from ctserver.outbound.press import Press, Pressed
from ctserver.services.attribution import Attributor
from ctserver.services.callbacks import Callbacks
from ctserver.services.calls import Journal
from ctserver.sinks import Sinks
from ctserver.storage.sqlite import Sqlite
from tests.services.office import Office

TOKEN = "42:t0ken-of-ours"
CALLER = "+447400123456"
TOML = """
[outbound]
private_networks = ["127.0.0.0/8"]
[callbacks]
dial = "PJSIP/{number}@trunk"
[notify.chat]
type = "telegram"
base_url = "%s"
to = "-100/7"
[alerts.missed]
on = ["missed"]
by = "chat"
language = "ru"
"""


class BotApi:
    """The methods that are asked for; `press` lets somebody press a button."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.edited: list[dict[str, Any]] = []
        self.polls: list[dict[str, Any]] = []
        self.refusals: list[tuple[int, dict[str, Any]]] = []
        self._updates: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    async def serve(self, request: web.Request) -> web.Response:
        assert request.path.startswith(f"/bot{TOKEN}/")
        method, asked = request.path.rpartition("/")[2], await request.json()
        if method == "getUpdates":
            self.polls.append(asked)
            if self.refusals:
                status, said = self.refusals.pop(0)
                return web.json_response({"ok": False, **said}, status=status)
            return web.json_response({"ok": True, "result": await self._wait(asked["offset"], asked["timeout"])})
        kept = {"sendMessage": self.sent, "answerCallbackQuery": self.answered, "editMessageReplyMarkup": self.edited}
        kept[method].append(asked)
        return web.json_response({"ok": True, "result": {"message_id": len(self.sent)}})

    async def _wait(self, offset: int, seconds: int) -> list[dict[str, Any]]:
        self._updates = [one for one in self._updates if one["update_id"] >= offset]
        self._news.clear()
        if not self._updates and seconds:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
        return self._updates

    def press(self, data: str, chat: dict[str, Any] | None = None) -> None:
        number = 1000 + len(self.answered) + len(self._updates)
        message = {"message_id": 1, "chat": chat or {"id": -100, "type": "supergroup"}}
        person = {"id": 9, "first_name": "Maria\n<b>", "username": "maria"}
        query = {"id": str(number), "from": person, "message": message, "data": data}
        self._updates.append({"update_id": number, "callback_query": query})
        self._news.set()

    def buttons(self, place: int = 0) -> dict[str, str]:
        """What stands under a message: text -> callback_data."""
        rows = self.sent[place]["reply_markup"]["inline_keyboard"]
        return {button["text"]: button.get("callback_data", "") for row in rows for button in row}


class Dialled:
    """The PBX's side of callbacks: keeps what was to be dialled."""

    def __init__(self) -> None:
        self.placed: list[str] = []

    async def __call__(self, callback: str, channel: str, seconds: int) -> None:
        self.placed.append(channel)


class Chat(Office):
    """An office whose alerts go to Telegram."""

    def __init__(self, db: Sqlite, toml: Path, api: BotApi, url: str) -> None:
        toml.write_text(toml.read_text() + TOML % url)
        settings = config.load(toml)
        self.db, self.api, self.dialled, self._calls = db, api, Dialled(), 0
        callbacks = Callbacks(db, settings, self.dialled)
        self.sinks = Sinks(db, settings, ring=callbacks.ring)
        self.journal = Journal(db, settings, Attributor(settings, {}), "pbx", self.sinks.facts)


@pytest.fixture
async def chat(db: Sqlite, toml: Path, serve: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chat]:
    monkeypatch.setenv("CTSERVER_NOTIFY_SECRET_CHAT", TOKEN)
    api = BotApi()
    made = Chat(db, toml, api, await serve(api.serve))
    async with running(made):
        yield made


@asynccontextmanager
async def running(chat: Chat) -> AsyncIterator[None]:
    await chat.sinks.start()
    try:
        yield
    finally:
        await chat.sinks.stop()


async def test_done_settles_the_missed_call_with_an_entry_in_the_audit_log(chat: Chat, until: Any) -> None:
    call = await chat.call(CALLER)
    await until(lambda: chat.api.sent)
    assert chat.api.sent[0]["message_thread_id"] == "7"
    buttons = chat.api.buttons()
    assert list(buttons) == ["Открыть звонок", "Перезвонить", "Готово"]
    again = await chat.call(CALLER)
    chat.api.press(buttons["Готово"])
    await until(lambda: chat.api.edited)
    assert chat.api.answered[0]["text"] == "Готово."
    left = [button["text"] for row in chat.api.edited[0]["reply_markup"]["inline_keyboard"] for button in row]
    assert left == ["Открыть звонок", "✓ Maria <b> @maria (Telegram)"]
    rows = await chat.db.fetch("SELECT call, state, login FROM missed_work ORDER BY call")
    assert {row["call"] for row in rows} == {call, again}, "his later call is the same case"
    assert {(row["state"], row["login"]) for row in rows} == {("called_back", "Maria <b> @maria (Telegram)")}
    log = await chat.db.one("SELECT * FROM audit")
    assert log is not None
    assert (log["via"], log["action"], log["subject"]) == ("telegram", "missed call done", call)
    chat.api.press(buttons["Готово"])
    await until(lambda: len(chat.api.answered) == 2)
    assert chat.api.answered[1]["text"] == "Готово."
    assert len(await chat.db.fetch("SELECT 1 FROM audit")) == 1


async def test_call_back_has_the_company_rung_first_and_once(chat: Chat, until: Any) -> None:
    await chat.call(CALLER)
    await until(lambda: chat.api.sent)
    for _ in range(2):
        chat.api.press(chat.api.buttons()["Перезвонить"])
    await until(lambda: len(chat.api.answered) == 2)
    assert [one["text"] for one in chat.api.answered] == [
        "Сначала зазвонят ваши телефоны, потом телефон клиента.",
        "Этому человеку уже звонят.",
    ]
    assert len(chat.dialled.placed) == 1
    row = await chat.db.one("SELECT number, login FROM callbacks")
    assert row is not None
    assert (row["number"], row["login"]) == (CALLER, "Maria <b> @maria (Telegram)")


@pytest.mark.parametrize(
    ("data", "chat_of"),
    [
        ("{done}", {"id": -200, "type": "group"}),
        ("{done}", {"id": 9, "type": "private", "username": "maria"}),
        ("done 00000000000000000000000000", None),
        ("done", None),
        ("", None),
    ],
)
async def test_only_the_chat_that_was_told_may_press(chat: Chat, until: Any, data: str, chat_of: Any) -> None:
    await chat.call(CALLER)
    await until(lambda: chat.api.sent)
    chat.api.press(data.replace("{done}", chat.api.buttons()["Готово"]), chat_of)
    await until(lambda: chat.api.answered)
    assert await chat.db.fetch("SELECT 1 FROM missed_work") == []
    assert await chat.db.fetch("SELECT 1 FROM audit") == []
    assert chat.dialled.placed == []


async def test_a_press_is_confirmed_before_it_is_acted_on_and_never_acted_on_twice(chat: Chat, until: Any) -> None:
    await chat.call(CALLER)
    await until(lambda: chat.api.sent)
    chat.api.press(chat.api.buttons()["Перезвонить"])
    await until(lambda: chat.dialled.placed)
    assert chat.api.polls[-1]["offset"] > 1000, "Telegram has heard that we have it"
    await chat.sinks.stop()
    async with running(chat):
        await asyncio.sleep(0.2)
    assert len(chat.dialled.placed) == 1


async def test_a_bot_that_another_program_asks_is_told_of_once_and_asked_again(
    serve: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api, client, heard = BotApi(), Client(["127.0.0.0/8"]), []

    async def hear(press: Press) -> Pressed:
        heard.append(press)
        return Pressed("fine")

    conflict = {"description": f"Conflict: terminated by other getUpdates request of {TOKEN}"}
    api.refusals += [(409, conflict), (409, conflict), (429, {"parameters": {"retry_after": 0}}), (502, {})]
    table = Telegram.model_validate({"type": "telegram", "base_url": await serve(api.serve)})
    listener = Buttons("chat", Bot(table, TOKEN, client), hear, soon=0.02)
    task = asyncio.create_task(listener.run())
    api.press("done 1")
    await until(lambda: api.answered)
    task.cancel()
    await client.close()
    assert [(press.action, press.id, press.chats) for press in heard] == [("done", "1", frozenset({"-100"}))]
    told = [record.getMessage() for record in caplog.records if "does not hear" in record.getMessage()]
    assert len([line for line in told if "Conflict" in line]) == 1
    assert TOKEN not in "".join(told)


async def test_no_buttons_no_questions(
    db: Sqlite, toml: Path, serve: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setenv("CTSERVER_NOTIFY_SECRET_CHAT", TOKEN)
    api = BotApi()
    url = await serve(api.serve)
    chat = Chat(db, toml, api, f'{url}"\nbuttons = false\nsecret_file = "')
    async with running(chat):
        await chat.call(CALLER)
        await until(lambda: api.sent)
        assert list(api.buttons()) == ["Открыть звонок"]
        assert api.polls == []
    assert json.dumps(api.sent).count("done") == 0
