"""A dashboard with nothing behind it but a database, one user and what goes out: for pages that need no shop."""

from contextlib import asynccontextmanager

from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from ctserver import config, files, ids
from ctserver.http import server
from ctserver.http.deps import Deps, Health
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.recordings.places import Places
from ctserver.services.blocked import BlackList
from ctserver.sinks import Sinks
from ctserver.storage import migrate, sqlite, users
from tests.browser.shop import PASSWORD


@asynccontextmanager
async def dashboard(root, folder, overrides):
    """The shipped settings with these changes: the address, the database and what goes out."""
    settings = config.load(root / "ctserver.toml", {**overrides, "database.path": str(folder / "ct.db")})
    db = await sqlite.open(folder / "ct.db")
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await db.write(lambda tx: users.put_user(tx, "u1", "alice", hashed, ids.now_ms()))
    sinks = Sinks(db, settings)

    async def health():
        return Health({"database": "ok", "AMI": "ok"})

    deps = Deps(
        db=db,
        settings=settings,
        uses=config.number_uses(settings),
        testcall=None,
        health=health,
        now=ids.now_ms,
        sounds=Places(settings),
        gate=Gate(settings, Geo(None)),
        black_list=BlackList(settings),
        delivery=sinks.delivery,
        facts=sinks.facts,
        push_key=sinks.push_key,
    )
    running = TestServer(server.make(deps))
    await running.start_server()
    yield f"http://127.0.0.1:{running.port}", db, sinks
    await running.close()
    await sinks.stop()
    await db.close()
