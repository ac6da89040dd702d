"""What Asterisk is given: ct-settings.conf holds what the dialplan knows by itself, so that calls go through with
ctserver, AMI and AstDB all gone."""

from __future__ import annotations

import shlex
from pathlib import Path

from ctserver import files
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


def write(settings: Settings, folder: Path, python: Path) -> list[Path]:
    """Put all files that Asterisk includes or starts into `folder`; returns their paths. Raises OSError, ConfigError."""
    folder.mkdir(parents=True, exist_ok=True)
    shipped = files.folder("asterisk-conf")
    pbx = settings.asterisk[0]
    manager = (shipped / "ct-manager.conf").read_text(encoding="utf-8")
    program = folder / "ct-route"
    script = files.folder("agi-scripts") / "ct_route.py"
    texts = {
        folder / "ct-inbound.conf": (shipped / "ct-inbound.conf").read_text(encoding="utf-8"),
        folder / "ct-settings.conf": render(settings, program),
        folder / "ct-manager.conf": manager.replace("@AMI_USER@", pbx.ami_user).replace(
            "@AMI_SECRET@", settings.secret(pbx)
        ),
        program: wrapper(python, script, settings.path(settings.database.path)),
    }
    for path, text in texts.items():
        mode = {"ct-route": 0o755, "ct-manager.conf": 0o640}.get(path.name, 0o644)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    return list(texts)


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
