"""The life of a recording after its two sides were joined: its wave form is drawn, it is made small, proved by a checksum,
put away, and removed when its time is over. The WAV file stays until all of that is on disk."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from ctserver.config import Settings
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ctserver.recordings import seal, sound
from ctserver.recordings.places import S3, Places
from ctserver.recordings.seal import SUFFIX
from ctserver.recordings.sound import ConvertError
from ctserver.storage import recordings
from ctserver.storage.db import Database, Row, StorageError

log = logging.getLogger(__name__)

MAX_TRIES = 6  # of a sound that cannot be copied
FIRST_WAIT_MS, LONGEST_WAIT_MS = MINUTE_MS, 6 * HOUR_MS  # doubled with each try


class Keeper:
    """Looks after recordings, in the background."""

    def __init__(self, db: Database, settings: Settings, places: Places) -> None:
        self._db = db
        self._settings = settings
        self._places = places
        self._told = ""

    async def keep_new(self, now: int) -> int:
        """One round; how many recordings were made small and put away."""
        kept = 0
        for row in await recordings.to_keep(self._db, now):
            try:
                kept += await self._keep(row)
            except OSError as error:  # of the disk or the storage (PlaceError): they come back
                await self._failed(row, str(error), now, for_good=False)
            except (ConvertError, EOFError) as error:
                await self._failed(row, str(error), now)
            except Exception as error:  # a file that Python's wave module cannot read raises what it likes
                log.exception("the recording of call %s", row["call"])
                await self._failed(row, f"{type(error).__name__}: {error}", now)
        return kept

    async def _keep(self, row: Row) -> bool:
        path = self._places.path(row["file"])
        if path is None or not path.is_file():
            raise ConvertError(f"{row['file']} is gone")
        if not sound.peaks_file(path).exists() and path.suffix == ".wav":
            await asyncio.to_thread(sound.write_peaks, path)
        small = await self._small(path, row["millis"])
        final = await asyncio.to_thread(self._sealed, small) if self._places.keys.seals else small
        size, digest = await asyncio.to_thread(_proof, final)
        file, place = str(final.relative_to(self._places.folder)), self._places.away
        if place == S3:
            await self._places.put_away(file)
        format, call = final.name.removesuffix(SUFFIX).rpartition(".")[2], row["call"]
        stays = await self._db.write(lambda tx: recordings.kept(tx, call, file, format, place, size, digest))
        if not stays:
            await self._places.remove(file, place)
            return False
        for done in {path, small, final} - ({final} if place != S3 else set()):
            done.unlink(missing_ok=True)
        return True

    def _sealed(self, plain: Path) -> Path:
        """The same sealed, and its wave form too. The plain wave form goes at once: it can be drawn again."""
        if plain.suffix == SUFFIX:
            return plain
        target, drawn = plain.with_name(plain.name + SUFFIX), sound.peaks_file(plain)
        seal.seal(plain, target, self._places.keys)
        if drawn.exists():
            seal.seal(drawn, drawn.with_name(drawn.name + SUFFIX), self._places.keys)
            drawn.unlink()
        return target

    async def _small(self, wav: Path, millis: int) -> Path:
        """The same sound in the format of the settings, or the file itself."""
        wanted = self._settings.recordings.format
        if problem := sound.problem(wanted):
            if problem != self._told:
                log.warning("%s", problem)
                self._told = problem
            return wav
        if wanted == "wav" or wav.suffix != ".wav":
            return wav
        target = wav.with_suffix(f".{wanted}")
        await sound.convert(wav, target, wanted, millis)
        return target

    async def _failed(self, row: Row, problem: str, now: int, *, for_good: bool = True) -> None:
        """It is tried again; not for ever if it may be for good."""
        tries = row["tries"] + 1
        log.error("the recording of call %s cannot be put away (try %d): %s", row["call"], tries, problem)
        stage = "failed" if for_good and tries >= MAX_TRIES else "new"
        due_at = now + min(FIRST_WAIT_MS << min(tries, 20), LONGEST_WAIT_MS)
        try:
            await self._db.write(lambda tx: recordings.not_kept(tx, row["call"], stage, tries, problem[:300], due_at))
        except StorageError as error:
            log.error("the recording of call %s: %s", row["call"], error)

    async def remove_old(self, now: int) -> int:
        """Remove what is older than its site keeps; how many were removed."""
        removed = 0
        for site, days in _days(self._settings).items():
            while rows := await recordings.too_old(self._db, site, now - days * DAY_MS):
                for row in rows:
                    await self.remove(row)
                removed += len(rows)
        return removed

    async def remove(self, row: Row) -> None:
        """Remove one recording (call, file, place) with all its files. Raises PlaceError, StorageError."""
        await self._places.remove(row["file"], row["place"])
        await self._db.write(lambda tx: recordings.expired(tx, row["call"]))


def _days(settings: Settings) -> Mapping[str, int]:
    """For each site with an end to its recordings, and for calls of no site: how many days they are kept."""
    general = settings.retention.recordings_days
    days = {name: site.recordings_days or general for name, site in settings.sites.items()}
    return {name: kept for name, kept in {"": general, **days}.items() if kept}


def _proof(file: Path) -> tuple[int, str]:
    """Its size and its SHA-256."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return file.stat().st_size, digest
