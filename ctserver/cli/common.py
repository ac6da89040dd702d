"""What the commands share: the settings, the database, a moment in time."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ctserver import app, config, files
from ctserver.config import Asterisk, Settings
from ctserver.domain import phone
from ctserver.storage import migrate
from ctserver.storage.db import StorageError
from ctserver.storage.sqlite import Sqlite

MISTAKE = 2


class Add(Protocol):
    """Adds a command: its name, what runs it (returns the exit status) and its line in the help."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser: ...


def default_config() -> Path:
    for candidate in (os.environ.get("CTSERVER_CONFIG"), "ctserver.toml", "/etc/ctserver/ctserver.toml"):
        if candidate and os.access(candidate, os.F_OK):
            return Path(candidate)
    return Path("ctserver.toml")


def load_settings(options: argparse.Namespace) -> Settings:
    overrides = dict(pair.partition("=")[::2] for pair in options.set)
    return config.load(options.config, overrides)


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Sqlite]:
    db = await app.open_database(settings.path(settings.database.path))
    try:
        await migrate.verify(db, migrate.read(files.folder("migrations")))
        yield db
    except StorageError as error:
        raise app.StartError(f"the database: {error}", "") from error
    finally:
        await db.close()


def moment(text: str) -> int:
    """A date or a time of the server's zone, in epoch milliseconds."""
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError as error:
        raise app.StartError(f"--since: {error}", "write it like 2026-01-31") from error


def add_pbx(parser: argparse.ArgumentParser) -> None:
    """The option that names one of several Asterisks."""
    parser.add_argument("--pbx", metavar="ID", help="which [[asterisk]], by its id; default: the first")


def chosen_pbx(settings: Settings, options: argparse.Namespace) -> Asterisk:
    """Raises StartError."""
    known = {pbx.id: pbx for pbx in settings.asterisk}
    if options.pbx is None:
        return settings.asterisk[0]
    if options.pbx not in known:
        raise app.StartError(
            f"there is no [[asterisk]] with the id {options.pbx!r}", f"name one of: {', '.join(known)}"
        )
    return known[options.pbx]


def tracked_number(settings: Settings, text: str) -> str:
    """One of the settings' numbers, in whatever way it is typed. Raises StartError."""
    try:
        number = phone.e164(text, settings.server.country)
    except phone.NotANumber as error:
        raise app.StartError(str(error), "write it with its country code, like +442079460101") from error
    if number not in config.number_uses(settings):
        known = ", ".join(list(config.number_uses(settings))[:3])
        raise app.StartError(
            f"{number} is not a tracked number", f"name one of the numbers in the settings: {known} ..."
        )
    return number
