"""Recorded AMI streams: written by `ctserver record`, read by `ctserver replay` with the code that runs live."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

from ctserver import ids
from ctserver.asterisk.ami import LoginRefused
from ctserver.asterisk.translate import Translator, time_of
from ctserver.asterisk.wire import Message, Splitter, text
from ctserver.domain import call as machine
from ctserver.domain.call import Arrived, Call, Event, Leg, birth
from ctserver.domain.times import times

LOGIN_SECONDS = 5.0
_PARTIES = ("", "Dest", "Target", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget")
_NAMES = (
    "Event", "UserEvent", "Destination", "Context", "Exten", "Extension", "ChannelState", "DialStatus", "SubEvent", "Cause",
    "Timestamp", "DID", "Line", "Asked", "HangupCause", "SrcUniqueID", "Forward", "Queue", "MemberName", "Result", "Stage",
    "Bridgestate", "Channel1", "Channel2", "Uniqueid1", "Uniqueid2", "TransferType", "TransferExten", "BridgedChannel",
    "Newname", "State", "Status", "Application", "Closed", "Blocked", "Keys", "Message", "QueueStatus",
    *(party + name for party in _PARTIES
      for name in ("Uniqueid", "Linkedid", "Channel", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "Exten")),
)  # fmt: skip
_CANONICAL = {name.lower(): name for name in _NAMES}


class NotAStream(Exception):
    """The file holds no AMI messages; the message says what was expected."""


def read(data: bytes) -> Iterator[Message]:
    """The messages of a recording: the wire format, a JSON list of events, or one JSON object a line."""
    data = data.removeprefix(codecs.BOM_UTF8)
    head = data.lstrip()[:1]
    if head in (b"[", b"{"):
        entries = _objects(data)
        found = [
            {_CANONICAL.get(name.lower(), name): _value(value) for name, value in entry.items()} for entry in entries
        ]
    else:
        splitter = Splitter()
        found = [*splitter.feed(data), *splitter.end()]
    banner = data.startswith(b"Asterisk Call Manager")
    if not banner and not any("Event" in message or "Response" in message for message in found):
        raise NotAStream("this is neither an AMI stream nor JSON of AMI events: nothing in it has an Event")
    yield from found


def _objects(data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)
    except ValueError:
        try:
            found = [json.loads(line) for line in data.splitlines() if line.strip()]
        except ValueError as error:
            raise NotAStream(f"this is neither an AMI stream nor JSON: {error}") from None
    except RecursionError:
        raise NotAStream("the JSON is nested too deep for a list of AMI events") from None
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) for entry in entries):
        raise NotAStream("the JSON must be a list with one object for each AMI event")
    return entries


def _value(value: object) -> str | list[str]:
    if isinstance(value, list):
        return [_text(part) for part in value]
    return "" if value is None else _text(value)


def _text(value: object) -> str:
    """JSON may hold halves of characters, which no output takes."""
    return str(value).encode("utf-8", "replace").decode()


def calls(messages: Iterable[Message], contexts: Sequence[str]) -> list[Call]:
    """The calls in a stream, in the order in which they arrived.

    A stream without Timestamp headers is dated by its channels: a Uniqueid holds the second its channel was made.
    """
    translator = Translator(contexts)
    found: dict[str, Call] = {}
    clock = 0
    for message in messages:
        clock = max(clock, time_of(message, birth(text(message, "Uniqueid", "UniqueID")) or 0))
        for event in translator.events(message, clock):
            _apply(found, event)
    return list(found.values())


def contexts_of(messages: Iterable[Message]) -> list[str]:
    """Where callers may have arrived: the contexts in which channels begin with a number and nobody dials them."""
    dialled = {text(message, "DestUniqueid", "DestUniqueID") for message in messages}
    found: dict[str, str] = {}
    for message in messages:
        first = text(message, "Uniqueid") == text(message, "Linkedid") or not text(message, "Linkedid")
        name = text(message, "Event")
        if name in ("Newchannel", "Newexten") and first and text(message, "Uniqueid") not in dialled:
            number, context = text(message, "Exten", "Extension"), text(message, "Context")
            if context and sum(letter.isdigit() for letter in number) >= 3:
                found.setdefault(text(message, "Uniqueid"), context)
    return sorted(set(found.values()))


def _apply(found: dict[str, Call], event: Event) -> None:
    current = found.get(event.linkedid)
    if isinstance(event, Arrived) and (current is None or current.state == machine.ENDED):
        key = event.linkedid if current is None else f"{event.linkedid} {len(found)}"
        if current is not None:  # the same Linkedid again: the earlier call stays in the list under another key
            found[key] = found.pop(event.linkedid)
        found[event.linkedid] = machine.begin(event, id=event.linkedid, pbx="replay")
    elif current is not None:
        found[event.linkedid] = machine.advance(current, event)


def summary(call: Call) -> dict[str, object]:
    """One call as `ctserver replay --json` prints it. Times are epoch seconds; spans (`wait`, ...) are seconds."""
    took = times(call, call.arrived_at)
    return {
        "linkedid": call.linkedid,
        "did": call.did,
        "caller": call.caller,
        "line": call.line,
        "started": _seconds(call.arrived_at),
        "answered": _seconds(call.answered_at),
        "ended": _seconds(call.ended_at),
        "outcome": call.outcome or None,
        "reason": call.reason or None,
        "answered_by": call.answered_by or None,
        "hung_up_by": call.hung_up_by or None,
        "queue": call.queue or None,
        **{name: span / 1000 for name, span in asdict(took).items()},
        "legs": [_leg(leg, call.arrived_at) for leg in call.legs],
        "steps": [
            {"after": (step.at - call.arrived_at) / 1000, "kind": step.kind, "detail": step.detail, "leg": step.leg}
            for step in call.steps
        ],
    }


def _leg(leg: Leg, since: int) -> dict[str, object]:
    """`rang`, `answered` and `ended` are seconds after the call's arrival."""
    moments = {"rang": leg.ringing_at, "answered": leg.answered_at, "ended": leg.ended_at}
    after = {name: None if at is None else (at - since) / 1000 for name, at in moments.items()}
    return {"uniqueid": leg.uniqueid, "channel": leg.channel, "name": leg.name, "status": leg.status, **after}


def _seconds(ms: int | None) -> float | None:
    return ms / 1000 if ms else None


async def record(host: str, port: int, user: str, secret: str, out: BinaryIO, say: Callable[[int], None]) -> None:
    """Copy the AMI stream to `out` until cancelled or the PBX closes it; `say` is told the number of messages.

    Bytes stay as they come; messages without a Timestamp get one. The login is not recorded. Raises OSError,
    TimeoutError, LoginRefused.
    """
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, limit=1 << 20), LOGIN_SECONDS)
    try:
        login = f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: on\r\n\r\n"
        out.write(await asyncio.wait_for(reader.readline(), LOGIN_SECONDS))
        writer.write(login.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LOGIN_SECONDS)
        if b"Success" not in answer:
            raise LoginRefused(f"login refused for AMI user {user!r}")
        count = 0
        while True:
            block = await reader.readuntil(b"\r\n\r\n")
            out.write(_dated(block))
            out.flush()
            count += 1
            say(count)
    except asyncio.IncompleteReadError:
        return
    finally:
        writer.close()


def _dated(block: bytes) -> bytes:
    if b"\r\nTimestamp:" in block or not block.startswith(b"Event:"):
        return block
    return block[:-2] + f"Timestamp: {ids.now_ms() / 1000:.6f}\r\n\r\n".encode()
