"""The composition root: builds every object, owns the clock and the order of start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ctserver import __version__, files, ids, memory, privacy, sinks, systemd
from ctserver.asterisk import ami
from ctserver.asterisk.bridge import Bridge
from ctserver.asterisk.fastagi import Fastagi
from ctserver.config import Settings, number_uses
from ctserver.domain import visitor
from ctserver.domain.phone import TEST_CALLER
from ctserver.front.keeper import Front
from ctserver.http import auth, server
from ctserver.http.deps import Deps, Health, TestCallFailed
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.recordings.places import Places
from ctserver.services import rollups
from ctserver.services.attribution import Attributor
from ctserver.services.blocked import BlackList
from ctserver.services.callbacks import Callbacks, NotSent
from ctserver.services.callers import Callers
from ctserver.services.colours import Colours
from ctserver.services.live import Live
from ctserver.services.pauses import Pauses, PbxAway
from ctserver.services.reception import Here
from ctserver.services.recorded import Recorded
from ctserver.services.routing import Router
from ctserver.services.speech import Speaker
from ctserver.sinks import Sinks
from ctserver.storage import leases, migrate, routes, sqlite, users
from ctserver.storage.db import StorageError
from ctserver.storage.sqlite import Sqlite
from ctserver.upkeep import Upkeep

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0


class StartError(Exception):
    """Why ctserver does not start, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        self.what = what
        self.todo = todo
        super().__init__(f"{what}\n{todo}")


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = Running(settings)
    try:
        await running.start()
        await stop.wait()
    finally:
        systemd.notify("STOPPING=1")
        await running.stop()


class Running:
    """Everything that runs, and how to stop it: last started, first stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.recordings = settings.path(settings.recordings.folder)
        self.places = Places(settings)

    async def start(self) -> None:
        """Each step in its order; raises StartError."""
        settings = self._settings
        self._check_recordings()
        self.bridges: list[Bridge] = []
        self.live = Live()
        self.colours = Colours()
        self.front: Front | None = None
        self.db = await self._open_database()
        await self._first_user()
        self.attributor = await Attributor.load(self.db, settings)
        await self._start_fastagi()
        await self._start_sinks()
        for pbx in settings.asterisk:
            await self._start_bridge(Bridge(self.db, settings, self.attributor, pbx, self.sinks.facts))
        await self._start_provider()
        await self._start_web()
        self._start_upkeep()
        memory.started()
        systemd.notify("READY=1")
        log.info("ctserver %s is ready at %s", __version__, settings.server.public_url)

    async def stop(self) -> None:
        """Undo the steps of the start, naming each; one that fails does not keep the others."""
        for name, step in reversed(self._steps):
            log.info("stopping: %s", name)
            try:
                await asyncio.wait_for(step(), STOP_SECONDS + 2)
            except Exception:
                log.exception("stopping %s failed", name)
        self._steps.clear()
        log.info("stopped")

    # ---- steps

    def _check_recordings(self) -> None:
        _writable(self.recordings, "the recordings folder", "[recordings] folder")
        for pbx in self._settings.asterisk:
            _writable(self._settings.spool(pbx), f"the spool folder of {pbx.id!r}", "[[asterisk]] spool")

    async def _open_database(self) -> Sqlite:
        path = self._settings.path(self._settings.database.path)
        db = await open_database(path)
        self._steps.append(("database", db.close))
        try:
            async with systemd.patience():
                for migration in await migrate.migrate(db, migrate.read(files.folder("migrations"))):
                    log.info("database: applied migration %04d (%s)", migration.number, migration.name)
            await self._write_routes(db)
        except StorageError as error:
            raise StartError(f"the database {path}: {error}", "then start ctserver again") from error
        return db

    async def _write_routes(self, db: Sqlite) -> None:
        router = Router(self._settings)
        table = {digits: route.encode(store=False) for digits, route in router.table().items()}
        table[""] = router.default.encode(store=False)
        await db.write(lambda tx: routes.replace_all(tx, table))
        members = {name: pool.numbers for name, pool in self._settings.pools.items()}
        await db.write(lambda tx: leases.settle_numbers(tx, members))
        await db.write(lambda tx: rollups.settle(tx, self._settings))

    async def _first_user(self) -> None:
        if await users.count(self.db):
            return
        password = ids.password()
        hashed = await asyncio.to_thread(auth.hash_password, password)
        await self.db.write(lambda tx: users.put_user(tx, ids.new(ids.now_ms()), "admin", hashed, ids.now_ms()))
        file = self._settings.path(self._settings.database.path).with_name("first-login.txt")
        _write_private(file, f"admin {password}\n")
        log.info("made the first login; its password is in %s (delete the file when you have changed it)", file)

    async def _start_fastagi(self) -> None:
        self.speaker = Speaker(self._settings)
        callers = Callers(self.db, self._settings, self.attributor, self.speaker)
        self.black_list = BlackList(self._settings)
        await self.black_list.load(self.db)
        self.recorded = Recorded(self._settings)
        self.recorded.look()
        self.router = Router(self._settings, callers, black_list=self.black_list, recorded=self.recorded)
        self.pauses = Pauses(self.db, self._mute, self._settings.recordings.pause_seconds, self.live.changed)
        self.callbacks = Callbacks(self.db, self._settings, self._call_back, self.recorded)
        self.fastagi = Fastagi(self.router.answer, self.callbacks.route)
        host, port = _address(self._settings.fastagi.listen)
        try:
            await self.fastagi.listen(host, port)
        except OSError as error:
            raise _port_error("FastAGI", self._settings.fastagi.listen, "[fastagi] listen", error) from error
        self._steps.append(("FastAGI", self.fastagi.close))

    async def _start_sinks(self) -> None:
        self.sinks = Sinks(
            self.db,
            self._settings,
            ask_pbx=sinks.through(self.bridges),
            sounds=self.places.local,
            ring=self.callbacks.ring,
            changed=self.live.changed,
        )
        self._steps.append(("deliveries", self.sinks.stop))
        await self.sinks.start()

    async def _start_provider(self) -> None:
        self.provider = None
        if self._settings.oidc.issuer:
            from ctserver.services.provider import Provider  # takes a while, and few have one

            self.provider = Provider(self._settings)
            self._steps.append(("sign-in provider", self.provider.stop))
            await self.provider.start()

    async def _start_bridge(self, bridge: Bridge) -> None:
        """A PBX that is away is waited for; one that refuses our secret is a mistake to be told at once."""
        await try_login(self._settings, bridge.pbx.id)
        task = asyncio.create_task(bridge.link.run(), name=f"AMI {bridge.pbx.id}")
        self.bridges.append(bridge)
        bridge.journal.on_change = self.live.changed
        bridge.on_placed = self.callbacks.heard

        async def stop() -> None:
            await _cancel([task])
            await bridge.link.drain()
            await bridge.journal.flush()

        self._steps.append((f"AMI {bridge.pbx.id}", stop))

    async def _start_web(self) -> None:
        settings = self._settings
        visitor.device("")  # reads the rules of all browsers, once: not while a visitor waits
        self.geo = Geo(settings.path(settings.geo.file) if settings.geo.file else None)
        if problem := self.geo.problem():
            log.warning("%s", problem)
        deps = Deps(
            db=self.db,
            settings=settings,
            uses=number_uses(settings),
            testcall=self._testcall,
            health=self.health,
            now=ids.now_ms,
            sounds=self.places,
            delivery=self.sinks.delivery,
            facts=self.sinks.facts,
            provider=self.provider,
            gate=Gate(settings, self.geo),
            live=self.live,
            colours=self.colours,
            callbacks=self.callbacks,
            caller_data=privacy.caller_data_of(self.db, settings, self.places),
            pauses=self.pauses,
            black_list=self.black_list,
            started_at=ids.now_ms(),
            push_key=self.sinks.push_key,
        )
        runner = web.AppRunner(
            server.make(deps), access_log=None, shutdown_timeout=STOP_SECONDS, keepalive_timeout=30, lingering_time=0
        )
        await runner.setup()
        self._steps.append(("web server", runner.cleanup))
        host, port = _address(settings.server.listen)
        try:
            await web.TCPSite(runner, host, port, backlog=512).start()
        except OSError as error:
            raise _port_error("the web server", settings.server.listen, "[server] listen", error) from error
        if settings.visitors.listen:
            await self._start_front(deps.reception)

    async def _start_front(self, reception: Here) -> None:
        settings = self._settings
        self.front = Front(settings, reception)
        try:
            await self.front.start()
        except OSError as error:
            raise _port_error("the front", settings.visitors.listen, "[visitors] listen", error) from error
        self._steps.append(("front", self.front.stop))

    def _start_upkeep(self) -> None:
        upkeep = Upkeep(
            db=self.db,
            settings=self._settings,
            places=self.places,
            bridges=self.bridges,
            sinks=self.sinks,
            attributor=self.attributor,
            callbacks=self.callbacks,
            pauses=self.pauses,
            colours=self.colours,
            speaker=self.speaker,
            health=self.health,
        )
        upkeep.start()
        self._steps.append(("upkeep", upkeep.stop))

    # ---- what the edges ask of one another

    async def _testcall(self, number: str) -> None:
        try:
            linked = [bridge for bridge in self.bridges if bridge.link.problem is None]
            await (linked or self.bridges)[0].testcall(number, TEST_CALLER)
        except (ami.AmiError, TimeoutError) as error:
            raise TestCallFailed(str(error) or "the PBX does not answer") from error

    async def _mute(self, pbx: str, uniqueid: str, silent: bool) -> None:
        bridge = next((one for one in self.bridges if one.pbx.id == pbx), None)
        if bridge is None:
            raise PbxAway
        await bridge.mute(uniqueid, silent)

    async def _call_back(self, callback: str, channel: str, seconds: int) -> None:
        linked = [bridge for bridge in self.bridges if bridge.link.problem is None]
        if not linked:
            raise NotSent("no PBX is linked")
        try:
            await linked[0].call_back(callback, channel, seconds)
        except ami.LinkDown:
            raise
        except ami.AmiError as error:
            raise NotSent(str(error)) from error

    async def health(self) -> Health:
        """The state of database, AMI links, FastAGI and disk."""
        parts = {"database": await self._database_health()}
        for bridge in self.bridges:
            name = "AMI" if len(self.bridges) == 1 else f"AMI {bridge.pbx.id}"
            parts[name] = bridge.link.problem or "ok"
        parts["FastAGI"] = "ok" if self.fastagi.listening else "not listening"
        if self.front is not None:
            parts["front"] = self.front.state
        await asyncio.to_thread(self.recorded.look)
        parts["disk"] = self.recorded.disk
        parts["recordings"] = self.recorded.stopped or "ok"
        return Health(parts)

    async def _database_health(self) -> str:
        try:
            await asyncio.wait_for(self.db.one("SELECT 1"), 2)
        except (StorageError, TimeoutError) as error:
            return str(error) or "no answer within 2 s"
        return "ok"


async def open_database(path: Path) -> Sqlite:
    """Raises StartError."""
    try:
        return await sqlite.open(path)
    except StorageError as error:
        raise StartError(str(error), "name a file in a folder that ctserver may write to: [database] path") from error


async def try_login(settings: Settings, pbx_id: str) -> None:
    """Raises StartError if the PBX is there and refuses us; its absence is no mistake of the settings."""
    pbx = next(entry for entry in settings.asterisk if entry.id == pbx_id)
    host, port = _address(pbx.ami)
    try:
        await ami.attempt(host, port, pbx.ami_user, settings.secret(pbx))
    except ami.LoginRefused as error:
        raise StartError(
            f"Asterisk {pbx.id!r} at {pbx.ami}: {error}",
            f"make the secret of [{pbx.ami_user}] in manager.conf and the one ctserver reads the same, and check `permit`",
        ) from error
    except (OSError, TimeoutError, ami.AmiError):
        return


def _write_private(file: Path, text: str) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


def _writable(folder: Path, what: str, key: str) -> None:
    """Makes the folder if there is none. Raises StartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".ctserver-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"{what} {folder} is not writable: {error.strerror}",
            f"give the user that runs ctserver the right to write there, or set {key}",
        ) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _port_error(what: str, address: str, key: str, error: OSError) -> StartError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StartError(
        f"{what} cannot listen at {address}: {reason}",
        f"stop the other program that uses it (ss -ltnp shows which), or change {key} in ctserver.toml",
    )
