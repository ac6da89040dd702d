"""Everything in ctserver.toml as one frozen value."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from ctserver.config.lines import Callers, Line, Speech
from ctserver.config.people import Api, People
from ctserver.config.problems import ConfigError, Problem, reason_of
from ctserver.config.server import DatabaseFile, Fastagi, Geo, Limits, Log, Privacy, Server
from ctserver.config.sites import Pool, Rule, Site, Static
from ctserver.config.telephony import Asterisk, Calls, Recordings
from ctserver.config.types import Identifier, Table
from ctserver.config.webhooks import WebHook


class Settings(Table):
    """Everything in ctserver.toml. Relative paths are relative to the folder of the file (`path`)."""

    base: Path = Field(default=Path(), exclude=True)
    server: Server = Server()
    database: DatabaseFile = DatabaseFile()
    fastagi: Fastagi = Fastagi()
    log: Log = Log()
    asterisk: list[Asterisk] = [Asterisk()]
    recordings: Recordings = Recordings()
    calls: Calls = Calls()
    lines: dict[Identifier, Line] = Field(min_length=1)
    callers: Callers = Callers()
    speech: Speech = Speech()
    sites: dict[Identifier, Site] = {}
    pools: dict[Identifier, Pool] = {}
    static: dict[Identifier, Static] = {}
    rules: list[Rule] = []
    webhooks: dict[Identifier, WebHook] = {}
    limits: Limits = Limits()
    privacy: Privacy = Privacy()
    geo: Geo = Geo()
    people: People = People()
    api: Api = Api()

    def path(self, text: str) -> Path:
        return (self.base / text).resolve()

    def spool(self, pbx: Asterisk) -> Path:
        """Where this Asterisk writes: both sides of each call, and notes of the calls that have ended."""
        return self.path(pbx.spool or self.recordings.folder)

    @property
    def default_line(self) -> str:
        """The line of whatever names no line of its own."""
        return self.calls.default_line or next(iter(self.lines))

    def secret(self, pbx: Asterisk) -> str:
        """The AMI secret, from the environment or its file. Raises ConfigError."""
        variable = f"CTSERVER_AMI_SECRET_{pbx.id.upper().replace('-', '_')}"
        for name in (variable, "CTSERVER_AMI_SECRET"):
            if value := os.environ.get(name):
                return value
        key = f"asterisk.{pbx.id}.ami_secret_file"
        if not pbx.ami_secret_file:
            raise ConfigError(self.base, [Problem(key, "no AMI secret", f"name a file here or set {variable}")])
        file = self.path(pbx.ami_secret_file)
        hint = f"write the secret of manager.conf into {file} (mode 0600) or set {variable}"
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(self.base, [Problem(key, f"cannot be read: {reason_of(error)}", hint)]) from error
        if not secret or any(ord(character) < 32 for character in secret):
            raise ConfigError(self.base, [Problem(key, f"{file} must hold one line of text", hint)])
        return secret
