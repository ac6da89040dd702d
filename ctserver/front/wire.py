"""What the front and the server say to one another: frames of a length, an id, a kind and a body in MessagePack.

A question and its answer have the same id; the kind of an answer says whether it was taken.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, NamedTuple, cast

import msgspec

from ctserver.services.callbacks import Wish
from ctserver.services.visits import Note, PageView, Shown

VISIT, SIGNAL, CALLBACK = 1, 2, 3
TAKEN, REFUSED, UNAVAILABLE = 1, 2, 3
END = 4  # the server stops: answer what you have been asked, and end
QUESTIONS: dict[int, msgspec.msgpack.Decoder[Any]] = {
    VISIT: msgspec.msgpack.Decoder(PageView),
    SIGNAL: msgspec.msgpack.Decoder(Note),
    CALLBACK: msgspec.msgpack.Decoder(Wish),
}
ANSWERS: dict[int, msgspec.msgpack.Decoder[Any]] = {
    VISIT: msgspec.msgpack.Decoder(Shown),
    SIGNAL: msgspec.msgpack.Decoder(None),
    CALLBACK: msgspec.msgpack.Decoder(int),
}
WORDS: msgspec.msgpack.Decoder[str] = msgspec.msgpack.Decoder(str)  # of an answer that is not TAKEN

TOGETHER = 32  # frames in one write at most: the other end shall not wait until all of a rush is dealt with
_HEAD = struct.Struct("!IIB")
_encode = msgspec.msgpack.Encoder().encode


class Frame(NamedTuple):
    id: int
    kind: int
    body: bytes


class Link(asyncio.Protocol):
    """One end. What is sent in one turn of the loop leaves by few writes: each is a call of the system."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._rest = b""

    def send(self, id: int, kind: int, content: Any) -> None:
        body = _encode(content)
        self._waiting += (_HEAD.pack(len(body), id, kind), body)
        if len(self._waiting) == 2:
            self._loop.call_soon(self._write)
        elif len(self._waiting) >= 2 * TOGETHER:
            self._write()

    def heard(self, frames: list[Frame]) -> None:
        """These frames have arrived."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if frames := self._frames(self._rest + data):
            self.heard(frames)

    def _frames(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        at, size = 0, len(data)
        while size - at >= _HEAD.size:
            length, id, kind = _HEAD.unpack_from(data, at)
            body = at + _HEAD.size
            if body + length > size:
                break
            at = body + length
            frames.append(Frame(id, kind, data[body:at]))
        self._rest = data[at:]
        return frames

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():  # else nobody hears it
            self._transport.write(b"".join(waiting))
