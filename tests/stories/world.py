"""Where the stories play: the demo PBX with phones, a queue and transfers, a ctserver that routes, and a trunk."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Self

import aiohttp

from tests.e2e.conftest import Stack
from tests.stories.phone import Phone

OVERLAY = Path(__file__).parent / "asterisk"
PHONES = ("alice", "bob", "carol")
CALLER = "+447700900123"
MUSIC_HERTZ = 700

TOML = """
[server]
listen = "127.0.0.1:{web}"
public_url = "http://127.0.0.1:{web}"
country = "GB"
demo = true
[database]
path = "ctserver.db"
[fastagi]
listen = "127.0.0.1:{fastagi}"
[recordings]
folder = "recordings"
min_free_mb = 0
[[asterisk]]
ami = "127.0.0.1:{ami}"
ami_secret_file = "ami-secret"
[sites.shop]
domains = ["127.0.0.1"]
serve_bots = true
number = "+44 20 7946 0000"
line = "alice"
[lines.alice]
dial = "PJSIP/alice"
ring_seconds = 4
[lines.group]
dial = "PJSIP/alice&PJSIP/bob"
ring_seconds = 4
[lines.sequence]
dial = "Local/200@company"
ring_seconds = 15
[lines.queue]
dial = "Local/300@company"
ring_seconds = 15
[lines.gone]
dial = "PJSIP/dave"
ring_seconds = 4
[lines.message]
dial = "PJSIP/alice"
ring_seconds = 2
missed = "voicemail"
voicemail_sound = "beep"
voicemail_seconds = 10
[lines.closed]
dial = "PJSIP/alice"
hours = "24/7 off"
closed_sound = "beep"
[lines.menu]
dial = "PJSIP/bob"
ring_seconds = 4
greeting = "beep"
[lines.menu.menu]
sound = "beep"
seconds = 3
tries = 2
wrong_sound = "beep"
[lines.menu.menu.keys]
1 = "alice"
[lines.sales]
queue = "sales"
ring_seconds = 8
[lines.mixed]
dial = ["PJSIP/alice", "PJSIP/bob"]
ring_seconds = 2
[calls]
default_line = "gone"
[callers]
blocked = ["+44 7700 900666"]
[callbacks]
dial = "PJSIP/ct-out/sip:{{number}}@@CAROL@"
sites = ["shop"]
ring_seconds = 5
announcement = "beep"
"""
NUMBERS = {line: f"+4420794601{number:02}" for number, line in enumerate(re.findall(r"^\[lines\.(\w+)\]", TOML, re.M))}
TOML += "".join(
    f'[static.{line}]\nnumber = "{number}"\nsite = "shop"\nsource = "{line}"\nline = "{line}"\n'
    for line, number in NUMBERS.items()
)
TOML += """
[sites.asked]
domains = ["asked.example"]
number = "+44 20 7946 0001"
line = "alice"
[sites.asked.after_call]
keys = {{1 = "order"}}
[static.asked]
number = "+44 20 7946 0300"
site = "asked"
source = "asked"
"""
NUMBERS["asked"] = "+442079460300"


class World(Stack):
    """Asterisk, ctserver, three phones and a trunk. A story has `trunk`, `phones` and `numbers`, one for each line."""

    toml = TOML
    numbers = NUMBERS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        net = f"127.{os.getpid() >> 8 & 127 | 128}.{os.getpid() & 255}"  # several recorders may run at once
        pbx = ("127.0.0.1", self.ports["sip"])
        self.phones = {name: Phone(name, f"{net}.{number}", pbx) for number, name in enumerate(PHONES, 11)}
        self.trunk = Phone(CALLER, "127.0.0.1", pbx)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """From the first test of a module to the last."""
        try:
            await self.open()
            yield self
        finally:
            await self.close()

    @contextlib.asynccontextmanager
    async def one_test(self) -> AsyncIterator[None]:
        """What came before is forgotten, and nobody speaks when it is over."""
        self.forget()
        yield
        await asyncio.to_thread(self.pbx.cli, "channel request hangup all")
        await self.quiet()

    async def open(self) -> None:
        for phone in self.phones.values():
            await phone.open(udp_port(phone.host))
        await self.trunk.open(0)
        await asyncio.to_thread(self.start_pbx)
        await asyncio.to_thread(self.start_server)
        await self.healthy()

    async def close(self) -> None:
        for phone in (*self.phones.values(), self.trunk):
            phone.close()
        await asyncio.to_thread(self.stop)

    def configure_pbx(self) -> None:
        """The demo's configuration with ours behind it. Carol's phone is also the visitor's who asks to be called."""
        carol = self.phones["carol"]
        text = self.config.read_text(encoding="utf-8").replace("@CAROL@", f"{carol.host}:{carol.port}")
        self.config.write_text(text, encoding="utf-8")
        super().configure_pbx()
        values = {"RTP_TIMEOUT": "3", "MUSIC": str(self.make_music())}
        for name, phone in self.phones.items():
            values |= {name.upper(): f"{phone.host}:{phone.port}", f"{name.upper()}_HOST": phone.host}
        for template in OVERLAY.glob("*.conf"):
            text = re.sub(r"@([A-Z_]+)@", lambda found: values[found.group(1)], template.read_text(encoding="utf-8"))
            with (self.pbx.etc / template.name).open("a", encoding="utf-8") as out:
                out.write(text)

    def make_music(self) -> Path:
        """The folder of the class of music `tones`: one tone."""
        folder = self.folder / "music"
        folder.mkdir(exist_ok=True)
        step = 2 * math.pi * MUSIC_HERTZ / 8000
        with wave.open(str(folder / "tone.wav"), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(
                b"".join(round(9000 * math.sin(step * n)).to_bytes(2, "little", signed=True) for n in range(16_000))
            )
        return folder

    def forget(self) -> None:
        """No call of an earlier story is left on the phones."""
        for phone in (*self.phones.values(), self.trunk):
            phone.ringing = asyncio.Queue()
            phone.on_call = phone.ringing.put_nowait
        self.trunk.user = CALLER

    def pbx_log(self) -> str:
        """The end of Asterisk's log."""
        return (self.pbx.folder / "log" / "full.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The first user, logged in."""
        name, password = self.login()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            form = {"login": name, "password": password, "csrf": _csrf(await self.page(client, "/login"))}
            async with client.post(f"{self.url}/login", data=form):
                yield client

    async def page(self, client: aiohttp.ClientSession, path: str) -> str:
        async with client.get(self.url + path) as answer:
            assert answer.status == 200, path
            return await answer.text()

    async def ring_back(self, caller: str) -> None:
        """Somebody clicks on the number of a call in the dashboard."""
        (call,) = await self.eventually("SELECT id FROM calls WHERE caller = ? AND state = 'ended'", caller)
        async with self.session() as client:
            form = {"csrf": _csrf(await self.page(client, "/"))}
            async with client.post(f"{self.url}/calls/{call['id']}/callback", data=form) as answer:
                assert answer.status == 200, await answer.text()

    async def quiet(self, seconds: float = 60) -> None:
        """Waits until no channel is left."""
        async with asyncio.timeout(seconds):
            while "0 active channels" not in await asyncio.to_thread(self.pbx.cli, "core show channels count"):
                await asyncio.sleep(0.2)


def _csrf(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]*)"', html)
    return found.group(1) if found else ""


def udp_port(host: str) -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
