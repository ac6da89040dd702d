"""AMI messages -> what became of calls that we placed, and of those that staff dialled. No input or output."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctserver.asterisk import variables
from ctserver.asterisk.translate import moment, time_of
from ctserver.asterisk.wire import Message, text
from ctserver.domain.callback import CallbackEnded, Placed, WentOut


def placed(message: Message, now: int) -> Iterator[Placed]:
    """`now` (epoch ms) is the time of messages that carry none."""
    if text(message, "Event") != "UserEvent":
        return
    name, at = text(message, "UserEvent"), time_of(message, now)
    if name == variables.EVENT_VISITOR:
        company, visitor = text(message, "Company"), text(message, "Visitor")
        yield CallbackEnded(text(message, "Callback"), text(message, "Linkedid"), at, company, visitor)
    elif name == variables.EVENT_OUTGOING:
        yield _out(message, at)
    elif name == variables.EVENT_OUTGOING_ENDED:
        yield _ended(message, at)


def _out(message: Message, at: int) -> WentOut:
    callback = text(message, "Callback")
    staff = "" if callback else re.sub(r"-[0-9a-f]{8}(;[12])?$", "", text(message, "Channel"))
    return WentOut(text(message, "Uniqueid"), at, text(message, "Number"), staff, callback)


def _ended(message: Message, at: int) -> WentOut:
    began, status = _out(message, at), text(message, "DialStatus")
    dialled, talked = (_millis(text(message, name)) for name in ("DialedMs", "AnsweredMs"))
    told = moment(text(message, "Answered"))  # of a callback: its channel was up before
    answered = None if status != "ANSWER" else at - talked if told is None else told
    return WentOut(began.uniqueid, at - dialled, began.number, began.staff, began.callback, answered, at, status)


def _millis(value: str) -> int:
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else 0


def originate(callback: str, channel: str, seconds: int, now: int) -> dict[str, str]:
    """The AMI action that places a call. Only ids go this way: what is dialled, the dialplan asks for.

    `channel` becomes the Linkedid of the call; the other half, which the journal follows, tells its birth in its id.
    """
    return {
        "Action": "Originate",
        "Channel": f"Local/{callback}@{variables.CONTEXT_CALLBACK}/n",
        "Context": variables.CONTEXT_VISITOR,
        "Exten": callback,
        "Priority": "1",
        "ChannelId": channel,
        "OtherChannelId": f"{channel}-{now // 1000}.1",
        "Timeout": str(seconds * 1000),
        "Async": "true",
    }
