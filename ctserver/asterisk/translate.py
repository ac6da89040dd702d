"""AMI messages -> call events. No input or output: live and replay are the same code.

Follows the caller's channel: a call begins when a channel arrives in one of the inbound contexts, and ends when that
channel hangs up. Legs are channels dialled on its behalf. What Asterisk 11 and older called otherwise is in older.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from ctserver.asterisk import older
from ctserver.asterisk.variables import EVENT_AFTER, EVENT_ENDED, EVENT_ROUTED, EVENT_STAGE
from ctserver.asterisk.wire import Message, text, uniqueid_of
from ctserver.domain import events as calls
from ctserver.domain.call import birth

_QUOTED = re.compile(r"\\([\\\"])")  # PJSIP leaves SIP's own escapes in a quoted name
NORMAL_CLEARING = 16  # Q.850
MAX_GONE = 500
MAX_TEXT = 100  # of a name or an extension
MAX_SECONDS = 10**11  # what no clock says


class Translator:
    """The view of one PBX: which channel belongs to which call."""

    def __init__(self, contexts: Sequence[str]) -> None:
        self.contexts = frozenset(contexts)
        self.callers: dict[str, str] = {}  # Uniqueid of a caller's channel -> linkedid
        self.legs: dict[str, str] = {}  # Uniqueid of a dialled channel -> linkedid
        self.open: set[str] = set()
        self.gone: dict[str, str] = {}  # as callers, those who hung up last: events may overtake each other
        self.heard: dict[str, Message] = {}  # Uniqueid of a channel that is neither yet -> how it began
        self.halves: dict[str, str] = {}  # name of the half of a Local channel that was dialled -> linkedid
        self.exchanged: dict[str, str] = {}  # name of a caller's channel that another is about to take -> its Uniqueid

    def know(self, linkedid: str, uniqueid: str, legs: Sequence[str]) -> None:
        """A call that is open already, from the database, after a restart of ours."""
        self.open.add(linkedid)
        self.callers[uniqueid] = linkedid
        self.legs.update(dict.fromkeys(legs, linkedid))

    def events(self, message: Message, now: int) -> Iterator[calls.Event]:
        """The call events in one AMI message; `now` (epoch ms) is the time of messages that carry none."""
        handler = _HANDLERS.get(text(message, "Event"))
        if handler:
            yield from handler(self, message, time_of(message, now))

    # ---- one method for each kind of message

    def _newchannel(self, message: Message, at: int) -> Iterator[calls.Event]:
        did = text(message, "Exten", "Extension")
        down = text(message, "ChannelState") == "0" or text(message, "ChannelStateDesc", "State") == "Down"
        if text(message, "Context") in self.contexts and any(map(str.isdigit, did)) and not down:
            yield from self.arrive(message, at, did)
        else:
            older.hear(self, message)

    def arrive(self, message: Message, at: int, did: str) -> Iterator[calls.Event]:
        uniqueid = uniqueid_of(message)
        linkedid = text(message, "Linkedid") or uniqueid
        if not uniqueid or linkedid in self.open or uniqueid in self.legs or uniqueid in self.gone:
            return
        self.open.add(linkedid)
        self.callers[uniqueid] = linkedid
        caller, name = text(message, "CallerIDNum"), _QUOTED.sub(r"\1", text(message, "CallerIDName"))
        yield calls.Arrived(linkedid, at, uniqueid, text(message, "Channel"), did, caller, name)

    def _user_event(self, message: Message, at: int) -> Iterator[calls.Event]:
        name = text(message, "UserEvent")
        if name == EVENT_AFTER:
            yield from self._leave(message, at)
        if name not in (EVENT_ROUTED, EVENT_STAGE, EVENT_ENDED):
            return
        did, line = text(message, "DID"), text(message, "Line")
        if uniqueid_of(message) not in self.callers:  # it arrived while nobody watched
            began = moment(text(message, "Arrived")) or birth(uniqueid_of(message)) or at
            yield from self.arrive(message, min(began, at), did)
        linkedid = self.callers.get(uniqueid_of(message))
        if linkedid is None:
            return
        yield calls.Routed(linkedid, at, did, line, text(message, "Asked"))
        if name == EVENT_STAGE and (stage := text(message, "Stage")):
            yield calls.StageReached(linkedid, at, stage[:MAX_TEXT])
        if name == EVENT_ENDED:
            yield _closing(message, linkedid, at, line)

    def _leave(self, message: Message, at: int) -> Iterator[calls.Event]:
        """The caller has hung up, and whoever answered is asked what it was about: no part of the call any more."""
        leg = uniqueid_of(message)
        if linkedid := self.legs.pop(leg, None):
            yield calls.LegHungUp(linkedid, at, leg, NORMAL_CLEARING)

    def dial_begin(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = _leg(message)
        linkedid = self._call_of(message)
        if linkedid is None or not leg or leg in self.callers:
            return
        self.legs[leg] = linkedid
        channel, name = text(message, "DestChannel", "Destination"), text(message, "DestCallerIDName")
        older.remember_half(self, channel, linkedid)
        yield calls.LegStarted(linkedid, at, leg, channel, name[:MAX_TEXT])

    def _dial_state(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = _leg(message)
        if leg not in self.legs:
            yield from self.dial_begin(message, at)
        linkedid = self.legs.get(leg)
        if linkedid and text(message, "DialStatus") == "RINGING":
            yield calls.LegRinging(linkedid, at, leg)

    def _dial_end(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = _leg(message)
        if leg not in self.legs:
            yield from self.dial_begin(message, at)
        linkedid = self.legs.get(leg)
        status = text(message, "DialStatus")
        if linkedid and (elsewhere := text(message, "Forward")):
            yield calls.Stepped(linkedid, at, "forward", elsewhere[:MAX_TEXT], leg)
            yield calls.LegDone(linkedid, at, leg, "FORWARD")
        elif linkedid and status:
            yield calls.LegDone(linkedid, at, leg, status)

    def _newstate(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = uniqueid_of(message)
        linkedid = self.legs.get(leg)
        state = text(message, "ChannelStateDesc", "State")
        if linkedid is None:
            if state == "Ring":
                yield from older.rings_in(self, message, at)
        elif state == "Ringing":
            yield calls.LegRinging(linkedid, at, leg)
        elif state == "Up":
            yield calls.LegDone(linkedid, at, leg, "ANSWER")

    def _hangup_request(self, message: Message, at: int) -> Iterator[calls.Event]:
        uniqueid = uniqueid_of(message)
        if linkedid := self.callers.get(uniqueid):
            yield calls.CallerGaveUp(linkedid, at)
        elif linkedid := self.legs.get(uniqueid):
            yield calls.LegGaveUp(linkedid, at, uniqueid)

    def _hangup(self, message: Message, at: int) -> Iterator[calls.Event]:
        uniqueid = uniqueid_of(message)
        self.heard.pop(uniqueid, None)
        cause = _number(text(message, "Cause"))
        if linkedid := self.callers.pop(uniqueid, None):
            self.open.discard(linkedid)
            self.gone[uniqueid] = linkedid
            if len(self.gone) > MAX_GONE:
                del self.gone[next(iter(self.gone))]
            yield calls.CallerHungUp(linkedid, at, cause)
        elif linkedid := self.legs.pop(uniqueid, None):
            yield calls.LegHungUp(linkedid, at, uniqueid, cause)

    def _shutdown(self, message: Message, at: int) -> Iterator[calls.Event]:
        """Said after the hangups of the channels that it hung up."""
        for linkedid in (*self.gone.values(), *self.open):
            yield calls.PbxStopped(linkedid, at)

    # ---- from hand to hand

    def _hold(self, message: Message, at: int) -> Iterator[calls.Event]:
        uniqueid = uniqueid_of(message)
        kind = "hold" if text(message, "Event") == "Hold" and text(message, "Status") != "Off" else "unhold"
        if linkedid := self.legs.get(uniqueid):
            yield calls.Stepped(linkedid, at, kind, leg=uniqueid)

    def _queued(self, message: Message, at: int) -> Iterator[calls.Event]:
        if linkedid := self.linked(message, ""):
            yield calls.Stepped(linkedid, at, "queued", text(message, "Queue")[:MAX_TEXT])

    def _agent(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = _leg(message)
        if not leg:
            yield from older.agent(self, message, at)
        if linkedid := self.legs.get(leg):
            yield calls.LegNamed(linkedid, at, leg, text(message, "MemberName")[:MAX_TEXT])

    def _pickup(self, message: Message, at: int) -> Iterator[calls.Event]:
        leg = text(message, "TargetUniqueid")
        if linkedid := self.legs.get(leg):
            yield calls.Stepped(linkedid, at, "pickup", text(message, "Channel")[:MAX_TEXT], leg)

    def _blind_transfer(self, message: Message, at: int) -> Iterator[calls.Event]:
        linkedid = self.linked(message, "Transferee")
        if linkedid and text(message, "Result") == "Success":
            extension, leg = text(message, "Extension"), text(message, "TransfererUniqueid")
            yield calls.Stepped(linkedid, at, "transfer", extension[:MAX_TEXT], leg)

    def _attended_transfer(self, message: Message, at: int) -> Iterator[calls.Event]:
        """The caller is one of the two whom the transferer leaves to each other; the other one is the new party. Where
        there is none yet (it still rings there), it is as good as a blind transfer."""
        first, second = (self.linked(message, side) for side in ("Transferee", "TransferTarget"))
        linkedid, side = (first, "TransferTarget") if first else (second, "Transferee")
        if not linkedid or text(message, "Result") != "Success":
            return
        whose = "OrigTransferer" if first else "SecondTransferer"
        leg, channel = text(message, f"{side}Uniqueid"), text(message, f"{side}Channel")
        if not leg:
            extension = text(message, "SecondTransfererExten")[:MAX_TEXT]
            yield calls.Stepped(linkedid, at, "transfer", extension, text(message, f"{whose}Uniqueid"))
            return
        yield calls.Stepped(linkedid, at, "attended", channel[:MAX_TEXT], text(message, f"{whose}Uniqueid"))
        if leg in self.callers:
            return
        self.legs[leg] = linkedid
        yield calls.LegStarted(linkedid, at, leg, channel, text(message, f"{side}CallerIDName")[:MAX_TEXT])
        state = text(message, f"{side}ChannelStateDesc")
        if state == "Up":
            yield calls.LegDone(linkedid, at, leg, "ANSWER")
        elif state == "Ringing":
            yield calls.LegRinging(linkedid, at, leg)

    def linked(self, message: Message, side: str) -> str | None:
        """The call that this party of the message belongs to, if it is one of ours."""
        uniqueid, linked = text(message, f"{side}Uniqueid"), text(message, f"{side}Linkedid")
        return self.callers.get(uniqueid) or self.legs.get(uniqueid) or (linked if linked in self.open else None)

    def _call_of(self, message: Message) -> str | None:
        """The call on whose behalf a channel is dialled: by the dialling channel, else by the Linkedid.

        A channel that nobody dials (the pretended caller of a test call) is no leg of it.
        """
        source = uniqueid_of(message)
        if not source:
            return None
        linkedid = self.callers.get(source) or self.legs.get(source) or older.half_of(self, message)
        if linkedid is None:
            linked = text(message, "Linkedid", "DestLinkedid")
            linkedid = linked if linked in self.open else None
        return linkedid


_HANDLERS: dict[str, Callable[[Translator, Message, int], Iterator[calls.Event]]] = {
    "Newchannel": Translator._newchannel,
    "UserEvent": Translator._user_event,
    "DialBegin": Translator.dial_begin,
    "DialState": Translator._dial_state,
    "DialEnd": Translator._dial_end,
    "Newstate": Translator._newstate,
    "HangupRequest": Translator._hangup_request,
    "Hold": Translator._hold,
    "Unhold": Translator._hold,
    "QueueCallerJoin": Translator._queued,
    "AgentConnect": Translator._agent,
    "Pickup": Translator._pickup,
    "BlindTransfer": Translator._blind_transfer,
    "AttendedTransfer": Translator._attended_transfer,
    "Hangup": Translator._hangup,
    "Shutdown": Translator._shutdown,
    "Join": Translator._queued,
    **older.HANDLERS,
}
# The events that tell us anything; the last one, whether the AMI user has the right to hear Asterisk start and stop.
READ = frozenset(name.encode() for name in (*_HANDLERS, "FullyBooted"))


def _closing(message: Message, linkedid: str, at: int, line: str) -> calls.Closing:
    """Dial() tells after how long it rang; and, of an answered call alone, how long it dialled and how long was talked."""
    status, cause = text(message, "DialStatus"), _number(text(message, "HangupCause"))
    dialled, rang, talked = (_millis(text(message, name)) for name in ("DialedMs", "RingMs", "AnsweredMs"))
    dialled_at = moment(text(message, "Arrived")) if dialled is None else at - dialled
    rang_at = None if dialled_at is None or rang is None else dialled_at + rang
    return calls.Closing(
        linkedid,
        at,
        line,
        status,
        cause,
        rang_at=rang_at,
        answered_at=at - talked if status == "ANSWER" and talked is not None else None,
        answered_by=text(message, "Peer"),
        stage=text(message, "Stage")[:MAX_TEXT],
        closed=text(message, "Closed") == "yes",
        blocked=text(message, "Blocked") == "yes",
        keys=text(message, "Keys")[:MAX_TEXT],
        message_seconds=_number(text(message, "Message")),
        queue_status=text(message, "QueueStatus")[:MAX_TEXT],
    )


def time_of(message: Message, now: int) -> int:
    """Epoch milliseconds of a message: its Timestamp (seconds, with a fraction), else `now`."""
    told = moment(text(message, "Timestamp"))
    return now if told is None else told


def moment(value: str) -> int | None:
    """Epoch milliseconds of epoch seconds with a fraction."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return round(seconds * 1000) if 0 <= seconds < MAX_SECONDS else None


def _millis(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[0-9]{1,10}", value) else None


def _leg(message: Message) -> str:
    return text(message, "DestUniqueid", "DestUniqueID")


def _number(value: str) -> int:
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else 0
