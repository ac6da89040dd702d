"""Commands for what is stored of one caller."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import IO

from ctserver import app, ids
from ctserver.cli.common import Add, load_settings, open_database
from ctserver.config import Settings
from ctserver.privacy import caller_data_of
from ctserver.recordings.places import Places
from ctserver.services.caller_data import Found, NoNumber, number_of
from ctserver.storage import audit
from ctserver.storage.audit import Entry


def register(add: Add) -> None:
    made = add("person", _person, "give out, or forget, everything that is stored of one caller")
    made.add_argument("what", choices=["export", "erase"])
    made.add_argument("number", help="however it is written")
    made.add_argument("--out", type=Path, metavar="FILE", help="export: the ZIP file; default: person-NUMBER.zip")
    made.add_argument("--apply", action="store_true", help="erase: do it; without it nothing but the counts is shown")


def _person(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    try:
        number = number_of(options.number, settings.server.country)
    except NoNumber as error:
        raise app.StartError(str(error), "write it like +44 7700 900123") from error
    if options.what == "export":
        sys.stdout.write(asyncio.run(_export(settings, number, options.out)))
    else:
        sys.stdout.write(asyncio.run(_erase(settings, number, apply=options.apply)))
    return 0


async def _export(settings: Settings, number: str, out: Path | None) -> str:
    target = out or Path(f"person-{number.removeprefix('+')}.zip")
    if target.exists():
        raise app.StartError(f"{target} is there already", "name another file: --out FILE")
    now = ids.now_ms()
    async with open_database(settings) as db:
        try:
            with _private(target) as file:
                found = await caller_data_of(db, settings, Places(settings)).export(number, file, now)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        await db.write(lambda tx: audit.add(tx, Entry(now, "", "command", "person exported", "", _told(found.counts))))
    return f"{_list(found)}{target}\n"


def _private(target: Path) -> IO[bytes]:
    """A new file that only its owner can read."""
    return open(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


async def _erase(settings: Settings, number: str, *, apply: bool) -> str:
    now = ids.now_ms()
    async with open_database(settings) as db:
        data = caller_data_of(db, settings, Places(settings))
        if not apply:
            return f"{_list(await data.find(number, now))}nothing was changed; to forget all of it: --apply\n"
        found, alias = await data.erase(number, now)
        await db.write(lambda tx: audit.add(tx, Entry(now, "", "command", "person erased", alias, _told(found.counts))))
    if found.going_on:
        return f"{_list(found)}{found.going_on} calls go on or are just over: run it again in ten minutes\n"
    return f"{_list(found)}forgotten; the calls are now those of {alias}\n"


def _list(found: Found) -> str:
    lines = [f"{count:6d} {what}\n" for what, count in found.counts.items()]
    black = "the number is on the black list; take it off there if it is to go\n" if found.tables["black_list"] else ""
    return "".join(lines) + black


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
