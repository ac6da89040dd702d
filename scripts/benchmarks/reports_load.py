"""What goes on while pages are measured: page views and changes of calls written, phone calls asking for their way, and people
who read long reports without a pause."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode

from benchmarks.common import Ctserver, Figure
from ctserver import ids
from ctserver.domain import category
from ctserver.storage.db import Transaction

POOL = json.dumps([f"+44207946{number:04}" for number in range(150)])
HOLDERS, TALKING = 150, 30
_AGI = "agi_network: yes\nagi_network_script: route\nagi_callerid: {caller}\nagi_arg_1: {did}\nagi_arg_2: {caller}\n\n"
CHANGES = list(category.CATEGORIES)
BROWSER = "Mozilla/5.0 (X11) Gecko/20100101 Firefox/140.0"


def forget_earlier(tx: Transaction) -> None:
    """What earlier runs wrote: visits, and calls that go on. Else each run would measure a busier day than the last."""
    left = "SELECT id FROM sessions WHERE source = 'bench'"
    for table in ("signals", "visits", "leases", "shortages"):
        tx.execute(f"DELETE FROM {table} WHERE session IN ({left})")
    tx.execute("DELETE FROM sessions WHERE source = 'bench'")
    tx.execute(
        "UPDATE calls SET state = 'ended', outcome = 'answered', ended_at = COALESCE(answered_at, arrived_at) + 60000 "
        "WHERE state = 'talking'"
    )
    tx.memory.clear()


def go_on(tx: Transaction, now: int) -> None:
    """Of a file that lay for a while: calls that are going on, and visitors with numbers."""
    tx.execute("DELETE FROM numbers")
    rows = tx.fetch(
        "SELECT MAX(id) AS id, number FROM (SELECT * FROM leases ORDER BY id DESC LIMIT 5000) GROUP BY number LIMIT $1",
        (HOLDERS,),
    )
    for row in rows:
        tx.execute("UPDATE leases SET seen_at = $2, until = $3 WHERE id = $1", (row["id"], now, now + 1_800_000))
        tx.execute(
            """
            INSERT INTO numbers (number, pool, lease, session, shown_at, until)
            SELECT number, pool, id, session, shown_at, until FROM leases WHERE id = $1
            """,
            (row["id"],),
        )
    for row in tx.fetch("SELECT id FROM calls WHERE outcome = 'answered' ORDER BY id DESC LIMIT $1", (TALKING,)):
        tx.execute("UPDATE calls SET state = 'talking', outcome = '', ended_at = NULL WHERE id = $1", (row["id"],))
    tx.memory.clear()


class Browser:
    """One logged-in connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._headers = {"Cookie": cookie}

    def get(self, path: str) -> float:
        """Milliseconds until the whole page is there."""
        began = time.perf_counter()
        self._open(path).read()
        return (time.perf_counter() - began) * 1000

    def first_byte(self, path: str) -> float:
        """Milliseconds until the answer's first kilobyte is there; the rest is not waited for."""
        began = time.perf_counter()
        with closing(self._connection):
            self._open(path).read(1024)
            return (time.perf_counter() - began) * 1000

    def lines(self, path: str, seconds: float) -> tuple[int, float]:
        """How many lines come in so many seconds, or in how many they were all there."""
        began, found = time.perf_counter(), -1
        with closing(self._connection):
            answer = self._open(path)
            while (part := answer.read(1 << 16)) and time.perf_counter() - began < seconds:
                found += part.count(b"\n")
        return found, time.perf_counter() - began

    def _open(self, path: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.read(500)!r}")
        return answer


class Load:
    """Page views, changes of calls and questions for the way of a phone call, each at a steady pace."""

    def __init__(self, server: Ctserver, cookie: str, calls: list[str], a_second: float) -> None:
        self._server, self._cookie, self._calls, self._pause = server, cookie, calls, 1 / a_second
        self._began = ids.first(ids.now_ms())
        self.visits, self.refused = 0, 0

    def measure(self, seconds: float) -> dict[str, list[float]]:
        """Milliseconds of each."""
        with self.going_on() as times:
            time.sleep(seconds)
        return times

    @contextlib.contextmanager
    def going_on(self) -> Iterator[dict[str, list[float]]]:
        ended = threading.Event()
        work = {"visit": self._visit(), "call_change": self._change(), "call_route": self._route()}
        times: dict[str, list[float]] = {name: [] for name in work}
        threads = [threading.Thread(target=self._repeat, args=(one, times[name], ended)) for name, one in work.items()]
        for thread in threads:
            thread.start()
        try:
            yield times
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            self.visits += len(times["visit"])

    def lost(self, database: Path) -> list[Figure]:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT COUNT(*) FROM visits WHERE id >= ? AND title = 'bench'", (self._began,))
            written = row.fetchone()[0]
        return [
            Figure("visits", self.visits, "page views written meanwhile, on disk when they were answered"),
            Figure("lost", max(0, self.visits - written), "answered, and not in the database", "= 0", must=True),
            Figure(
                "refused", self.refused, "visits, changes and questions not answered as they should", "= 0", must=True
            ),
        ]

    def _repeat(self, once: Callable[[], bool], times: list[float], ended: threading.Event) -> None:
        due = time.perf_counter()
        while not ended.wait(max(0.0, due - time.perf_counter())):
            began, due = due, due + self._pause  # who comes while another waits, waits too
            if once():
                times.append((time.perf_counter() - began) * 1000)
            else:
                self.refused += 1

    def _visit(self) -> Callable[[], bool]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        address = "http://127.0.0.1:8080/?utm_source=bench"
        page = json.dumps({"s": "demo", "v": "", "u": address, "r": "", "t": "bench", "n": ["main"]})
        headers = {"Origin": "http://127.0.0.1:8080", "User-Agent": BROWSER}
        return lambda: _post(connection, "/v1/visit", page, headers) == 200

    def _change(self) -> Callable[[], bool]:
        """Somebody sets a call's category: the same rows, triggers and counts as an event of the PBX."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        headers = {"Cookie": self._cookie, "Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
        places = iter(range(1 << 30))

        def once() -> bool:
            number = next(places)
            form = urlencode({"csrf": "x", "category": CHANGES[number % len(CHANGES)]})
            path = f"/calls/{self._calls[number % len(self._calls)]}/marks"
            return _post(connection, path, form, headers) in (200, 303)

        return once

    def _route(self) -> Callable[[], bool]:
        """What Asterisk asks before the phone rings."""
        host, _, port = self._server.fastagi.rpartition(":")
        question = _AGI.format(did="+442079460001", caller="+447700900123").encode()

        def once() -> bool:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(question)
                said = b""
                while part := connection.recv(4096):
                    said += part
                    connection.sendall(b"200 result=1\n")
            return b"CT_ROUTE" in said

        return once


class Readers:
    """Two people who read long reports without a pause."""

    def __init__(self, port: int, cookie: str, pages: list[str]) -> None:
        self._ended = threading.Event()
        self.done = 0
        self._threads = [threading.Thread(target=self._read, args=(Browser(port, cookie), pages[n::2])) for n in (0, 1)]

    def _read(self, browser: Browser, pages: list[str]) -> None:
        while not self._ended.is_set():
            browser.get(pages[self.done % len(pages)])
            self.done += 1

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def _post(connection: http.client.HTTPConnection, path: str, body: str, headers: dict[str, str]) -> int:
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
