"""Everything in ctserver.toml as one frozen value."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from ctserver.config.alerts import Alert
from ctserver.config.callbacks import Callbacks
from ctserver.config.lines import Callers, Line, Speech
from ctserver.config.notify import NotifyTables
from ctserver.config.oidc import Oidc
from ctserver.config.outbound import Outbound
from ctserver.config.people import Api, People
from ctserver.config.problems import ConfigError, Problem, reason_of
from ctserver.config.quality import Quality
from ctserver.config.recordings import S3, Recordings
from ctserver.config.retention import Retention
from ctserver.config.server import DatabaseFile, Fastagi, Geo, Limits, Log, Privacy, Server, Visitors
from ctserver.config.sites import Pool, Rule, Site, Static
from ctserver.config.telephony import Asterisk, Calls
from ctserver.config.types import Identifier, Table
from ctserver.config.webhooks import WebHook


class Settings(Table):
    """Everything in ctserver.toml. Relative paths are relative to the folder of the file (`path`)."""

    base: Path = Field(default=Path(), exclude=True)
    server: Server = Server()
    visitors: Visitors = Visitors()
    database: DatabaseFile = DatabaseFile()
    fastagi: Fastagi = Fastagi()
    log: Log = Log()
    asterisk: list[Asterisk] = [Asterisk()]
    recordings: Recordings = Recordings()
    s3: S3 = S3()
    calls: Calls = Calls()
    lines: dict[Identifier, Line] = Field(min_length=1)
    callers: Callers = Callers()
    callbacks: Callbacks = Callbacks()
    speech: Speech = Speech()
    sites: dict[Identifier, Site] = {}
    pools: dict[Identifier, Pool] = {}
    static: dict[Identifier, Static] = {}
    rules: list[Rule] = []
    webhooks: dict[Identifier, WebHook] = {}
    quality: Quality = Quality()
    limits: Limits = Limits()
    privacy: Privacy = Privacy()
    retention: Retention = Retention()
    geo: Geo = Geo()
    people: People = People()
    oidc: Oidc = Oidc()
    api: Api = Api()
    outbound: Outbound = Outbound()
    notify: NotifyTables = {}
    alerts: dict[Identifier, Alert] = {}

    def path(self, text: str) -> Path:
        return (self.base / text).resolve()

    def spool(self, pbx: Asterisk) -> Path:
        """Where this Asterisk writes: both sides of each call, and notes of the calls that have ended."""
        return self.path(pbx.spool or self.recordings.folder)

    @property
    def script_url(self) -> str:
        """Where the pages of sites find the script, and what it asks."""
        return self.visitors.url or self.server.public_url

    @property
    def default_line(self) -> str:
        """The line of whatever names no line of its own."""
        return self.calls.default_line or next(iter(self.lines))

    @property
    def mail_channel(self) -> str:
        """The channel [notify.NAME] of letters to those who log in; "" if there is none."""
        return self.people.mail or next((name for name, table in self.notify.items() if table.type == "email"), "")

    def secret(self, pbx: Asterisk) -> str:
        """The AMI secret. Raises ConfigError."""
        variables = (f"CTSERVER_AMI_SECRET_{_variable(pbx.id)}", "CTSERVER_AMI_SECRET")
        return self.secret_of(f"asterisk.{pbx.id}.ami_secret_file", pbx.ami_secret_file, *variables)

    def oidc_secret(self) -> str:
        """The secret of the client at the sign-in provider; "" of one that has none. Raises ConfigError."""
        if not self.oidc.secret_file and "CTSERVER_OIDC_SECRET" not in os.environ:
            return ""
        return self.secret_of("oidc.secret_file", self.oidc.secret_file, "CTSERVER_OIDC_SECRET")

    def notify_secret(self, name: str) -> str:
        """The secret of the channel [notify.NAME]. Raises ConfigError."""
        return self.secret_of(f"notify.{name}.secret_file", self.notify[name].secret_file, self.notify_variable(name))

    def notify_variable(self, name: str) -> str:
        """The environment variable that may hold the secret of [notify.NAME]."""
        return f"CTSERVER_NOTIFY_SECRET_{_variable(name)}"

    def secret_of(self, key: str, named: str, *variables: str) -> str:
        """A secret: of the first environment variable that is set, or from the file that `key` names.

        Raises ConfigError.
        """
        for name in variables:
            if value := os.environ.get(name):
                return value
        if not named:
            raise ConfigError(self.base, [Problem(key, "no secret", f"name a file here or set {variables[0]}")])
        file = self.path(named)
        hint = f"write the secret into {file} (mode 0600) or set {variables[0]}"
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(self.base, [Problem(key, f"cannot be read: {reason_of(error)}", hint)]) from error
        if not secret or any(ord(character) < 32 for character in secret):
            raise ConfigError(self.base, [Problem(key, f"{file} must hold one line of text", hint)])
        return secret


def _variable(name: str) -> str:
    """A name of the settings as part of an environment variable."""
    return name.upper().replace("-", "_")
