"""What Asterisk lets ctserver's AMI user do and hear."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ctserver.asterisk import dialplan
from ctserver.asterisk.wire import text
from ctserver.check import Result
from ctserver.config import Asterisk, Settings
from ctserver.doctor.ear import Ear

NAME = "AMI rights"
WRITE = {  # an action that takes the right, and no other of ours gives -> the right, and what ctserver needs it for
    "Originate": ("originate", "test calls and callbacks"),
    "Hangup": ("call", "pausing recordings"),
    "CoreShowChannels": ("reporting", "finding open calls again after a restart"),
}
MESSAGES = {"MessageSend": ("message", "SMS by the PBX's modem")}
BOOTED_SECONDS = 1.0


async def look(ear: Ear, settings: Settings, pbx: Asterisk) -> AsyncIterator[Result]:
    """The rights to do (`write`); of those to hear (`read`), the one that the login itself shows."""
    known = await ear.send({"Action": "ListCommands"})
    needed = WRITE | (MESSAGES if dialplan.sends_messages(settings, pbx) else {})
    missing = [needs for action, needs in needed.items() if action not in known]
    for right, purpose in missing:
        write = ",".join(right for right, _ in needed.values())
        todo = f"in the AMI user's section [{pbx.ami_user}]: write = {write}; then `manager reload`"
        yield Result(NAME, False, f"the right {right!r} is missing in `write`: {purpose}", todo)
    booted = await ear.until(lambda message: text(message, "Event") == "FullyBooted", BOOTED_SECONDS)
    if booted is None:
        yield Result(
            NAME,
            False,
            "the right 'system' is missing in `read`: ctserver does not hear Asterisk start and stop",
            heard(pbx),
        )
    if not missing and booted:
        version = text(await ear.send({"Action": "CoreSettings"}), "AsteriskVersion")
        yield Result(NAME, True, f"{pbx.ami_user} may do what ctserver needs, on Asterisk {version}")


def heard(pbx: Asterisk) -> str:
    """What to do about a missing right to hear."""
    return f"in the AMI user's section [{pbx.ami_user}]: read = system,call,agent,user; then `manager reload`"
