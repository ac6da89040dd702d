"""What everything that leaves ctserver obeys: a message or a fact is handed to the other side, which takes it, or asks
for patience, or refuses.

    OutboundError
        Retry      not now: the other side is away, slow, or asks to wait
        GiveUp     never: the same again would be refused again
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDictProxy


class OutboundError(Exception):
    """Why something was not delivered, in the other side's words. Holds no secret."""


class Retry(OutboundError):
    """Try again, `after` seconds from now if the other side named a time."""

    def __init__(self, why: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(why)


class GiveUp(OutboundError):
    """Do not try this one again. `unauthorised`: our key or password was refused, so the next one would be too."""

    def __init__(self, why: str, *, unauthorised: bool = False) -> None:
        self.unauthorised = unauthorised
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Button:
    """Something a person can do from a message: `url` is opened."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """Words for one person or group.

    `id` stays the same over all tries; `to` is written as the channel wants it (E.164, an e-mail address, a chat id,
    or "" where the channel has one fixed place). `text` is plain; `short` fits into as few SMS as the template allows.
    """

    id: str
    to: str
    subject: str
    text: str
    short: str = ""
    html: str = ""
    attachment: Path | None = None
    buttons: tuple[Button, ...] = ()


class Channel(Protocol):
    """A way to tell a person something."""

    async def send(self, message: Message) -> str:
        """The other side's words when it took the message. Raises Retry or GiveUp."""

    async def close(self) -> None:
        """Give back connections."""


# ---- HTTP


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, at most as long as was asked for."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds that Retry-After asks for, written as a number or as a date."""
        return seconds_of(self.headers.get("Retry-After", ""))


def seconds_of(retry_after: str, now: datetime | None = None) -> float | None:
    """Of a Retry-After header; None if there is none or it cannot be read."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(retry_after)) if retry_after else None
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None


class PrivateAddress(OSError):
    """An address of this machine or of a private network, where none is allowed."""


def is_private(address: str) -> bool:
    """Is this IP address one that the internet does not route? Also when it is hidden inside an IPv6 address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or _nat64(found)
        if inner is not None:
            found = inner
    return not found.is_global or found.is_multicast or found.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _guarded(info: Any) -> socket.socket:
    """A socket for this very address (the one that is connected to, whatever a name resolved to before)."""
    family, kind, protocol, _, address = info
    if is_private(address[0]):
        raise PrivateAddress(f"{address[0]} is not a public address")
    return socket.socket(family, kind, protocol)


class HttpClient:
    """The one HTTP client: no redirects, no proxies, no compressed answers; every request has a timeout and a limit.

    Make it inside a running loop.
    """

    def __init__(self) -> None:
        self._open = _session(None)
        self._guarded = _session(_guarded)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | aiohttp.FormData | None = None,
        timeout: float = 20,
        max_bytes: int = 64 * 1024,
        allow_private: bool = True,
    ) -> Answer:
        """The answer, whatever its status. Raises Retry if there is none, GiveUp if the address may not be used."""
        session = self._open if allow_private else self._guarded
        try:
            async with session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(timeout),
            ) as response:
                return Answer(response.status, response.headers, await _read(response, max_bytes))
        except aiohttp.InvalidURL:
            raise GiveUp("the address cannot be read") from None
        except TimeoutError:
            raise Retry(f"no answer within {timeout:.0f} s") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PrivateAddress):
                raise GiveUp(f"{error.os_error}, and private addresses are not allowed here") from None
            raise Retry(f"cannot connect to {error.host}: {error.os_error.strerror or error.os_error}") from None
        except PrivateAddress as error:
            raise GiveUp(f"{error}, and private addresses are not allowed here") from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise Retry(f"the connection broke: {type(error).__name__}") from None

    async def close(self) -> None:
        await self._open.close()
        await self._guarded.close()


def _session(socket_factory: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=200, socket_factory=socket_factory, happy_eyeballs_delay=None)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
    )


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """At most so many bytes; the connection is closed when there are more."""
    found = b""
    while len(found) < most:
        part = await response.content.read(most - len(found))
        if not part:
            return found
        found += part
    response.close()
    return found
