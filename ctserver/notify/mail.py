"""E-mail over SMTP (RFC 5321): text and HTML, a recording attached while it is small."""

from __future__ import annotations

import asyncio
import mimetypes
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

import aiosmtplib

from ctserver import ids
from ctserver.config.notify import Email
from ctserver.notify import parts
from ctserver.outbound import GiveUp, Message, OutboundError, Retry
from ctserver.outbound.attachment import Attachment
from ctserver.outbound.client import shown

SECONDS = 20.0  # for each step of the conversation, unless the settings say otherwise
ALL_SECONDS = 90.0  # for all of it: a recording of 10 MB goes out over a slow line


class Mail:
    """Sends by the mail server of the settings; one connection a message."""

    def __init__(self, table: Email, password: str, seconds: float = SECONDS) -> None:
        self._table = table
        self._password = password
        self._seconds = seconds
        self.attaches = table.attach_mb * 1_000_000
        name, address = parseaddr(table.sender)
        self._sender = Address(name, addr_spec=address)
        self._port = table.port or {"tls": 465, "starttls": 587, "none": 25}[table.security]

    async def send(self, message: Message) -> str:
        mail = await asyncio.to_thread(self.compose, message)
        try:
            async with asyncio.timeout(ALL_SECONDS):
                return await self._deliver(mail)
        except aiosmtplib.SMTPException as error:
            raise self._refusal(error) from None
        except TimeoutError:
            raise Retry(f"{self._table.host}: no answer in time") from None
        except ssl.SSLError as error:
            raise Retry(f"{self._table.host}: TLS failed: {error.reason or error}") from None
        except OSError as error:
            raise Retry(f"{self._table.host}: no connection: {error.strerror or error}") from None

    async def close(self) -> None:
        """Nothing is kept open."""

    def compose(self, message: Message) -> EmailMessage:
        """The mail. Its Message-ID is the message's own, so that a second try is known as the same mail."""
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        mail["To"] = _address(parts.recipient(message, self._table.to))
        mail["Subject"] = shown(message.subject)
        mail["Date"] = formatdate(ids.now_ms() / 1000)
        mail["Message-ID"] = f"<{message.id}@{self._sender.domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(parts.text_with_links(message))
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        if message.attachment is not None:
            self._attach(mail, message.attachment)
        return mail

    def _attach(self, mail: EmailMessage, file: Attachment) -> None:
        """A recording that has gone or is too large is left out: the text links to it."""
        try:
            if file.size > self.attaches:
                return
            body = b"".join(file.read())
        except OSError:
            return
        kind, _, subtype = (mimetypes.guess_type(file.name)[0] or "application/octet-stream").partition("/")
        mail.add_attachment(body, maintype=kind, subtype=subtype, filename=file.name)

    async def _deliver(self, mail: EmailMessage) -> str:
        server = aiosmtplib.SMTP(
            hostname=self._table.host,
            port=self._port,
            use_tls=self._table.security == "tls",
            start_tls=self._table.security == "starttls",
            username=self._table.user or None,
            password=self._password if self._table.user else None,
            timeout=self._seconds,
        )
        async with server:
            _, words = await server.send_message(mail)
        return shown(words, [self._password])

    def _refusal(self, error: aiosmtplib.SMTPException) -> OutboundError:
        """RFC 5321, 4.2.1: 4xx is for now, 5xx for ever."""
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
            error = error.recipients[0]
        if not isinstance(error, aiosmtplib.SMTPResponseException):
            cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
            return Retry(f"{self._table.host}: {shown(str(cause), [self._password]) or type(error).__name__}")
        why = f"{self._table.host} answered {error.code} {shown(error.message, [self._password])}"
        if not 500 <= error.code < 600:
            return Retry(why)
        return GiveUp(why, unauthorised=isinstance(error, aiosmtplib.SMTPAuthenticationError))


def _address(text: str) -> str:
    """One or several addresses with commas between. Raises GiveUp for what is none."""
    for part in text.split(","):
        _, address = parseaddr(part)
        name, at, domain = address.rpartition("@")
        if not (name and at and domain) or any(ord(letter) < 32 for letter in part):
            raise GiveUp(f"{part.strip()!r} is no e-mail address")
    return text
