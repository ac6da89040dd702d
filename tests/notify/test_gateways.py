"""SMS gateways and chats against servers that answer as the real ones do, errors inside status 200 among them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver import config
from ctserver.config import ConfigError
from ctserver.notify import Tools, make, make_all
from ctserver.notify.modem import PbxRefused
from ctserver.outbound import Button, GiveUp, Message, OutboundError, Retry
from ctserver.outbound.attachment import Attachment
from ctserver.outbound.client import Client
from ctserver.storage.sqlite import Sqlite

SECRET = "k3y-of-ours"
NUMBER = "447700900123"
MESSAGE = Message("m1", f"+{NUMBER}", "Missed call", "Missed: <b>Eve & Co</b> @everyone", "Missed call from Eve")


class Fake:
    """Answers in turn what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any, dict[str, str]]] = []
        self.asked: list[tuple[web.Request, dict[str, Any]]] = []

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        self.answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    async def answer(self, request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            sent = await request.json()
        else:
            posted = (await request.post()).items()
            sent = {name: value.file.read() if isinstance(value, web.FileField) else value for name, value in posted}
        self.asked.append((request, sent))
        status, body, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
async def tools(db: Sqlite) -> AsyncIterator[Tools]:
    made = Tools(Client(["127.0.0.0/8"], seconds=2), db)
    yield made
    await made.client.close()


Build = Callable[..., Awaitable[Any]]


@pytest.fixture
def build(toml: Path, serve: Any, fake: Fake, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Build:
    async def made(table: str, *, secret: str = SECRET, lent: Tools = tools) -> Any:
        url = await serve(fake.answer)
        monkeypatch.setenv("CTSERVER_NOTIFY_SECRET_X", secret.replace("URL", url))
        file = toml.with_name("notify.toml")
        file.write_text(toml.read_text() + "[notify.x]\n" + table.replace("URL", url))
        return make("x", config.load(file), lent)

    return made


SMSC = 'type = "smsc"\nbase_url = "URL"\nuser = "me"'
SMSRU = 'type = "smsru"\nbase_url = "URL"'
VONAGE = 'type = "vonage"\nbase_url = "URL"\nuser = "me"\nsender = "Shop"'
TWILIO = 'type = "twilio"\nbase_url = "URL"\naccount = "AC1"\nsender = "+15550100"'
TELEGRAM = 'type = "telegram"\nbase_url = "URL"'
MATRIX = 'type = "matrix"\nbase_url = "URL"'
HTTP = """type = "http"
url = "URL/{{ to_digits }}/{{ secret }}"
headers = { Authorization = "Bearer {{ secret }}" }
body = "json"
fields = { text = "{{ text }}" }
success = "parts.0.status"
success_is = "^ok$"
retry_is = "busy"
answer_id = "parts.0.id"
answer_error = "why"
"""


def number(code: int, **more: Any) -> dict[str, Any]:
    return {"status": "OK", "status_code": 100, "sms": {NUMBER: {"status_code": code, **more}}}


def part(code: str, **more: Any) -> dict[str, Any]:
    return {"message-count": "1", "messages": [{"status": code, **more}]}


@pytest.mark.parametrize(
    ("table", "status", "answer", "words"),
    [
        (SMSC, 200, {"id": 7, "cnt": 1}, "id 7"),
        (SMSRU, 200, number(100, sms_id="9-1"), "id 9-1"),
        (VONAGE, 200, part("0", **{"message-id": "ab"}), "id ab"),
        (TWILIO, 201, {"sid": "SM1", "status": "queued"}, "id SM1, queued"),
        (TELEGRAM, 200, {"ok": True, "result": {"message_id": 5}}, "message 5"),
        (MATRIX, 200, {"event_id": "$e"}, "$e"),
        (HTTP, 200, {"parts": [{"status": "ok", "id": 12}]}, "12"),
    ],
)
async def test_a_message_is_taken(build: Build, fake: Fake, table: str, status: int, answer: Any, words: str) -> None:
    channel = await build(table)
    fake.says(answer, status)
    assert words in await channel.send(MESSAGE)
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("table", "status", "answer", "error", "says"),
    [
        (SMSC, 200, {"error": "invalid login", "error_code": 2}, (GiveUp, True), "invalid login"),
        (SMSC, 200, {"error": "wrong number", "error_code": 7}, (GiveUp, False), "error 7"),
        (SMSC, 200, {"error": "repeated", "error_code": 9}, (Retry, 60.0), "repeated"),
        (SMSC, 200, {"error": "no money", "error_code": 3}, (Retry, 1800.0), "no money"),
        (SMSRU, 200, {"status": "ERROR", "status_code": 200, "status_text": "bad id"}, (GiveUp, True), "bad id"),
        (SMSRU, 200, number(202, status_text="bad number"), (GiveUp, False), "bad number"),
        (SMSRU, 200, number(220), (Retry, None), "220"),
        (SMSRU, 200, {"status": "OK", "status_code": 100, "sms": {}}, (Retry, None), "nothing of this number"),
        (VONAGE, 200, part("4", **{"error-text": "Bad Credentials"}), (GiveUp, True), "Bad Credentials"),
        (VONAGE, 200, part("1", **{"error-text": "Throttled"}), (Retry, 5.0), "Throttled"),
        (VONAGE, 200, part("6"), (GiveUp, False), "error 6"),
        (VONAGE, 200, {"messages": []}, (Retry, None), "nothing of the message"),
        (TWILIO, 400, {"code": 21211, "message": "Invalid To"}, (GiveUp, False), "21211: Invalid To"),
        (TWILIO, 401, {"code": 20003, "message": "Authenticate"}, (GiveUp, True), "Authenticate"),
        (TWILIO, 429, {"code": 20429, "message": "Too Many"}, (Retry, None), "Too Many"),
        (TELEGRAM, 403, {"ok": False, "description": "bot was blocked"}, (GiveUp, False), "blocked"),
        (TELEGRAM, 401, {"ok": False, "description": "Unauthorized"}, (GiveUp, True), "Unauthorized"),
        (TELEGRAM, 404, {"ok": False, "description": "Not Found"}, (GiveUp, True), "token"),
        (TELEGRAM, 429, {"ok": False, "parameters": {"retry_after": 8}}, (Retry, 8.0), ""),
        (MATRIX, 429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500}, (Retry, 2.5), "M_LIMIT"),
        (MATRIX, 401, {"errcode": "M_UNKNOWN_TOKEN"}, (GiveUp, True), "M_UNKNOWN_TOKEN"),
        (MATRIX, 403, {"errcode": "M_FORBIDDEN"}, (GiveUp, False), "M_FORBIDDEN"),
        (HTTP, 200, {"parts": [], "why": "bad number"}, (GiveUp, False), "bad number"),
        (HTTP, 200, {"parts": [], "why": "we are busy"}, (Retry, None), "busy"),
        *((table, 200, "<html>hotel</html>", (Retry, None), "not JSON") for table in (SMSC, SMSRU, VONAGE, TELEGRAM)),
        *(
            (table, 502, "oops", (Retry, None), "502")
            for table in (SMSC, SMSRU, VONAGE, TWILIO, TELEGRAM, MATRIX, HTTP)
        ),
    ],
)
async def test_a_refusal_is_understood(
    build: Build, fake: Fake, table: str, status: int, answer: Any, error: tuple[type[Exception], Any], says: str
) -> None:
    channel = await build(table)
    fake.says(answer, status)
    with pytest.raises(error[0]) as caught:
        await channel.send(MESSAGE)
    assert says in str(caught.value)
    if isinstance(caught.value, GiveUp):
        assert caught.value.unauthorised is error[1]
    elif isinstance(caught.value, Retry):
        assert caught.value.after == error[1]


@pytest.mark.parametrize("table", [SMSC, SMSRU, VONAGE, TWILIO, TELEGRAM, MATRIX, HTTP])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_no_secret_is_told_even_when_it_comes_back(build: Build, fake: Fake, table: str, status: int) -> None:
    channel = await build(table)
    text = f"you sent {SECRET}"
    echo = {"error": text, "status_text": text, "message": text, "description": text, "why": text, "error_code": 1}
    fake.says(echo | {"messages": [{"status": "3", "error-text": text}]}, status)
    try:
        words = await channel.send(MESSAGE)
    except OutboundError as error:
        words = str(error)
    assert words
    assert SECRET not in words


async def test_what_is_no_number_is_not_sent(build: Build, fake: Fake) -> None:
    channel = await build(SMSC)
    with pytest.raises(GiveUp, match="no telephone number"):
        await channel.send(Message("m", "anonymous", "", "x"))
    assert fake.asked == []


async def test_the_short_words_go_into_an_sms(build: Build, fake: Fake) -> None:
    channel = await build(SMSC)
    fake.says({"id": 1, "cnt": 1})
    await channel.send(MESSAGE)
    sent = fake.asked[0][1]
    assert (sent["mes"], sent["phones"], sent["login"], sent["psw"]) == (MESSAGE.short, NUMBER, "me", SECRET)


async def test_values_cannot_break_out_of_a_gateways_address(build: Build, fake: Fake) -> None:
    channel = await build('type = "http"\nurl = "URL/send?text={{ text }}&flash=0"\nbody = "raw"')
    fake.says("fine")
    assert await channel.send(Message("m", f"+{NUMBER}", "", "x", "a&flash=1 +?#/é")) == "fine"
    assert dict(fake.asked[0][0].query) == {"text": "a&flash=1 +?#/é", "flash": "0"}


@pytest.mark.parametrize(
    "line", ["{{ nothing }}", "{{ text", "{{ ''.__class__.__mro__ }}", "{% for x in 1 %}{% endfor %}"]
)
async def test_a_template_error_is_told_when_the_settings_are_read(build: Build, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await build(f'type = "http"\nurl = "URL"\nfields = {{ text = "{line}" }}')
    assert caught.value.problems[0].key == "notify.x.fields.text"


async def test_a_caller_cannot_write_telegrams_html(build: Build, fake: Fake) -> None:
    channel = await build(TELEGRAM)
    fake.says({"ok": True, "result": {"message_id": 5}})
    buttons = (Button("Call back", "https://c.example/1"), Button("Done", "https://c.example/2"))
    await channel.send(Message("m", "-100/45", "<i>Subject", "a < b & c", buttons=buttons))
    sent = fake.asked[0][1]
    assert sent["text"] == "<b>&lt;i&gt;Subject</b>\na &lt; b &amp; c"
    assert (sent["chat_id"], sent["message_thread_id"]) == ("-100", "45")
    assert [button["text"] for button in sent["reply_markup"]["inline_keyboard"][0]] == ["Call back", "Done"]


async def test_telegram_takes_a_recording_as_audio(build: Build, fake: Fake, tmp_path: Path) -> None:
    channel = await build(TELEGRAM)
    fake.says({"ok": True, "result": {"message_id": 5}})
    file = tmp_path / "call.mp3"
    file.write_bytes(b"ID3")
    await channel.send(Message("m", "1", "Voice message", "listen", attachment=Attachment(file)))
    request, sent = fake.asked[0]
    assert request.path.endswith("/sendAudio")
    assert sent["audio"] == b"ID3"
    assert sent["caption"] == "<b>Voice message</b>\nlisten"


async def test_a_telegram_group_that_moved_is_followed(build: Build, fake: Fake) -> None:
    channel = await build(TELEGRAM)
    fake.says({"ok": False, "parameters": {"migrate_to_chat_id": -1007}}, 400)
    fake.says({"ok": True, "result": {"message_id": 5}})
    assert "-1007" in await channel.send(Message("m", "-5", "s", "t"))
    await channel.send(Message("m", "-5", "s", "t"))
    assert [sent["chat_id"] for _, sent in fake.asked] == ["-5", "-1007", "-1007"]


async def test_a_button_that_telegram_refuses_does_not_lose_the_message(build: Build, fake: Fake) -> None:
    channel = await build(TELEGRAM)
    fake.says({"ok": False, "description": "BUTTON_URL_INVALID"}, 400)
    fake.says({"ok": True, "result": {"message_id": 5}})
    assert await channel.send(Message("m", "1", "s", "t", buttons=(Button("Open", "http://localhost/"),)))
    assert "reply_markup" not in fake.asked[1][1]


@pytest.mark.parametrize(
    ("kind", "key", "text"),
    [
        ("slack", "text", "Missed: &lt;b&gt;Eve &amp; Co&lt;/b&gt; @everyone"),
        ("mattermost", "text", "Missed: \\<b\\>Eve & Co\\</b\\> @\u200beveryone"),
        ("discord", "content", "Missed: \\<b\\>Eve & Co\\</b\\> @\u200beveryone"),
    ],
)
async def test_a_caller_cannot_call_everybody_in_a_chat(
    build: Build, fake: Fake, kind: str, key: str, text: str
) -> None:
    channel = await build(f'type = "{kind}"', secret="URL/hook/k3y")
    fake.says("ok")
    await channel.send(MESSAGE)
    assert fake.asked[0][1][key] == text


async def test_a_hook_that_was_taken_away_pauses_the_channel(build: Build, fake: Fake) -> None:
    channel = await build('type = "slack"', secret="URL/hook/k3y")
    fake.says("no_service", 404)
    with pytest.raises(GiveUp, match="no_service") as caught:
        await channel.send(MESSAGE)
    assert caught.value.unauthorised


async def test_discord_names_its_wait_in_the_body(build: Build, fake: Fake) -> None:
    channel = await build('type = "discord"', secret="URL/hook/k3y")
    fake.says({"retry_after": 1.5}, 429)
    with pytest.raises(Retry) as caught:
        await channel.send(MESSAGE)
    assert caught.value.after == 1.5


@pytest.mark.parametrize(
    ("driver", "key", "value"),
    [
        ("dongle", "Message", "a\\\\b\\nAction: x"),
        ("message", "Base64Body", base64.b64encode(b"a\\b\nAction: x").decode()),
    ],
)
async def test_a_modem_gets_one_action_whatever_the_text(
    build: Build, tools: Tools, driver: str, key: str, value: str
) -> None:
    asked: list[Mapping[str, str]] = []

    async def ask(pbx: str, action: Mapping[str, str]) -> str:
        asked.append(action)
        return "[dongle0] SMS queued for send"

    lent = Tools(tools.client, tools.db, ask)
    channel = await build(f'type = "modem"\ndevice = "dongle0"\ndriver = "{driver}"', lent=lent)
    assert "queued" in await channel.send(Message("m", f"+{NUMBER}", "", "", "a\\b\nAction: x"))
    assert asked[0][key] == value


@pytest.mark.parametrize(
    ("words", "error"),
    [("Permission denied", GiveUp), ("Invalid/unknown command: DongleSendSMS", GiveUp), ("Device disconnected", Retry)],
)
async def test_what_a_pbx_says_of_its_modem_is_understood(build: Build, tools: Tools, words: str, error: Any) -> None:
    async def ask(pbx: str, action: Mapping[str, str]) -> str:
        raise PbxRefused(words)

    channel = await build('type = "modem"\ndevice = "d"', lent=Tools(tools.client, tools.db, ask))
    with pytest.raises(error, match=words):
        await channel.send(MESSAGE)


async def test_every_mistake_in_channels_is_told_at_once(toml: Path, tools: Tools) -> None:
    file = toml.with_name("bad.toml")
    file.write_text(
        toml.read_text() + '[notify.a]\ntype = "telegram"\n[notify.b]\ntype = "smsru"\nsecret_file = "none"\n'
    )
    with pytest.raises(ConfigError) as caught:
        make_all(config.load(file), tools)
    assert [problem.key for problem in caught.value.problems] == ["notify.a.secret_file", "notify.b.secret_file"]
