"""The AMI wire format: bytes <-> messages. Pure; the live link, the recorder and the replay share it.

A message is a dict of header -> value; a header that comes several times has a list. Lines end with CR LF, a message
with an empty line; the first line of a connection is a banner. CallerIDName and ConnectedLineName are C-escaped.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TypeAlias, cast

Message: TypeAlias = dict[str, str | list[str]]

MAX_MESSAGE = 1 << 20
_EVENT = b"Event: "
_ESCAPED = ("CallerIDName", "ConnectedLineName", "DestCallerIDName", "DestConnectedLineName")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Splitter:
    """Cuts a byte stream into messages, wherever the network cuts it. A message over 1 MiB is dropped, and so is an event
    that is none of `wanted` (its name as bytes) and answers no action."""

    def __init__(self, wanted: Container[bytes] | None = None) -> None:
        self._wanted = wanted
        self._buffer = bytearray()
        self._half_line_end = b""
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes."""
        data = self._half_line_end + data
        self._half_line_end = b"\r" if data.endswith(b"\r") else b""
        seen = max(0, len(self._buffer) - 1)
        self._buffer += data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        if self._buffer.find(b"\n\n", seen) >= 0:
            *blocks, rest = bytes(self._buffer).split(b"\n\n")
            self._buffer = bytearray(rest)
            for block in blocks:
                yield from self._message(block)
        if len(self._buffer) > MAX_MESSAGE:
            self._too_long = True
            del self._buffer[:-1]

    def end(self) -> Iterator[Message]:
        """What is left when the stream has ended without an empty line."""
        yield from self._message(bytes(self._buffer))

    def _message(self, block: bytes) -> Iterator[Message]:
        too_long, self._too_long = self._too_long or len(block) > MAX_MESSAGE, False
        if not too_long and self._wants(block) and (message := parse(block)):
            yield message

    def _wants(self, block: bytes) -> bool:
        """Looks at the first line alone: to read a message takes longer than to see that nobody asks for it."""
        if self._wanted is None or not block.startswith(_EVENT):
            return True
        name, _, rest = block[len(_EVENT) :].partition(b"\n")
        return name in self._wanted or b"ActionID: " in rest


def parse(block: bytes) -> Message:
    """The headers of one message; {} if there are none (a banner, stray empty lines)."""
    whole = block.decode("utf-8", "replace")
    message = _of_plain(whole) or _of_any(whole.split("\n"))
    if b"\\" in block:
        for name in _ESCAPED:
            if isinstance(escaped := message.get(name), str):
                message[name] = unescape(escaped)
    return message


def _of_plain(whole: str) -> Message:
    """What nearly all messages are: a header, a colon, a blank and a value on every line, each header once, and no more blanks
    around. Any other: {}. Looks at the message as a whole, since to look at each line takes twice the time."""
    lines = whole.split("\n")
    try:
        message = dict([line.split(": ", 1) for line in lines])
    except ValueError:
        return {}
    once = len(message) == len(lines) and " " not in "".join(message)
    blanks = whole.count(" \n") + whole.endswith(" ") - whole.count(": \n") - whole.endswith(": ")
    plain = once and not blanks and "  " not in whole and "\t" not in whole
    return cast(Message, message) if plain else {}


def _of_any(lines: Iterable[str]) -> Message:
    message: Message = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or " " in name:
            continue
        value = value.strip()
        earlier = message.get(name)
        if isinstance(earlier, list):
            earlier.append(value)
        else:
            message[name] = value if earlier is None else [earlier, value]
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


def uniqueid_of(message: Message) -> str:
    """The channel that a message is about, as any version of Asterisk spells it."""
    return text(message, "Uniqueid", "UniqueID", "SrcUniqueID")
