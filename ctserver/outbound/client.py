"""The one HTTP client of everything that leaves ctserver.

It has a limit for everything (time to connect, time in all, size of the answer), follows no redirect, connects to no
private address that the settings do not allow (whatever name led there), and tells no secret in its errors.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import re
import socket
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp

from ctserver import __version__
from ctserver.outbound import GiveUp, OutboundError, Retry

TOTAL_SECONDS = 20.0
CONNECT_SECONDS = 5.0
ANSWER_BYTES = 256 * 1024
WORDS = 300  # characters of an answer that are shown to a person
LONGEST_WAIT = 86_400.0  # seconds; who asks for more is asked again after a day
_PRIVATE = "is a private address"
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. `body` is at most ANSWER_BYTES long; `words` is its beginning, without secrets."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    words: str
    secrets: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Raises Retry: what is not JSON was said by something in between, not by the one we asked."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Retry(f"answered {self.status} with what is not JSON: {self.words or 'nothing'}") from None

    def record(self) -> dict[str, Any]:
        """A JSON object. Raises Retry."""
        found = self.json()
        if not isinstance(found, dict):
            raise Retry(f"answered {self.status} with JSON that is no object: {self.words}")
        return found

    def mask(self, text: object) -> str:
        """Words of the other side, fit to be shown: one line, no secret."""
        return shown(str(text), self.secrets)

    def accept(self) -> Answer:
        """Itself, if it is a success. Raises Retry or GiveUp."""
        if not self.ok:
            raise self.refusal()
        return self

    def refusal(self, words: str = "") -> OutboundError:
        """What a status that is no success means."""
        name = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "?"
        why = f"answered {self.status} {name}" + (f": {words or self.words}" if words or self.words else "")
        if self.status in (408, 425, 429) or self.status >= 500:
            return Retry(why, self.wait())
        if self.status < 400:
            return GiveUp(f"{why} (redirects are not followed)")
        return GiveUp(why, unauthorised=self.status in (401, 403))

    def wait(self) -> float | None:
        """The seconds that it asks us to wait, if it does."""
        return retry_after(self.headers.get("retry-after", ""), datetime.datetime.now(datetime.UTC))


class Client:
    """Asks others over HTTP. `private`: networks that may be reached though they are not public."""

    def __init__(self, private: Iterable[str] = (), *, seconds: float = TOTAL_SECONDS) -> None:
        self._private = tuple(ip_network(network) for network in private)
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        secrets: Iterable[str] = (),
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        data: object = None,
        user: tuple[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever its status. `secrets` are masked in it; `user` is a name and a password.

        Raises Retry when there is no answer, and GiveUp when the address may not be asked.
        """
        hidden = tuple(secret for secret in secrets if secret)
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = aiohttp.encode_basic_auth(*user)
            hidden += (user[1], sent["Authorization"].removeprefix("Basic "))
        try:
            async with self._open().request(
                method,
                url,
                headers=sent,
                params=params,
                json=json,
                data=data,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(seconds or self._seconds, sock_connect=CONNECT_SECONDS),
            ) as answer:
                return await _read(answer, hidden)
        except TimeoutError:
            raise Retry(f"no answer within {seconds or self._seconds:g} s") from None
        except aiohttp.InvalidURL:
            raise GiveUp("the address cannot be used") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, hidden) from None

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._socket, limit=50),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"ctserver/{__version__}", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        """Called for each address that is about to be connected to: after DNS, so that no name leads round it."""
        family, kind, protocol, _, where = address
        if not self._allowed(where[0]):
            raise PermissionError(f"{where[0]} {_PRIVATE} that [outbound] private_networks does not name")
        return socket.socket(family, kind, protocol)

    def _allowed(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        return public(address) or any(_inner(address) in network for network in self._private)


def public(address: IPv4Address | IPv6Address) -> bool:
    """Is it an address that anyone on the Internet could reach? One inside another counts as the inner one."""
    inner = _inner(address)
    return inner.is_global and not inner.is_multicast


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def retry_after(text: str, now: datetime.datetime) -> float | None:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110, 10.2.3). None: it says nothing we understand."""
    if re.fullmatch(r"\d{1,9}", text.strip()):
        return min(float(text), LONGEST_WAIT)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        when = email.utils.parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
        return min(max((when - now).total_seconds(), 0.0), LONGEST_WAIT)
    return None


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """The beginning of what another said, as one line and without the secrets, however they are written."""
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= WORDS else line[: WORDS - 1] + "…"


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]} - {""}


async def _read(answer: aiohttp.ClientResponse, secrets: tuple[str, ...]) -> Answer:
    body = bytearray()
    while len(body) < ANSWER_BYTES:
        if not (piece := await answer.content.read(ANSWER_BYTES - len(body))):
            break
        body += piece
    else:
        answer.close()  # the rest is not wanted
    headers = {name.lower(): value for name, value in answer.headers.items()}
    plain = _unpacked(bytes(body), headers.get("content-encoding", ""))
    words = shown(plain[: 20 * WORDS].decode("utf-8", "replace"), secrets)
    return Answer(answer.status, headers, plain, words, secrets)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Some compress though nobody asked for it; as much of it as is read of others."""
    if encoding.lower() not in ("gzip", "deflate"):
        return body
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, ANSWER_BYTES)
    return body


def _failure(error: aiohttp.ClientError | OSError, secrets: tuple[str, ...]) -> OutboundError:
    """No answer: why, in words."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    text = shown(str(cause), secrets) or type(error).__name__
    if _PRIVATE in text:
        return GiveUp(text)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Retry(f"its certificate is not good: {shown(str(error.certificate_error), secrets)}")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return Retry(f"TLS failed: {text}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Retry(f"the name {error.host} is not known: {text}")
    return Retry(f"no connection: {text}" if isinstance(error, aiohttp.ClientConnectorError) else text)
