"""`ctserver check`: tries what the settings name, each with a hint when it does not work."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from ctserver import files, notify
from ctserver.asterisk import ami
from ctserver.config import Asterisk, ConfigError, Settings
from ctserver.http import collect
from ctserver.http.geo import Geo
from ctserver.outbound import OutboundError
from ctserver.services import words
from ctserver.services.provider import Provider
from ctserver.sinks import hook_secrets
from ctserver.storage import migrate, sqlite
from ctserver.storage.db import StorageError

MAX_COOKIE = 4096
"""Bytes of name and value: RFC 6265, section 6.1, and what Chromium, Firefox and Safari keep."""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing tried."""

    name: str
    ok: bool
    text: str
    todo: str = ""


async def check(settings: Settings) -> list[Result]:
    """Everything that the settings name, tried. Changes nothing."""
    results = [
        Result("settings", True, f"{len(settings.sites)} sites, {len(settings.lines)} lines"),
        await _database(settings),
        _recordings(settings),
        *await _ports(settings),
    ]
    if settings.geo.file:
        problem = Geo(settings.path(settings.geo.file)).problem()
        results.append(Result("places", problem is None, problem or settings.geo.file, "name an MMDB file: [geo] file"))
    results += _shared_pools(settings)
    results += _cookies(settings)
    results += _told(settings)
    if settings.oidc.issuer:
        results.append(await _provider(settings))
    return results + [await ami_login(settings, pbx) for pbx in settings.asterisk]


def _shared_pools(settings: Settings) -> list[Result]:
    """A call's site is known by its number: people of one site would be shown another's visitors."""
    sites: dict[str, dict[str, None]] = {}  # of each pool, in the order of the settings: the first one gets the calls
    for name, site in settings.sites.items():
        for target in site.all_targets.values():
            sites.setdefault(target.pool, {})[name] = None
    return [
        Result(
            f"pool {pool}",
            False,
            f"shared by the sites {', '.join(users)}; all its calls count for {next(iter(users))}",
            "give each site a pool of its own, or make one site of them, with all their domains",
        )
        for pool, users in sites.items()
        if pool and len(users) > 1
    ]


def _cookies(settings: Settings) -> list[Result]:
    """A browser drops a cookie that is larger, and with it who the visitor is: each page view would be a new visitor's."""
    sizes = {name: collect.cookie_size(settings, name) for name, site in settings.sites.items() if site.cookie_domain}
    return [
        Result(
            f"site {name}",
            False,
            f"its cookie may take {size} bytes, and browsers keep {MAX_COOKIE}",
            f"leave cookie_domain out, or have fewer targets: each takes {size // len(settings.sites[name].all_targets)} bytes",
        )
        for name, size in sizes.items()
        if size > MAX_COOKIE
    ]


def _told(settings: Settings) -> list[Result]:
    """Secrets of web hooks and channels, descriptions of gateways, the texts of alerts: a mistake in them must not be found
    when a call is missed."""
    results = []
    for name in settings.webhooks:
        try:
            hook_secrets(settings, name)
        except ConfigError as error:
            problem = error.problems[0]
            results.append(Result(f"web hook {name}", False, f"{problem.key}: {problem.what}", problem.hint))
    results += [Result(one.key, False, one.what, one.hint) for one in notify.mistakes(settings)]
    wrong = [Result(key, False, what, "see docs/alerts.md") for key, what in words.mistakes(settings)]
    if settings.alerts and not wrong:
        results.append(Result("alerts", True, f"{len(settings.alerts)} rules, their texts make sense"))
    return results + wrong


async def _provider(settings: Settings) -> Result:
    """Whether the sign-in provider is who the settings say; that it knows our secret shows at the first login only."""
    try:
        provider = Provider(settings)
    except ConfigError as error:
        problem = error.problems[0]
        return Result("sign-in provider", False, f"{problem.key}: {problem.what}", problem.hint)
    try:
        await provider.refresh()
    except OutboundError as error:
        return Result(
            "sign-in provider", False, str(error), "see [oidc] in docs/settings.md, and [outbound] private_networks"
        )
    finally:
        await provider.stop()
    return Result("sign-in provider", True, f"{settings.oidc.issuer} tells its addresses and keys")


async def _database(settings: Settings) -> Result:
    path = settings.path(settings.database.path)
    if not path.exists():
        return _folder("database", path.parent, f"{path} will be made at the first start", "[database] path")
    try:
        db = await sqlite.open(path)
    except StorageError as error:
        return Result("database", False, str(error), "give ctserver's user the right to read and write it")
    try:
        await migrate.verify(db, migrate.read(files.folder("migrations")))
    except StorageError as error:
        return Result("database", False, f"{path}: {error}")
    finally:
        await db.close()
    return Result("database", True, str(path))


def _recordings(settings: Settings) -> Result:
    folder = settings.path(settings.recordings.folder)
    return _folder("recordings", folder, str(folder), "[recordings] folder")


def _folder(name: str, folder: Path, text: str, key: str) -> Result:
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Result(name, True, text)
    return Result(name, False, f"{folder} is not writable", f"give ctserver's user the right to write, or change {key}")


async def _ports(settings: Settings) -> list[Result]:
    """Free, or in use by a ctserver that runs with these settings."""
    ports = {
        "FastAGI port": (settings.fastagi.listen, "[fastagi] listen"),
        "web port": (settings.server.listen, "[server] listen"),
        **({"visitors' port": (settings.visitors.listen, "[visitors] listen")} if settings.visitors.listen else {}),
    }
    if await _is_running(settings.server.listen):
        return [Result(name, True, f"{address}: ctserver is running") for name, (address, _) in ports.items()]
    return [_port(name, address, key) for name, (address, key) in ports.items()]


async def _is_running(listen: str) -> bool:
    timeout = aiohttp.ClientTimeout(3)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(f"http://{listen}/health") as answer:
            state = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return isinstance(state, dict) and "FastAGI" in state


def _port(name: str, address: str, key: str) -> Result:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            todo = f"if this is not ctserver itself, stop the other program (ss -ltnp shows which) or change {key}"
            return Result(name, False, f"{address} cannot be used: {error.strerror or error}", todo)
    return Result(name, True, f"{address} is free")


async def ami_login(settings: Settings, pbx: Asterisk) -> Result:
    name = f"Asterisk {pbx.id}"
    host, _, port = pbx.ami.rpartition(":")
    try:
        await ami.attempt(host, int(port), pbx.ami_user, settings.secret(pbx))
    except ConfigError as error:
        return Result(name, False, str(error.problems[0].what), error.problems[0].hint)
    except ami.AmiError as error:
        todo = f"make the secret of [{pbx.ami_user}] in manager.conf the same, and check its `permit`"
        return Result(name, False, f"{pbx.ami}: {error}", todo)
    except (OSError, TimeoutError) as error:
        todo = "is Asterisk running, and manager.conf enabled with this bindaddr and port?"
        return Result(name, False, f"no AMI at {pbx.ami}: {_reason(error)}", todo)
    return Result(name, True, f"logged in at {pbx.ami} as {pbx.ami_user}")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) and error.strerror else "no answer in time"
