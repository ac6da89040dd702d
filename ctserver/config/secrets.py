"""Secrets: from the environment, or from a file that the settings name; never from ctserver.toml itself."""

from __future__ import annotations

import os
from pathlib import Path

from ctserver.config.problems import ConfigError, Problem, reason_of


def secret_lines(base: Path, key: str, file: str, variable: str) -> tuple[str, ...]:
    """The lines of the secret `key` (`webhooks.crm.secret_file`), without blank ones and without comments (#).

    In the environment, lines are parted by spaces. Raises ConfigError.
    """
    hint = f"name a file with it (mode 0600), or set {variable}"
    if value := os.environ.get(variable):
        return tuple(value.split())
    if not file:
        raise ConfigError(base, [Problem(key, "there is no secret", hint)])
    path = (base / file).resolve()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(base, [Problem(key, f"{path} cannot be read: {reason_of(error)}", hint)]) from error
    lines = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if not lines:
        raise ConfigError(base, [Problem(key, f"{path} is empty", hint)])
    return lines


def variable_of(prefix: str, name: str) -> str:
    """The environment's name for a secret: CTSERVER_WEBHOOK_SECRET and `crm` make CTSERVER_WEBHOOK_SECRET_CRM."""
    return f"{prefix}_{name.upper().replace('-', '_')}"
