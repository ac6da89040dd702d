"""`ctserver install-pbx`: what has to change in the configuration of an Asterisk that exists, and the change.

Our own files stand in a folder of their own; in Asterisk's files only lines are added, at their end. On FreePBX these are the
files that it leaves to people (`*_custom.conf`), never those that it writes itself. Nothing that somebody changed by hand is
overwritten unasked, and whatever is overwritten is kept.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ctserver import ids
from ctserver.asterisk import conf, dialplan
from ctserver.config import Asterisk, ConfigError, Settings

BACKUPS = "backup"
DIALPLANS = "ct-settings.conf", "ct-inbound.conf", "ct-freepbx.conf"
SHOWN_WHOLE = 70  # lines of a new file of ours that the diff shows; a longer one is named only
_SECRET = re.compile(r"^(\s*(?:secret|password|md5_cred)\s*=>?\s*)\S.*$", re.M | re.I)
_VERSION = re.compile(r"(certified[-/])?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """An Asterisk's configuration: its folder, the folder of our files in it, and whether FreePBX writes the rest."""

    etc: Path
    folder: Path
    freepbx: bool

    @classmethod
    def of(cls, etc: Path, folder: Path | None = None) -> Place:
        return cls(etc, folder or etc / "ctserver", (etc / "extensions_additional.conf").exists())

    @property
    def extensions(self) -> str:
        return "extensions_custom.conf" if self.freepbx else "extensions.conf"

    @property
    def manager(self) -> str:
        return "manager_custom.conf" if self.freepbx else "manager.conf"


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to be written. `before` is None when there is none; `changed`: somebody else has changed a file of ours."""

    path: Path
    before: str | None
    after: str
    mode: int
    changed: bool = False

    def diff(self) -> str:
        """A unified diff without secrets."""
        lines = self.after.count("\n")
        if self.before is None and lines > SHOWN_WHOLE:
            return f"--- /dev/null\n+++ {self.path}\n(a new file of {lines} lines)\n"
        before, after = _hide(self.before or ""), _hide(self.after)
        if before == after and self.before != self.after:
            after = after.replace("(hidden)", "(a new one, hidden)", 1)
        old = str(self.path) if self.before is not None else "/dev/null"
        pieces = difflib.unified_diff(before.splitlines(), after.splitlines(), old, str(self.path), lineterm="")
        return "".join(f"{piece}\n" for piece in pieces)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is to be written into its file. `owner`: the user who will read it, -1 for whoever writes it."""

    file: Path
    value: str = field(repr=False)
    owner: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `wrong`: what a person has to settle first; `todo`: what he does afterwards."""

    place: Place
    changes: list[Change]
    secret: NewSecret | None
    wrong: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not self.changes and self.secret is None


def new_filters(version: str) -> bool:
    """Does this version (`22.4.1`, as `asterisk -V` tells it) know event filters by name? Of an unknown one: no, since every
    version reads the older kind."""
    found = _VERSION.search(version)
    if not found or found.group(1):
        return False
    major, minor = int(found.group(2)), int(found.group(3))
    return major >= 23 or minor >= {18: 26, 20: 11, 21: 6, 22: 1}.get(major, 10**6)


def plan(
    settings: Settings, place: Place, python: Path, pbx: Asterisk, version: str = "", *, overwrite: bool = False
) -> Plan:
    """Compares what is there with what ctserver needs. Changes nothing. Raises OSError, ConfigError."""
    secret, new = _secret(settings, pbx)
    made = dialplan.texts(settings, place.folder, python, pbx, secret, new_filters=new_filters(version))
    wanted = {place.folder / name: file for name, file in made.items() if name != "ct-freepbx.conf" or place.freepbx}
    changes = [
        Change(path, before, file.text, file.mode, changed=before is not None and not dialplan.is_sealed(before))
        for path, file in wanted.items()
        if (before := conf.read(path) if path.exists() else None) != file.text
    ]
    dialplans = [place.folder / name for name in DIALPLANS if place.folder / name in wanted]
    changes += _lines(place, place.extensions, _includes(place, "extensions.conf", dialplans))
    user = _includes(place, "manager.conf", [place.folder / "ct-manager.conf"])
    changes += _lines(place, place.manager, [*_general(place.etc), *user])
    wrong = [
        f"{change.path} was changed by hand: look at the difference, then say --overwrite (the old one is kept)"
        for change in changes
        if change.changed and not overwrite
    ]
    return Plan(place, changes, new, wrong + _other_user(place, pbx), list(_todo(place, pbx)))


def apply(plan: Plan, now: int) -> Path | None:
    """Writes it all; returns the folder with what was there before, None if nothing was. Raises OSError."""
    place, kept = plan.place, None
    place.folder.mkdir(parents=True, exist_ok=True)
    if plan.secret:
        _write_secret(plan.secret)
    old = [change.path for change in plan.changes if change.before is not None]
    if old:
        kept = place.folder / BACKUPS / f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d-%H%M%S}-{now % 1000:03}"
        kept.mkdir(parents=True)
        kept.chmod(0o750)
        for path in old:
            shutil.copy2(path, kept / path.name)
    for change in plan.changes:
        dialplan.put(change.path.resolve(), change.after, change.mode)
    return kept


# ---- what is there, what is wanted


def _secret(settings: Settings, pbx: Asterisk) -> tuple[str, NewSecret | None]:
    """The AMI secret; and how a new one is made, if the file that the settings name is not there yet."""
    try:
        return settings.secret(pbx), None
    except ConfigError:
        file = settings.path(pbx.ami_secret_file)
        if not pbx.ami_secret_file or file.exists():
            raise
    made, folder = ids.token(), settings.path(settings.database.path).parent
    owner = folder.stat().st_uid if os.geteuid() == 0 and folder.exists() else -1  # ctserver's own user
    return made, NewSecret(file, made, owner)


def _write_secret(new: NewSecret) -> None:
    new.file.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(new.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(f"{new.value}\n")
        os.fchown(out.fileno(), new.owner, -1)


def _lines(place: Place, name: str, wanted: list[str]) -> Iterator[Change]:
    """The file `name` with these lines at its end; nothing if none are wanted."""
    if not wanted:
        return
    path = place.etc / name
    before = conf.read(path) if path.exists() else None
    text = before or ""
    if text and not text.endswith("\n"):
        text += "\n"
    block = ["; ---- added by `ctserver install-pbx`", *wanted]
    mode = path.stat().st_mode & 0o7777 if before is not None else 0o640
    yield Change(path, before, text + ("\n" if text else "") + "\n".join(block) + "\n", mode)


def _includes(place: Place, root: str, ours: list[Path]) -> list[str]:
    """The lines that include our files, those that Asterisk does not read already."""
    there = conf.files(place.etc, root)
    if place.freepbx:
        there += conf.files(place.etc, root.replace(".conf", "_custom.conf"))
    missing = [path for path in ours if path.resolve() not in there]
    return [
        f"#include {os.path.relpath(path, place.etc) if path.is_relative_to(place.etc) else path}" for path in missing
    ]


def _general(etc: Path) -> list[str]:
    """What [general] of manager.conf lacks: AMI switched on, and events that tell their time."""
    there = conf.section(etc, "manager.conf", "general")
    wanted = {"enabled": "yes", "timestampevents": "yes"} | ({"bindaddr": "127.0.0.1"} if there is None else {})
    missing = [f"{key} = {value}" for key, value in wanted.items() if not there or not _yes(there.get(key, "no"))]
    return [f"[general]{'' if there is None else '(+)'}", *missing] if missing else []


def _yes(value: str) -> bool:
    return value.lower() in ("yes", "true", "y", "t", "1", "on")


def _other_user(place: Place, pbx: Asterisk) -> list[str]:
    """An AMI user of the same name that is not ours."""
    ours = place.folder.resolve() / "ct-manager.conf"
    for file in conf.files(place.etc, "manager.conf"):
        if file != ours and any(section == pbx.ami_user for section, _, _ in conf.values(conf.read(file))):
            return [f"{file} has a user [{pbx.ami_user}] of its own: remove it there, or set another ami_user"]
    return []


def _todo(place: Place, pbx: Asterisk) -> Iterator[str]:
    yield "let Asterisk read it: asterisk -rx 'manager reload', asterisk -rx 'dialplan reload' (`core reload` does both)"
    if place.freepbx:
        yield "in FreePBX, give your trunk the context ct-from-trunk (pjsip Settings, General, Context); Submit, Apply Config"
    else:
        yield "give your trunk the context ct-inbound, or send its tracked numbers there: Goto(ct-inbound,${EXTEN},1)"
    general = {"port": "5038", "bindaddr": "0.0.0.0"}  # noqa: S104 - what Asterisk does
    general |= conf.section(place.etc, "manager.conf", "general") or {"bindaddr": "127.0.0.1"}
    if general["port"] != (port := pbx.ami.rpartition(":")[2]):
        yield f"AMI listens on port {general['port']}, the settings say {port}: make [[asterisk]] ami the same"
    if general["bindaddr"] not in ("127.0.0.1", "::1", "localhost"):
        yield "AMI listens on every address of this machine: set bindaddr = 127.0.0.1 in manager.conf, or close its port"
    yield "start ctserver (or start it again), then: ctserver doctor"


def _hide(text: str) -> str:
    """As it may be shown: no secrets, and ? for what is no UTF-8."""
    text = text.encode("utf-8", "replace").decode()
    return _SECRET.sub(r"\1(hidden)", text)
