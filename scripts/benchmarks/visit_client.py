"""Many browsers at once: closed-loop keep-alive connections that post page views. A process of its own, and light
enough not to be what is measured: requests are formatted before the clock starts, answers are searched, not parsed.

    python -m benchmarks.visit_client PORT CONNECTIONS SECONDS RETURNING      -> one JSON object on standard output
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

ID_LENGTH = 26
VISITOR = re.compile(rb'"v": ?"(\w{26})"')
SHOP = "http://127.0.0.1:8080"
PLACES = ("google", "yandex", "facebook", "newsletter")


class Browser(asyncio.Protocol):
    """One connection. New visitors and returning ones take turns; who returns is the last new one answered here."""

    def __init__(self, number: int, returning: float, until: float) -> None:
        self.until = until
        self.turns = [int((turn + 1) * returning) > int(turn * returning) for turn in range(100)]
        self.turn = number % 100
        self.landings = [request(number * 100 + turn, fresh=True) for turn in range(20)]
        self.pages = [request(number * 100 + turn, fresh=False) for turn in range(20)]
        self.visitor = b""
        self.buffer = b""
        self.sent_at = 0.0
        self.times: list[float] = []
        self.new = 0
        self.refused = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self.fresh = not (self.visitor and self.turns[self.turn % 100])
        before, after = (self.landings if self.fresh else self.pages)[self.turn % 20]
        self.turn += 1
        self.sent_at = time.perf_counter()
        self.transport.write(before + (b"" if self.fresh else self.visitor) + after)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length_at = self.buffer.find(b"Content-Length: ", 0, end)
        if length_at >= 0:
            length = int(self.buffer[length_at + 16 : self.buffer.index(b"\r\n", length_at)])
            if len(self.buffer) < end + 4 + length:
                return
        self._answered(time.perf_counter())

    def _answered(self, now: float) -> None:
        found = VISITOR.search(self.buffer)
        if self.buffer.startswith(b"HTTP/1.1 200") and found:
            self.times.append(now - self.sent_at)
            if self.fresh:
                self.new += 1
                self.visitor = found.group(1)
        else:
            self.refused += 1
        self.buffer = b""
        if now < self.until and not self.refused:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def request(number: int, *, fresh: bool) -> tuple[bytes, bytes]:
    """(all before the visitor's id, all after it), as ct.js sends them.

    A new visitor lands from an advertisement; one who returns comes from another page of the site.
    """
    place = PLACES[number % len(PLACES)]
    query = (
        f"utm_source={place}&utm_medium=cpc&utm_campaign=spring-{number % 50}&utm_term=city+bikes&gclid=Cj0{number:020}"
    )
    landing = f"{SHOP}/demo/bicycles/city?{query}"
    view = {
        "e": "",
        "u": landing if fresh else f"{SHOP}/demo/bicycles/city/model-{number % 97}",
        "r": f"https://www.{place}.com/search?q=bicycle+shop+near+me" if fresh else landing,
        "t": "City bicycles - Lighthouse Bicycles",
        "n": ["main"],
    }
    start = b'{"s":"demo","v":"'
    tail = b'",' + json.dumps(view, separators=(",", ":")).encode()[1:]
    head = [
        "POST /v1/visit HTTP/1.1",
        "Host: 127.0.0.1:8080",
        f"Origin: {SHOP}",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Content-Type: text/plain;charset=UTF-8",
        "Accept: */*",
        f"Referer: {SHOP}/",
        f"Content-Length: {len(start) + (0 if fresh else ID_LENGTH) + len(tail)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + start, tail


async def run(port: int, connections: int, seconds: float, returning: float) -> dict[str, object]:
    """Post for so long; then what was answered, and how long each answer took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    browsers = [Browser(number, returning, began + seconds) for number in range(connections)]
    for browser in browsers:
        await loop.create_connection(lambda browser=browser: browser, "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*(browser.done for browser in browsers)), seconds + 30)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time(),
        "new": sum(browser.new for browser in browsers),
        "refused": sum(browser.refused for browser in browsers),
        "times_ms": [round(1000 * seconds, 3) for browser in browsers for seconds in browser.times],
    }


if __name__ == "__main__":
    found = uvloop.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
    with open(
        sys.stdout.fileno(), "w", closefd=False
    ) as out:  # buffered, even with PYTHONUNBUFFERED: a pipe takes it in pieces
        json.dump(found, out)
