"""What Asterisk 11 and older, and chan_sip, tell in other words than today: no Linkedid, Dial with SubEvent, Bridge and Link,
channels that begin as Down, a caller whose channel is exchanged for another in a transfer. No input or output.

Handlers take the view of the PBX (a Translator), the message and its time, and yield call events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ctserver.asterisk.wire import Message, text, uniqueid_of
from ctserver.domain import events as calls

if TYPE_CHECKING:
    from ctserver.asterisk.translate import Translator

MAX_HEARD = 1000  # channels that are remembered until it is known what they are
_SPECIAL = frozenset({"", "s", "h", "i", "t", "T", "o", "a", "e", "failed"})  # extensions that are no number


def hear(view: Translator, message: Message) -> None:
    """A channel has begun, and it is not known yet whether it is a caller: chan_sip says that when it rings."""
    view.heard[uniqueid_of(message)] = message
    if len(view.heard) > MAX_HEARD:
        view.heard.pop(next(iter(view.heard)))


def rings_in(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """A channel that began as Down calls us (one that we call is Ringing)."""
    began = view.heard.get(uniqueid_of(message), {})
    number = text(began, "Exten", "Extension")
    if text(began, "Context") in view.contexts and number not in _SPECIAL:
        yield from view.arrive(began, at, number)


def remember_half(view: Translator, channel: str, linkedid: str) -> None:
    """`Local/...;1` was dialled; what its other half, `;2`, dials is for the same call. Linkedid says so today."""
    if channel.startswith("Local/") and channel[-2:] in (";1", ",1"):
        view.halves[channel[:-2]] = linkedid
        if len(view.halves) > MAX_HEARD:
            view.halves.pop(next(iter(view.halves)))


def half_of(view: Translator, message: Message) -> str | None:
    """The call for which the second half of a Local channel dials."""
    source = text(message, "Channel", "Source")
    linkedid = view.halves.get(source[:-2]) if source[-2:] in (";2", ",2") else None
    return linkedid if linkedid in view.open else None


def _newexten(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """A channel that began elsewhere has come to one of our contexts."""
    uniqueid, number = uniqueid_of(message), text(message, "Exten", "Extension")
    if text(message, "Context") not in view.contexts or number in _SPECIAL or uniqueid in view.callers:
        return
    began = view.heard.get(uniqueid, {})
    if text(began, "ChannelStateDesc", "State") != "Down" or text(began, "Channel").startswith("Local/"):
        yield from view.arrive({**began, **message}, at, number)


def _newcallerid(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """Asterisk 1.4 tells the caller's number after the channel."""
    if began := view.heard.get(uniqueid_of(message)):
        told = {"CallerIDNum": text(message, "CallerIDNum", "CallerID"), "CallerIDName": text(message, "CallerIDName")}
        view.heard[uniqueid_of(message)] = {**began, **{name: value for name, value in told.items() if value}}
    yield from ()


def _dial(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """Begin is a leg's; End the caller's, with one DialStatus for all legs."""
    if text(message, "SubEvent") != "End":
        yield from view.dial_begin(message, at)
    elif linkedid := view.callers.get(uniqueid_of(message)):
        status = text(message, "DialStatus")
        if status and status != "ANSWER":  # an answer is told by the leg's own state, when it happens
            for leg in [leg for leg, of in view.legs.items() if of == linkedid]:
                yield calls.LegDone(linkedid, at, leg, status)
            yield calls.Closing(linkedid, at, "", status, 0)


def _bridge(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """Two channels talk: whoever talks with the caller has answered."""
    if text(message, "Event") == "Bridge" and text(message, "Bridgestate") not in ("Link", ""):
        return
    sides = [(text(message, f"Uniqueid{side}"), text(message, f"Channel{side}")) for side in (1, 2)]
    for (ours, _), (leg, channel) in (sides, sides[::-1]):
        linkedid = view.callers.get(ours)
        if linkedid and leg and leg not in view.callers:
            yield from _answered(view, linkedid, at, leg, channel)


def agent(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """AgentConnect of Asterisk 11: BridgedChannel is the member's Uniqueid, Channel his channel's name."""
    linkedid, leg = view.callers.get(uniqueid_of(message)), text(message, "BridgedChannel")
    if linkedid and leg and leg not in view.callers:
        yield from _answered(view, linkedid, at, leg, text(message, "Channel"))
        yield calls.LegNamed(linkedid, at, leg, text(message, "MemberName")[:100])


def _answered(view: Translator, linkedid: str, at: int, leg: str, channel: str) -> Iterator[calls.Event]:
    view.legs[leg] = linkedid
    yield calls.LegStarted(linkedid, at, leg, channel)
    yield calls.LegDone(linkedid, at, leg, "ANSWER")


def _transfer(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """By chan_sip; Channel is whoever sends the caller on."""
    leg = uniqueid_of(message)
    if linkedid := view.legs.get(leg):
        if text(message, "TransferType") == "Attended":
            yield calls.Stepped(linkedid, at, "attended", text(message, "TargetChannel")[:100], leg)
        else:
            yield calls.Stepped(linkedid, at, "transfer", text(message, "TransferExten")[:100], leg)


def _rename(view: Translator, message: Message, at: int) -> Iterator[calls.Event]:
    """In a transfer another channel takes the caller's place and name: from now on it is the caller's."""
    now_his, name = uniqueid_of(message), text(message, "Newname")
    if now_his in view.callers:
        if name.endswith("<MASQ>"):
            view.exchanged[text(message, "Channel")] = now_his
    elif (was_his := view.exchanged.pop(name, "")) in view.callers:
        view.callers[now_his] = view.callers.pop(was_his)
        view.legs.pop(now_his, None)
    yield from ()


HANDLERS: dict[str, Callable[[Translator, Message, int], Iterator[calls.Event]]] = {
    "Newexten": _newexten,
    "Newcallerid": _newcallerid,
    "NewCallerid": _newcallerid,
    "Dial": _dial,
    "Bridge": _bridge,
    "Link": _bridge,
    "Transfer": _transfer,
    "Rename": _rename,
}
