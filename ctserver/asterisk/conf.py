"""Asterisk's configuration files as their reader sees them: sections, settings, and what includes what. Read only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DEEPEST = 10  # files that include one another in a circle end here
_REMARK = re.compile(r";--(?!-).*?(--;|\Z)", re.S)  # over several lines; of one line it begins with ; and anything else
_INCLUDE = re.compile(r'^#(?:try)?include\s+(?:"([^"]+)"|<([^>]+)>|(\S+))')


def read(file: Path) -> str:
    """The text of a file, "" if there is none. Line ends, and bytes that are no UTF-8 (old comments), come back as they were
    written.

    Raises OSError.
    """
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            return text.read()
    except FileNotFoundError:
        return ""


def files(etc: Path, name: str) -> list[Path]:
    """The file of this name and all that it includes, in Asterisk's order; those that are not there as well."""
    found: list[Path] = []
    _collect(etc, (etc / name).resolve(), found, 0)
    return found


def _collect(etc: Path, file: Path, found: list[Path], depth: int) -> None:
    if file in found or depth > DEEPEST:
        return
    found.append(file)
    for line in _REMARK.sub("", read(file)).splitlines():
        if included := _INCLUDE.match(line.strip()):
            name = included.group(1) or included.group(2) or included.group(3)
            for path in sorted(etc.glob(name)) if "*" in name and not name.startswith("/") else [etc / name]:
                _collect(etc, path.resolve(), found, depth + 1)


def values(text: str) -> Iterator[tuple[str, str, str]]:
    """(section, key, value) of each setting; a section without settings comes with an empty key."""
    section = ""
    for line in _REMARK.sub("", text).splitlines():
        line = re.split(r"(?<!\\);", line, maxsplit=1)[0].strip()
        if head := re.match(r"\[([^\]]+)\]", line):
            section = head.group(1)
            yield section, "", ""
        elif "=" in line:
            key, _, value = line.partition("=")
            yield section, key.strip().lower(), value.removeprefix(">").strip()


def section(etc: Path, name: str, wanted: str) -> dict[str, str] | None:
    """The settings of a section, in the file of this name and all that it includes; of several the last. None: there is no
    such section."""
    found: dict[str, str] | None = None
    for file in files(etc, name):
        for title, key, value in values(read(file)):
            if title == wanted:
                found = (found or {}) | ({key: value} if key else {})
    return found
