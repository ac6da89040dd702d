"""Commands that speak to Asterisk, or read what it said."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from ctserver import app
from ctserver.asterisk import ami, bridge, replay
from ctserver.cli.common import Add, add_pbx, chosen_pbx, load_settings, tracked_number
from ctserver.config import Asterisk, Settings
from ctserver.domain import phone

INBOUND = "ct-inbound"


def register(add: Add) -> None:
    test = add("testcall", _testcall, "place a call to a tracked number, as a caller would")
    test.add_argument("number")
    test.add_argument("--caller", default=phone.TEST_CALLER, help="the caller's number, default: %(default)s")
    add_pbx(test)
    record = add("record", _record, "write the live AMI stream to a file, for bug reports (Ctrl-C ends it)")
    record.add_argument("file", type=Path)
    record.add_argument("--seconds", type=float, help="end after so long")
    add_pbx(record)
    again = add("replay", _replay, "print the calls in a recorded AMI stream")
    again.add_argument("file", type=Path)
    again.add_argument(
        "--inbound-context", action="append", metavar="NAME", help="where callers arrive; may be repeated"
    )
    again.add_argument("--json", action="store_true", help="one JSON object a line")


def _testcall(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    number = tracked_number(settings, options.number)
    if not re.fullmatch(r"\+?[0-9]{1,20}", options.caller):
        raise app.StartError(f"the caller {options.caller!r} is no number", "write digits only, like +447700900123")
    asyncio.run(_place(settings, chosen_pbx(settings, options), number, options.caller))
    sys.stdout.write(f"calling {phone.international(number)}: see the page Calls\n")
    return 0


async def _place(settings: Settings, pbx: Asterisk, number: str, caller: str) -> None:
    placed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def place(link: ami.Link) -> None:
        """Once, whatever the answer: a second attempt could be a second call."""
        try:
            await link.send(bridge.testcall_action(number, caller))
        except TimeoutError:
            placed.set_exception(ami.LinkDown(f"Asterisk at {pbx.ami} was asked and did not answer"))
        except ami.AmiError as error:
            placed.set_exception(error)
        else:
            placed.set_result(None)
        await asyncio.Event().wait()

    async def ignore(_: object) -> None: ...

    await app.try_login(settings, pbx.id)
    host, _, port = pbx.ami.rpartition(":")
    secret = settings.secret(pbx)
    link = ami.Link(host, int(port), pbx.ami_user, secret, on_up=place, consume=ignore, name=pbx.id)
    task = asyncio.create_task(link.run())
    try:
        while not placed.done():
            await asyncio.wait({placed}, timeout=0.1)
            if link.problem not in (None, ami.NOT_YET) and not placed.done():
                raise ami.LinkDown(f"Asterisk at {pbx.ami}: {link.problem}")
        placed.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _record(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    pbx = chosen_pbx(settings, options)
    host, _, port = pbx.ami.rpartition(":")

    def say(count: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count} messages")

    async def copy() -> None:
        with options.file.open("wb") as out:
            running = replay.record(host, int(port), pbx.ami_user, settings.secret(pbx), out, say)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running, options.seconds)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(copy())
    return 0


def _replay(options: argparse.Namespace) -> int:
    try:
        messages = list(replay.read(options.file.read_bytes()))
    except OSError as error:
        raise app.StartError(f"{options.file} cannot be read: {error.strerror}", "name a recorded stream") from error
    except replay.NotAStream as error:
        raise app.StartError(f"{options.file}: {error}", "name a file written by `ctserver record`") from error
    found = replay.calls(messages, options.inbound_context or [INBOUND])
    if not found and not options.inbound_context and (others := replay.contexts_of(messages)):
        sys.stderr.write(
            f"nobody arrived in {INBOUND}; taking the callers in: {', '.join(others)} (--inbound-context)\n"
        )
        found = replay.calls(messages, others)
    for call in found:
        summary = replay.summary(call)
        sys.stdout.write((json.dumps(summary, ensure_ascii=False) if options.json else _line(summary)) + "\n")
    return 0


def _line(summary: dict[str, object]) -> str:
    started = summary["started"]
    when = f"{datetime.fromtimestamp(started, UTC):%F %T}" if isinstance(started, float) else "?"
    outcome = f"{summary['outcome'] or 'open'} ({summary['reason'] or '-'})"
    return f"{when}  {summary['caller'] or 'withheld'} -> {summary['did']}  {outcome}  {summary['answered_by'] or ''}"
