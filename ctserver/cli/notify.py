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


def register(add: Add) -> None:
    notify = add("notify", _notify, "send a test message through a channel or web hook")
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
    sys.stdout.write(asyncio.run(_test(settings, known[options.name])) + "\n")
    return 0


async def _test(settings: Settings, via: str) -> str:
    async with open_database(settings) as db:
        sinks = Sinks(db, settings)
        try:
            return f"taken: {await sinks.delivery.test(via)}"
        except OutboundError as error:
            raise app.StartError(
                f"not taken: {error}", "correct what it says in ctserver.toml, and try again"
            ) from None
        finally:
            await sinks.stop()
