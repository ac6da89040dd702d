"""`ctserver doctor`: looks at a ctserver and its Asterisk while they run, has Asterisk try what calls need, places a test
call through the real dialplan, and says in words what is wrong and what to do.

What it needs of Asterisk is what ctserver's own AMI user may do. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from ctserver import check
from ctserver.check import Result
from ctserver.config import Asterisk, Settings
from ctserver.doctor import call, dialplan, phones, probe, rights
from ctserver.doctor.ear import listen


@dataclass(frozen=True, slots=True)
class Order:
    """The test call: to this number (E.164), "": none; the phone is listened to for so many seconds."""

    number: str
    caller: str
    listen_seconds: float = 4.0


async def examine(settings: Settings, pbx: Asterisk, order: Order) -> AsyncIterator[Result]:
    """One result after another, as they are found. Raises AmiError, OSError, StorageError."""
    server = await _server(settings)
    yield server
    login = await check.ami_login(settings, pbx)
    yield login
    if not login.ok:
        return
    async with listen(settings, pbx) as ear:
        async for result in rights.look(ear, settings, pbx):
            yield result
        found = [result async for result in dialplan.look(ear, settings, pbx)]
        for result in found:
            yield result
        if any(not result.ok and result.name == dialplan.NAME for result in found):
            return
        async for result in probe.look(ear, settings, pbx, running=server.ok):
            yield result
        async for result in phones.look(ear, settings):
            yield result
        if order.number:
            ordered = call.Wanted(order.number, order.caller, order.listen_seconds, running=server.ok)
            async for result in call.look(ear, settings, pbx, ordered):
                yield result


async def _server(settings: Settings) -> Result:
    """Is ctserver running with these settings, and content?"""
    address = settings.server.listen
    timeout = aiohttp.ClientTimeout(3)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(f"http://{address}/health") as answer:
            parts = {str(name): str(state) for name, state in (await answer.json()).items() if name != "ok"}
    except TimeoutError:
        todo = "it is frozen or overloaded: look at its log, then start it again"
        return Result("ctserver", False, f"listens at {address} and does not answer", todo)
    except (aiohttp.ClientError, ValueError, AttributeError):
        todo = "start it: systemctl start ctserver; its log: journalctl -u ctserver"
        return Result("ctserver", False, f"does not run at {address}: calls come in, but stand on no page", todo)
    bad = [f"{name}: {state}" for name, state in parts.items() if state != "ok"]
    todo = "what follows may say why; the page System and the log tell more" if bad else ""
    return Result("ctserver", not bad, "; ".join(bad) or f"runs at {address}", todo)
