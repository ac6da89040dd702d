"""The command that fills ctserver with a pretended shop."""

from __future__ import annotations

import argparse
import asyncio
import sys

from ctserver import app, ids
from ctserver.cli.common import Add, load_settings, open_database
from ctserver.services import demo


def register(add: Add) -> None:
    made = add("demo-data", _demo_data, "fill ctserver with a plausible shop's visitors, calls and recordings")
    made.add_argument("--days", type=int, default=90, help="so many days up to now, default: %(default)s")
    made.add_argument("--calls", type=float, default=48, help="on an average day, default: %(default)s")
    made.add_argument("--remove", action="store_true", help="take all of it away again")


def _demo_data(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    if not settings.sites:
        raise app.StartError("there is no site", "add [sites.NAME] to the settings")
    if not 1 <= options.days <= 1000 or not 1 <= options.calls <= 2000:
        raise app.StartError("that is too much or too little", "1 to 1000 days, 1 to 2000 calls a day")
    recordings = settings.path(settings.recordings.folder)

    async def work() -> str:
        async with open_database(settings) as db:
            removed = await demo.remove(db, recordings)
            if options.remove:
                return f"{removed} calls of the demonstration are gone"
            shop = demo.shop_of(settings, options.calls)
            calls = await demo.fill(db, shop, recordings, options.days, ids.now_ms())
            return f"{calls} calls of {options.days} days; take them away with: ctserver demo-data --remove"

    sys.stdout.write(asyncio.run(work()) + "\n")
    return 0
