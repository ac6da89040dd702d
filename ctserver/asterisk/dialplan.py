"""What Asterisk is given: ct-settings.conf holds what the dialplan knows by itself, so that calls go through with
ctserver, AMI and AstDB all gone."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

from ctserver import files, ids
from ctserver.asterisk import lines as line_texts
from ctserver.asterisk import variables
from ctserver.asterisk.lines import literal
from ctserver.config import Asterisk, ConfigError, Problem, Settings
from ctserver.config.notify import Modem
from ctserver.services.routing import Route, Router


def render(settings: Settings, script: Path, pbx: Asterisk | None = None) -> str:
    """The text of ct-settings.conf for one Asterisk, by default the first. `script` is the AGI program that it starts when
    ctserver does not answer.

    Raises ConfigError.
    """
    pbx = pbx or settings.asterisk[0]
    router = Router(settings)
    spool = _path(settings, f"asterisk.{pbx.id}.spool" if pbx.spool else "recordings.folder", settings.spool(pbx))
    asked = f"agi://{settings.fastagi.listen}/"
    lines = [
        "; Written by `ctserver dialplan`. Write it again and `dialplan reload` after every change of ctserver.toml.",
        "",
        "[ct-settings]",
        f"exten => start,1,Set(CT_FASTAGI={asked}{variables.ROUTE_SCRIPT}{variables.ASKED_BY}{pbx.id})",
        f" same => n,Set(CT_FASTAGI_CALLBACK={asked}{variables.CALLBACK_SCRIPT})",
        f" same => n,Set(CT_SCRIPT={_path(settings, '--write', script)})",
        f" same => n,Set(CT_RECORDINGS={spool})",
        " same => n,Return()",
        "",
        "[ct-defaults]",
    ]
    for digits, route in sorted(router.table().items()):
        lines += _default(digits, route)
    lines += _default("_[0-9]!", router.default)
    for name, line in settings.lines.items():
        lines += line_texts.context(name, line, router.hours(name), ids.now_ms())
    if settings.calls.outgoing_context:
        steps = ["Gosub(ct-outgoing,s,1(${EXTEN}))", f"Goto({settings.calls.outgoing_context},${{EXTEN}},1)"]
        lines += ["", "[ct-phones]", *line_texts.extension_of("_[+*#0-9a-zA-Z]!", steps)]
    return "\n".join(lines) + "\n"


def write(settings: Settings, folder: Path, python: Path, pbx: Asterisk | None = None) -> list[Path]:
    """Put all files that an Asterisk (by default the first) includes or starts into `folder`; returns their paths.

    Raises OSError, ConfigError.
    """
    pbx = pbx or settings.asterisk[0]
    folder.mkdir(parents=True, exist_ok=True)
    shipped = files.folder("asterisk-conf")
    program = folder / "ct-route"
    script = files.folder("agi-scripts") / "ct_route.py"
    texts = {
        folder / "ct-inbound.conf": (shipped / "ct-inbound.conf").read_text(encoding="utf-8"),
        folder / "ct-settings.conf": render(settings, program, pbx),
        folder / "ct-manager.conf": manager((shipped / "ct-manager.conf").read_text(encoding="utf-8"), settings, pbx),
        program: wrapper(python, script, settings.path(settings.database.path)),
    }
    for path, text in texts.items():
        mode = {"ct-route": 0o755, "ct-manager.conf": 0o640}.get(path.name, 0o644)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, folder.stat().st_gid)  # written by root, read by Asterisk's group
    return list(texts)


def manager(text: str, settings: Settings, pbx: Asterisk) -> str:
    """ct-manager.conf for one Asterisk: the shipped text with user, secret and the rights that its modems take."""
    text = text.replace("@AMI_USER@", pbx.ami_user).replace("@AMI_SECRET@", settings.secret(pbx).replace(";", "\\;"))
    first = settings.asterisk[0].id
    modems = [table for table in settings.notify.values() if isinstance(table, Modem)]
    if any(modem.driver == "message" and (modem.pbx or first) == pbx.id for modem in modems):
        text = text.replace("\nwrite = call,", "\nwrite = message,call,")
    return text


def wrapper(python: Path, script: Path, database: Path) -> str:
    """The program that CT_SCRIPT names: ct_route.py with its Python and its database."""
    command = shlex.join([str(python), "-IB", str(script), "--database", str(database)])
    return f"#!/bin/sh\n# Written by `ctserver dialplan`.\nexec {command}\n"


def _default(pattern: str, route: Route) -> list[str]:
    value = literal(route.encode(store=False))
    return [f"exten => {pattern},1,Set(CT_DEFAULT={value})", " same => n,Return()"]


def _path(settings: Settings, key: str, path: Path) -> str:
    """A path as the dialplan may hold it. Raises ConfigError."""
    text = str(path)
    if any(ord(character) < 32 for character in text) or any(mark in text for mark in ("${", "$[", ",", "(", ")")):
        hint = "move it to a folder whose name has no control characters, no comma, no brackets and no ${"
        raise ConfigError(settings.base, [Problem(key, f"the dialplan cannot hold the path {text!r}", hint)])
    return literal(text)
