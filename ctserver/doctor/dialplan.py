"""Is the dialplan that Asterisk has loaded the one that goes with these settings?"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

from ctserver.asterisk import dialplan, variables
from ctserver.asterisk.ami import AmiError
from ctserver.asterisk.wire import text
from ctserver.check import Result
from ctserver.config import Asterisk, Settings
from ctserver.doctor.ear import Ear

NAME = "dialplan"
WRITE_AGAIN = "ctserver install-pbx --apply --reload"
INBOUND = "ct-inbound", "ct-call", variables.CONTEXT_TESTCALL, variables.CONTEXT_DOCTOR
SETTINGS = "ct-settings", "ct-defaults"


async def look(ear: Ear, settings: Settings, pbx: Asterisk) -> AsyncIterator[Result]:
    """One result named NAME that is bad when a call cannot come through; others are about its age."""
    try:
        missing = [context for context in (*SETTINGS, *INBOUND) if await ear.steps(context) is None]
    except AmiError as error:
        yield Result("loaded dialplan", True, f"cannot be looked at ({error}): the call will show")
        return
    if missing:
        files = {"ct-settings.conf" if context in SETTINGS else "ct-inbound.conf" for context in missing}
        what = f"Asterisk knows no context {', '.join(missing)}: {' and '.join(sorted(files))} not included, or too old"
        yield Result(NAME, False, what, f"{WRITE_AGAIN}, or include them in extensions.conf and `dialplan reload`")
        return
    lines = [variables.line_context(name) for name in settings.lines]
    stale = [context for context in lines if await ear.steps(context) is None]
    stale += await _differences(ear, settings, pbx)
    if stale:
        what = f"Asterisk has loaded a dialplan of other settings: {'; '.join(stale[:4])}"
        yield Result("dialplan's age", False, what, WRITE_AGAIN)
    else:
        yield Result(NAME, True, f"loaded, with {len(settings.lines)} lines, and of these settings")


async def _differences(ear: Ear, settings: Settings, pbx: Asterisk) -> list[str]:
    """What ct-settings and ct-defaults say differently, in words. Where ct-route lies is up to whoever wrote them."""
    loaded = {
        (context, text(step, "Extension"), name): value
        for context in SETTINGS
        for step in await ear.steps(context) or []
        for name, _, value in [text(step, "AppData").partition("=")]
        if text(step, "Application") == "Set" and name != "CT_SCRIPT"
    }
    wanted = _values(dialplan.render(settings, Path("/"), pbx))
    return [
        f"{extension.lstrip('_')}: {name} is {loaded.get((context, extension, name), 'not there')}, the settings say {value}"
        if context == "ct-defaults"
        else f"{name} is {loaded.get((context, extension, name), 'not there')}, the settings say {value}"
        for (context, extension, name), value in wanted.items()
        if loaded.get((context, extension, name)) != value
    ]


def _values(rendered: str) -> dict[tuple[str, str, str], str]:
    """(context, extension, variable) -> value, as Asterisk reads the file: the variables set in SETTINGS."""
    found, context, extension = {}, "", ""
    for line in rendered.splitlines():
        if line.startswith("["):
            context = line.strip("[]")
        if head := re.match(r"exten => ([^,]+),", line):
            extension = head.group(1)
        step = re.match(r"(?:exten => [^,]+,1| same => n),Set\((\w+)=(.*)\)$", line)
        if step and context in SETTINGS and step.group(1) != "CT_SCRIPT":
            found[context, extension, step.group(1)] = step.group(2).replace("\\;", ";").replace("\\\\", "\\")
    return found
