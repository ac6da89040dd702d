"""Where recordings are kept: the folder, or storage that speaks Amazon's S3. To be played, one from there is brought back
into the folder for a while. Where the settings name a key, they are sealed in both (recordings/seal.py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import wave
from datetime import timedelta
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import S3Store

from ctserver.config import ConfigError, Problem, Settings
from ctserver.config.secrets import secret_lines
from ctserver.outbound.attachment import Attachment
from ctserver.recordings import sound
from ctserver.recordings.seal import SUFFIX, BadKey, Keys, Sealed

DISK, S3 = "disk", "s3"
BORROWED = ".borrowed"
BORROWED_SECONDS = 86_400
KEY_VARIABLE = "CTSERVER_RECORDINGS_KEY"
TIMEOUT = timedelta(seconds=30)


class PlaceError(OSError):
    """Why a recording cannot be put away or brought back."""


class Places:
    """The folder, and the bucket if the settings name one. File names are relative: `0abc12/ID.opus`."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.path(settings.recordings.folder)
        self._bucket = bucket(settings)
        self.keys = keys(settings)
        self._borrowing: dict[str, asyncio.Task[Path]] = {}

    @property
    def away(self) -> str:
        """Where finished recordings go: disk or s3."""
        return S3 if self._bucket else DISK

    def path(self, file: str) -> Path | None:
        """A file of the folder; None for a name that leads out of it."""
        found = (self.folder / file).resolve()
        return found if file and found.is_relative_to(self.folder.resolve()) else None

    async def put_away(self, file: str) -> None:
        """Copy a file of the folder into the bucket, and prove that it is there whole. Raises PlaceError."""
        if not self._bucket:
            raise PlaceError("no bucket is named in [s3]")
        source = self.folder / file
        try:
            await asyncio.wait_for(self._bucket.put_async(file, source), 300)
            there = await self._bucket.head_async(file)
        except (BaseError, OSError, TimeoutError) as error:
            raise PlaceError(_words(error)) from error
        if there["size"] != source.stat().st_size:
            raise PlaceError(f"{file} has {there['size']} bytes there instead of {source.stat().st_size}")

    async def local(self, file: str, place: str) -> Attachment | None:
        """The recording, to be played; None if there is none. Raises PlaceError, SealError."""
        path = await self._found(file, place)
        return await asyncio.to_thread(self._opened, path) if path else None

    def _opened(self, path: Path) -> Attachment:
        return Sealed(path, self.keys) if path.suffix == SUFFIX else Attachment(path)

    async def _found(self, file: str, place: str) -> Path | None:
        path = self.path(file)
        if path is None:
            return None
        if place == DISK:
            return path if path.is_file() else None
        if file not in self._borrowing:
            self._borrowing[file] = asyncio.create_task(self._borrow(file))
            self._borrowing[file].add_done_callback(lambda _: self._borrowing.pop(file, None))
        return await asyncio.shield(self._borrowing[file])

    async def _borrow(self, file: str) -> Path:
        target = self.folder / BORROWED / file
        if target.is_file():
            await asyncio.to_thread(os.utime, target)
            return target
        if not self._bucket:
            raise PlaceError("the recording is in S3 storage, which [s3] no longer names")
        try:
            found = await self._bucket.get_async(file)
            content = await asyncio.wait_for(found.bytes_async(), 60)
            await asyncio.to_thread(_write, target, bytes(content))
        except (BaseError, OSError, TimeoutError) as error:
            raise PlaceError(_words(error)) from error
        return target

    def exists(self, file: str, place: str) -> bool:
        """Is the file in the folder? What is kept elsewhere is taken to be there."""
        path = self.path(file)
        return path is not None and (place == S3 or path.is_file())

    async def peaks(self, file: str) -> str | None:
        """What the player draws, as JSON; None if the recording is gone."""
        path = self.path(file)
        if path is None:
            return None
        try:
            return await asyncio.to_thread(self._peaks, path)
        except (OSError, EOFError, wave.Error):
            return None

    def _peaks(self, recording: Path) -> str:
        drawn = sound.peaks_file(recording)
        if (sealed := drawn.with_name(drawn.name + SUFFIX)).exists():
            return b"".join(Sealed(sealed, self.keys).read()).decode()
        if not drawn.exists() and recording.suffix == ".wav":
            return sound.peaks_json(recording)
        return drawn.read_text("utf-8")

    async def remove(self, file: str, place: str) -> None:
        """The recording with all that was made of it, wherever it is. Raises PlaceError."""
        path = self.path(file)
        if path is None:
            return
        try:
            if place == S3 and self._bucket:
                await self._bucket.delete_async(file)
            for found in [*path.parent.glob(f"{sound.stem(path)}.*"), self.folder / BORROWED / file]:
                await asyncio.to_thread(found.unlink, missing_ok=True)
        except (BaseError, OSError) as error:
            raise PlaceError(_words(error)) from error

    async def return_borrowed(self) -> None:
        """Remove what was brought back and not played for a day."""
        await asyncio.to_thread(_forget, self.folder / BORROWED, time.time() - BORROWED_SECONDS)


def keys(settings: Settings) -> Keys:
    """The keys of [recordings] encrypt_key_file or of the environment; none without. Raises ConfigError."""
    named, key = settings.recordings.encrypt_key_file, "recordings.encrypt_key_file"
    if not named and KEY_VARIABLE not in os.environ:
        return Keys([])
    try:
        return Keys(secret_lines(settings.base, key, named, KEY_VARIABLE))
    except BadKey as error:
        hint = "make one: openssl rand -base64 32"
        raise ConfigError(settings.base, [Problem(key, str(error), hint)]) from error


def bucket(settings: Settings) -> S3Store | None:
    """The bucket of [s3]. Raises ConfigError when its secret cannot be read."""
    s3 = settings.s3
    if not s3.bucket:
        return None
    [secret] = secret_lines(settings.base, "s3.secret_file", s3.secret_file, "CTSERVER_S3_SECRET")[:1]
    return S3Store(
        s3.bucket,
        prefix=s3.prefix or None,
        config={
            "access_key_id": s3.access_key_id,
            "secret_access_key": secret,
            "region": s3.region,
            **({"endpoint": s3.endpoint} if s3.endpoint else {}),
        },
        client_options={"allow_http": s3.endpoint.startswith("http://"), "timeout": TIMEOUT},
        retry_config={"max_retries": 2, "retry_timeout": TIMEOUT},
    )


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(target)


def _forget(folder: Path, before: float) -> None:
    for found in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            if found.stat().st_mtime < before:
                found.unlink()


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:300]
