"""A recording as it leaves the server. Whether he who asks may hear it is asked before."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from ctserver.http.deps import Deps
from ctserver.storage import recordings

TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".opus": "audio/ogg"}


async def file_of(deps: Deps, call: str) -> Path:
    """The recording of a call. Raises HTTPNotFound, HTTPBadGateway when the storage it is kept in does not answer."""
    row = await recordings.of_call(deps.db, call)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    try:
        file = await deps.sounds.local(row["file"], row["place"])
    except OSError as error:
        raise web.HTTPBadGateway(text=f"the storage of recordings: {error}\n") from error
    if file is None:
        raise web.HTTPNotFound
    return file


def send_file(file: Path, *, download: bool = False) -> web.FileResponse:
    """The sound, with HTTP Range."""
    how = "attachment" if download else "inline"
    headers = {
        "Content-Disposition": f'{how}; filename="{file.name}"',
        "Content-Type": TYPES.get(file.suffix, "application/octet-stream"),
        "Cache-Control": "private, max-age=3600",
    }
    return web.FileResponse(file, headers=headers)


async def peaks_of(deps: Deps, call: str) -> web.Response:
    """What the player draws."""
    row = await recordings.of_call(deps.db, call)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    found = await deps.sounds.peaks(row["file"])
    if found is None:
        raise web.HTTPNotFound
    return web.Response(text=found, content_type="application/json", headers={"Cache-Control": "private, max-age=3600"})
