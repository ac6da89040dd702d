"""Commands for the one who runs the server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from ctserver import app, logs, memory
from ctserver.asterisk import dialplan
from ctserver.check import check
from ctserver.cli.common import MISTAKE, Add, add_pbx, chosen_pbx, load_settings
from ctserver.http import collect


def register(add: Add) -> None:
    add("serve", _serve, "run the server")
    add("check", _check, "tell every mistake in the settings, and try database, Asterisk, ports and folders")
    made = add("dialplan", _dialplan, "write what Asterisk needs (without --write: print ct-settings.conf)")
    made.add_argument("--write", type=Path, metavar="FOLDER", help="put all files to include into this folder")
    add_pbx(made)
    snippet = add("snippet", _snippet, "print the line to put into a site's pages")
    snippet.add_argument("site", nargs="?")
    snippet.add_argument(
        "--versioned", action="store_true", help="name this very version, which browsers keep for a year"
    )


def _serve(options: argparse.Namespace) -> int:
    memory.few_heaps()
    settings = load_settings(options)
    logs.setup(settings.log.level, settings.log.format)
    uvloop.run(app.run(settings))
    return 0


def _check(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    results = asyncio.run(check(settings))
    for result in results:
        sys.stdout.write(f"{'ok ' if result.ok else 'BAD'}  {result.name}: {result.text}\n")
        if result.todo:
            sys.stdout.write(f"     what to do: {result.todo}\n")
    return 0 if all(result.ok for result in results) else MISTAKE


def _dialplan(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    pbx = chosen_pbx(settings, options)
    wrapper = Path(options.write or "/etc/asterisk").resolve() / "ct-route"
    text = dialplan.render(settings, wrapper, pbx)
    if options.write is None:
        sys.stdout.write(text)
        return 0
    for written in dialplan.write(settings, options.write.resolve(), Path(sys.executable), pbx):
        sys.stdout.write(f"{written}\n")
    return 0


def _snippet(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    sites = [options.site] if options.site else list(settings.sites)
    for site in sites:
        if site not in settings.sites:
            raise app.StartError(f"there is no site {site!r}", f"name one of: {', '.join(settings.sites)}")
        version = f"&amp;v={collect.version_of(collect.script_of(settings, site))}" if options.versioned else ""
        sys.stdout.write(f'<script async src="{settings.script_url}/ct.js?site={site}{version}"></script>\n')
    return 0
