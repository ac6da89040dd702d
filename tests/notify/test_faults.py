"""Every channel and the web hook against another side that is slow, gone, broken, false or busy: one table, none left out.

What the other side does is real: sockets that say nothing, hang up, talk nonsense, show a certificate that nobody vouches for.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from ctserver import config
from ctserver.config.notify import ChannelTable
from ctserver.domain.fact import Fact
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.notify import Tools, make
from ctserver.outbound import GiveUp, Message, OutboundError, Retry
from ctserver.outbound.client import Client
from ctserver.services.delivery import Job
from ctserver.sinks import Sinks, directly
from ctserver.storage import push, users
from ctserver.storage.sqlite import Sqlite

SECRET = "k3y-0f-u"  # as long as SMPP allows
WHSEC = "whsec_" + base64.b64encode(b"s3cret-of-the-web-hook-0123456789").decode()
NUMBER = "447700900123"
MESSAGE = Message("m1", "", "Missed call", "Missed call from Eve", "Missed call from Eve")
FACT = Fact("call.missed", 1, "c1", call="c1", data={"caller": f"+{NUMBER}"})
SLOW = 1  # second that the settings allow to those of whom no answer is wanted
P256DH = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"


@dataclass(frozen=True)
class Side:
    """One kind of channel: its table, its secret, and what its other side may say. URL, HOST and PORT stand for the other side.

    `taken`: the answer (status, body) to what it took. `inside`: one of status 200 that is an error, and what that means;
    None: this kind has no such answer. `wrong_json`: what becomes of 200 with a page of HTML.
    """

    table: str
    secret: str = SECRET
    taken: tuple[int, Any] = (200, {})
    inside: tuple[Any, type[OutboundError]] | None = None
    wrong_json: type[OutboundError] | None = Retry
    tells_wait: bool = True
    tls: str = ""  # what of the table is another with TLS


def _part(status: str) -> dict[str, Any]:
    return {"messages": [{"status": status, "message-id": "1", "error-text": "why"}]}


def _smsru(code: int) -> dict[str, Any]:
    return {"status": "OK", "status_code": 100, "sms": {NUMBER: {"status_code": code, "sms_id": "1"}}}


_FINE = '[notify.x]\ntype = "{}"\nbase_url = "URL"\nto = "+447700900123"\n'.format
_HOOK = '[notify.x]\ntype = "{}"\n'.format
SIDES: dict[str, Side] = {
    "http": Side(
        '[notify.x]\ntype = "http"\nurl = "URL/{{ secret }}"\nto = "+447700900123"\nsuccess = "ok"\nsuccess_is = "true"\n',
        taken=(200, {"ok": True}), inside=({"ok": False}, GiveUp),
    ),
    "smsc": Side(_FINE("smsc"), taken=(200, {"id": 1, "cnt": 1}), inside=({"error": "x", "error_code": 7}, GiveUp)),
    "smsru": Side(_FINE("smsru"), taken=(200, _smsru(100)), inside=(_smsru(220), Retry)),
    "vonage": Side(_FINE("vonage") + 'user = "me"\nsender = "Shop"\n', taken=(200, _part("0")), inside=(_part("1"), Retry)),
    "twilio": Side(_FINE("twilio") + 'account = "AC1"\nsender = "+15550100"\n', taken=(201, {"sid": "SM1"})),
    "telegram": Side(
        _FINE("telegram"), taken=(200, {"ok": True, "result": {"message_id": 1}}),
        inside=({"ok": False, "error_code": 429, "parameters": {"retry_after": 3}}, GiveUp),
    ),
    "matrix": Side(_FINE("matrix"), taken=(200, {"event_id": "$1"})),
    "slack": Side(_HOOK("slack"), f"URL/{SECRET}", taken=(200, "ok"), wrong_json=None),
    "mattermost": Side(_HOOK("mattermost"), f"URL/{SECRET}", taken=(200, "ok"), wrong_json=None),
    "discord": Side(_HOOK("discord"), f"URL/{SECRET}", taken=(204, ""), wrong_json=None),
    "push": Side('[notify.x]\ntype = "push"\ncontact = "mailto:a@example.com"\n', taken=(201, ""), wrong_json=None),
    "apprise": Side(
        _HOOK("apprise"), f"json://HOST:PORT/{SECRET}?rto=0.5&cto=0.5", wrong_json=None, tells_wait=False,
        tls=f"jsons://HOST:PORT/{SECRET}",
    ),
    "webhook": Side('[webhooks.x]\nurl = "URL/hook"\nallow_private = true\ntimeout_seconds = 1\n', WHSEC, taken=(200, "ok"), wrong_json=None),
    "email": Side(
        '[notify.x]\ntype = "email"\nhost = "localhost"\nport = PORT\nsecurity = "none"\nsender = "ct@example.com"\n'
        'to = "boss@example.com"\n', tls='security = "tls"',
    ),
    "smpp": Side(
        '[notify.x]\ntype = "smpp"\nhost = "localhost"\nport = PORT\nuser = "shop"\nto = "+447700900123"\ntls = false\n',
        tls="tls = true",
    ),
    "modem": Side('[notify.x]\ntype = "modem"\ndevice = "d"\nto = "+447700900123"\n'),
}  # fmt: skip
HTTP = [name for name in SIDES if name not in ("email", "smpp", "modem")]


def test_no_kind_of_channel_is_left_out() -> None:
    members = get_args(get_args(ChannelTable)[0])
    known = {kind for member in members for kind in get_args(member.model_fields["type"].annotation)}
    assert set(SIDES) == known | {"webhook"}


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Outcome = str | OutboundError


@pytest.fixture
def patience() -> int:
    """Seconds that the settings allow."""
    return 20


@pytest.fixture
def tell(db: Sqlite, toml: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, patience: int) -> Any:
    """Send the message by one kind of channel to a side at this port; the words of the answer, or the error."""
    for variable in ("CTSERVER_NOTIFY_SECRET_X", "CTSERVER_WEBHOOK_SECRET_X"):
        monkeypatch.delenv(variable, raising=False)
    base = toml.read_text()

    async def told(name: str, port: int, *, tls: bool = False) -> Outcome:
        side, url = SIDES[name], f"{'https' if tls else 'http'}://localhost:{port}"
        places = {"URL": url, "HOST": "localhost", "PORT": str(port)}
        table, secret = side.table, side.secret
        if tls and side.tls.startswith("jsons"):
            secret = side.tls
        elif tls and side.tls:
            key = side.tls.partition(" =")[0]
            table = "".join(f"{side.tls}\n" if line.startswith(f"{key} =") else line for line in table.splitlines(True))
        for place, value in places.items():
            table, secret = table.replace(place, value), secret.replace(place, value)
        folder = tmp_path / f"{name}{port}{tls}"
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text("s3cret\n")
        (folder / "key").write_text(secret + "\n")
        needs = "" if name in ("modem", "push", "email") else 'secret_file = "key"\n'
        file = folder / "ctserver.toml"
        table = table.replace("timeout_seconds = 1", f"timeout_seconds = {patience}")
        private = f'[outbound]\nprivate_networks = ["127.0.0.0/8", "::1/128"]\ntimeout_seconds = {patience}\n'
        file.write_text(base.replace("127.0.0.1:1", f"127.0.0.1:{port}") + private + table + needs)
        return await _send(name, config.load(file), db, url, patience)

    return told


async def _send(name: str, settings: config.Settings, db: Sqlite, url: str, patience: int) -> Outcome:
    client = Client(settings.outbound.private_networks, seconds=patience)
    sinks = Sinks(db, settings) if name == "webhook" else None
    try:
        if sinks is not None:
            return (await sinks.delivery.vias["hook.x"].deliver(Job("j1", "", "", "", 0, 0, FACT))).answer
        if name == "push":
            await db.write(
                lambda tx: push.put(
                    tx, push.Subscription(f"{url}/{SECRET}", "alice", P256DH, "tBHItJI5svbpez7KI4CCXg"), 1
                )
            )
        return await make("x", settings, Tools(client, db, directly(settings))).send(MESSAGE)
    except OutboundError as error:
        return error
    finally:
        await client.close()
        if sinks is not None:
            await sinks.stop()


@asynccontextmanager
async def side(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A side that does this with every connection; its port."""

    async def safely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(safely, ["127.0.0.1"], 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def alice(db: Sqlite) -> None:
    await db.write(lambda tx: users.put_user(tx, "u1", "alice", "x", 1, Person("alice", Role.OWNER)))


async def outcomes(names: list[str], told: Any, port: int, **own: Any) -> dict[str, Outcome]:
    """Of all of them at once: a slow one costs its second only once."""
    found = await asyncio.gather(*(told(name, port, **own) for name in names))
    return dict(zip(names, found, strict=True))


def _own(name: str) -> str:
    """The secret of this kind, as another might send it back."""
    return WHSEC if SIDES[name].secret == WHSEC else SECRET


def told_without_secret(found: dict[str, Outcome]) -> None:
    for name, outcome in found.items():
        assert str(outcome), name
        for secret in (SECRET, WHSEC, "s3cret"):
            assert secret not in str(outcome), name


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 not what you think\r\n\r\n" * 20)
    await writer.drain()
    await asyncio.sleep(0.2)


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("patience", [SLOW])
@pytest.mark.parametrize("serve", [_silence, _hang_up, _at_once, _nonsense])
async def test_whoever_is_silent_hangs_up_or_talks_nonsense_is_asked_again(tell: Any, serve: Serve) -> None:
    async with side(serve) as port:
        found = await outcomes(list(SIDES), tell, port)
    assert {name for name, outcome in found.items() if not isinstance(outcome, Retry)} == set()
    told_without_secret(found)
    if serve is _silence:
        slow = {name for name, outcome in found.items() if "no answer" in str(outcome) or "not answer" in str(outcome)}
        assert set(found) - slow <= {"apprise", "email"}, "those say it in their libraries' words"


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("patience", [SLOW])
async def test_nobody_there_is_asked_again(tell: Any, free_port: int) -> None:
    found = await outcomes(list(SIDES), tell, free_port)
    assert {name for name, outcome in found.items() if not isinstance(outcome, Retry)} == set()
    told_without_secret(found)


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("patience", [SLOW])
async def test_a_certificate_that_nobody_vouches_for_is_not_believed(tell: Any, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))

    names = [name for name in SIDES if name != "modem"]  # AMI has no TLS here: it stays on the machine or in a tunnel
    async with side(serve, context) as port:
        found = await outcomes(names, tell, port, tls=True)
    assert {name for name, outcome in found.items() if not isinstance(outcome, Retry)} == set()
    assert {name for name, outcome in found.items() if "certificate" not in str(outcome).lower()} <= {"apprise"}
    assert b"".join(heard) == b"", "nothing was said to it"
    told_without_secret(found)


def _answering(status: int, body: Any, **headers: str) -> Serve:
    text = body if isinstance(body, str) else json.dumps(body)
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    sent = (
        f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(text)}\r\nConnection: close\r\n{lines}\r\n{text}".encode()
    )
    if status == 204:
        sent = f"HTTP/1.1 204 No Content\r\nConnection: close\r\n{lines}\r\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        await reader.readexactly(length)
        writer.write(sent)
        await writer.drain()

    return serve


async def each(tell: Any, answer: Callable[[str], Serve], names: list[str]) -> dict[str, Outcome]:
    """Of each of them with a side of its own."""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(side(answer(name))) for name in names]
        found = await asyncio.gather(*(tell(name, port) for name, port in zip(names, ports, strict=True)))
    return dict(zip(names, found, strict=True))


@pytest.mark.usefixtures("alice")
async def test_what_was_taken_is_taken(tell: Any) -> None:
    found = await each(tell, lambda name: _answering(*SIDES[name].taken), HTTP)
    assert {name for name, outcome in found.items() if not isinstance(outcome, str)} == set()


@pytest.mark.usefixtures("alice")
async def test_who_is_busy_is_asked_again_when_he_says(tell: Any) -> None:
    found = await each(tell, lambda _: _answering(429, {"ok": False}, Retry_After="7"), HTTP)
    waits = {name: getattr(outcome, "after", "taken") for name, outcome in found.items()}
    assert waits == {name: 7.0 if SIDES[name].tells_wait else None for name in HTTP}
    found = await each(tell, lambda _: _answering(429, {"ok": False}), HTTP)
    assert {name: getattr(outcome, "after", "taken") for name, outcome in found.items()} == dict.fromkeys(HTTP)
    told_without_secret(found)


@pytest.mark.usefixtures("alice")
async def test_an_error_inside_a_good_status_is_seen(tell: Any) -> None:
    inside = {name: side.inside for name, side in SIDES.items() if side.inside}
    found = await each(tell, lambda name: _answering(200, inside[name][0]), list(inside))
    assert {name: type(outcome) for name, outcome in found.items()} == {
        name: kind for name, (_, kind) in inside.items()
    }


@pytest.mark.usefixtures("alice")
async def test_a_page_where_json_was_due_is_no_yes(tell: Any) -> None:
    found = await each(tell, lambda name: _answering(200, f"<html>The hotel's {_own(name)}</html>"), HTTP)
    told_without_secret(found)
    assert {name: None if isinstance(outcome, str) else type(outcome) for name, outcome in found.items()} == {
        name: SIDES[name].wrong_json for name in HTTP
    }


async def test_a_mail_server_and_a_message_centre_that_are_busy_are_asked_again(tell: Any) -> None:
    async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 too many connections, try later\r\n")
        await writer.drain()

    async def centre(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, command, _, sequence = struct.unpack("!IIII", await reader.readexactly(16))
        await reader.readexactly(length - 16)
        writer.write(struct.pack("!IIII", 16, command | 0x80000000, 0x58, sequence))  # ESME_RTHROTTLED
        await writer.drain()

    found = await each(tell, {"email": mail, "smpp": centre}.__getitem__, ["email", "smpp"])
    assert {name: type(outcome) for name, outcome in found.items()} == {"email": Retry, "smpp": Retry}
    assert "421" in str(found["email"])
    assert "RTHROTTLED" in str(found["smpp"])
