"""What runs here: versions, disk, and the settings with every secret masked."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from ctserver import __version__
from ctserver.config import Settings

MASKED = "••••••"
_SECRET = ("secret", "password", "token", "key", "auth", "dsn")
_HARMLESS = ("_file",)  # the name of a file says nothing of what is in it
PACKAGES = ("aiohttp", "aiosqlite", "panoramisk", "phonenumbers", "babel")


@dataclass(frozen=True, slots=True)
class Disk:
    """A place that ctserver writes to, in bytes. `used` is what lies in it; None where that would take long to count."""

    name: str
    path: str
    used: int | None
    free: int
    whole: int


def versions() -> dict[str, str]:
    """What runs here."""
    found = {"ctserver": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "system": f"{platform.system()} {platform.release()} ({platform.machine()})"}


def disks(settings: Settings) -> list[Disk]:
    """Where the data lies. Runs in a thread: it asks the disk."""
    file, folder = settings.path(settings.database.path), settings.path(settings.recordings.folder)
    together = [path for path in (file, Path(f"{file}-wal")) if path.exists()]
    found = [_disk("database", file, sum(path.stat().st_size for path in together))] if together else []
    return [*found, _disk("recordings", folder, None)] if folder.exists() else found


def _disk(name: str, path: Path, used: int | None) -> Disk:
    usage = shutil.disk_usage(path.parent if path.is_file() else path)
    return Disk(name, str(path), used, usage.free, usage.total)


def masked(settings: Settings) -> dict[str, dict[str, str]]:
    """table -> key -> value as TOML has it; whatever could be a secret is MASKED."""
    found: dict[str, dict[str, str]] = {}
    _walk(settings.model_dump(mode="json", exclude={"base"}), "", found)
    return found


def _walk(value: Any, name: str, found: dict[str, dict[str, str]]) -> None:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    tables = {key: part for key, part in value.items() if _is_table(part)}
    plain = {key: _text(key, part) for key, part in value.items() if key not in tables}
    if plain:
        found[name or "ctserver.toml"] = plain
    for key, part in tables.items():
        parts = enumerate(part, 1) if isinstance(part, list) else [("", part)]
        for number, one in parts:
            _walk(one, ".".join(str(word) for word in (name, key, number) if word != ""), found)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _text(key: str, value: Any) -> str:
    if value and any(word in key.lower() for word in _SECRET) and not key.lower().endswith(_HARMLESS):
        return MASKED
    if key == "url" and isinstance(value, str) and (place := urlsplit(value)).scheme:
        # Path and query of a web hook or gateway may hold its key.
        return f'"{place.scheme}://{place.hostname}/{MASKED}"'
    if isinstance(value, list):
        return "[" + ", ".join(_text("", part) for part in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
