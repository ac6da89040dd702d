"""A call from Asterisk to itself ([ct-doctor] of ct-inbound.conf), which rings nobody: can Asterisk ask ctserver, start
ct-route, and record where ctserver looks?"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ctserver import ids
from ctserver.asterisk import variables
from ctserver.asterisk.ami import AmiError
from ctserver.asterisk.recordings import HEADER_BYTES
from ctserver.asterisk.wire import Message, text
from ctserver.check import Result
from ctserver.config import Asterisk, Settings
from ctserver.doctor import dialplan, rights
from ctserver.doctor.ear import Ear

SECONDS = 6.0
HEARD_SECONDS = 1.0  # from the note to the event, which come together


async def look(ear: Ear, settings: Settings, pbx: Asterisk, *, running: bool) -> AsyncIterator[Result]:
    """`running`: does ctserver answer?"""
    probe = f"0{ids.new(ids.now_ms())}"
    spool = settings.spool(pbx)
    files = [spool / f"ct-doctor-{probe}{end}" for end in (".txt", variables.CALLER_PART, variables.COMPANY_PART)]
    try:
        told = await _place(ear, probe, files[0])
        for result in _heard(ear, pbx, told, files[0]):
            yield result
        if told or files[0].exists():
            facts = _facts(told, files[0])
            yield _fastagi(settings, facts.get("FastAGI") == "yes", running=running)
            yield _script(facts.get("Script") == "yes")
            yield _folder(spool, facts.get("Folder", str(spool)), files)
    except AmiError as error:
        yield Result("probe", False, f"Asterisk does not call itself: {error}", f"see {rights.NAME}")
    finally:
        for file in files:
            with contextlib.suppress(OSError):
                file.unlink()


async def _place(ear: Ear, probe: str, note: Path) -> Message | None:
    """What [ct-doctor] told; None if it was not heard, though it may stand in the note."""
    context = variables.CONTEXT_DOCTOR
    await ear.send(
        {
            "Action": "Originate",
            "Channel": f"Local/{probe}@{context}/n",
            "Context": context,
            "Exten": "tone",
            "Priority": "1",
            "Timeout": "5000",
            "Async": "true",
        }
    )
    told = await ear.until(lambda message: text(message, "Probe") == probe or note.exists(), SECONDS)
    return told and await ear.until(lambda message: text(message, "Probe") == probe, HEARD_SECONDS)


def _heard(ear: Ear, pbx: Asterisk, told: Message | None, note: Path) -> list[Result]:
    """Which events arrive."""
    if told is None and not note.exists():
        todo = f"look into Asterisk's log for ct-doctor; then {dialplan.WRITE_AGAIN}"
        return [Result("probe", False, f"the call of Asterisk to itself came to no end within {SECONDS:.0f} s", todo)]
    kinds = {text(message, "Event") for message in ear.heard}
    missing = []
    if told is None:
        missing.append(("user", "UserEvent", "ctserver does not hear what the dialplan says of a call"))
    if "Newchannel" not in kinds:
        missing.append(("call", "Newchannel", "ctserver does not hear of any call"))
    results = [
        Result(rights.NAME, False, f"{event} events do not arrive, the right {right!r} is missing in `read`: {why}",
               f"{rights.heard(pbx)}. If it is there, an eventfilter lets them not through")
        for right, event, why in missing
    ]  # fmt: skip
    return results or [Result("events", True, "what Asterisk says of calls arrives")]


def _facts(told: Message | None, note: Path) -> dict[str, str]:
    if told is not None:
        return {name: text(told, name) for name in ("FastAGI", "Script", "Folder")}
    pairs = (part.partition(": ") for part in note.read_text(encoding="utf-8").strip().split(","))
    return {name: value for name, _, value in pairs}


def _fastagi(settings: Settings, ok: bool, *, running: bool) -> Result:
    address = settings.fastagi.listen
    if ok:
        return Result("FastAGI", True, f"Asterisk asks ctserver at {address}, and is answered in time")
    if not running:
        return Result("FastAGI", False, f"nobody answers Asterisk at {address}: ctserver is away", "start ctserver")
    what = f"Asterisk got no answer from ctserver at {address} within 0.4 s"
    todo = f"is [fastagi] listen an address that Asterisk reaches? If it was changed: {dialplan.WRITE_AGAIN}"
    return Result("FastAGI", False, what, todo)


def _script(ok: bool) -> Result:
    if ok:
        return Result("ct-route", True, "Asterisk starts it while ctserver is away, and it reads the database")
    what = (
        "Asterisk started ct-route and got no route: while ctserver is away, only what the dialplan remembers decides"
    )
    todo = "can Asterisk's user execute ct-route, its Python, and read the database's file and folder? (docs/install.md, 2)"
    return Result("ct-route", False, what, todo)


def _folder(spool: Path, written: str, files: list[Path]) -> Result:
    """Does Asterisk write sound where we read it?"""
    name = "recordings"
    if Path(written) != spool:
        what = f"Asterisk records into {written}, ctserver looks into {spool}"
        return Result(name, False, what, f"the dialplan is of other settings: {dialplan.WRITE_AGAIN}")
    if not files[0].exists():
        todo = f"give Asterisk's user the right to write there: chgrp asterisk {spool}; chmod 2770 {spool}"
        return Result(name, False, f"Asterisk cannot write into {spool}", todo)
    try:
        sizes = [len(file.read_bytes()) for file in files[1:] if file.exists()]
    except OSError as error:
        todo = (
            f"make {spool} belong to the group of both users, with mode 2770; Asterisk's umask must let the group read"
        )
        return Result(name, False, f"what Asterisk records cannot be read: {error.strerror}", todo)
    if not sizes:
        todo = "load app_mixmonitor and format_wav: asterisk -rx 'module load app_mixmonitor.so'"
        return Result(name, False, "Asterisk does not record: MixMonitor made no file", todo)
    if max(sizes) <= HEADER_BYTES:
        return Result(name, True, f"Asterisk records into {spool}; its probe was silent (is app_playtones loaded?)")
    return Result(name, True, f"Asterisk records into {spool}, and ctserver reads it")
