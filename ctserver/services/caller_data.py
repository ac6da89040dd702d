"""One caller's data: what there is, given out, and forgotten (docs/privacy.md says what stays and why).

It is done in small units beside everybody else's work, and may be done again: what was done is found no more. A running
server's memory need not be told: it notices that another program has written, and a call that goes on or was over just now, which
it may still hold, is left for later.
"""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from ctserver import ids
from ctserver.domain import phone
from ctserver.domain.caller_data import Written
from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.fact import iso
from ctserver.domain.words import N_
from ctserver.outbound.attachment import Attachment
from ctserver.storage import caller_data as storage
from ctserver.storage import retention
from ctserver.storage.db import Database, Row, Transaction

SETTLED_MS = 10 * MINUTE_MS  # after its end a call may still be told of, its recording made
AT_ONCE = 25
_TIME = re.compile(r"(?:^|_)(?:at|until)$")

ABOUT = """\
Everything that ctserver has stored of the telephone number named here, on the day named here. Times are UTC.
calls: calls from the number, what is known of each, and its recording (a file of the folder recordings).
visitors: visits to the websites from browsers that are certain to be the caller's.
callbacks, calls_to_him: calls to the number. written_down: other places where the number was written.
"""


class NoNumber(ValueError):
    """What was named is no telephone number."""


@dataclass(frozen=True, slots=True)
class Places:
    """What keeps data of callers besides the database: `sound` opens a recording (file, place), `remove` takes one (call, file,
    place) away; `notes` counts the notes of calls in which the numbers stand, and with an alias puts that in their place."""

    sound: Callable[[str, str], Awaitable[Attachment | None]]
    remove: Callable[[Row], Awaitable[None]]
    notes: Callable[[str, str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a number. `going_on`: calls and callbacks that are not over, or only just."""

    number: str
    calls: list[Row]
    sessions: list[Row]
    tables: Mapping[str, list[Row]]
    texts: Mapping[str, list[tuple[str, ...]]]
    going_on: int
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def settled(self) -> list[Row]:
        return [row for row in self.calls if row["settled"]]


def number_of(text: str, country: str) -> str:
    """The number that somebody typed, as it is stored. Raises NoNumber."""
    number = phone.from_trunk(text, country)
    if not re.fullmatch(r"\+?[0-9]{3,20}", number):
        raise NoNumber(f"{text[:40]!r} is no telephone number")
    return number


class CallerData:
    """See the module."""

    def __init__(self, db: Database, places: Places) -> None:
        self._db = db
        self._places = places

    async def find(self, number: str, now: int) -> Found:
        found = await self._db.read(lambda tx: _find(tx, number, now))
        found.counts[N_("PBX call files")] = await self._places.notes(number, "")
        return found

    async def export(self, number: str, out: IO[bytes], now: int) -> Found:
        """Write a ZIP: data.json, README.txt and the recordings. What cannot be opened is named in data.json."""
        found, data = await self._db.read(lambda tx: _whole(tx, number, now))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for call in data["calls"]:
                call["recording_file"] = await self._add_sound(archive, call)
            text = json.dumps(data, ensure_ascii=False, indent=1)
            await asyncio.to_thread(archive.writestr, "data.json", text)
            archive.writestr("README.txt", ABOUT)
        return found

    async def _add_sound(self, archive: zipfile.ZipFile, call: dict[str, Any]) -> str:
        file, place = call.pop("file"), call.pop("place")
        if call["recording"] != "ready":
            return ""
        try:
            sound = await self._places.sound(file, place)
            name = f"recordings/{sound.name}" if sound else ""
            if sound:
                await asyncio.to_thread(_write, archive, name, sound)
        except OSError as error:
            return f"cannot be read: {error}"
        return name

    async def erase(self, number: str, now: int) -> tuple[Found, str]:
        """Forget this caller; what was found, and the alias that stands in his place. What goes on stays."""
        found, alias = await self.find(number, now), f"erased-{ids.new(now)[-8:]}"
        calls = found.settled
        for start in range(0, len(calls), AT_ONCE):
            some = calls[start : start + AT_ONCE]
            for row in some:
                if row["recording"] == "ready":
                    await self._places.remove(row["row"])
            names = [row["id"] for row in some]
            await self._db.write(partial(storage.forget_calls, ids=names, number=number, alias=alias, now=now))
        sessions = [row["id"] for row in found.sessions]
        for start in range(0, len(sessions), AT_ONCE):
            await self._db.write(partial(retention.strip_sessions, sessions=sessions[start : start + AT_ONCE]))
        if not found.going_on:
            await self._forget_the_rest(number, alias)
        await self._db.clear_log()
        return found, alias

    async def _forget_the_rest(self, number: str, alias: str) -> None:
        await self._db.write(lambda tx: storage.forget_number(tx, number, alias))
        written = Written(number)
        for table, rows in (await self._db.read(lambda tx: storage.texts(tx, written))).items():
            for key, *texts in rows:
                row = (key, *(written.replaced(text, alias) for text in texts))
                await self._db.write(partial(storage.put_text, table=table, row=row))
        await self._places.notes(number, alias)


def _find(tx: Transaction, number: str, now: int) -> Found:
    written = Written(number)
    calls = [{**dict(row), "settled": _settled(row, now), "row": _recording(row)} for row in storage.calls(tx, number)]
    sessions = storage.sessions(tx, number, written)
    tables, texts = storage.of_number(tx, number), storage.texts(tx, written)
    going_on = sum(not call["settled"] for call in calls) + sum(r["state"] == "calling" for r in tables["callbacks"])
    counts = {
        N_("calls"): len(calls),
        N_("recordings"): sum(call["recording"] == "ready" for call in calls),
        N_("visitors' sessions"): len(sessions),
        N_("callback requests"): len(tables["callbacks"]),
        N_("outgoing calls to this number"): len(tables["calls_to_him"]),
        N_("messages containing this number"): sum(len(rows) for rows in texts.values()),
    }
    return Found(number, calls, sessions, tables, texts, going_on, counts)


def _settled(row: Row, now: int) -> bool:
    over = row["state"] == "ended" and (row["ended_at"] or row["arrived_at"]) < now - SETTLED_MS
    return bool(over) and row["recording"] != "waiting"


def _recording(row: Row) -> dict[str, str]:
    return {"call": row["id"], "file": row["file"], "place": row["place"]}


def _whole(tx: Transaction, number: str, now: int) -> tuple[Found, dict[str, Any]]:
    found = _find(tx, number, now)
    inner = {"settled", "row", "uniqueid", "channel", "why"}
    calls = [
        _plain({key: value for key, value in call.items() if key not in inner})
        | {name: _rows(rows) for name, rows in storage.of_call(tx, call["id"]).items()}
        for call in found.calls
    ]
    visitors = [
        _plain(dict(row)) | {name: _rows(rows) for name, rows in storage.of_session(tx, row["id"]).items()}
        for row in found.sessions
    ]
    other = {name: _rows(rows) for name, rows in found.tables.items()}
    texts = {table: [list(row[1:]) for row in rows] for table, rows in found.texts.items()}
    head = {"number": number, "made_at": iso(now)}
    return found, {**head, "calls": calls, "visitors": visitors, **other, "written_down": texts}


def _rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [_plain(dict(row)) for row in rows]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """With times as ISO 8601."""
    return {key: iso(value) if _TIME.search(key) and isinstance(value, int) else value for key, value in row.items()}


def _write(archive: zipfile.ZipFile, name: str, sound: Attachment) -> None:
    info = zipfile.ZipInfo(name)  # sound is packed already
    with archive.open(info, "w", force_zip64=True) as out:
        for part in sound.read():
            out.write(part)
