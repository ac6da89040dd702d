"""The ways to tell people something: one model for each kind of channel, told apart by `type`.

No model holds a secret: `secret_file` names the file with the one secret that a channel has.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ctserver.config.types import Identifier, OneLine, Reference, Table


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(letter.isspace() for letter in value):
        raise ValueError(f"{value[:80]!r} is not an address that starts with https:// or http://")
    return value.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]


class _Channel(Table):
    """What all channels have. `to` is where a message goes that names nobody."""

    to: OneLine = ""
    secret_file: str = ""


class Email(_Channel):
    type: Literal["email"]
    host: OneLine = Field(min_length=1)
    port: int = Field(default=0, ge=0, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: OneLine = ""
    sender: str = Field(max_length=300, pattern=r"^[^\r\n@]+@[^\r\n@]+$")
    attach_mb: int = Field(default=10, ge=0, le=50)


class HttpSms(_Channel):
    """An SMS gateway, described: every text but `method` and `body` is a Jinja2 template."""

    type: Literal["http"]
    url: str = Field(pattern=r"^https?://\S")
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: dict[str, str] = {}
    body: Literal["query", "form", "json", "raw"] = "form"
    fields: dict[str, str] = {}
    raw: str = ""
    sender: OneLine = ""
    statuses: list[int] = [200, 201, 202, 204]
    success: str = ""
    success_is: str = ""
    retry_is: str = ""
    answer_id: str = ""
    answer_error: str = ""


class Telegram(_Channel):
    type: Literal["telegram"]
    base_url: WebAddress = "https://api.telegram.org"
    quiet: bool = False
    buttons: bool = True


class Smsc(_Channel):
    """SMSC.ru and its sisters. With `user` the secret is the password, without it the API key."""

    type: Literal["smsc"]
    base_url: WebAddress = "https://smsc.ru"
    user: OneLine = ""
    sender: OneLine = ""


class Smsru(_Channel):
    type: Literal["smsru"]
    base_url: WebAddress = "https://sms.ru"
    sender: OneLine = ""


class Twilio(_Channel):
    """`sender`: a number, a name, or the id of a messaging service (MG...)."""

    type: Literal["twilio"]
    base_url: WebAddress = "https://api.twilio.com"
    account: OneLine = Field(min_length=1)
    user: OneLine = ""
    sender: OneLine = Field(min_length=1)


class Vonage(_Channel):
    type: Literal["vonage"]
    base_url: WebAddress = "https://rest.nexmo.com"
    user: OneLine = Field(min_length=1)
    sender: OneLine = Field(min_length=1)


class Smpp(_Channel):
    type: Literal["smpp"]
    host: OneLine = Field(min_length=1)
    port: int = Field(default=2775, ge=1, le=65535)
    tls: bool = False
    user: OneLine = Field(min_length=1, max_length=15)
    system_type: OneLine = Field(default="", max_length=12)
    sender: OneLine = Field(default="", max_length=20)


class Modem(_Channel):
    """A GSM modem that Asterisk owns, asked over AMI; it has no secret of its own."""

    type: Literal["modem"]
    pbx: Reference = ""
    driver: Literal["dongle", "quectel", "message"] = "dongle"
    device: OneLine = Field(min_length=1)


class Hook(_Channel):
    """A chat's incoming web hook. Its whole address is the secret."""

    type: Literal["slack", "mattermost", "discord"]


class Matrix(_Channel):
    type: Literal["matrix"]
    base_url: WebAddress


class Push(_Channel):
    """To the browsers in which people have switched it on. The key is made by ctserver itself."""

    type: Literal["push"]
    contact: str = Field(pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://\S+)$")
    hours: int = Field(default=1, ge=0, le=672)


class Apprise(_Channel):
    """Anything that Apprise knows. Its URL is the secret."""

    type: Literal["apprise"]


ChannelTable = Annotated[
    Email | HttpSms | Telegram | Smsc | Smsru | Twilio | Vonage | Smpp | Modem | Hook | Matrix | Push | Apprise,
    Field(discriminator="type"),
]
NotifyTables = dict[Identifier, ChannelTable]
