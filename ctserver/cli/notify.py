"""Commands for channels and web hooks."""

from __future__ import annotations

import argparse
import asyncio
import sys

from ctserver import app
from ctserver.cli.common import Add, load_settings, open_database
from ctserver.config import Settings
from ctserver.outbound import OutboundError
from ctserver.sinks import Sinks

NOT_TAKEN = 1


def register(add: Add) -> None:
    notify = add("notify", _notify, "send a test message through a channel or web hook; status 1 if it is not taken")
    notify.add_argument("what", choices=["test"])
    notify.add_argument("name", help="a [notify] channel or a [webhooks] web hook")


def _notify(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    known = {
        **{name: f"hook.{name}" for name in settings.webhooks},
        **{name: f"notify.{name}" for name in settings.notify},
    }
    if options.name not in known:
        names = ", ".join(known) or "there are none yet: see docs/alerts.md"
        raise app.StartError(f"there is no channel or web hook {options.name!r}", f"name one of: {names}")
    try:
        words = asyncio.run(_test(settings, known[options.name]))
    except OutboundError as error:
        sys.stderr.write(f"not taken: {error}\n  what to do: correct what it says in ctserver.toml, and try again\n")
        return NOT_TAKEN
    sys.stdout.write(f"taken: {words}\n")
    return 0


async def _test(settings: Settings, via: str) -> str:
    """The other side's words. Raises OutboundError."""
    async with open_database(settings) as db:
        sinks = Sinks(db, settings)
        try:
            return await sinks.delivery.test(via)
        finally:
            await sinks.stop()
