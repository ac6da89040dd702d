"""Notes of ended calls in which a number stands: counted, and the number taken out.

A note is written over in its place, byte for byte as long as it was: Asterisk may be adding to the file, and how far it
has been read is known by its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ctserver.asterisk.evidence import BEGIN, FILES
from ctserver.domain import phone

_CALLER = re.compile(rb"(?:^|,)(?:CallerIDNum|CallerIDName): ([^,]*)")


def forget(folders: Sequence[Path], number: str, country: str, *, apply: bool) -> int:
    """How many notes name this caller; with `apply` neither number nor name stands in them any more. Raises OSError."""
    files = (file for folder in {*folders} for file in sorted(folder.glob(FILES)))
    return sum(_forget(file, number, country, apply=apply) for file in files)


def _forget(file: Path, number: str, country: str, *, apply: bool) -> int:
    count = at = 0
    with file.open("r+b" if apply else "rb") as notes:
        for line in notes.readlines():
            if _is_of(line, number, country):
                count += 1
                if apply:
                    notes.seek(at)
                    notes.write(_CALLER.sub(_hidden, line))
            at += len(line)
    return count


def _is_of(line: bytes, number: str, country: str) -> bool:
    note = line.decode("utf-8", "replace")
    fields = dict(pair.partition(": ")[::2] for pair in note.rpartition(BEGIN)[2].split(","))
    caller = fields.get("CallerIDNum", "")
    return bool(caller) and phone.from_trunk(caller, country) == number


def _hidden(found: re.Match[bytes]) -> bytes:
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    return found[0][:start] + b"x" * (end - start)
