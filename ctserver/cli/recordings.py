"""Commands for recordings that are kept sealed."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ctserver import app
from ctserver.cli.common import Add, load_settings, open_database
from ctserver.config import Settings
from ctserver.recordings import places
from ctserver.recordings.seal import SUFFIX, Keys, Sealed
from ctserver.storage import recordings


def register(add: Add) -> None:
    made = add(
        "recording", _recording, "open a sealed recording, or have those sealed that were kept before there was a key"
    )
    made.add_argument("what", choices=["decrypt", "encrypt"])
    made.add_argument("file", type=Path, nargs="?", help="decrypt: the sealed file")
    made.add_argument("--out", type=Path, metavar="FILE", help="decrypt: where to; default: beside it, without .sealed")


def _recording(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    keys = places.keys(settings)
    if not keys.seals:
        raise app.StartError("there is no key", "name a file with keys: [recordings] encrypt_key_file")
    if options.what == "encrypt":
        return asyncio.run(_encrypt(settings))
    if options.file is None:
        raise app.StartError("no file is named", "ctserver recording decrypt FILE")
    return _decrypt(options.file, options.out, keys)


def _decrypt(file: Path, out: Path | None, keys: Keys) -> int:
    target = out or file.with_name(file.name.removesuffix(SUFFIX))
    if target.exists():
        raise app.StartError(f"{target} is there already", "name another file: --out FILE")
    opened = Sealed(file, keys)
    try:
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as plain:
            for part in opened.read():
                plain.write(part)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    sys.stdout.write(f"{target}\n")
    return 0


async def _encrypt(settings: Settings) -> int:
    async with open_database(settings) as db:
        count = await db.write(lambda tx: recordings.keep_again(tx, SUFFIX))
    sys.stdout.write(f"{count} recordings will be sealed by the running server, one after the other\n")
    return 0
