"""ct-settings.conf: what the dialplan knows by itself, so that calls go through with ctserver, AMI and AstDB all gone."""

from __future__ import annotations

import shlex
from pathlib import Path

from ctserver.asterisk import variables
from ctserver.config import Settings
from ctserver.services.routing import Route, Router


def render(settings: Settings, script: Path) -> str:
    """The text of ct-settings.conf. `script` is the AGI program that Asterisk starts when ctserver does not answer."""
    router = Router(settings)
    recordings = settings.path(settings.recordings.folder)
    lines = [
        "; Written by `ctserver dialplan`. Write it again and `dialplan reload` after every change of ctserver.toml.",
        "",
        "[ct-settings]",
        f"exten => start,1,Set(CT_FASTAGI=agi://{settings.fastagi.listen}/{variables.ROUTE_SCRIPT})",
        f" same => n,Set(CT_SCRIPT={_literal(str(script))})",
        f" same => n,Set(CT_RECORDINGS={_literal(str(recordings))})",
        " same => n,Return()",
        "",
        "[ct-defaults]",
    ]
    for digits, route in sorted(router.table().items()):
        lines += _default(digits, route)
    lines += _default("_[0-9]!", router.default)
    return "\n".join(lines) + "\n"


def wrapper(python: Path, script: Path, database: Path) -> str:
    """The program that CT_SCRIPT names: ct_route.py with its Python and its database."""
    command = shlex.join([str(python), "-IB", str(script), "--database", str(database)])
    return f"#!/bin/sh\n# Written by `ctserver dialplan`.\nexec {command}\n"


def _default(pattern: str, route: Route) -> list[str]:
    value = _literal(route.encode(store=False))
    return [f"exten => {pattern},1,Set(CT_DEFAULT={value})", " same => n,Return()"]


def _literal(text: str) -> str:
    """Text that pbx_config reads as itself: no comment starts, nothing is substituted, backslashes stay."""
    if "${" in text or "$[" in text:
        raise ValueError(f"{text!r} would be evaluated by the dialplan")
    return text.replace("\\", "\\\\").replace(";", "\\;")
