"""The ways to tell people something: one model for each kind of channel, told apart by `type`.

No model holds a secret: `secret_file` names the file with the one secret that a channel has.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ctserver.config.types import Identifier, OneLine, Table


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


ChannelTable = Annotated[Email | HttpSms | Telegram, Field(discriminator="type")]
NotifyTables = dict[Identifier, ChannelTable]
