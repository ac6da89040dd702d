"""Edge: text to people, one module for each kind of channel; the registry is here.

A channel takes a Message or raises Retry or GiveUp (ctserver.outbound); it keeps nothing and repeats nothing by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ctserver.config import ConfigError, Problem, Settings
from ctserver.config import notify as tables
from ctserver.notify.apprise_url import AppriseUrl
from ctserver.notify.chat_hook import ChatHook
from ctserver.notify.http_sms import HttpSms
from ctserver.notify.mail import Mail
from ctserver.notify.matrix import Matrix
from ctserver.notify.modem import Ask, Modem
from ctserver.notify.parts import BadChannel
from ctserver.notify.smpp import Smpp
from ctserver.notify.smsc import Smsc
from ctserver.notify.smsru import Smsru
from ctserver.notify.telegram import Telegram
from ctserver.notify.telegram_buttons import Buttons
from ctserver.notify.twilio import Twilio
from ctserver.notify.vonage import Vonage
from ctserver.notify.web_push import WebPush
from ctserver.outbound import Channel, Retry
from ctserver.outbound.client import Client
from ctserver.outbound.press import Hear
from ctserver.storage.db import Database


async def _no_pbx(pbx: str, _: object) -> str:
    raise Retry(f"there is no link to the PBX {pbx}".strip())


@dataclass(frozen=True, slots=True)
class Tools:
    """What channels are lent: the HTTP client, the database of browsers to push to, and a way to ask a PBX."""

    client: Client
    db: Database
    ask_pbx: Ask = _no_pbx


Maker = Callable[[Any, str, Tools, Settings], Channel]  # the table of the settings, its secret

_MAKERS: dict[type[Any], Maker] = {
    tables.Email: lambda table, secret, _, settings: Mail(table, secret, settings.outbound.timeout_seconds),
    tables.HttpSms: lambda table, secret, tools, _: HttpSms(table, secret, tools.client),
    tables.Telegram: lambda table, secret, tools, _: Telegram(table, secret, tools.client),
    tables.Smsc: lambda table, secret, tools, _: Smsc(table, secret, tools.client),
    tables.Smsru: lambda table, secret, tools, _: Smsru(table, secret, tools.client),
    tables.Twilio: lambda table, secret, tools, _: Twilio(table, secret, tools.client),
    tables.Vonage: lambda table, secret, tools, _: Vonage(table, secret, tools.client),
    tables.Smpp: lambda table, secret, _, settings: Smpp(table, secret, settings.outbound.timeout_seconds),
    tables.Modem: lambda table, _, tools, __: Modem(table, tools.ask_pbx),
    tables.Hook: lambda table, secret, tools, _: ChatHook(table, secret, tools.client),
    tables.Matrix: lambda table, secret, tools, _: Matrix(table, secret, tools.client),
    tables.Push: lambda table, _, tools, settings: WebPush(table, settings, tools.client, tools.db),
    tables.Apprise: lambda _, secret, __, settings: AppriseUrl(secret, settings.outbound.timeout_seconds),
}


def make(name: str, settings: Settings, tools: Tools) -> Channel:
    """The channel [notify.NAME]. Raises ConfigError."""
    table = settings.notify[name]
    try:
        return _MAKERS[type(table)](table, _secret(name, settings), tools, settings)
    except BadChannel as error:
        problem = Problem(f"notify.{name}.{error.key}", error.what, error.hint)
        raise ConfigError(settings.base, [problem]) from error


def make_all(settings: Settings, tools: Tools) -> dict[str, Channel]:
    """Every channel of the settings by its name. Raises ConfigError with every mistake."""
    made: dict[str, Channel] = {}
    problems: list[Problem] = []
    for name in settings.notify:
        try:
            made[name] = make(name, settings, tools)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(settings.base, problems)
    return made


def mistakes(settings: Settings) -> list[Problem]:
    """What is wrong with the tables of channels, without touching anything: push, which makes its key, is left out."""
    tools, found = Tools(Client(), cast(Database, None)), list[Problem]()  # nobody but push asks the database
    for name, table in settings.notify.items():
        if not isinstance(table, tables.Push):
            try:
                make(name, settings, tools)
            except ConfigError as error:
                found += error.problems
    return found


def listeners(channels: Mapping[str, Channel], hear: Hear) -> dict[str, Buttons]:
    """Those who hear the buttons of these channels."""
    return {
        name: Buttons(name, channel, hear)
        for name, channel in channels.items()
        if isinstance(channel, Telegram) and channel.hears
    }


def _secret(name: str, settings: Settings) -> str:
    """The channel's secret; "" where it has none, or can do without and none is named."""
    table = settings.notify[name]
    if isinstance(table, tables.Modem | tables.Push):
        return ""
    optional = isinstance(table, tables.HttpSms) or (isinstance(table, tables.Email) and not table.user)
    if optional and not table.secret_file and settings.notify_variable(name) not in os.environ:
        return ""
    return settings.notify_secret(name)
