"""Where the files that belong to the program are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `web`, `migrations`, `asterisk-conf` or `agi-scripts` (or the file `ctserver.toml`)."""
    installed = _PACKAGE / "_files" / name
    return installed if installed.exists() else _PACKAGE.parent / name
