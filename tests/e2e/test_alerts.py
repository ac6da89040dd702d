"""A missed call on the real Asterisk reaches a person: by e-mail over STARTTLS with a login, and by SMS through a gateway."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.conftest import PATIENCE
from tests.e2e.conftest import TOML, Stack
from tests.notify.test_mail import PASSWORD, Box, authenticate
from tests.ports import free_port
from tests.receiver import Got, receiver

pytestmark = pytest.mark.e2e

SECONDS = 5.0  # from the hang-up to the person
SECRETS = {
    "mail-secret": PASSWORD,
    "sms-secret": "sms-s3cret",
    "bot-secret": "42:b0t-s3cret",
    "hook-secret": "whsec_aG9vay1zZWNyZXQtaG9vay1zZWNyZXQtaG9vay1zZWNyZXQ=",
}
PATH = "hook-p4th-s3cret"
ALERTS = """
[outbound]
private_networks = ["127.0.0.0/8"]
[notify.mail]
type = "email"
host = "localhost"
port = %(mail)d
user = "me"
sender = "Calls <calls@example.com>"
secret_file = "mail-secret"
[notify.sms]
type = "http"
url = "http://127.0.0.1:%(sms)d/send"
headers = {{ Authorization = "Bearer {{{{ secret }}}}" }}
fields = {{ to = "{{{{ to_digits }}}}", text = "{{{{ text }}}}" }}
body = "json"
secret_file = "sms-secret"
[notify.chat]
type = "telegram"
base_url = "http://127.0.0.1:%(bot)d"
secret_file = "bot-secret"
to = "-100"
[alerts.chat]
on = ["missed"]
by = "chat"
[webhooks.crm]
url = "http://127.0.0.1:%(hook)d/hook-p4th-s3cret?key=hook-p4th-s3cret"
secret_file = "hook-secret"
[alerts.boss]
on = ["missed"]
by = "mail"
to = ["boss@example.com"]
[alerts.desk]
on = ["missed"]
by = "sms"
to = ["+447700900001"]
"""


class ShortPatience(Stack):
    toml = TOML.replace("ring_seconds = 20", "ring_seconds = 2")


@contextmanager
def mail_server(certificate: tuple[Path, Path], port: int) -> Iterator[Box]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    box = Box()
    options = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": authenticate}
    server = Controller(box, hostname="127.0.0.1", port=port, **options)  # type: ignore[arg-type]
    server.start()
    try:
        yield box
    finally:
        server.stop()


def refusing(*secrets: str) -> Any:
    """Somebody who refuses, and sends back what he was sent."""
    return receiver(answer=lambda _: 500, text=f"not with {' and '.join(secrets)}")


async def within(seconds: float, ready: Callable[[], object]) -> float:
    """How long it took, in seconds."""
    began = time.monotonic()
    while not ready():
        assert time.monotonic() - began < seconds, "nothing came in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def plain(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


async def test_a_missed_call_reaches_a_person_within_five_seconds(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    mail_port = free_port()
    async with (
        receiver() as gateway,
        refusing(SECRETS["bot-secret"]) as bot,
        refusing(SECRETS["hook-secret"], PATH) as hook,
    ):
        ports = {"mail": mail_port, "sms": gateway.port, "bot": bot.port, "hook": hook.port}
        stack = ShortPatience(tmp_path, ALERTS % ports)
        for name, secret in SECRETS.items():
            (tmp_path / name).write_text(secret + "\n", encoding="utf-8")
        try:
            with mail_server(certificate, mail_port) as box:
                stack.start_pbx()
                stack.start_server()
                await stack.healthy()
                with stack.phone(ring_ms=60_000):
                    await stack.call("+442079460190", caller="+447700900321")
                took = await within(PATIENCE, lambda: box.mails and gateway.taken)
                (call,) = await stack.eventually("SELECT * FROM calls WHERE state = 'ended'")
                check(stack, call["id"], box.mails, gateway.taken)
                assert mails_are_drawn(box.mails)
                for caller in ("+447700900322", "+447700900323"):  # a busy machine may have held up the first
                    if took < SECONDS:
                        break
                    told = len(box.mails), len(gateway.taken)
                    with stack.phone(ring_ms=60_000):
                        await stack.call("+442079460190", caller=caller)
                    took = await within(
                        PATIENCE, lambda told=told: len(box.mails) > told[0] and len(gateway.taken) > told[1]
                    )
                print(f"{took:.2f} s from the hang-up to the e-mail and the SMS")
                assert took < SECONDS
                await within(PATIENCE, lambda: bot.got and hook.got)
                await keeps_secrets(stack)
        finally:
            stack.stop()


def check(stack: Stack, call: str, mails: list[EmailMessage], taken: list[Got]) -> None:
    [mail], [sms] = mails, taken
    assert mail["To"] == "boss@example.com"
    for words in (plain(mail), sms.json["text"]):
        assert "7700 900321" in words
        assert "billboard" in words
        assert re.search(r"\d\d:\d\d", words)
        assert f"{stack.url}/calls/{call}" in words
    assert sms.json["to"] == "447700900001"
    assert sms.headers["authorization"] == "Bearer sms-s3cret"


def mails_are_drawn(mails: list[EmailMessage]) -> bool:
    part = mails[0].get_body(("html",))
    return part is not None and "Missed call: +44 7700 900321" in str(part.get_content())


async def keeps_secrets(stack: Stack) -> None:
    """No secret in the log, the database, or what the commands print, though others send theirs back."""
    await stack.eventually("SELECT * FROM tries WHERE outcome = 'retry' AND answer LIKE '%500%'")
    printed = stack.ctserver("check")
    tested = await asyncio.to_thread(stack.ctserver, "notify", "test", "chat")  # it asks a server of ours
    assert "500" in tested.stderr
    with closing(stack.folder.joinpath("ctserver.db").open("rb")) as file:
        written = file.read() + b"".join(path.read_bytes() for path in stack.folder.glob("ctserver.db-wal"))
    for secret in (*SECRETS.values(), PATH, "a secret for tests"):
        assert secret not in stack.log()
        assert secret not in printed.stdout + printed.stderr + tested.stdout + tested.stderr
        assert secret.encode() not in written
