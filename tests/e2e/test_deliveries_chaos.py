"""A real ctserver is killed again and again while it delivers to a receiver that fails half of the time."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ctserver import files, ids
from ctserver.storage import migrate, sqlite
from tests.ports import free_port
from tests.receiver import Got, receiver

CALLS, EACH, KILLS = 250, 4, 10

TOML = """
[server]
listen = "127.0.0.1:{web}"
[fastagi]
listen = "127.0.0.1:{agi}"
[database]
path = "ctserver.db"
[recordings]
folder = "recordings"
min_free_mb = 0
[[asterisk]]
ami = "127.0.0.1:{ami}"
ami_secret_file = "secret"
[lines.office]
dial = "PJSIP/100"
"""
HOOK = """
[webhooks.{name}]
url = "{url}"
secret_file = "hook-secret"
allow_private = true
timeout_seconds = 2
at_once = 16
retry_seconds = {retries}
"""


async def fill(folder: Path) -> None:
    """A thousand facts of 250 calls, each for both hooks; what the later facts of a call are comes later."""
    db = await sqlite.open(folder / "ctserver.db")
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    await db.close()
    now = ids.now_ms()
    with closing(sqlite3.connect(folder / "ctserver.db")) as connection, connection:
        for call, step in itertools.product(range(CALLS), range(EACH)):
            fact, data = ids.new(now), json.dumps({"call": call, "step": step})
            connection.execute(
                "INSERT INTO facts (id, at, kind, subject, detail, once, call, data) VALUES (?, ?, 'test', '', '', ?, ?, ?)",
                (fact, now, f"{call} {step}", f"call{call}", data),
            )
            for via in ("hook.flaky", "hook.dead"):
                connection.execute(
                    "INSERT INTO outbox VALUES (?, ?, ?, ?, '', ?, ?, '', 'waiting', ?, ?, '', 0, 0, NULL, '', '')",
                    (ids.new(now), fact, via, via, f"call{call}", step, now, now),
                )


def acknowledged(folder: Path) -> set[str]:
    """What ctserver has written down as taken."""
    with closing(sqlite3.connect(folder / "ctserver.db", timeout=5)) as connection:
        rows = connection.execute("SELECT id FROM outbox WHERE via = 'hook.flaky' AND state = 'done'").fetchall()
    return {row[0] for row in rows}


def start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-m", "ctserver", "serve", "--config", str(folder / "ctserver.toml")]
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@pytest.mark.e2e
async def test_every_fact_arrives_and_none_that_was_acknowledged_comes_again(tmp_path: Path) -> None:
    dice = random.Random(7)

    def answer(_: Got) -> int | None:
        return dice.choice([200, 200, 500, None])

    (tmp_path / "secret").write_text("unused")
    (tmp_path / "hook-secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    async with receiver(answer=answer) as flaky:
        ports = {name: free_port() for name in ("web", "agi", "ami")}
        retries = [0.05] * 60
        text = TOML.format(**ports) + HOOK.format(name="flaky", url=flaky.url, retries=retries)
        dead = f"http://127.0.0.1:{free_port()}/"
        (tmp_path / "ctserver.toml").write_text(text + HOOK.format(name="dead", url=dead, retries=[60.0] * 5))
        await fill(tmp_path)
        known: list[tuple[int, set[str]]] = []  # (requests so far, acknowledged by then)
        server = start(tmp_path)
        try:
            for _ in range(KILLS):
                before, deadline = len(flaky.got), time.monotonic() + 15
                while len(flaky.got) < before + 40 and time.monotonic() < deadline:
                    await asyncio.sleep(0.01)
                server.send_signal(signal.SIGKILL)
                await asyncio.to_thread(server.wait)
                await asyncio.sleep(0.1)  # what it had sent arrives
                known.append((len(flaky.got), acknowledged(tmp_path)))
                server = start(tmp_path)
            deadline = time.monotonic() + 60
            while len(acknowledged(tmp_path)) < CALLS * EACH and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
        finally:
            server.terminate()
            await asyncio.to_thread(server.wait)
    log = (tmp_path / "log").read_text()
    assert len(acknowledged(tmp_path)) == CALLS * EACH, log[-2000:]
    _nothing_came_again(flaky.got, known)
    _in_order(flaky.taken)


def _nothing_came_again(got: list[Got], known: list[tuple[int, set[str]]]) -> None:
    for count, done in known:
        assert not done & {one.headers["webhook-id"] for one in got[count:]}
    taken = [one.headers["webhook-id"] for one in got if one.status == 200]
    twice = len(taken) - len(set(taken))
    assert len(set(taken)) == CALLS * EACH
    assert twice <= KILLS * 16, "only what was under way at a kill may come twice"


def _in_order(taken: list[Got]) -> None:
    first: dict[int, list[int]] = {}
    for one in taken:
        data: Any = one.json["data"]
        steps = first.setdefault(data["call"], [])
        if data["step"] not in steps:
            steps.append(data["step"])
    assert all(steps == list(range(EACH)) for steps in first.values())
    assert len(first) == CALLS
