#!/usr/bin/env python3
"""Where a call goes while ctserver cannot answer (restart, upgrade, frozen): Asterisk starts this program itself.

Reads the route of the called number from ctserver's database file, read-only, within a time limit, and sets CT_ROUTE.
Any failure sets nothing: the dialplan then takes the last answer it remembers, and after that its own default.

    ct_route.py --database /var/lib/ctserver/ctserver.db [--seconds 0.7]     (the AGI protocol on standard input)
"""

import argparse
import contextlib
import io
import signal
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from asterisk.agi import AGI

MAX_DIGITS = 32


def main() -> int:
    """Exit status 0 always: Asterisk has no use for another one."""
    arguments = argparse.ArgumentParser(description="tells Asterisk the route of a called number")
    arguments.add_argument("--database", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, default=0.7)
    options = arguments.parse_args()
    with contextlib.suppress(Exception):  # whatever happens, the dialplan goes on
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
        signal.setitimer(signal.ITIMER_REAL, options.seconds)
        answer(options.database)
    return 0


def answer(database: Path) -> None:
    """One question, one answer."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # caller names come in any encoding
    agi = AGI(stderr=io.StringIO())  # pyst2 prints the whole environment there, caller names included
    digits = "".join(character for character in agi.env.get("agi_arg_1", "") if character in "0123456789")
    caller = "".join(character for character in agi.env.get("agi_arg_2", "") if character in "0123456789")
    route = find(database, digits[:MAX_DIGITS], caller[:MAX_DIGITS])
    if route:
        agi.execute(f'SET VARIABLE CT_ROUTE "{escape(route)}"')


def find(database: Path, digits: str, caller: str = "") -> str | None:
    """The encoded route of a called number given as digits, or that of unknown numbers (the row with no number); of a caller
    who is kept out, what is done with him instead of ringing."""
    with contextlib.closing(open_read_only(database)) as connection:
        rows = connection.execute(
            "SELECT route FROM routes WHERE digits IN (?, '') ORDER BY length(digits) DESC LIMIT 1", (digits,)
        ).fetchall()
        way = refusal(connection, caller) if rows else None
    if way:
        return f"{rows[0][0].split('|')[0]}|{way}|no|no|"
    return rows[0][0] if rows else None


def refusal(connection: sqlite3.Connection, caller: str) -> str | None:
    """What is done with this caller (digits; none: he withholds his number): reject, busy, voicemail; None: he is put through."""
    with contextlib.suppress(sqlite3.Error):  # he is put through, as anybody whom a failing list cannot judge
        row = connection.execute(
            """
            SELECT way FROM refusals WHERE digits = ?1
            OR (substr(digits, -1) = '*' AND substr(?1, 1, length(digits) - 1) = substr(digits, 1, length(digits) - 1))
            """,
            (caller,),
        ).fetchone()
        return row[0] if row else None
    return None


def open_read_only(database: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    SQLite in WAL mode wants its -shm file even for reading. After a clean stop it is gone, and in a folder where
    Asterisk may not write the file opens only as immutable, which is true then: nobody has it open.
    """
    address = "file:" + quote(str(database.resolve()))
    try:
        connection = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=0.3)
        connection.execute("SELECT 1 FROM routes LIMIT 1")
    except sqlite3.OperationalError:
        if Path(f"{database}-wal").exists():
            raise
        connection = sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, timeout=0.3)
    return connection


def escape(text: str) -> str:
    """For a quoted AGI argument (pyst2 does not): no control characters, backslash and quote escaped."""
    clean = "".join(character for character in text if ord(character) >= 32)
    return clean.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    sys.exit(main())
