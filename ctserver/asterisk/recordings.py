"""Recording files: two mono files that Asterisk writes in step become one stereo file, the caller on the left.

Asterisk names its files by the channel's Uniqueid; ours are named by the call's id. Nothing here trusts a caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import re
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctserver.asterisk.variables import CALLER_PART, COMPANY_PART
from ctserver.domain import call as machine
from ctserver.domain.clock import MINUTE_MS
from ctserver.services.facts import Facts
from ctserver.storage import recordings
from ctserver.storage.db import Database, Row, StorageError, Transaction

log = logging.getLogger(__name__)

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")  # of a WAV file as Asterisk and we write it: RIFF, fmt, data
HEADER_BYTES = _HEADER.size
RATE, HIGHEST_RATE = 8000, 192_000  # of what Asterisk writes, unless the file says otherwise
BLOCK = 16_000  # samples joined at a time
PATIENCE_MS = MINUTE_MS  # files that Asterisk has not closed by then were left by a crash
_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Adopted:
    """A stereo file in the recordings folder."""

    file: str
    bytes: int
    millis: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What the files of a call tell that nobody saw end: when sound was written for the last time, and how much there is."""

    at: int
    millis: int


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet known: to be asked for again in `ms`."""

    ms: int


class StillOpen(Exception):
    """Asterisk is not done with the files."""


class Unreadable(Exception):
    """They are no sound."""


def adopt(folder: Path, spool: Path, uniqueid: str, call: str, *, patient: bool) -> Adopted | None:
    """Join the two files that Asterisk wrote into `spool`; None if there are none, or nothing was said (then they are
    removed). What was joined before is found again: an older copy of the database does not know of it.

    Raises StillOpen while Asterisk writes them and `patient` is true, Unreadable, OSError.
    """
    if not _SAFE.fullmatch(uniqueid):
        return None
    parts, target = _parts(spool, uniqueid), f"{call[:6]}/{call}.wav"
    with _side(parts[0], patient=patient) as caller, _side(parts[1], patient=patient) as company:
        if not (caller.there or company.there):
            return _joined_before(folder, target)
        rate, length = max(caller.rate, company.rate), max(caller.samples, company.samples)
        if length:
            _write_stereo(folder / target, rate, (caller, company), length)
    _remove(parts)
    return Adopted(target, HEADER_BYTES + 4 * length, length * 1000 // rate) if length else None


def trace(spool: Path, uniqueid: str) -> Trace | None:
    """None if nothing was written. Asterisk writes a talk block by block, of two seconds each."""
    if not _SAFE.fullmatch(uniqueid):
        return None
    caller, company = _parts(spool, uniqueid)
    try:
        state = company.stat()  # only a talk is written here; a voice message stands in the caller's file alone
        with _side(caller, patient=False) as sound:
            return Trace(state.st_mtime_ns // 1_000_000, sound.samples * 1000 // RATE)
    except (OSError, Unreadable):
        return None


def _parts(spool: Path, uniqueid: str) -> tuple[Path, Path]:
    return spool / f"{uniqueid}{CALLER_PART}", spool / f"{uniqueid}{COMPANY_PART}"


def _joined_before(folder: Path, target: str) -> Adopted | None:
    with _side(folder / target, patient=False) as joined:
        if not joined.there or not joined.samples:
            return None
        return Adopted(target, HEADER_BYTES + 2 * joined.samples, joined.samples * 500 // joined.rate)


@dataclass(slots=True)
class _Side:
    """What one party said: a mono WAV file of 16-bit samples, read from its first sample on. A party that was never heard
    has no file; one whose first block was never written has an empty one."""

    file: int | None  # its descriptor: a buffer, and whatever else Python knows of a file, costs as much as the sound
    rate: int = 0
    samples: int = 0

    @property
    def there(self) -> bool:
        return self.file is not None

    def read(self, samples: int) -> bytes:
        return os.read(self.file, 2 * samples) if self.file is not None else b""


@contextlib.contextmanager
def _side(path: Path, *, patient: bool) -> Iterator[_Side]:
    """Raises StillOpen, Unreadable, OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield _Side(None)
        return
    try:
        yield _Side(file, *_header(file, path, patient=patient))
    finally:
        os.close(file)


def _header(file: int, path: Path, *, patient: bool) -> tuple[int, int]:
    """(rate, samples), also of a file whose header was never completed."""
    head, size = os.read(file, HEADER_BYTES), os.fstat(file).st_size - HEADER_BYTES
    if len(head) < HEADER_BYTES and not patient:
        return 0, 0
    if len(head) < HEADER_BYTES or head[:4] != b"RIFF":
        raise StillOpen if patient else Unreadable(f"{path} is no WAV file")
    *_, rate, _, _, _, _, told = _HEADER.unpack(head)
    if patient and told != size:
        raise StillOpen
    if rate > HIGHEST_RATE:
        raise Unreadable(f"{file} says that it has {rate} samples a second")
    return rate or RATE, size // 2


def _write_stereo(target: Path, rate: int, sides: Sequence[_Side], length: int) -> None:
    """`length` samples of both sides next to each other, block by block: a long call must not hold up a ringing one."""
    temporary = target.with_suffix(".new")
    with _made(temporary) as out:
        block = _stereo_header(rate, length)
        for start in range(0, length, BLOCK):
            count = min(BLOCK, length - start)
            out.write(block + _side_by_side([side.read(count) for side in sides], count))
            block = b""
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(target)


def _made(file: Path) -> io.BufferedWriter:
    """A new file; its folder is made with the first one in it."""
    try:
        return file.open("wb")
    except FileNotFoundError:
        file.parent.mkdir(exist_ok=True)
        return file.open("wb")


def _stereo_header(rate: int, length: int) -> bytes:
    size = 4 * length
    shape = (16, 1, 2, rate, 4 * rate, 4, 16)  # its bytes, PCM, channels, and what follows from 16 bits a sample
    return _HEADER.pack(b"RIFF", HEADER_BYTES - 8 + size, b"WAVE", b"fmt ", *shape, b"data", size)


def _side_by_side(blocks: list[bytes], count: int) -> bytes:
    """`count` samples of each, one from the first, one from the second; a block that is too short ends in silence."""
    both = array("h", bytes(4 * count))
    for channel, block in enumerate(blocks):
        both[channel::2] = array("h", block[: len(block) & ~1].ljust(2 * count, b"\0"))
    return both.tobytes()


def _remove(parts: Iterable[Path]) -> None:
    for part in parts:
        with contextlib.suppress(OSError):
            part.unlink()


class Adopter:
    """Looks for the recordings of ended calls, in the background."""

    def __init__(
        self, db: Database, folder: Path, facts: Facts | None = None, spools: Mapping[str, Path] | None = None
    ) -> None:
        self._db = db
        self._facts = facts
        self._folder = folder
        self._spools = spools or {}  # where each PBX writes, by its id

    async def adopt_due(self, now: int) -> int:
        """One round; how many recordings became ready. They are written down together: each write waits for the disk."""
        rows = await recordings.due(self._db, now)
        found = await asyncio.to_thread(lambda: [self._look(row, now) for row in rows]) if rows else []
        kept = await asyncio.gather(*(self._keep(row, one, now) for row, one in zip(rows, found, strict=True)))
        if self._facts and any(kept):
            self._facts.wake()
        return sum(kept)

    def _look(self, row: Row, now: int) -> Adopted | Later | None:
        """What Asterisk has left of this call, joined."""
        call = row["call"]
        patient = row["reason"] != machine.UNKNOWN and now - row["ended_at"] < PATIENCE_MS
        spool = self._spools.get(row["pbx"], self._folder)
        try:
            return adopt(self._folder, spool, row["uniqueid"], call, patient=patient)
        except StillOpen:
            return Later(500)
        except Unreadable as error:
            log.error("the recording of call %s is lost: %s", call, error)
            return None
        except OSError as error:
            log.error("the recording of call %s: %s", call, error)
            return Later(30_000)

    async def _keep(self, row: Row, found: Adopted | Later | None, now: int) -> bool:
        """Write down what was found; is there something?"""
        if isinstance(found, Later):
            await self._again(row, now, found.ms)
            return False
        try:
            await self._db.write(lambda tx: self._settle(tx, row["call"], found, now))
        except StorageError as error:
            log.error("the recording of call %s: %s", row["call"], error)
            await self._again(row, now, 30_000)
            return False
        return found is not None

    def _settle(self, tx: Transaction, call: str, found: Adopted | None, now: int) -> None:
        if found is None:
            recordings.missing(tx, call)
            return
        recordings.adopted(tx, call, found.file, found.bytes, found.millis)
        if self._facts:
            self._facts.recording_ready(tx, call, found.millis, now)

    async def _again(self, row: Row, now: int, wait_ms: int) -> None:
        with contextlib.suppress(StorageError):
            await self._db.write(lambda tx: recordings.later(tx, row["call"], now + wait_ms))
