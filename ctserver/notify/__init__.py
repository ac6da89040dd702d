"""Edge: text to people, one module for each kind of channel; the registry is here.

A channel takes a Message or raises Retry or GiveUp (ctserver.outbound); it keeps nothing and repeats nothing by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctserver.config import ConfigError, Problem, Settings
from ctserver.config import notify as tables
from ctserver.notify import http_sms, mail, telegram
from ctserver.notify.parts import BadTemplate
from ctserver.outbound import Channel
from ctserver.outbound.client import Client


@dataclass(frozen=True, slots=True)
class Tools:
    """What channels are lent."""

    client: Client


Maker = Callable[[Any, str, Tools], Channel]  # the table of the settings, its secret

_MAKERS: dict[type[Any], Maker] = {
    tables.Email: lambda table, secret, _: mail.Mail(table, secret),
    tables.HttpSms: lambda table, secret, tools: http_sms.HttpSms(table, secret, tools.client),
    tables.Telegram: lambda table, secret, tools: telegram.Telegram(table, secret, tools.client),
}


def make(name: str, settings: Settings, tools: Tools) -> Channel:
    """The channel [notify.NAME]. Raises ConfigError."""
    table = settings.notify[name]
    try:
        return _MAKERS[type(table)](table, _secret(name, settings), tools)
    except BadTemplate as error:
        problem = Problem(f"notify.{name}.{error.key}", f"is no good template: {error}", "see docs/notify.md")
        raise ConfigError(settings.base, [problem]) from error


def make_all(settings: Settings, tools: Tools) -> dict[str, Channel]:
    """Every channel of the settings by its name. Raises ConfigError with every mistake."""
    made, problems = {}, []
    for name in settings.notify:
        try:
            made[name] = make(name, settings, tools)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(settings.base, problems)
    return made


def _secret(name: str, settings: Settings) -> str:
    """The channel's secret; "" where it can do without and none is named."""
    table = settings.notify[name]
    optional = isinstance(table, tables.HttpSms) or (isinstance(table, tables.Email) and not table.user)
    if optional and not table.secret_file and settings.notify_variable(name) not in os.environ:
        return ""
    return settings.notify_secret(name)
