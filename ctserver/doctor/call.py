"""A test call through the real dialplan, watched from its first event to its recording."""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ctserver import files, ids
from ctserver.asterisk import bridge, variables
from ctserver.asterisk.ami import AmiError
from ctserver.asterisk.recordings import HEADER_BYTES
from ctserver.asterisk.wire import Message, text
from ctserver.check import Result
from ctserver.config import Asterisk, Line, Settings, number_uses
from ctserver.doctor import phones
from ctserver.doctor.ear import Ear
from ctserver.domain import phone
from ctserver.storage import calls, migrate, recordings, sqlite
from ctserver.storage.db import Database, Row

RINGS_SECONDS = 8.0  # from the INVITE to the first phone, a greeting not counted
JOURNAL_SECONDS = 5.0
RECORDING_SECONDS = 12.0
CLOSING_SECONDS = 0.3
SILENCE = 40  # of 32768: a line without a voice on it stays below
NO_CODEC = {"58": "488 Not Acceptable Here", "65": "bearer not implemented", "88": "incompatible destination"}
WHY = {
    "1": "the number does not exist", "3": "no route to it", "17": "it is busy", "18": "it did not respond",
    "19": "nobody picked up", "20": "the phone is not registered", "21": "it rejected the call",
    "27": "it cannot be reached", "34": "no line was free", "38": "the network is out of order",
}  # fmt: skip
STAGES = {
    variables.STAGE_HOURS: "the line is closed now: the caller hears the announcement",
    variables.STAGE_GREETING: "the caller hears the greeting",
    variables.STAGE_MENU: "the caller is asked to press a key, and the test call presses none",
    variables.STAGE_BLOCKED: "the caller is not wanted: [callers] of the settings",
    variables.STAGE_VOICEMAIL: "the caller is asked to leave a message",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Number and caller in E.164; `running`: does ctserver answer?"""

    number: str
    caller: str
    listen_seconds: float
    running: bool


async def look(ear: Ear, settings: Settings, pbx: Asterisk, wanted: Wanted) -> AsyncIterator[Result]:
    now = ids.now_ms()
    channel = ids.new(now)
    use = number_uses(settings).get(wanted.number)
    line = settings.lines[use.line if use else settings.default_line]
    watched = _Call(ear, channel, f"{channel}-{now // 1000}.1")  # tells its birth, as Asterisk's own ids do
    chosen = {"ChannelId": watched.linkedid, "OtherChannelId": watched.uniqueid}
    try:
        await ear.send(bridge.testcall_action(wanted.number, wanted.caller) | chosen)
    except (AmiError, TimeoutError) as error:
        yield Result("test call", False, f"Asterisk does not place it: {error}", "see AMI rights")
        return
    try:
        routed = await watched.routed()
        yield _routed(routed, wanted)
        answered = await watched.answered(line) if routed else ""
        if routed:
            yield await _answer(watched, line, answered)
        if answered:
            await asyncio.sleep(wanted.listen_seconds)
            async for result in _sound(ear, settings, pbx, watched, answered):
                yield result
    finally:
        await watched.hang_up()
    async for result in _afterwards(settings, pbx, channel, line, wanted, answered=bool(answered)):
        yield result


class _Call:
    """The events of one call."""

    def __init__(self, ear: Ear, linkedid: str, uniqueid: str) -> None:
        self._ear = ear
        self.linkedid = linkedid
        self.uniqueid = uniqueid

    def events(self, *kinds: str) -> list[Message]:
        return [message for message in self._ear.heard if text(message, "Event") in kinds and self._is_ours(message)]

    async def routed(self) -> Message | None:
        return await self._ear.until(
            lambda message: text(message, "UserEvent") == variables.EVENT_ROUTED and self._is_ours(message),
            RINGS_SECONDS,
        )

    async def answered(self, line: Line) -> str:
        """The channel of whoever picks up; "" if nobody does before the caller is sent away, or the line's time is over."""
        steps = max(len(line.dial), 1)
        await self._ear.until(
            lambda message: (
                self._is_ours(message)
                and (self._picks_up(message) or (text(message, "Event") == "Hangup" and self._is_caller(message)))
            ),
            RINGS_SECONDS + line.ring_seconds * steps,
        )
        picked = [text(message, "DestChannel") for message in self.events("DialEnd") if self._picks_up(message)]
        return min(picked, key=lambda channel: channel.startswith("Local/"), default="")

    @property
    def rang(self) -> list[str]:
        return [text(message, "DestChannel") for message in self.events("DialBegin") if self._is_phone(message)]

    @property
    def causes(self) -> list[str]:
        """Why the phones ended, Asterisk's numbers."""
        gone = [m for m in self.events("Hangup") if not text(m, "Channel").startswith("Local/")]
        return [text(message, "Cause") for message in gone]

    @property
    def stage(self) -> str:
        told = [m for m in self.events("UserEvent") if text(m, "UserEvent") == variables.EVENT_STAGE]
        return text(told[-1], "Stage") if told else ""

    @property
    def ended(self) -> Message | None:
        told = [m for m in self.events("UserEvent") if text(m, "UserEvent") == variables.EVENT_ENDED]
        return told[-1] if told else None

    async def stop_recording(self) -> None:
        """Asterisk holds some seconds of sound back until a file is closed."""
        channels = [text(message, "Channel") for message in self.events("Newchannel") if self._is_caller(message)]
        with contextlib.suppress(AmiError, TimeoutError):
            await self._ear.send({"Action": "StopMixMonitor", "Channel": channels[0] if channels else self.uniqueid})
        await asyncio.sleep(CLOSING_SECONDS)

    async def hang_up(self) -> None:
        for message in self.events("Newchannel"):
            if self._is_caller(message) or text(message, "Uniqueid") == self.linkedid:
                with contextlib.suppress(AmiError, TimeoutError):
                    await self._ear.send({"Action": "Hangup", "Channel": text(message, "Channel")})

    def _is_ours(self, message: Message) -> bool:
        return self.linkedid in (text(message, "Linkedid"), text(message, "DestLinkedid"))

    def _is_caller(self, message: Message) -> bool:
        return text(message, "Uniqueid") == self.uniqueid

    def _is_phone(self, message: Message) -> bool:
        """Not a half of the test call itself."""
        return text(message, "DestUniqueid") not in (self.uniqueid, self.linkedid)

    def _picks_up(self, message: Message) -> bool:
        answered = text(message, "Event") == "DialEnd" and text(message, "DialStatus") == "ANSWER"
        return answered and self._is_phone(message)


def _routed(routed: Message | None, wanted: Wanted) -> Result:
    number = phone.international(wanted.number)
    if routed is None:
        todo = "look into Asterisk's log; `dialplan show ct-inbound` shows what Asterisk has loaded"
        return Result("test call", False, f"the call to {number} did not come through the dialplan", todo)
    asked, line = text(routed, "Asked"), text(routed, "Line")
    if asked == "ctserver" or not wanted.running:
        return Result("test call", True, f"{number} went to the line {line}, decided by {asked}")
    todo = "is the machine overloaded? ctserver has 0.4 s to answer; see FastAGI above"
    return Result("test call", False, f"ctserver was not asked or too slow: {asked} sent {number} to {line}", todo)


async def _answer(call: _Call, line: Line, answered: str) -> Result:
    if answered:
        return Result("answer", True, f"{answered} picked up")
    ended = call.ended
    status = text(ended, "DialStatus") if ended else ""
    codec = next((cause for cause in call.causes if cause in NO_CODEC), "")
    if codec:
        what = f"the phone refused the call's codecs (cause {codec}, {NO_CODEC[codec]})"
        return Result(
            "answer",
            False,
            what,
            "let the phone's endpoint in pjsip.conf `allow` a codec that the phone speaks, such as alaw",
        )
    if call.stage in STAGES and not call.rang:
        return Result("answer", False, f"no phone rang: {STAGES[call.stage]}", "call a number of a line that rings now")
    if not call.rang:
        what = f"nothing rang: Asterisk could not call {line.rings} ({status or 'no reason told'})"
        todo = "is the phone registered, and `dial` of the line right? asterisk -rx 'pjsip show contacts'"
        return Result("answer", False, what, todo)
    causes = [WHY.get(cause, f"cause {cause}") for cause in call.causes]
    what = f"nobody answered: {line.rings} rang, {', '.join(dict.fromkeys(causes)) or status}"
    return Result("answer", False, what, "pick up when it rings, and say a word; or mend the phone")


async def _sound(ear: Ear, settings: Settings, pbx: Asterisk, call: _Call, answered: str) -> AsyncIterator[Result]:
    """While they talk: does sound come from the phone, is it recorded, can it be heard?"""
    spool = settings.spool(pbx)
    packets = await ear.value("CHANNEL(rtcp,rxcount)", answered)
    if packets == "0":
        odd = list(phones.nat(await phones.media(ear, answered)))
        todo = (
            "; ".join(odd)
            or "a firewall or NAT between the phone and Asterisk drops it: open the UDP ports of rtp.conf"
        )
        yield Result("sound", False, f"no sound at all comes from {answered}: not one RTP packet arrived", todo)
        return
    await call.stop_recording()
    caller, company = (
        _loudness(spool / f"{call.uniqueid}{part}") for part in (variables.CALLER_PART, variables.COMPANY_PART)
    )
    if company is None or caller is None:
        return  # not recorded: told afterwards
    if company < SILENCE:
        what = f"{packets or 'some'} packets came from {answered}, all of them silence"
        yield Result("sound", False, what, "say a word when you pick up; else the phone's microphone is off")
    elif caller < SILENCE:
        what = "the phone is heard, but the caller is silent: Asterisk has no sounds to play"
        yield Result("sound", False, what, "install Asterisk's core sounds (asterisk-core-sounds-en-gsm)")
    else:
        yield Result("sound", True, f"both sides are heard ({packets or 'some'} packets from the phone)")


def _loudness(file: Path) -> int | None:
    """The loudest sample of a mono WAV file that may still be written; None if there is none to be read."""
    try:
        data = file.read_bytes()[HEADER_BYTES:]
    except OSError:
        return None
    return max(map(abs, array("h", data[: len(data) & ~1])), default=0)


async def _afterwards(
    settings: Settings, pbx: Asterisk, linkedid: str, line: Line, wanted: Wanted, *, answered: bool
) -> AsyncIterator[Result]:
    """What ctserver made of it."""
    path = settings.path(settings.database.path)
    if not path.exists():
        yield Result(
            "calls", False, f"there is no database {path}: ctserver has never run with these settings", "start it"
        )
        return
    db = await sqlite.open(path)
    try:
        await migrate.verify(db, migrate.read(files.folder("migrations")))
        row = await _ended(db, pbx, linkedid, JOURNAL_SECONDS if wanted.running else 0)
        yield _journal(row)
        if row is not None and row["state"] == "ended" and answered and line.record:
            yield await _recorded(db, settings, pbx, row["id"])
    finally:
        await db.close()


async def _ended(db: Database, pbx: Asterisk, linkedid: str, seconds: float) -> Row | None:
    """The row of the journal, when it says that the call has ended or the patience is over."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        row = await calls.by_linkedid(db, pbx.id, linkedid)
        if (row is not None and row["state"] == "ended") or asyncio.get_running_loop().time() > deadline:
            return row
        await asyncio.sleep(0.1)


def _journal(row: Row | None) -> Result:
    if row is None:
        todo = "does ctserver run, with these settings and this database, and is its AMI link up? (/health)"
        return Result("calls", False, "the call is not under Calls", todo)
    if row["state"] != "ended":
        todo = "Asterisk's last events do not arrive: compare read and eventfilter of the AMI user with ct-manager.conf"
        return Result("calls", False, "the call is under Calls, but it has not ended there", todo)
    return Result("calls", True, f"the call is under Calls: {row['outcome']}, {row['reason']}")


async def _recorded(db: Database, settings: Settings, pbx: Asterisk, call: str) -> Result:
    deadline = asyncio.get_running_loop().time() + RECORDING_SECONDS
    while True:
        found = await recordings.of_call(db, call)
        state = found["state"] if found else ""
        if state in ("ready", "missing") or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.2)
    if found and state == "ready":
        return Result("recording", True, f"recorded, {found['millis'] / 1000:.1f} s, ready in the journal")
    if state == "missing":
        todo = "is app_mixmonitor loaded? Is a greeting's refuse_key pressed, the caller never recorded, the disk nearly full?"
        return Result(
            "recording", False, f"the call was answered and not recorded: no file of it in {settings.spool(pbx)}", todo
        )
    return Result(
        "recording", False, f"the recording did not become ready within {RECORDING_SECONDS:.0f} s", "see ctserver's log"
    )
