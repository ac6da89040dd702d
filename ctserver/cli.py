"""The commands: each one line of work handed on. Mistakes of the one who types end with status 2 and two lines: what,
and what to do."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ctserver import __version__, app, config, files, ids, logs
from ctserver.asterisk import ami, bridge, dialplan, replay
from ctserver.check import check
from ctserver.config import ConfigError, Settings
from ctserver.domain import phone, rules, source
from ctserver.domain.model import VisitorFacts
from ctserver.http import auth
from ctserver.services import attribution, visits
from ctserver.storage import migrate, users
from ctserver.storage.db import StorageError
from ctserver.storage.sqlite import Sqlite

MISTAKE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; never shows a traceback for what a person can mend."""
    options = _parser().parse_args(arguments)
    try:
        sys.exit(options.run(options))
    except ConfigError as error:
        for problem in error.problems:
            _complain(f"{error.file}: {problem.key}: {problem.what}", problem.hint)
    except app.StartError as error:
        _complain(error.what, error.todo)
    except (ami.AmiError, OSError, TimeoutError) as error:
        _complain(str(error) or "no answer in time", "see `ctserver check`")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(MISTAKE)


def _complain(what: str, todo: str) -> None:
    sys.stderr.write(f"error: {what}\n" + (f"  what to do: {todo}\n" if todo else ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ctserver", description="Self-hosted call tracking for Asterisk.")
    parser.add_argument("--version", action="version", version=__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", type=Path, default=_default_config(), help="default: %(default)s")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting: server.listen=127.0.0.1:9000",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[common])
        command.set_defaults(run=run)
        return command

    add("serve", _serve, "run the server")
    add("check", _check, "tell every mistake in the settings, and try database, Asterisk, ports and folders")
    made = add("dialplan", _dialplan, "write what Asterisk needs (without --write: print ct-settings.conf)")
    made.add_argument("--write", type=Path, metavar="FOLDER", help="put all files to include into this folder")
    test = add("testcall", _testcall, "place a call to a tracked number, as a caller would")
    test.add_argument("number")
    test.add_argument("--caller", default=app.TEST_CALLER, help="the caller's number, default: %(default)s")
    record = add("record", _record, "write the live AMI stream to a file, for bug reports (Ctrl-C ends it)")
    record.add_argument("file", type=Path)
    record.add_argument("--seconds", type=float, help="end after so long")
    again = add("replay", _replay, "print the calls in a recorded AMI stream")
    again.add_argument("file", type=Path)
    again.add_argument(
        "--inbound-context", action="append", metavar="NAME", help="where callers arrive; may be repeated"
    )
    again.add_argument("--json", action="store_true", help="one JSON object a line")
    user = add("user", _user, "make a login for the dashboard, or give one a new password")
    user.add_argument("login")
    rule = add("rules", _rules, "explain which number a visit would be shown, and why")
    rule.add_argument("url", help="the page a visitor lands on")
    rule.add_argument("--referrer", default="")
    rule.add_argument("--target", default=config.MAIN)
    rule.add_argument("--region", default="")
    rule.add_argument("--device", default="", choices=["", "desktop", "phone", "tablet"])
    redo = add("reattribute", _reattribute, "ask again whose calls they were, and tell what would change")
    redo.add_argument("--since", required=True, metavar="DATE", help="2026-01-31, or a time like 2026-01-31T12:00")
    redo.add_argument("--apply", action="store_true", help="write the changes; without it nothing is changed")
    add("snippet", _snippet, "print the line to put into a site's pages").add_argument("site", nargs="?")
    return parser


def _default_config() -> Path:
    for candidate in (os.environ.get("CTSERVER_CONFIG"), "ctserver.toml", "/etc/ctserver/ctserver.toml"):
        if candidate and Path(candidate).exists():
            return Path(candidate)
    return Path("ctserver.toml")


def _settings(options: argparse.Namespace) -> Settings:
    overrides = dict(pair.partition("=")[::2] for pair in options.set)
    return config.load(options.config, overrides)


# ---- commands


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    logs.setup(settings.log.level, settings.log.format)
    asyncio.run(app.run(settings))
    return 0


def _check(options: argparse.Namespace) -> int:
    settings = _settings(options)
    results = asyncio.run(check(settings))
    for result in results:
        sys.stdout.write(f"{'ok ' if result.ok else 'BAD'}  {result.name}: {result.text}\n")
        if result.todo:
            sys.stdout.write(f"     what to do: {result.todo}\n")
    return 0 if all(result.ok for result in results) else MISTAKE


def _dialplan(options: argparse.Namespace) -> int:
    settings = _settings(options)
    wrapper = Path(options.write or "/etc/asterisk").resolve() / "ct-route"
    text = dialplan.render(settings, wrapper)
    if options.write is None:
        sys.stdout.write(text)
        return 0
    for written in dialplan.write(settings, options.write.resolve(), Path(sys.executable)):
        sys.stdout.write(f"{written}\n")
    return 0


def _testcall(options: argparse.Namespace) -> int:
    settings = _settings(options)
    try:
        number = phone.e164(options.number, settings.server.country)
    except phone.NotANumber as error:
        raise app.StartError(str(error), "write it with its country code, like +442079460101") from error
    if number not in config.number_uses(settings):
        known = ", ".join(list(config.number_uses(settings))[:3])
        raise app.StartError(
            f"{number} is not a tracked number", f"name one of the numbers in the settings: {known} ..."
        )
    asyncio.run(_place(settings, number, options.caller))
    sys.stdout.write(f"calling {phone.international(number)}: see the journal of calls\n")
    return 0


async def _place(settings: Settings, number: str, caller: str) -> None:
    pbx = settings.asterisk[0]
    placed = asyncio.Event()

    async def place(link: ami.Link) -> None:
        await link.send(bridge.testcall_action(number, caller))
        placed.set()

    async def ignore(_: object) -> None: ...

    await app.try_login(settings, pbx.id)
    host, _, port = pbx.ami.rpartition(":")
    secret = settings.secret(pbx)
    link = ami.Link(host, int(port), pbx.ami_user, secret, on_up=place, consume=ignore, name=pbx.id)
    task = asyncio.create_task(link.run())
    try:
        await asyncio.wait_for(placed.wait(), 10)
    except TimeoutError:
        raise ami.LinkDown(f"Asterisk at {pbx.ami}: {link.problem or 'no answer'}") from None
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _record(options: argparse.Namespace) -> int:
    settings = _settings(options)
    pbx = settings.asterisk[0]
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
        data = options.file.read_bytes()
        found = replay.calls(replay.read(data), options.inbound_context or ["ct-inbound"])
    except OSError as error:
        raise app.StartError(f"{options.file} cannot be read: {error.strerror}", "name a recorded stream") from error
    except replay.NotAStream as error:
        raise app.StartError(f"{options.file}: {error}", "name a file written by `ctserver record`") from error
    for call in found:
        summary = replay.summary(call)
        sys.stdout.write((json.dumps(summary, ensure_ascii=False) if options.json else _line(summary)) + "\n")
    return 0


def _line(summary: dict[str, object]) -> str:
    started = summary["started"]
    when = f"{datetime.fromtimestamp(started, UTC):%F %T}" if isinstance(started, float) else "?"
    outcome = f"{summary['outcome'] or 'open'} ({summary['reason'] or '-'})"
    return f"{when}  {summary['caller'] or 'withheld'} -> {summary['did']}  {outcome}  {summary['answered_by'] or ''}"


def _user(options: argparse.Namespace) -> int:
    settings = _settings(options)
    password = ids.password() if sys.stdin.isatty() else sys.stdin.readline().strip() or ids.password()
    hashed = auth.hash_password(password)

    async def put() -> None:
        async with _database(settings) as db:
            await db.write(lambda tx: users.put_user(tx, ids.new(ids.now_ms()), options.login, hashed, ids.now_ms()))

    asyncio.run(put())
    sys.stdout.write(f"login: {options.login}\npassword: {password}\n")
    return 0


@contextlib.asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Sqlite]:
    db = await app.open_database(settings.path(settings.database.path))
    try:
        await migrate.verify(db, migrate.read(files.folder("migrations")))
        yield db
    except StorageError as error:
        raise app.StartError(f"the database: {error}", "") from error
    finally:
        await db.close()


def _rules(options: argparse.Namespace) -> int:
    settings = _settings(options)
    host = source.host_of(options.url)
    site = next((name for name, site in settings.sites.items() if source.is_own(host, site.domains)), None)
    if site is None:
        raise app.StartError(f"no site has the domain {host!r}", "add it to `domains` of a site, or give a full URL")
    targets = settings.sites[site].all_targets
    if options.target not in targets:
        raise app.StartError(f"{site} has no target {options.target!r}", f"name one of: {', '.join(targets)}")
    found = source.classify(options.url, options.referrer, settings.sites[site].domains)
    known = VisitorFacts(region=options.region, device=options.device)
    facts = visits.facts_of(site, options.target, found, known, options.url, options.referrer)
    book = visits.rule_book(settings)
    lines = [f"site {site}, target {options.target}: {found.source} / {found.medium} {found.campaign}".rstrip()]
    for rule in book:
        lines.append(f"  rule {rule.name}: {rules.mismatch(rule, facts) or 'fits'}")
        if rules.mismatch(rule, facts) is None:
            break
    decision = rules.decide(book, facts, targets[options.target].pool)
    shown = {"pool": "a number of the pool", "static": "the static number", "page": "the page's own number"}
    lines.append(f"shown: {shown[decision.show[0]]} {decision.show[1]}".rstrip() + f" ({decision.why})")
    if settings.sites[site].static_only:
        lines.append("but static_only is on: only the static number of the source, or the page's own")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _reattribute(options: argparse.Namespace) -> int:
    settings = _settings(options)
    try:
        since = int(datetime.fromisoformat(options.since).astimezone().timestamp() * 1000)
    except ValueError as error:
        raise app.StartError(f"--since: {error}", "write it like 2026-01-31") from error

    async def ask() -> list[attribution.Change]:
        async with _database(settings) as db:
            attributor = await attribution.Attributor.load(db, settings)
            return await attribution.reattribute(db, attributor, since, ids.now_ms(), apply=options.apply)

    changes = asyncio.run(ask())
    for change in changes:
        when = f"{datetime.fromtimestamp(change.at / 1000, UTC).astimezone():%F %T}"
        before, after = (f"{kind} {source or '-'} {sure:.0%}" for kind, source, sure in (change.before, change.after))
        sys.stdout.write(f"{when}  {change.did}  {before}  ->  {after}\n")
    done = "changed" if options.apply else "would change; --apply changes them"
    sys.stdout.write(f"{len(changes)} calls {done}\n")
    return 0


def _snippet(options: argparse.Namespace) -> int:
    settings = _settings(options)
    sites = [options.site] if options.site else list(settings.sites)
    for site in sites:
        if site not in settings.sites:
            raise app.StartError(f"there is no site {site!r}", f"name one of: {', '.join(settings.sites)}")
        sys.stdout.write(f'<script async src="{settings.server.public_url}/ct.js?site={site}"></script>\n')
    return 0
