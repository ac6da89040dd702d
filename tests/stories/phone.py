"""A SIP phone that does what a story tells it, on a UDP port of its own: as much of RFC 3261, 3515 and 3891 as calls
through a PBX on this machine need. One phone holds several calls at once, which transfers and hold take."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

PATIENCE = 60.0  # seconds that a story waits for the other side
KEYS = 101  # the payload type of keys that go with the sound
SILENCE = b"\xff" * 160  # 20 ms of G.711 mu-law


@dataclass(frozen=True)
class Message:
    """A SIP request or response: its first line, its headers, its body."""

    start: str
    headers: list[tuple[str, str]]
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        return cls(
            start, [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)], body
        )

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def method(self) -> str:
        """INVITE, ... of a request; of a response, that of the request."""
        return self.get("CSeq").split()[-1]

    @property
    def status(self) -> int:
        """200, ... of a response; 0 of a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    def bytes(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join([*lines, f"Content-Length: {len(self.body.encode())}"]) + "\r\n\r\n" + self.body).encode()


def tag_of(header: str) -> str:
    found = re.search(r";tag=([^;>]+)", header)
    return found.group(1) if found else ""


def uri_of(header: str) -> str:
    found = re.search(r"<([^>]+)>", header)
    return found.group(1) if found else header.split(";")[0]


@dataclass
class Talk:
    """One of a phone's calls. Each method returns when the PBX has done its part."""

    phone: Phone
    call_id: str
    local: str  # our From or To, with our tag
    remote: str
    target: str  # where requests go
    invite: Message | None = None  # the one that reached us, while it is not answered
    cseq: int = 1
    branch: str = ""
    media: tuple[str, int] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    responses: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    voice: asyncio.Task[None] | None = None

    # ---- a call that came in

    def ring(self) -> None:
        self._respond(180, "Ringing")

    async def answer(self) -> None:
        self._respond(200, "OK", self.phone.sdp(), self.phone.contact)
        await asyncio.sleep(0.1)

    def refuse(self, status: int, words: str = "Refused") -> None:
        """486 busy, 603 declined, 480 unavailable, 503 overloaded, ..."""
        self._respond(status, words)
        self.over.set()

    def forward(self, uri: str) -> None:
        """302: this phone's calls go elsewhere."""
        self._respond(302, "Moved Temporarily", "", ("Contact", f"<{uri}>"))
        self.over.set()

    # ---- a call that we place

    async def status(self, wanted: int, seconds: float = PATIENCE) -> Message:
        """Waits for this response (180, 200, 486, ...)."""
        async with asyncio.timeout(seconds):
            while (response := await self.responses.get()).status != wanted:
                if response.status > 200:
                    raise AssertionError(f"wanted {wanted}, got {response.start}")
        return response

    def cancel(self) -> None:
        self._request("CANCEL", branch=self.branch, cseq=self.cseq)

    # ---- either

    async def hang_up(self) -> None:
        self._request("BYE")
        self._end()
        await asyncio.sleep(0.05)

    async def hold(self) -> None:
        await self._again("sendonly")

    async def resume(self) -> None:
        await self._again("sendrecv")

    async def press(self, keys: str) -> None:
        """Keys as SIP INFO, or in the sound if the phone is one of that kind."""
        for key in keys:
            if self.phone.keys_in_sound:
                assert self.media, "nobody is there"
                await self.phone.send_key(self.media, key)
                continue
            body = f"Signal={key}\r\nDuration=160\r\n"
            self._request("INFO", ("Content-Type", "application/dtmf-relay"), body=body)
            await asyncio.sleep(0.25)

    async def transfer(self, extension: str, instead_of: Talk | None = None) -> None:
        """REFER: blind to an extension, or attended, the extension's call being `instead_of`."""
        uri = f"sip:{extension}@{self.phone.pbx[0]}:{self.phone.pbx[1]}"
        if instead_of:
            ours, theirs = tag_of(instead_of.local), tag_of(instead_of.remote)
            uri += "?Replaces=" + quote(f"{instead_of.call_id};to-tag={theirs};from-tag={ours}", safe="")
        self._request("REFER", self.phone.contact, ("Refer-To", f"<{uri}>"), ("Referred-By", f"<{uri_of(self.local)}>"))
        await asyncio.sleep(0.3)

    def speak(self) -> None:
        """Sends sound (silence), as phones do; without it the network seems to have gone."""
        if self.media:
            self.voice = asyncio.create_task(self.phone.send_sound(self.media))

    async def ended(self, seconds: float = PATIENCE) -> None:
        """Waits until the other side has hung up."""
        await asyncio.wait_for(self.over.wait(), seconds)

    # ---- the protocol

    def take(self, message: Message) -> None:
        if message.status:
            self._response(message)
        elif message.method == "BYE":
            self.phone.reply(message, 200, "OK")
            self._end()
        elif message.method == "CANCEL":
            self.phone.reply(message, 200, "OK")
            if self.invite:
                self._respond(487, "Request Terminated")
            self._end()
        elif message.method == "INVITE":  # of this call: hold, other codecs, another party's name
            self.phone.reply(message, 200, "OK", self.phone.sdp(), self.phone.contact)
        elif message.method != "ACK":
            self.phone.reply(message, 200, "OK")

    def _response(self, message: Message) -> None:
        if message.method != "INVITE":
            if message.status >= 300:
                print(f"{self.phone.user}: {message.method} was answered {message.start}")
            return
        if tag_of(message.get("To")):
            self.remote = message.get("To")
        if message.status >= 200:
            if message.status == 200:
                self.target = uri_of(message.get("Contact"))
                self.media = media_of(message)
            self._request(
                "ACK", branch="" if message.status == 200 else self.branch, cseq=int(message.get("CSeq").split()[0])
            )
            if message.status > 200:
                self.over.set()
        self.responses.put_nowait(message)

    def _end(self) -> None:
        self.over.set()
        if self.voice:
            self.voice.cancel()

    async def _again(self, direction: str) -> None:
        """A re-INVITE with another direction of the sound."""
        self._request("INVITE", self.phone.contact, ("Content-Type", "application/sdp"), body=self.phone.sdp(direction))
        await self.status(200)

    def _respond(self, status: int, words: str, body: str = "", *extra: tuple[str, str]) -> None:
        assert self.invite, "nobody is calling"
        self.phone.reply(self.invite, status, words, body, *extra, tag=tag_of(self.local))
        if status >= 200:
            self.invite = None

    def _request(self, method: str, *extra: tuple[str, str], body: str = "", branch: str = "", cseq: int = 0) -> None:
        if not cseq:
            self.cseq += 1
        if not branch:
            branch = new_branch()
        if method == "INVITE":
            self.branch = branch
        self.phone.request(method, self.target, branch, self, cseq or self.cseq, extra, body)


class Phone(asyncio.DatagramProtocol):
    """Answers as `user` at host:port; everything it sends goes to the PBX at `pbx`."""

    def __init__(self, user: str, host: str, pbx: tuple[str, int]) -> None:
        self.user, self.host, self.pbx = user, host, pbx
        self.port = 0
        self.rtp_port = 0
        self.calls: dict[str, Talk] = {}
        self.seen: dict[str, bytes] = {}  # branch and method of a request -> our last answer
        self.ringing: asyncio.Queue[Talk] = asyncio.Queue()
        self.on_call: Callable[[Talk], None] = self.ringing.put_nowait
        self.keys_in_sound = False  # RFC 4733, instead of SIP INFO
        self.heard = Ear()

    async def open(self, port: int) -> Phone:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, port))
        self.sound, _ = await loop.create_datagram_endpoint(lambda: self.heard, local_addr=(self.host, 0))
        self.port = self.transport.get_extra_info("sockname")[1]
        self.rtp_port = self.sound.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        for talk in self.calls.values():
            talk._end()
        self.transport.close()
        self.sound.close()

    @property
    def contact(self) -> tuple[str, str]:
        return ("Contact", f"<sip:{self.user}@{self.host}:{self.port}>")

    async def called(self, seconds: float = PATIENCE) -> Talk:
        """The next call that reaches this phone, not ringing yet."""
        return await asyncio.wait_for(self.ringing.get(), seconds)

    async def rings(self, seconds: float = PATIENCE) -> Talk:
        """The next call that reaches this phone; it rings."""
        talk = await self.called(seconds)
        talk.ring()
        return talk

    async def picks_up(self, after: float = 1.0) -> Talk:
        """Rings, and is answered after so many seconds."""
        talk = await self.rings()
        await asyncio.sleep(after)
        await talk.answer()
        return talk

    def dial(self, number: str, *headers: tuple[str, str], name: str = "", uri: str = "", called: str = "") -> Talk:
        """Rings `number`, under the name `called`. `uri` is the Request-URI where it differs from To."""
        to = f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}"
        local = f'"{name}" <sip:{self.user}@{self.host}:{self.port}>;tag={secrets.token_hex(6)}'
        talk = Talk(self, secrets.token_hex(12), local, f"{called}<{to}>", uri or to)
        self.calls[talk.call_id] = talk
        talk._request("INVITE", self.contact, *headers, ("Content-Type", "application/sdp"), body=self.sdp())
        return talk

    async def talks_to(self, number: str, *headers: tuple[str, str], name: str = "") -> Talk:
        """Rings `number` and waits for the answer."""
        talk = self.dial(number, *headers, name=name)
        await talk.status(200)
        return talk

    def sdp(self, direction: str = "sendrecv") -> str:
        lines = ["v=0", f"o=- 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0"]
        kinds = f"0 {KEYS}" if self.keys_in_sound else "0"
        lines += [f"m=audio {self.rtp_port} RTP/AVP {kinds}", "a=rtpmap:0 PCMU/8000", f"a={direction}"]
        lines += [f"a=rtpmap:{KEYS} telephone-event/8000", f"a=fmtp:{KEYS} 0-15"] if self.keys_in_sound else []
        return "\r\n".join(lines) + "\r\n"

    # ---- the wire

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return
        message = Message.parse(data)
        if message.status:
            if talk := self.calls.get(message.get("Call-ID")):
                talk.take(message)
            return
        if again := self.seen.get(self._key(message)):  # a repetition: the network may have lost our answer
            self.transport.sendto(again, self.pbx)
            return
        talk = self.calls.get(message.get("Call-ID"))
        if talk:
            talk.take(message)
        elif message.method == "INVITE":
            self._incoming(message)
        elif message.method != "ACK":
            self.reply(message, 200 if message.method == "OPTIONS" else 481, "OK")

    def _incoming(self, invite: Message) -> None:
        local = f"{invite.get('To')};tag={secrets.token_hex(6)}"
        talk = Talk(self, invite.get("Call-ID"), local, invite.get("From"), uri_of(invite.get("Contact")), invite)
        talk.media = media_of(invite)
        self.calls[talk.call_id] = talk
        self.reply(invite, 100, "Trying")
        self.on_call(talk)

    def reply(
        self, request: Message, status: int, words: str, body: str = "", *extra: tuple[str, str], tag: str = ""
    ) -> None:
        to = request.get("To")
        headers = [(name, value) for name, value in request.headers if name.lower() == "via"]
        headers += [("From", request.get("From")), ("To", f"{to};tag={tag}" if tag and not tag_of(to) else to)]
        headers += [(name, request.get(name)) for name in ("Call-ID", "CSeq")]
        headers += [*extra] + ([("Content-Type", "application/sdp")] if body else [])
        if status < 300 and not extra:
            headers.append(self.contact)
        data = Message(f"SIP/2.0 {status} {words}", headers, body).bytes()
        self.seen[self._key(request)] = data
        self.transport.sendto(data, self.pbx)

    def request(
        self,
        method: str,
        target: str,
        branch: str,
        talk: Talk,
        cseq: int,
        extra: tuple[tuple[str, str], ...],
        body: str,
    ) -> None:
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport"),
            ("From", talk.local),
            ("To", talk.remote),
            ("Call-ID", talk.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Max-Forwards", "70"),
            *extra,
        ]
        self.transport.sendto(Message(f"{method} {target} SIP/2.0", headers, body).bytes(), self.pbx)

    @staticmethod
    def _key(request: Message) -> str:
        return f"{request.get('Via')} {request.get('CSeq')}"

    async def send_sound(self, to: tuple[str, int]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            for number in range(1, 60_000):
                stamp = (number * 160).to_bytes(4, "big")
                self.sound.sendto(b"\x80\x00" + number.to_bytes(2, "big") + stamp + b"\0\0\0\1" + SILENCE, to)
                await asyncio.sleep(0.02)

    async def send_key(self, to: tuple[str, int], key: str) -> None:
        """A tenth of a second of this key as telephone-events; the end is said three times, as the packets may be lost."""
        stamp = secrets.token_bytes(4)
        for number in range(8):
            last = 0x80 if number > 4 else 0
            head = bytes([0x80, KEYS | (0x80 if number == 0 else 0)]) + (30_000 + number).to_bytes(2, "big")
            event = bytes(["0123456789*#".index(key), last | 10]) + (160 * min(number + 1, 6)).to_bytes(2, "big")
            self.sound.sendto(head + stamp + b"\0\0\0\1" + event, to)
            await asyncio.sleep(0.02)


class Ear(asyncio.DatagramProtocol):
    """Keeps the sound that comes in: G.711 mu-law, 8000 bytes a second."""

    def __init__(self) -> None:
        self.sound = bytearray()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > 12 and data[1] & 0x7F == 0:
            self.sound += data[12:]


def media_of(message: Message) -> tuple[str, int] | None:
    """Where the other side wants its sound."""
    host = re.search(r"^c=IN IP4 (\S+)", message.body, re.M)
    port = re.search(r"^m=audio (\d+)", message.body, re.M)
    return (host.group(1), int(port.group(1))) if host and port else None


def new_branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)
