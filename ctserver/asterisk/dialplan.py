"""What Asterisk is given: ct-settings.conf holds what the dialplan knows by itself, so that calls go through with
ctserver, AMI and AstDB all gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctserver import files, ids
from ctserver.asterisk import lines as line_texts
from ctserver.asterisk import variables
from ctserver.asterisk.lines import literal
from ctserver.config import Asterisk, ConfigError, Problem, Settings
from ctserver.config.after_call import AfterCall
from ctserver.config.notify import Modem
from ctserver.services.recorded import Recorded
from ctserver.services.routing import Route, Router

PROGRAM = "ct-route"


def render(settings: Settings, script: Path, pbx: Asterisk | None = None) -> str:
    """The text of ct-settings.conf for one Asterisk, by default the first. `script` is the AGI program that it starts when
    ctserver does not answer.

    Raises ConfigError.
    """
    pbx = pbx or settings.asterisk[0]
    router = Router(settings)
    spool = _path(settings, f"asterisk.{pbx.id}.spool" if pbx.spool else "recordings.folder", settings.spool(pbx))
    fastagi = f"agi://{settings.fastagi.listen}/"
    lines = [
        "; Written by `ctserver dialplan`. Write it again and `dialplan reload` after every change of ctserver.toml.",
        "",
        "[ct-settings]",
        f"exten => start,1,Set(CT_FASTAGI={fastagi}{variables.ROUTE_SCRIPT}{variables.ASKED_BY}{pbx.id})",
        f" same => n,Set(CT_FASTAGI_CALLBACK={fastagi}{variables.CALLBACK_SCRIPT})",
        f" same => n,Set(CT_SCRIPT={_path(settings, '--write', script)})",
        f" same => n,Set(CT_RECORDINGS={spool})",
        " same => n,Return()",
        "",
        "[ct-defaults]",
    ]
    asked = router.asked()
    for digits, route in sorted(router.table().items()):
        lines += _default(digits, route, asked.get(digits, ""))
    lines += _default("_[0-9]!", router.default)
    for name, site in settings.sites.items():
        if site.after_call.keys:
            lines += ["", f"[{variables.ask_context(name)}]", *line_texts.extension_of("s", _ask(site.after_call))]
    lines += ["", "[ct-backup]", *line_texts.extension_of("s", [_backup(router.default.line)])]
    lines += ["", "[ct-tracked]", *(f"exten => {digits},1,NoOp()" for digits in sorted(router.table()))]
    lines += ["", "[ct-unrecorded]", *_unrecorded(settings)]
    for name, line in settings.lines.items():
        lines += line_texts.context(name, line, router.hours(name), ids.now_ms())
    if settings.calls.outgoing_context:
        steps = ["Gosub(ct-outgoing,s,1(${EXTEN}))", f"Goto({settings.calls.outgoing_context},${{EXTEN}},1)"]
        lines += ["", "[ct-phones]", *line_texts.extension_of("_[+*#0-9a-zA-Z]!", steps)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class File:
    """One of the files that Asterisk is given: its text, sealed, and its mode."""

    text: str
    mode: int = 0o644


def texts(
    settings: Settings, folder: Path, python: Path, pbx: Asterisk, secret: str, *, new_filters: bool = True
) -> dict[str, File]:
    """All files that an Asterisk includes or starts, by their names in `folder`. `new_filters`: it knows the event filters
    of Asterisk 18.26, 20.11, 21.6 and 22.1.

    Raises OSError, ConfigError.
    """
    shipped = files.folder("asterisk-conf")
    user = manager((shipped / "ct-manager.conf").read_text(encoding="utf-8"), settings, pbx, secret)
    script = files.folder("agi-scripts") / "ct_route.py"
    return {
        "ct-inbound.conf": File(seal((shipped / "ct-inbound.conf").read_text(encoding="utf-8"))),
        "ct-freepbx.conf": File(seal((shipped / "ct-freepbx.conf").read_text(encoding="utf-8"))),
        "ct-settings.conf": File(seal(render(settings, folder / PROGRAM, pbx))),
        "ct-manager.conf": File(seal(user if new_filters else _old_filters(user)), 0o640),
        PROGRAM: File(seal(wrapper(python, script, settings.path(settings.database.path)), "#"), 0o755),
    }


def write(settings: Settings, folder: Path, python: Path, pbx: Asterisk | None = None) -> list[Path]:
    """Put all files that an Asterisk (by default the first) includes or starts into `folder`; returns their paths.

    Raises OSError, ConfigError.
    """
    pbx = pbx or settings.asterisk[0]
    folder.mkdir(parents=True, exist_ok=True)
    made = texts(settings, folder, python, pbx, settings.secret(pbx))
    for name, file in made.items():
        put(folder / name, file.text, file.mode)
    return [folder / name for name in made]


def put(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all. A file that is there keeps its owner; a new one gets the group of its folder, since
    it is written by root and read by Asterisk's group. Raises OSError."""
    there = path.stat() if path.exists() else None
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o700)
    with open(opened, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        out.write(text)
    with contextlib.suppress(PermissionError):
        os.chown(temporary, there.st_uid if there else -1, (there or path.parent.stat()).st_gid)
    temporary.chmod(mode)
    temporary.replace(path)


def manager(text: str, settings: Settings, pbx: Asterisk, secret: str) -> str:
    """ct-manager.conf for one Asterisk: the shipped text with user, secret and the rights that its modems take."""
    text = text.replace("@AMI_USER@", pbx.ami_user).replace("@AMI_SECRET@", secret.replace(";", "\\;"))
    if sends_messages(settings, pbx):
        text = text.replace("\nwrite = call,", "\nwrite = message,call,")
    return text


def sends_messages(settings: Settings, pbx: Asterisk) -> bool:
    """Does a modem of the settings send its SMS through this Asterisk's messages?"""
    first = settings.asterisk[0].id
    modems = [table for table in settings.notify.values() if isinstance(table, Modem)]
    return any(modem.driver == "message" and (modem.pbx or first) == pbx.id for modem in modems)


def wrapper(python: Path, script: Path, database: Path) -> str:
    """The program that CT_SCRIPT names: ct_route.py with its Python and its database."""
    command = shlex.join([str(python), "-IB", str(script), "--database", str(database)])
    return f"#!/bin/sh\n# Written by `ctserver dialplan`.\nexec {command}\n"


def seal(text: str, comment: str = ";") -> str:
    """The text with a last line by which `is_sealed` knows that nobody has changed it since."""
    return f"{text}{comment} ctserver {hashlib.sha256(text.encode()).hexdigest()[:16]}\n"


def is_sealed(text: str) -> bool:
    """Is this a file as ctserver wrote it?"""
    body, _, last = text.rstrip("\n").rpartition("\n")
    return text in (seal(f"{body}\n"), seal(f"{body}\n", "#")) and bool(last)


def _old_filters(manager: str) -> str:
    """The event filters as every version reads them: patterns over the whole message."""
    manager = re.sub(
        r"^eventfilter\(.*name\(UserEvent\).*\) = (\w+)$", r"eventfilter = UserEvent: \1", manager, flags=re.M
    )
    return re.sub(r"^eventfilter\(.*name\((\w+)\)\) =$", r"eventfilter = Event: \1", manager, flags=re.M)


def _unrecorded(settings: Settings) -> Iterator[str]:
    """An extension for each caller who is never recorded: c and his digits."""
    for digits in Recorded(settings).spellings():
        pattern = f"_c{digits[:-1]}!" if digits.endswith("*") else f"c{digits}"
        yield f"exten => {pattern},1,NoOp()"


def _backup(line: str) -> str:
    """To the default line from one that cannot be reached, unless it is the same. What the PBX remembers of a line may be old."""
    same = f'$["${{CT_LINE}}" = "{line}" & "${{CT_ASKED}}" != "memory"]'
    return f"GotoIf({same}?ct-call,over,1:{variables.line_context(line)},start,1)"


def _default(pattern: str, route: Route, site: str = "") -> list[str]:
    """`site`: the one whose calls are asked about afterwards."""
    ask = [f"Gosub({variables.ask_context(site)},s,1)"] if site else []
    steps = [f"Set(CT_DEFAULT={literal(route.encode(store=False))})", *ask, "Return()"]
    return line_texts.extension_of(pattern, steps)


def _ask(after: AfterCall) -> list[str]:
    """CT_AFTER is the option of Dial() and Queue() by which the answering channel goes on when the caller has hung up; the
    other variables are for that channel."""
    how = f"_CT_ASK_KEYS={''.join(after.keys)},_CT_ASK_SOUND={after.sound},_CT_ASK_SECONDS={after.seconds}"
    whose = "_CT_ASK_OF=${CHANNEL(linkedid)},_CT_ASK_CALLER=${CHANNEL}"
    return [f"MSet(CT_AFTER=F(ct-after^s^1),{whose},{how})", "Return()"]


def _path(settings: Settings, key: str, path: Path) -> str:
    """A path as the dialplan may hold it. Raises ConfigError."""
    text = str(path)
    if any(ord(character) < 32 for character in text) or any(mark in text for mark in ("${", "$[", ",", "(", ")")):
        hint = "move it to a folder whose name has no control characters, no comma, no brackets and no ${"
        raise ConfigError(settings.base, [Problem(key, f"the dialplan cannot hold the path {text!r}", hint)])
    return literal(text)
