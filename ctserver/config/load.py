"""Reads ctserver.toml, applies what the command line overrides, and reports every mistake at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctserver.config.crosschecks import cross_checks
from ctserver.config.explain import explain
from ctserver.config.problems import ConfigError, Problem, as_dict, reason_of
from ctserver.config.settings import Settings


def load(file: Path, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read and check `file`; `overrides` are dotted keys and values (`server.listen`: `127.0.0.1:9000`).

    Raises ConfigError with every mistake.
    """
    data = _read(file)
    for key, value in (overrides or {}).items():
        _override(file, data, key, value)
    named = as_dict(data.get("server")).get("country", "GB")
    country = named.upper() if isinstance(named, str) else "GB"
    problems = list(cross_checks(data, country))
    try:
        settings = Settings.model_validate(data, context={"country": country})
    except ValidationError as error:
        problems = [explain(entry) for entry in error.errors(include_url=False)] + problems
    if problems:
        raise ConfigError(file, problems)
    return settings.model_copy(update={"base": file.resolve().parent})


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ConfigError(file, [Problem("TOML", "cannot be read: nested too deep", "remove the brackets")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, [Problem("TOML", f"cannot be read: {error}", "correct the line named here")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, [Problem("TOML", "is not UTF-8 text", "save the file as UTF-8")]) from error
    except OSError as error:
        hint = "name another file with --config, or copy the ctserver.toml that comes with ctserver"
        raise ConfigError(file, [Problem("file", f"cannot be read: {reason_of(error)}", hint)]) from error


def _override(file: Path, data: dict[str, Any], dotted: str, text: str) -> None:
    *path, last = dotted.split(".")
    table: Any = data
    for step in path:
        if isinstance(table, list):
            table = next((entry for entry in table if as_dict(entry).get("id", "pbx") == step), None)
        elif isinstance(table, dict):
            table = table.setdefault(step, [{}] if step == "asterisk" else {})
    if not isinstance(table, dict):
        raise ConfigError(file, [Problem(dotted, "there is no such key to set", "see the keys in ctserver.toml")])
    if text.startswith("+"):  # a phone number, which TOML would take for a number
        table[last] = text
        return
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text
