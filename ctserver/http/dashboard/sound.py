"""A recording as it leaves the server. Whether he who asks may hear it is asked before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import PurePath

from aiohttp import web

from ctserver.http.deps import Deps
from ctserver.outbound.attachment import Attachment
from ctserver.storage import recordings

log = logging.getLogger(__name__)

KEEP = "private, no-cache"  # a browser asks each time: he who was here may have logged out, a link have ended
TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".opus": "audio/ogg"}


async def file_of(deps: Deps, call: str) -> Attachment:
    """The recording of a call. Raises HTTPNotFound, HTTPBadGateway when the storage it is kept in does not answer, or it
    cannot be opened."""
    row = await recordings.of_call(deps.db, call)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    try:
        file = await deps.sounds.local(row["file"], row["place"])
    except OSError as error:
        log.error("the recording of call %s: %s", call, error)
        raise web.HTTPBadGateway(text=f"the storage of recordings: {error}\n") from error
    if file is None:
        raise web.HTTPNotFound
    return file


def send_file(file: Attachment, *, download: bool = False) -> web.StreamResponse:
    """The sound, with HTTP Range."""
    how = "attachment" if download else "inline"
    headers = {
        "Content-Disposition": f'{how}; filename="{file.name}"',
        "Content-Type": TYPES.get(PurePath(file.name).suffix, "application/octet-stream"),
        "Cache-Control": KEEP,
    }
    return web.FileResponse(file.path, headers=headers) if file.path else OpenedResponse(file, headers)


class OpenedResponse(web.StreamResponse):
    """What lies on the disk in another form than it is sent, opened while it is sent."""

    def __init__(self, file: Attachment, headers: dict[str, str]) -> None:
        super().__init__(headers={**headers, "Accept-Ranges": "bytes"})
        self._file = file

    async def prepare(self, request: web.BaseRequest) -> web.streams.AbstractStreamWriter | None:  # type: ignore[name-defined]
        size = self._file.size
        try:
            asked = request.http_range
            start, stop, _ = asked.indices(size)
            good = asked.start is None or start < size
        except ValueError:
            asked, start, stop, good = slice(None), 0, size, False
        if not good or start >= stop > 0:
            self.set_status(416)
            self.headers["Content-Range"] = f"bytes */{size}"
            start = stop = 0
        elif asked.start is not None or asked.stop is not None:
            self.set_status(206)
            self.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.content_length = stop - start
        writer = await super().prepare(request)
        if request.method != "HEAD" and stop > start:
            parts = self._file.read(start, stop - start)
            while part := await asyncio.to_thread(_next, parts):
                await self.write(part)
        await self.write_eof()
        return writer


def _next(parts: Iterator[bytes]) -> bytes:
    return next(parts, b"")


async def peaks_of(deps: Deps, call: str) -> web.Response:
    """What the player draws."""
    row = await recordings.of_call(deps.db, call)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    found = await deps.sounds.peaks(row["file"])
    if found is None:
        raise web.HTTPNotFound
    return web.Response(text=found, content_type="application/json", headers={"Cache-Control": KEEP})
