"""E-mail to a real SMTP server: STARTTLS and AUTH, TLS from the first byte, refusals for now and for ever."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from ctserver.config.notify import Email
from ctserver.notify.mail import Mail
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.attachment import Attachment

PASSWORD = "mail-s3cret"
MESSAGE = Message("m1", "boss@example.com", "Missed call\r\nBcc: all@example.com", "Who rang", html="<p>Who rang</p>")


class Box:
    """Takes mail, or refuses it with the words it was told."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse_recipient = self.refuse_data = ""

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:  # noqa: N802
        if not self.refuse_recipient:
            envelope.rcpt_tos.append(address)
        return self.refuse_recipient or "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        if not self.refuse_data:
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return self.refuse_data or "250 queued as 42"


def authenticate(_: Any, __: Any, ___: Any, ____: Any, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=good)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
async def mail_server(
    box: Box, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, free_port: int
) -> AsyncIterator[Callable[..., Mail]]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    started: list[Controller] = []

    def start(security: str, password: str = PASSWORD, **own: Any) -> Mail:
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": free_port, "authenticator": authenticate}
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
        elif security == "tls":
            options |= {"ssl_context": context, "auth_require_tls": False}
        started.append(Controller(box, **options))
        started[0].start()
        user = "" if security == "none" else "me"
        host = own.pop("host", "localhost")
        words = {"type": "email", "host": host, "port": free_port, "security": security, "user": user}
        return Mail(Email.model_validate(words | {"sender": "Calls <calls@example.com>"} | own), password)

    yield start
    for controller in started:
        controller.stop()


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_mail_arrives_as_text_and_html(mail_server: Any, box: Box, security: str) -> None:
    assert "42" in await mail_server(security).send(MESSAGE)
    [mail] = box.mails
    assert mail["Subject"] == "Missed call Bcc: all@example.com"
    assert mail["Bcc"] is None
    assert mail["Message-ID"] == "<m1@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


async def test_a_small_recording_is_attached_and_a_large_one_is_not(mail_server: Any, box: Box, tmp_path: Path) -> None:
    channel = mail_server("none", attach_mb=1)
    for name, size in (("small.mp3", 1000), ("large.mp3", 1_000_001)):
        file = tmp_path / name
        file.write_bytes(b"x" * size)
        await channel.send(Message("m", "a@example.com", "s", "t", attachment=Attachment(file)))
    await channel.send(Message("m", "a@example.com", "s", "t", attachment=Attachment(tmp_path / "gone.mp3")))
    assert [[part.get_filename() for part in mail.iter_attachments()] for mail in box.mails] == [["small.mp3"], [], []]


async def test_a_wrong_password_pauses_the_channel_and_is_not_told(mail_server: Any) -> None:
    with pytest.raises(GiveUp) as caught:
        await mail_server("starttls", password="wr0ng-word").send(MESSAGE)
    assert caught.value.unauthorised
    assert "535" in str(caught.value)
    assert "wr0ng-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "words", "error"),
    [
        ("refuse_recipient", "550 no such user", GiveUp),
        ("refuse_recipient", "450 greylisted", Retry),
        ("refuse_data", "554 spam", GiveUp),
        ("refuse_data", "452 disk full", Retry),
    ],
)
async def test_5xx_is_for_ever_and_4xx_for_now(mail_server: Any, box: Box, where: str, words: str, error: Any) -> None:
    setattr(box, where, words)
    with pytest.raises(error, match=words):
        await mail_server("none").send(MESSAGE)


async def test_a_certificate_that_is_not_its_own_is_told(mail_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Retry, match=r"(?i)certificate"):
        await mail_server("starttls").send(MESSAGE)


async def test_a_server_that_is_away_is_tried_again(free_port: int) -> None:
    words = {"type": "email", "host": "127.0.0.1", "port": free_port, "security": "none", "sender": "a@example.com"}
    with pytest.raises(Retry):
        await Mail(Email.model_validate(words), "").send(MESSAGE)


@pytest.mark.parametrize("to", ["boss", "@", "a@", "a@b\r\nBcc: x@y", ""])
async def test_what_is_no_address_is_refused(to: str) -> None:
    words = {"type": "email", "host": "127.0.0.1", "security": "none", "sender": "a@example.com"}
    with pytest.raises(GiveUp):
        await Mail(Email.model_validate(words), "").send(Message("m", to, "s", "t"))
