"""Commands that put ctserver onto a PBX, and find out why it does not work there."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import subprocess
import sys
from pathlib import Path

from ctserver import app, config, doctor, ids
from ctserver.asterisk import install
from ctserver.check import Result
from ctserver.cli.common import MISTAKE, Add, add_pbx, chosen_pbx, load_settings, tracked_number
from ctserver.config import Asterisk, Settings
from ctserver.domain import phone

TO_DO = 1
SICK = 1
SECONDS = 30
RELOADS = "manager reload", "dialplan reload"


def register(add: Add) -> None:
    text = "put what ctserver needs into the configuration of an Asterisk (without --apply: show what would change)"
    made = add("install-pbx", _install, text)
    made.add_argument("--etc", type=Path, default=Path("/etc/asterisk"), help="Asterisk's folder, default: %(default)s")
    made.add_argument("--folder", type=Path, help="where ctserver's own files go, default: ctserver in that folder")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="show the difference, change nothing (the default)")
    how.add_argument("--apply", action="store_true", help="write it, keeping what was there")
    made.add_argument("--overwrite", action="store_true", help="also files of ctserver's that were changed by hand")
    made.add_argument("--reload", action="store_true", help="then let Asterisk read its files again")
    made.add_argument("--asterisk", default="asterisk", metavar="COMMAND", help="how Asterisk's program is started")
    add_pbx(made)

    looks = add(
        "doctor", _doctor, "find out why calls do not come in: ask Asterisk, place a test call, say what is wrong"
    )
    looks.add_argument("number", nargs="?", help="the tracked number to call, default: the first one")
    looks.add_argument("--no-call", action="store_true", help="ring nobody")
    looks.add_argument(
        "--listen", type=float, default=4.0, metavar="SECONDS", help="to the phone, default: %(default)s"
    )
    add_pbx(looks)


def _install(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    pbx = chosen_pbx(settings, options)
    etc = options.etc.resolve()
    if not etc.is_dir():
        raise app.StartError(f"there is no folder {etc}", "name the one with extensions.conf: --etc FOLDER")
    place = install.Place.of(etc, options.folder and options.folder.resolve())
    version = _asterisk(options.asterisk, "-V") or ""
    plan = install.plan(settings, place, Path(sys.executable), pbx, version, overwrite=options.overwrite)
    _show(plan, version, apply=options.apply)
    if plan.wrong:
        for what in plan.wrong:
            sys.stderr.write(f"error: {what}\n")
        return MISTAKE
    if not options.apply:
        return 0 if plan.empty else TO_DO
    if not plan.empty:
        kept = install.apply(plan, ids.now_ms())
        sys.stdout.write(f"written{f'; what was there is in {kept}' if kept else ''}\n")
    return _after(options)


def _show(plan: install.Plan, version: str, *, apply: bool) -> None:
    kind = "FreePBX" if plan.place.freepbx else "plain Asterisk"
    known = version or "its version is not known: name its program, --asterisk"
    sys.stdout.write(f"{kind} in {plan.place.etc} ({known})\n")
    if plan.secret:
        sys.stdout.write(f"a new secret for AMI goes into {plan.secret.file}, which only its owner may read\n")
    for change in plan.changes:
        sys.stdout.write(change.diff())
    if plan.empty:
        sys.stdout.write("nothing to do: everything stands as it should\n")
    elif not plan.wrong:
        steps = "".join(f"  {number}. {what}\n" for number, what in enumerate(plan.todo, 1))
        sys.stdout.write(f"what to do {'then' if apply else 'after --apply'}:\n{steps}")


def _after(options: argparse.Namespace) -> int:
    if not options.reload:
        return 0
    for line in RELOADS:
        said = _asterisk(options.asterisk, "-rx", line)
        if said is None:
            sys.stderr.write(
                f"error: Asterisk did not do it: {line}\n  what to do: is it running? Then do it by hand\n"
            )
            return MISTAKE
        sys.stdout.write(f"{line}: {said or 'done'}\n")
    return 0


def _asterisk(command: str, *arguments: str) -> str | None:
    """What Asterisk's program says; None if there is none, or it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the command of whoever types it
            [*shlex.split(command), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _doctor(options: argparse.Namespace) -> int:
    """0: all is well; 1: something is not, and is told."""
    settings = load_settings(options)
    number = ""
    if not options.no_call:
        number = (
            tracked_number(settings, options.number) if options.number else next(iter(config.number_uses(settings)), "")
        )
    order = doctor.Order(number, phone.TEST_CALLER, options.listen)
    return asyncio.run(_examined(settings, chosen_pbx(settings, options), order))


async def _examined(settings: Settings, pbx: Asterisk, order: doctor.Order) -> int:
    status = 0
    async for result in doctor.examine(settings, pbx, order):
        _tell(result)
        status = status if result.ok else SICK
    sys.stdout.write("all is well\n" if status == 0 else "something is wrong: see what to do, from the top\n")
    return status


def _tell(result: Result) -> None:
    sys.stdout.write(f"{'ok ' if result.ok else 'BAD'}  {result.name}: {result.text}\n")
    if result.todo:
        sys.stdout.write(f"     what to do: {result.todo}\n")
    sys.stdout.flush()
