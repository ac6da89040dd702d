"""What Asterisk keeps of calls by itself, for the time when nobody listens: the hangup handler writes a note of each call
that has ended, one line, into a file of the day (UTC) in the spool folder.

A note holds what the event CTEnd holds, and is read by the code that reads events. Which notes are in the journal is
kept in the database, together with the calls: an older copy of the database takes up where it was. A key that was pressed after
a call is a note of its own, CTKey; there is no event of that name, so it counts once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from ctserver.asterisk.translate import Translator, moment
from ctserver.asterisk.variables import EVENT_ENDED
from ctserver.asterisk.wire import Message, text
from ctserver.config import Settings
from ctserver.domain.call import Event
from ctserver.services.after_call import Pressed, categorize
from ctserver.services.calls import Journal
from ctserver.storage import evidence
from ctserver.storage.db import Database, StorageError, Transaction
from ctserver.storage.evidence import Position

log = logging.getLogger(__name__)

FILES = "ct-calls-*.log"
BEGIN, END = "CTEnd,Uniqueid: ", ",."
KEY = re.compile(r".*CTKey,Linkedid: ([^,]+),Key: ([0-9*]),Channel: ([^,]+),Timestamp: ([0-9.]+),\.$")
MAX_LINE = 8192
MAX_BLOCK = 64 * 1024  # bytes read, and notes of some 200 calls saved, at a time
KEEP_SECONDS = 30 * 86_400  # how old a copy of the database may be and still find all its calls again


def messages(line: str) -> list[Message]:
    """One note as the AMI messages that it stands for: CTEnd and Hangup. [] if it is no whole note.

    What stands before a note on its line is one that a full disk cut short.
    """
    _, begin, note = line.rpartition(BEGIN)
    if not begin or not note.endswith(END):
        return []
    fields = (field.partition(": ") for field in ("Uniqueid: " + note.removesuffix(END)).split(","))
    headers: Message = {name: value for name, colon, value in fields if colon}
    headers["CallerIDName"] = unquote(text(headers, "CallerIDName"), errors="replace")
    same = {name: headers.get(name, "") for name in ("Uniqueid", "Linkedid", "Timestamp")}
    over: Message = {"Event": "Hangup", "Cause": headers.get("HangupCause", ""), **same}
    return [{"Event": "UserEvent", "UserEvent": EVENT_ENDED, **headers}, over]


def linkedid(line: str) -> str:
    """Of the call that a note is about; for nearly all of them this is all that needs to be read."""
    return line.rpartition(BEGIN)[2].partition(",Linkedid: ")[2].partition(",")[0]


def key(line: str, now: int) -> Pressed | None:
    """The key that a note tells of; None of a note of something else."""
    found = KEY.match(line)
    if found is None:
        return None
    call, pressed, channel, at = found.groups()
    return Pressed(call, moment(at) or now, pressed, channel)


def events(line: str, now: int) -> list[Event]:
    """A whole call, from its arrival to its end, as far as its note tells."""
    translator = Translator(())
    return [event for message in messages(line) for event in translator.events(message, now)]


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of a file, and the position behind them."""

    file: str
    lines: list[str]
    behind: Position


class Notes:
    """The notes of one PBX, read into its journal."""

    def __init__(self, db: Database, settings: Settings, journal: Journal, folder: Path, pbx: str) -> None:
        self._db = db
        self._settings = settings
        self._journal = journal
        self._folder = folder
        self._pbx = pbx
        self._sizes: dict[str, int] = {}  # of the files, when they were last looked at
        self._reading = asyncio.Lock()

    async def read(self, now: int, *, settled: bool = True) -> int:
        """Bring the journal up to what Asterisk has noted; the number of calls that this changed.

        `settled`: only what was there at the last look already, so that calls which are being followed live are left
        to the events. Never raises: what cannot be read or saved now is tried again.
        """
        async with self._reading:
            try:
                return await self._read(now, settled=settled)
            except (OSError, StorageError) as error:
                log.error("the notes of ended calls in %s cannot be read now: %s", self._folder, error)
                return 0

    async def _read(self, now: int, *, settled: bool) -> int:
        sizes = await asyncio.to_thread(_sizes, self._folder)
        limits, self._sizes = (self._sizes if settled else sizes), sizes
        if not limits:
            return 0
        known = await evidence.positions(self._db, self._pbx)
        changed = 0
        blocks = _blocks(self._folder, limits, known)
        while block := await asyncio.to_thread(next, blocks, None):
            keys = [found for line in block.lines if (found := key(line, now))]
            news = [line for line in block.lines if not KEY.match(line) and not self._journal.knows_end(linkedid(line))]
            calls = [call for line in news if (call := events(line, now))]
            changed += await self._journal.reconcile(calls, partial(self._keep, block=block, keys=keys))
        if changed:
            log.info("PBX %s: %d calls found in Asterisk's own notes", self._pbx, changed)
        return changed

    def _keep(self, tx: Transaction, block: Block, keys: Sequence[Pressed]) -> None:
        for pressed in keys:
            categorize(tx, self._settings, self._pbx, pressed)
        evidence.reached(tx, self._pbx, block.file, block.behind)

    async def tidy(self) -> None:
        """Remove files that are read to their end and too old for any copy of the database to ask for."""
        known = await evidence.positions(self._db, self._pbx)
        for name in await asyncio.to_thread(_old, self._folder, known, time.time() - KEEP_SECONDS):
            (self._folder / name).unlink(missing_ok=True)
        for name in known:
            if not (self._folder / name).exists():
                await self._db.write(partial(evidence.forget, pbx=self._pbx, file=name))


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.glob(FILES)}


def _old(folder: Path, known: Mapping[str, Position], before: float) -> list[str]:
    found = ((file.name, file.stat()) for file in folder.glob(FILES))
    return [
        name
        for name, state in found
        if state.st_mtime < before and name in known and known[name].read_to >= state.st_size
    ]


def _blocks(folder: Path, limits: Mapping[str, int], known: Mapping[str, Position]) -> Iterator[Block]:
    """What is unread, file by file. A file that has shrunk or is another one now is read from its start."""
    for name in sorted(limits):
        try:
            with (folder / name).open("rb") as file:
                inode, size = _inode(file.fileno())
                position = known.get(name)
                at = position.read_to if position and position.inode == inode and position.read_to <= size else 0
                while at < min(size, limits[name]):
                    file.seek(at)
                    data = file.read(min(MAX_BLOCK, limits[name] - at))
                    whole = data[: data.rfind(b"\n") + 1]
                    if not whole and len(data) < MAX_BLOCK:
                        break  # Asterisk is writing this line
                    at += len(whole or data)
                    lines = [line[-MAX_LINE:].decode("utf-8", "replace") for line in whole.splitlines()]
                    yield Block(name, lines, Position(inode, at))
        except FileNotFoundError:
            continue


def _inode(descriptor: int) -> tuple[str, int]:
    state = os.fstat(descriptor)
    return str(state.st_ino), state.st_size
