"""A recording as it leaves the server. Whether he who asks may hear it is asked before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from ctserver.http.deps import Deps
from ctserver.storage import recordings


async def file_of(deps: Deps, call: str) -> Path:
    """The recording of a call. Raises HTTPNotFound."""
    row = await recordings.of_call(deps.db, call)
    if row is None or row["state"] != "ready":
        raise web.HTTPNotFound
    file: Path = (deps.recordings / str(row["file"])).resolve()
    if not file.is_relative_to(deps.recordings.resolve()) or not file.is_file():
        raise web.HTTPNotFound
    return file


def send_file(file: Path, *, download: bool = False) -> web.FileResponse:
    """The sound, with HTTP Range."""
    how = "attachment" if download else "inline"
    headers = {"Content-Disposition": f'{how}; filename="{file.name}"', "Cache-Control": "private, max-age=3600"}
    return web.FileResponse(file, headers=headers)


async def peaks_of(deps: Deps, call: str) -> web.Response:
    """What the player draws."""
    found = await asyncio.to_thread(deps.peaks, await file_of(deps, call))
    return web.json_response(found, headers={"Cache-Control": "private, max-age=3600"})
