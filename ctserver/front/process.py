"""The front itself: its web server, until the server goes.

    python -m ctserver.front LINK LISTENING < SETTINGS

LINK and LISTENING number the sockets that the server has opened for it; SETTINGS are pickled, as the server has read them.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys

import uvloop
from aiohttp import web

from ctserver import ids, logs, memory
from ctserver.config import Settings, number_uses
from ctserver.domain import visitor
from ctserver.front.remote import Remote
from ctserver.http import door
from ctserver.http.desk import Desk
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo

STOP_SECONDS = 2.0


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server is told to end, and the front ends with it
    link, listening = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the server that has started this process
    logs.setup(settings.log.level, settings.log.format)
    uvloop.run(serve(settings, link, listening))


async def serve(settings: Settings, link: socket.socket, listening: socket.socket) -> None:
    """Until the other end of the link is closed."""
    visitor.device("")  # reads the rules of all browsers, once: not while a visitor waits
    loop = asyncio.get_running_loop()
    transport, remote = await loop.create_connection(Remote, sock=link)
    geo = Geo(settings.path(settings.geo.file) if settings.geo.file else None)
    desk = Desk(settings, Gate(settings, geo), number_uses(settings), remote, ids.now_ms)
    runner = web.ServerRunner(door.Server(desk), shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=512).start()
    memory.started()
    await remote.gone.wait()
    await runner.cleanup()
    transport.close()
