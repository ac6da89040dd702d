"""Real callers and phones: SIPp with real audio. Tones are G.711 mu-law files, so that no raw sockets are needed."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PATIENCE

HERE = Path(__file__).parent
RATE = 8000


def tone(path: Path, hertz: float, seconds: float = 1.0, amplitude: float = 0.5) -> Path:
    """A sine as raw mu-law; whole periods, so that it can be repeated without a click."""
    step = 2 * math.pi * hertz / RATE
    path.write_bytes(bytes(ulaw(int(32767 * amplitude * math.sin(step * n))) for n in range(int(RATE * seconds))))
    return path


def ulaw(sample: int) -> int:
    """G.711 mu-law of a 16-bit sample."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


@dataclass(frozen=True)
class Outcome:
    """What SIPp says of its calls: how many succeeded, and the first INVITE's way as (seconds, message) pairs."""

    status: int
    trace: list[tuple[float, str]]
    output: str

    def seconds_to(self, response: int) -> float | None:
        """From the first INVITE sent to the first such response."""
        invite = next((at for at, text in self.trace if text.startswith("INVITE")), None)
        found = next((at for at, text in self.trace if text.startswith(f"SIP/2.0 {response}")), None)
        return found - invite if invite is not None and found is not None else None


class Phone:
    """A SIPp that answers calls at 127.0.0.1:port until it is closed."""

    def __init__(
        self,
        folder: Path,
        port: int,
        tone_file: Path,
        *,
        ring_ms: int = 500,
        rtp_port: int = 30000,
        template: str = "callee.xml",
    ) -> None:
        self.folder = folder
        scenario = _fill(template, folder / f"callee-{port}.xml", {"TONE": str(tone_file), "RING_MS": str(ring_ms)})
        self.trace_file = folder / f"callee-{port}.log"
        self.process = subprocess.Popen(
            [
                *("sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port), "-nostdin"),
                *("-mp", str(rtp_port)),
                *("-trace_msg", "-message_file", str(self.trace_file)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        self._until_it_listens(port)

    def _until_it_listens(self, port: int) -> None:
        end = time.monotonic() + PATIENCE
        while f":{port:04X} " not in Path("/proc/net/udp").read_text(encoding="ascii"):
            assert self.process.poll() is None, "SIPp has ended"
            assert time.monotonic() < end, "SIPp does not listen"
            time.sleep(0.02)

    def rang(self) -> int:
        """How many different calls have reached it."""
        text = self.trace_file.read_text(encoding="utf-8", errors="replace") if self.trace_file.exists() else ""
        blocks = re.split(r"^-{20,}.*$", text, flags=re.M)
        invites = [block for block in blocks if "message received" in block and "\nINVITE " in block]
        return len({found.group(1) for block in invites if (found := re.search(r"^Call-ID: *(\S+)", block, re.M))})

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


async def call(
    folder: Path,
    sip_port: int,
    number: str,
    tone_file: Path,
    *,
    talk_ms: int = 4000,
    caller: str = "+447700900111",
    name: str = "Caller",
    port: int = 5199,
    rtp_port: int = 32000,
    timeout: float = 40,
) -> Outcome:
    """Place one call and wait for its end."""
    values = {"TONE": str(tone_file), "TALK_MS": str(talk_ms), "CALLER": caller, "NAME": name}
    scenario = _fill("caller.xml", folder / f"caller-{port}.xml", values)
    trace = folder / f"caller-{port}.log"
    trace.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(scenario), "-s", number, f"127.0.0.1:{sip_port}", "-i", "127.0.0.1", "-p", str(port)),
        *("-m", "1", "-nostdin", "-mp", str(rtp_port)),
        *("-trace_msg", "-message_file", str(trace), "-timeout", f"{int(timeout)}s"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.communicate()
        raise
    return Outcome(process.returncode or 0, _trace(trace), output.decode(errors="replace")[-3000:])


async def crowd(
    folder: Path,
    sip_port: int,
    number: str,
    tone_file: Path,
    template: str,
    callers: list[str],
    *,
    talk_ms: int,
    every_ms: int,
    port: int,
    rtp_port: int,
) -> int:
    """Each of these callers rings once, one every so many ms; how many of them lived what the scenario `template` says."""
    values = {"TONE": str(tone_file), "TALK_MS": str(talk_ms), "CALLER": "[field0]", "NAME": "Caller"}
    scenario = _fill(template, folder / f"crowd-{port}.xml", values)
    who = folder / f"crowd-{port}.csv"
    who.write_text("SEQUENTIAL\n" + "".join(f"{caller};\n" for caller in callers), encoding="utf-8")
    screen = folder / f"crowd-{port}.log"
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(scenario), "-s", number, f"127.0.0.1:{sip_port}", "-i", "127.0.0.1", "-p", str(port)),
        *("-inf", str(who), "-m", str(len(callers)), "-r", "1", "-rp", str(every_ms), "-nostdin", "-mp", str(rtp_port)),
        *("-trace_screen", "-screen_file", str(screen), "-timeout", "60s"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    await process.wait()
    text = screen.read_text(encoding="utf-8", errors="replace")
    return int(re.findall(r"Successful call +\| +\d+ +\| +(\d+)", text)[-1])


def _fill(template: str, target: Path, values: dict[str, str]) -> Path:
    text = (HERE / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    target.write_text(text, encoding="utf-8")
    return target


def _trace(file: Path) -> list[tuple[float, str]]:
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    found = re.findall(r"^-+ \d{4}-\d\d-\d\d\s+(\d\d):(\d\d):(\d\d\.\d+)[^\n]*\n[^\n]*:\n\n([^\n]*)", text, flags=re.M)
    return [
        (int(hours) * 3600 + int(minutes) * 60 + float(seconds), line.strip())
        for hours, minutes, seconds, line in found
    ]
