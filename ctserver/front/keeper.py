"""The server's side of the front: opens its address, starts its processes, starts again what ends, and answers them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import socket
import sys
from functools import partial
from typing import Any

from ctserver.config import Settings
from ctserver.domain import callback
from ctserver.front import wire
from ctserver.services.reception import Here
from ctserver.storage.db import StorageError

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0  # between the end of a process and the start of the next
STOP_SECONDS = 3.0
BACKLOG = 512


class Front:
    """All its processes. `await start()`, `await stop()`."""

    def __init__(self, settings: Settings, reception: Here) -> None:
        self._rules = settings.visitors
        self._doors: list[_Door] = []
        self._pickled = pickle.dumps(settings)
        self._reception = reception

    async def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        host, _, port = self._rules.listen.rpartition(":")
        address = (host.strip("[]"), int(port))
        _listen(address, shared=False).close()  # by nobody else: sockets that share an address would not notice
        self._doors = [
            _Door(_listen(address, shared=True), self._pickled, self._reception) for _ in range(self._rules.processes)
        ]

    async def stop(self) -> None:
        """The processes answer what they have been asked, and end."""
        await asyncio.gather(*(door.close() for door in self._doors))

    @property
    def state(self) -> str:
        """ "ok", or what is the matter."""
        away = sum(not door.is_kept for door in self._doors)
        return f"{away} of {len(self._doors)} processes not running" if away else "ok"


class _Door:
    """One socket of the address, and one process after another behind it. Between two, visitors wait."""

    def __init__(self, listening: socket.socket, pickled: bytes, reception: Here) -> None:
        self._listening = listening
        self._pickled = pickled
        self._reception = reception
        self._process: asyncio.subprocess.Process | None = None
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name="front")

    async def close(self) -> None:
        self._closing.set()
        await self._task
        self._listening.close()

    @property
    def is_kept(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                await self._run()
            except OSError as error:
                log.error("a process of the front cannot be started: %s", error)
            if not self._closing.is_set():
                log.error("a process of the front has ended; it is started again")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), AGAIN_SECONDS)

    async def _run(self) -> None:
        ours, its = socket.socketpair()
        with its:
            handed = (its.fileno(), self._listening.fileno())
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ctserver.front",
                *map(str, handed),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=handed,
            )
        transport, link = await asyncio.get_running_loop().create_connection(lambda: _Link(self._reception), sock=ours)
        ending = asyncio.create_task(self._end(process, link), name="front's end")
        try:
            await process.communicate(self._pickled)
        finally:
            ending.cancel()
            transport.close()

    async def _end(self, process: asyncio.subprocess.Process, link: _Link) -> None:
        """It ends by itself when it is told to, unless something holds it."""
        await self._closing.wait()
        link.send(0, wire.END, None)
        await asyncio.sleep(STOP_SECONDS)
        process.kill()


def _listen(address: tuple[str, int], *, shared: bool) -> socket.socket:
    """The system spreads connections over the sockets that share an address."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=shared)


class _Link(wire.Link):
    """Answers the front's questions: what is to be written, together."""

    def __init__(self, reception: Here) -> None:
        super().__init__()
        self._reception = reception

    def heard(self, frames: list[wire.Frame]) -> None:
        asked = [(frame, wire.QUESTIONS[frame.kind].decode(frame.body)) for frame in frames]
        if together := [(frame.id, said) for frame, said in asked if frame.kind != wire.CALLBACK]:
            answers = self._reception.several([said for _, said in together])
            answers.add_done_callback(partial(self._wrote, [id for id, _ in together]))
        for frame, wish in asked:
            if frame.kind == wire.CALLBACK:
                self._reception.callback(wish).add_done_callback(partial(self._rang, frame.id))

    def _wrote(self, ids: list[int], done: asyncio.Future[list[Any]]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        for id, answer in zip(ids, [error] * len(ids) if error else done.result(), strict=True):
            self._tell(id, answer)

    def _rang(self, id: int, done: asyncio.Future[int]) -> None:
        if not done.cancelled():
            self._tell(id, done.exception() or done.result())

    def _tell(self, id: int, answer: Any) -> None:
        if not isinstance(answer, BaseException):
            self.send(id, wire.TAKEN, answer)
        elif isinstance(answer, callback.Refused):
            self.send(id, wire.REFUSED, str(answer))
        else:
            if not isinstance(answer, StorageError):
                log.error("a question of the front failed", exc_info=answer)
            self.send(id, wire.UNAVAILABLE, str(answer))
