"""Many browsers at once: closed-loop keep-alive connections that post page views. A process of its own, and light
enough not to be what is measured: requests are formatted before the clock starts, answers are searched, not parsed.

    python -m benchmarks.visit_client PORT CONNECTIONS SECONDS RETURNING      -> one JSON object on standard output
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

ID_LENGTH = 26
VISITOR = b'"v": "'
PLACES = ("google", "yandex", "facebook", "newsletter")


class Browser(asyncio.Protocol):
    """One connection. New visitors and returning ones take turns; who returns is the last new one answered here."""

    def __init__(self, number: int, returning: float, until: float) -> None:
        self.until = until
        self.turns = [int((turn + 1) * returning) > int(turn * returning) for turn in range(100)]
        self.turn = number % 100
        self.requests = [request(number * 100 + turn) for turn in range(20)]
        self.visitor = b""
        self.buffer = b""
        self.sent_at = 0.0
        self.times: list[float] = []
        self.new = 0
        self.refused = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        head, fresh, tail = self.requests[self.turn % len(self.requests)]
        comes_back = self.turns[self.turn % 100] and self.visitor
        self.fresh = not comes_back
        self.turn += 1
        self.sent_at = time.perf_counter()
        self.transport.write(head + (b'"v":"' + self.visitor + b'"' if comes_back else fresh) + tail)

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
        at = self.buffer.find(VISITOR)
        if self.buffer.startswith(b"HTTP/1.1 200") and at > 0:
            self.times.append(now - self.sent_at)
            if self.fresh:
                self.new += 1
                self.visitor = self.buffer[at + len(VISITOR) : at + len(VISITOR) + ID_LENGTH]
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


def request(number: int) -> tuple[bytes, bytes, bytes]:
    """(head and body up to the visitor, the field of a new visitor, the rest of the body), as ct.js sends them.

    The two kinds are equally long: a new visitor's empty id is filled up with blanks.
    """
    place = PLACES[number % len(PLACES)]
    query = (
        f"utm_source={place}&utm_medium=cpc&utm_campaign=spring-{number % 50}&utm_term=city+bikes&gclid=Cj0{number:020}"
    )
    start = b'{"s":"demo",'
    fresh = b'"v":""' + b" " * ID_LENGTH
    rest = {
        "e": "",
        "u": f"http://127.0.0.1:8080/demo/bicycles/city?{query}",
        "r": f"https://www.{place}.com/search?q=bicycle+shop+near+me",
        "t": "City bicycles - Lighthouse Bicycles",
        "n": ["main"],
    }
    tail = b"," + json.dumps(rest, separators=(",", ":")).encode()[1:]
    head = [
        "POST /v1/visit HTTP/1.1",
        "Host: 127.0.0.1:8080",
        "Origin: http://127.0.0.1:8080",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Content-Type: text/plain;charset=UTF-8",
        "Accept: */*",
        "Referer: http://127.0.0.1:8080/",
        f"Content-Length: {len(start) + len(fresh) + len(tail)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + start, fresh, tail


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
    print(json.dumps(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))))
