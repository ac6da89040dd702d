"""agi-scripts/ct_route.py as Asterisk runs it: the environment on standard input, a command on standard output."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctserver.config import Settings
from ctserver.services.routing import Router
from ctserver.storage import routes
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, quickest

OFFICE = "office|30|yes|no|PJSIP/100&PJSIP/101"
NIGHT = "night|30|no|no|PJSIP/night"

# Starts the script as user nobody, who may not be able to read Python's own files: they are loaded before.
AS_NOBODY = """
import argparse, contextlib, io, os, pathlib, shutil, signal, sqlite3, sys, urllib.parse, asterisk.agi, encodings.utf_8, encodings.ascii, gettext, locale, textwrap
source = open(sys.argv[1]).read()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
del sys.argv[0]
exec(compile(source, sys.argv[0], "exec"), {"__name__": "__main__"})
"""


def environment(number: str, name: bytes = b"Alice") -> bytes:
    lines = [
        b"agi_request: /etc/asterisk/ct-route",
        b"agi_channel: PJSIP/trunk-00000001",
        b"agi_language: en",
        b"agi_type: PJSIP",
        b"agi_uniqueid: 1700000000.1",
        b"agi_callerid: 07700900123",
        b"agi_calleridname: " + name,
        b"agi_extension: start",
        b"agi_enhanced: 0.0",
        b"agi_arg_1: " + number.encode(),
    ]
    return b"\n".join(lines) + b"\n\n"


def run(
    root: Path, database: Path, stdin: bytes, *, nobody: bool = False, seconds: float = 30
) -> subprocess.CompletedProcess[bytes]:
    start = ["-c", AS_NOBODY] if nobody else []
    command = [sys.executable, "-IB", *start, str(root / "agi-scripts/ct_route.py"), "--database", str(database)]
    return subprocess.run(
        [*command, "--seconds", str(seconds)],
        input=stdin + b"200 result=1\n",
        capture_output=True,
        timeout=60,
        check=True,
    )


@pytest.fixture
async def database(db: Sqlite, settings: Settings, tmp_path: Path) -> Path:
    """ctserver's file, while ctserver has it open."""
    router = Router(settings)
    table = {digits: route.encode(store=False) for digits, route in router.table().items()}
    table[""] = router.default.encode(store=False)
    await db.write(lambda tx: routes.replace_all(tx, table))
    return tmp_path / "ctserver.db"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path("/tmp") / f"ct-agi-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def answer(process: subprocess.CompletedProcess[bytes]) -> str:
    assert process.stderr == b""
    text = process.stdout.decode().strip()
    if not text:
        return ""
    start, end = 'SET VARIABLE CT_ROUTE "', '"'
    assert text.startswith(start)
    assert text.endswith(end)
    assert "\n" not in text
    return text.removeprefix(start).removesuffix(end)


@pytest.mark.parametrize(
    ("number", "route"),
    [
        ("+442079460101", OFFICE),
        ("442079460101", OFFICE),
        ("02079460101", OFFICE),
        ("2079460101", OFFICE),
        ("+442079460190", NIGHT),
        ("020 7946 0190", NIGHT),
        ("+15551234567", OFFICE),
        ("", OFFICE),
        ("anonymous", OFFICE),
        ("' OR 1=1 --", OFFICE),
        ("9" * 5000, OFFICE),
    ],
)
def test_a_number_finds_its_route_and_all_others_the_default(
    root: Path, database: Path, number: str, route: str
) -> None:
    assert answer(run(root, database, environment(number))) == route


@pytest.mark.parametrize(
    "name",
    [
        "Алексей".encode(),
        b"\xc0\xeb\xe5\xea\xf1",
        b"\xff\xfe\x00",
        b"x: y",
        b'"quoted"',
        b"",
        b"agi_arg_1: 999",
        b"${SHELL(id)}$[1+1]",
        b"$(id);`id`|id&&id>x",
        b"'\\\";${SHELL(id)}" * 700,
    ],
)
def test_a_caller_may_be_called_anything_in_any_encoding(root: Path, database: Path, name: bytes) -> None:
    assert answer(run(root, database, environment("02079460190", name))) == NIGHT


@pytest.mark.parametrize("number", ["${SHELL(id)}", "'; DROP TABLE routes; --", '"`id`"', "9" * 10_240, "%", "*"])
def test_a_hostile_called_number_gets_the_default(root: Path, database: Path, number: str) -> None:
    assert answer(run(root, database, environment(number))) == answer(run(root, database, environment("999")))


def test_quotes_and_backslashes_in_a_route_are_escaped(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "quotes.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE routes (digits TEXT PRIMARY KEY, route TEXT)")
        connection.execute("INSERT INTO routes VALUES ('', ?)", ('a|1|no|no|X/"q\\\\"\nEXEC System id',))
    connection.close()
    assert answer(run(root, file, environment("1"))) == 'a|1|no|no|X/\\"q\\\\\\\\\\"EXEC System id'


def test_without_a_database_nothing_is_said(root: Path, tmp_path: Path) -> None:
    assert answer(run(root, tmp_path / "none.db", environment("1"))) == ""
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_from_a_broken_or_empty_database_nothing_is_said(root: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.db").write_bytes(content)
    assert answer(run(root, tmp_path / "broken.db", environment("1"))) == ""


def test_from_a_database_without_routes_nothing_is_said(root: Path, db: Sqlite, tmp_path: Path) -> None:
    assert answer(run(root, tmp_path / "ctserver.db", environment("1"))) == ""


def test_a_writer_at_work_does_not_stand_in_the_way(root: Path, database: Path) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("DELETE FROM routes")
    assert answer(run(root, database, environment("02079460190"))) == NIGHT
    connection.execute("ROLLBACK")
    connection.close()


async def test_a_database_locked_whole_costs_no_more_than_the_time_limit(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "locked.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE routes (digits TEXT, route TEXT)")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("INSERT INTO routes VALUES ('', 'x')")

    async def asked() -> None:
        await asyncio.to_thread(run, root, file, environment("1"), seconds=0.7)

    assert await quickest(asked, 2) < 2
    connection.close()


@pytest.mark.parametrize("sent", [b"", b"agi_request: x\n"])
async def test_a_silent_asterisk_is_left_after_the_time_limit(root: Path, database: Path, sent: bytes) -> None:
    command = [
        sys.executable,
        "-IB",
        str(root / "agi-scripts/ct_route.py"),
        "--database",
        str(database),
        "--seconds",
        "0.5",
    ]

    async def left() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(sent)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert await process.stdout.read() == await process.stderr.read() == b""

    assert await quickest(left, 2.5) < 2.5


def test_an_asterisk_that_leaves_at_once_gets_no_traceback(root: Path, database: Path) -> None:
    command = [sys.executable, "-IB", str(root / "agi-scripts/ct_route.py"), "--database", str(database)]
    process = subprocess.run(command, input=environment("02079460101"), capture_output=True, timeout=60, check=True)
    assert process.stderr == b""


async def test_after_a_clean_stop_it_is_read_in_a_folder_where_asterisk_may_not_write(
    root: Path, database: Path, db: Sqlite, public: Path
) -> None:
    await db.close()
    assert not Path(f"{database}-wal").exists()
    shutil.copy(database, public / "ct.db")
    (public / "ct.db").chmod(0o444)
    public.chmod(0o555)
    assert answer(run(root, public / "ct.db", environment("02079460190"), nobody=True)) == NIGHT
    assert sorted(file.name for file in public.iterdir()) == ["ct.db"]
    public.chmod(0o755)


def test_after_a_kill_it_is_read_by_one_who_may_only_read(root: Path, database: Path, public: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(f"{database}{suffix}", public / f"ct.db{suffix}")
        (public / f"ct.db{suffix}").chmod(0o644)
    assert answer(run(root, public / "ct.db", environment("02079460190"), nobody=True)) == NIGHT
