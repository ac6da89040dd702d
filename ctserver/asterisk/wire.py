"""The AMI wire format: bytes <-> messages. Pure; the live link, the recorder and the replay share it.

A message is a dict of header -> value; a header that comes several times has a list. Lines end with CR LF, a message
with an empty line; the first line of a connection is a banner. CallerIDName and ConnectedLineName are C-escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Message: TypeAlias = dict[str, str | list[str]]

MAX_MESSAGE = 1 << 20
_ESCAPED = ("CallerIDName", "ConnectedLineName", "DestCallerIDName", "DestConnectedLineName")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Splitter:
    """Cuts a byte stream into messages, wherever the network cuts it. A message over 1 MiB is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes."""
        self._buffer += data
        *blocks, rest = bytes(self._buffer).replace(b"\r\n", b"\n").split(b"\n\n")
        if self._buffer.endswith(b"\r"):
            rest = rest.removesuffix(b"\r") + b"\r"
        self._buffer = bytearray(rest[-MAX_MESSAGE:])
        for block in blocks:
            if message := parse(block):
                yield message

    def end(self) -> Iterator[Message]:
        """What is left when the stream has ended without an empty line."""
        if message := parse(bytes(self._buffer).replace(b"\r\n", b"\n")):
            yield message


def parse(block: bytes) -> Message:
    """The headers of one message; {} if there are none (a banner, stray empty lines)."""
    message: Message = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(":")
        if not colon or " " in name:
            continue
        value = value.strip()
        if name in message:
            earlier = message[name]
            message[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            message[name] = value
    for name in _ESCAPED:
        if isinstance(escaped := message.get(name), str) and "\\" in escaped:
            message[name] = unescape(escaped)
    return message


def unescape(text: str) -> str:
    """Undo Asterisk's C escaping."""
    parts = iter(text)
    return "".join(_ESCAPES.get(after := next(parts, ""), after) if part == "\\" else part for part in parts)


def text(message: Message, *names: str) -> str:
    """The first of these headers that is there and not empty, as text; of several values the last."""
    for name in names:
        value = message.get(name)
        if isinstance(value, list):
            value = value[-1] if value else ""
        if value and value not in ("(null)", "<unknown>", "<null>"):
            return str(value)
    return ""
