"""Calls through [ct-inbound] with a running ctserver against a bare `MixMonitor + Dial` with none, on one Asterisk, to
one SIPp phone, rounds in turn. Every call must be in the journal, answered.

Three kinds of rounds:

- at a fixed rate with audio: post-dial delay, ctserver's CPU per call;
- at full speed, a fixed number of callers who ring again as soon as they have hung up, silent and at once answered: calls a
  second when the machine is full (`calls_ratio`). Nothing but work per call, which nobody's telephone ever sees;
- calls that talk for a while, with audio both ways, so that MixMonitor has something to record: CPU per call, Asterisk's and
  ctserver's (`talking_cpu_ratio`). On a machine that is not full: on a full one audio comes late or never, so that a call costs
  less the worse it sounds.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pbx

from benchmarks.common import Ctserver, Figure, cpu_seconds, free_port, percentile

ABOUT = "post-dial delay, calls a second and CPU of [ct-inbound] against a bare MixMonitor + Dial"
HERE = Path(__file__).parent
DID = "+442079460101"
RTP = {"asterisk": (21000, 24999), "phone": (25000, 27999), "caller": (28000, 30999)}
WARM_UP_CALLS = 10

BARE = """
[bare-inbound]
exten => _[+0-9].,1,MixMonitor(,br({recordings}/${{UNIQUEID}}-caller.wav)t({recordings}/${{UNIQUEID}}-company.wav))
 same => n,Dial({dial},30,g)
 same => n,Hangup()
"""
BARE_TRUNK = """
[bare-trunk]
type = endpoint
context = bare-inbound
disallow = all
allow = alaw,ulaw
direct_media = no
rtp_symmetric = yes
allow_transfer = no
identify_by = ip

[bare-trunk]
type = identify
endpoint = bare-trunk
match = 127.0.0.1:{bare}
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="let Asterisk log every dialplan step, as the demo does")
    parser.add_argument("--rounds", type=int, default=4, help="of each dialplan and each kind, in turn")
    parser.add_argument("--rate", type=int, default=20, help="calls a second in rounds of a fixed rate")
    parser.add_argument("--calls", type=int, default=140, help="in each round of a fixed rate")
    parser.add_argument("--talk-ms", type=int, default=1000, help="how long those calls talk")
    parser.add_argument("--long-talk-ms", type=int, default=20_000, help="how long calls of talking rounds talk")
    parser.add_argument("--talk-rounds", type=int, default=2, help="of each dialplan, with calls that talk")
    parser.add_argument("--talk-calls", type=int, default=60, help="in each of these rounds")
    parser.add_argument("--talk-rate", type=int, default=4, help="such calls a second")
    parser.add_argument("--callers", type=int, default=24, help="at once, in rounds at full speed")
    parser.add_argument("--full-calls", type=int, default=500, help="in each round at full speed")


@dataclass
class Side:
    """One of the two dialplans, and what its rounds gave."""

    name: str
    port: int
    delays: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    placed: int = 0
    failed: int = 0
    asterisk_cpu: float = 0.0
    ctserver_cpu: float = 0.0
    measured: int = 0
    talking_cpu: list[float] = field(default_factory=list)
    full_calls: int = 0
    full_asterisk_cpu: float = 0.0
    full_ctserver_cpu: float = 0.0
    full_sipp_cpu: float = 0.0

    def per_full_call(self, seconds: float) -> float:
        """Milliseconds for each call at full speed."""
        return 1000 * seconds / self.full_calls


class Bench:
    """The machinery: Asterisk, phones, ctserver, callers."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.sip_port = free_port(socket.SOCK_DGRAM)
        self.phone_ports = {"talk": free_port(socket.SOCK_DGRAM), "full": free_port(socket.SOCK_DGRAM)}
        self.ours = Side("ctserver", free_port(socket.SOCK_DGRAM))
        self.bare = Side("bare", free_port(socket.SOCK_DGRAM))
        self.recordings = folder / "recordings"
        secret = folder / "ami-secret"
        ports = pbx.Ports(self.sip_port, free_port(), *RTP["asterisk"])
        dial = f"PJSIP/ct-out/sip:phone@127.0.0.1:{self.phone_ports['talk']}"
        self.exchange = pbx.Pbx(folder / "pbx", pbx.obtain(lambda _: None), ports)
        self.exchange.extra_dialplan = BARE.format(recordings=self.recordings, dial=dial)
        self.exchange.secret(secret)
        self.server = Ctserver(
            folder,
            {
                "asterisk.pbx.ami": f"127.0.0.1:{ports.ami}",
                "asterisk.pbx.ami_secret_file": str(secret),
                "lines.office.dial": dial,
            },
        )
        self.recordings.mkdir()
        self.server.dialplan(folder / "asterisk")
        self.exchange.write(secret.read_text(encoding="utf-8").strip(), folder / "asterisk")
        self._two_trunks()
        if not options.verbose:
            self._quiet()
        (folder / "tone.ul").write_bytes(bytes([0x0E, 0x2A, 0x8E, 0xAA]) * 2000)

    def _two_trunks(self) -> None:
        """The caller's port tells which dialplan he meets."""
        file = self.exchange.etc / "pjsip.conf"
        text = file.read_text(encoding="utf-8")
        text = text.replace("match = 127.0.0.1\n", f"match = 127.0.0.1:{self.ours.port}\n")
        file.write_text(text + BARE_TRUNK.format(bare=self.bare.port), encoding="utf-8")

    def _quiet(self) -> None:
        """Asterisk's own default: no line in a log for every step of the dialplan."""
        for name, line in (
            ("asterisk.conf", "verbose = 3\n"),
            ("logger.conf", "full.log => notice,warning,error,verbose(3)\n"),
        ):
            file = self.exchange.etc / name
            text = file.read_text(encoding="utf-8")
            if line not in text:
                raise RuntimeError(f"{name} of the demo PBX has no line {line!r} any more")
            file.write_text(text.replace(line, ""), encoding="utf-8")

    def phone(self, *, ring_ms: int) -> subprocess.Popen[bytes]:
        speak = self._speak() if ring_ms else ""
        scenario = self._scenario("phone.xml", {"RING_MS": str(ring_ms), "SPEAK": speak})
        low, _ = RTP["phone"]
        command = ["sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(self.phone_ports["talk"]), "-nostdin"]
        command += ["-mp", str(low)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def steady(self, side: Side, *, measured: bool = True) -> None:
        """A round at the fixed rate, with audio."""
        options = self.options
        calls = options.calls if measured else WARM_UP_CALLS
        before = self._cpu(side)
        delays, _ = self._place(side, calls, ["-r", str(options.rate)], talk_ms=options.talk_ms, audio=True)
        self._settle()
        if measured:
            after = self._cpu(side)
            side.asterisk_cpu += after[0] - before[0]
            side.ctserver_cpu += after[1] - before[1]
            side.measured += len(delays)
            side.delays += delays

    def talking(self, side: Side) -> None:
        """A round of calls that talk; all that they cost, from the first INVITE to the last joined recording."""
        options = self.options
        before = sum(self._cpu(side))
        rate = ["-r", str(options.talk_rate)]
        _, ends = self._place(side, options.talk_calls, rate, talk_ms=options.long_talk_ms, audio=True)
        self._settle()
        side.talking_cpu.append((sum(self._cpu(side)) - before) / len(ends))

    def full(self, side: Side, phone: int) -> None:
        """A round of callers who ring again at once, to the phone with this process id."""
        options = self.options
        before, sipp_before = self._cpu(side), _sipp_cpu(phone)
        limits = ["-r", "2000", "-l", str(options.callers)]
        _, ends = self._place(side, options.full_calls, limits, talk_ms=0, audio=False)
        steady = ends[len(ends) // 10 :]
        side.rates.append((len(steady) - 1) / (steady[-1] - steady[0]))
        side.full_sipp_cpu += _sipp_cpu(phone) - sipp_before
        self._settle()
        after = self._cpu(side)
        side.full_asterisk_cpu += after[0] - before[0]
        side.full_ctserver_cpu += after[1] - before[1]
        side.full_calls += len(ends)

    def _place(
        self, side: Side, calls: int, limits: list[str], *, talk_ms: int, audio: bool
    ) -> tuple[list[float], list[float]]:
        """(post-dial delays in ms, the times in seconds at which calls ended)."""
        speak = self._speak() if audio else ""
        scenario = self._scenario("caller.xml", {"TALK_MS": str(talk_ms), "SPEAK": speak})
        trace = self.folder / "caller.csv"
        trace.unlink(missing_ok=True)
        low, _ = RTP["caller"]
        command = ["sipp", "-sf", str(scenario), "-s", DID, f"127.0.0.1:{self.sip_port}", "-i", "127.0.0.1"]
        command += [
            "-p",
            str(side.port),
            "-m",
            str(calls),
            *limits,
            "-nostdin",
            "-trace_shortmsg",
            "-shortmessage_file",
            str(trace),
        ]
        command += ["-mp", str(low), "-timeout", "120s"]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        delays, ends = _trace(trace)
        side.placed += calls
        side.failed += calls - len(ends)
        if not ends:
            output = done.stdout.decode(errors="replace")[-600:]
            raise RuntimeError(f"no call came through the {side.name} dialplan; SIPp said:\n{output}")
        return delays, ends

    def _speak(self) -> str:
        return f'<nop><action><exec rtp_stream="{self.folder / "tone.ul"},-1,0"/></action></nop>'

    def _scenario(self, template: str, values: dict[str, str]) -> Path:
        text = (HERE / template).read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        target = self.folder / template
        target.write_text(text, encoding="utf-8")
        return target

    def _cpu(self, side: Side) -> tuple[float, float]:
        process = self.exchange.process
        if process is None:
            raise RuntimeError("Asterisk is not running")
        return cpu_seconds(process.pid), cpu_seconds(self.server.pid) if side is self.ours else 0.0

    def _settle(self, seconds: float = 20) -> None:
        """Until Asterisk has no calls, and ctserver has dealt with their recordings."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.5)
            if "0 active channels" in self.exchange.cli("core show channels count") and not self.waiting():
                return

    def waiting(self) -> int:
        if not self.server.database.exists():
            return 0
        return self.count("SELECT COUNT(*) FROM recordings WHERE state = 'waiting'") + self.count(
            "SELECT COUNT(*) FROM calls WHERE state <> 'ended'"
        )

    def count(self, sql: str) -> int:
        with contextlib.closing(sqlite3.connect(self.server.database, timeout=5)) as connection:
            return int(connection.execute(sql).fetchone()[0])


def _sipp_cpu(phone: int) -> float:
    """User and system time of the phone and of all callers that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu_seconds(phone) + ended.ru_utime + ended.ru_stime


def _trace(file: Path) -> tuple[list[float], list[float]]:
    """(ms from each INVITE sent to its 180, the times in seconds at which calls ended).

    From SIPp's short message log, in microseconds; its own response times are counted in steps of 4 ms.
    """
    began: dict[str, float] = {}
    delays: dict[str, float] = {}
    ended: dict[str, float] = {}
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            _, _, at, way, call, sequence, first = line.rstrip("\n").split("\t", 6)
            seconds = float(at.split()[-1])
            if way == "S" and first.startswith("INVITE"):
                began.setdefault(call, seconds)
            elif way == "R" and first.startswith("SIP/2.0 180") and call in began:
                delays.setdefault(call, 1000 * (seconds - began[call]))
            elif way == "R" and first.startswith("SIP/2.0 200") and sequence.endswith("BYE"):
                ended.setdefault(call, seconds)
    return list(delays.values()), sorted(ended.values())


def run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Figure]:
    """Raises RuntimeError."""
    if not shutil.which("sipp"):
        pbx.install(["sip-tester"], "to place calls", say)
    with tempfile.TemporaryDirectory(prefix="ctserver-bench-") as name, contextlib.ExitStack() as ends:
        bench = Bench(Path(name), options)
        ends.callback(bench.server.stop)
        ends.callback(bench.exchange.stop)
        bench.exchange.start()
        _rounds(bench, options.rounds, say)
        bench.server.stop()
        return _figures(bench)


def _rounds(bench: Bench, rounds: int, say: Callable[[str], None]) -> None:
    """Bare rounds have no ctserver beside them: nobody reads Asterisk's events then."""
    for number in range(rounds):
        for side in (bench.ours, bench.bare) if number % 2 else (bench.bare, bench.ours):
            if side is bench.ours:
                bench.server.start()
            with _phone(bench, ring_ms=500):
                bench.steady(side, measured=False)
                bench.steady(side)
                if number < bench.options.talk_rounds:
                    bench.talking(side)
            with _phone(bench, ring_ms=0) as phone:
                bench.full(side, phone)
            if side is bench.ours:
                bench.server.stop()
        say(
            f"round {number + 1} of {rounds}: delay p50 so far {percentile(bench.ours.delays, 50):.1f} ms, "
            f"bare {percentile(bench.bare.delays, 50):.1f}; "
            f"{bench.ours.rates[-1]:.0f} calls/s, bare {bench.bare.rates[-1]:.0f}"
        )


@contextlib.contextmanager
def _phone(bench: Bench, *, ring_ms: int) -> Iterator[int]:
    """Its process id."""
    process = bench.phone(ring_ms=ring_ms)
    try:
        time.sleep(0.3)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _figures(bench: Bench) -> list[Figure]:
    ours, bare = bench.ours, bench.bare
    rate = bench.options.rate
    p50, p99 = percentile(ours.delays, 50), percentile(ours.delays, 99)
    bare_p50, bare_p99 = percentile(bare.delays, 50), percentile(bare.delays, 99)
    ratios = [own / other for own, other in zip(ours.rates, bare.rates, strict=True)]
    asterisk = 1000 * ours.asterisk_cpu / ours.measured
    bare_asterisk = 1000 * bare.asterisk_cpu / bare.measured
    answered = bench.count("SELECT COUNT(*) FROM calls WHERE outcome = 'answered'")
    by_ctserver = bench.count("SELECT COUNT(*) FROM calls WHERE routed_by = 'ctserver'")
    ready = bench.count("SELECT COUNT(*) FROM recordings WHERE state = 'ready'")
    return [
        Figure("added_delay_p50_ms", round(p50 - bare_p50, 1), f"post-dial delay added, {rate} calls/s", "<= 3"),
        Figure("added_delay_p99_ms", round(p99 - bare_p99, 1), "the same, of the slowest hundredth", "<= 15"),
        Figure("delay_p50_ms", round(p50, 1), "INVITE to 180, ctserver"),
        Figure("delay_p99_ms", round(p99, 1), "ctserver"),
        Figure("bare_delay_p50_ms", round(bare_p50, 1), "INVITE to 180, bare"),
        Figure("bare_delay_p99_ms", round(bare_p99, 1), "bare"),
        Figure(
            "calls_ratio", round(statistics.median(ratios), 3), "calls/s at full speed, median of rounds", ">= 0.95"
        ),
        Figure("calls_per_second", round(statistics.median(ours.rates), 1), "ctserver, median of rounds"),
        Figure("bare_calls_per_second", round(statistics.median(bare.rates), 1), "bare, median of rounds"),
        *_talking_figures(bench),
        Figure(
            "ctserver_cpu_per_call_ms",
            round(1000 * ours.ctserver_cpu / ours.measured, 2),
            "joining recordings too",
            "<= 3",
        ),
        Figure("asterisk_cpu_per_call_ms", round(asterisk, 2), "with ctserver"),
        Figure("bare_asterisk_cpu_per_call_ms", round(bare_asterisk, 2), "bare"),
        Figure("asterisk_cpu_ratio", round(asterisk / bare_asterisk, 2), "Asterisk's CPU per call against bare"),
        *_full_figures(bench),
        Figure("placed", ours.placed, "calls placed through ct-inbound, warm-up included"),
        Figure("routed_by_ctserver", by_ctserver, "of them routed by ctserver in time, the others by its fallbacks"),
        Figure("recordings", ready, "joined recordings of those that had sound"),
        Figure("failed", ours.failed, "calls that did not succeed, ctserver", "= 0", must=True),
        Figure("bare_failed", bare.failed, "bare", "= 0"),
        Figure(
            "not_in_journal", ours.placed - answered, "placed, and not in the journal as answered", "= 0", must=True
        ),
    ]


def _talking_figures(bench: Bench) -> list[Figure]:
    """None if no round talked."""
    ours, bare = bench.ours.talking_cpu, bench.bare.talking_cpu
    if not ours:
        return []
    ratios = [other / own for own, other in zip(ours, bare, strict=True)]
    talk = f"calls that talk {bench.options.long_talk_ms / 1000:g} s"
    return [
        Figure("talking_cpu_ratio", round(statistics.median(ratios), 3), f"bare against ours, CPU alone, {talk}"),
        Figure("talking_cpu_per_call_ms", round(1000 * statistics.mean(ours), 1), f"ctserver's too, {talk}"),
        Figure("bare_talking_cpu_per_call_ms", round(1000 * statistics.mean(bare), 1), f"bare, {talk}"),
    ]


def _full_figures(bench: Bench) -> list[Figure]:
    """What a call at full speed costs, program by program: cores are full then, so that this is what `calls_ratio` is made of."""
    ours, bare = bench.ours, bench.bare
    asterisk, ctserver = ours.per_full_call(ours.full_asterisk_cpu), ours.per_full_call(ours.full_ctserver_cpu)
    bare_asterisk = bare.per_full_call(bare.full_asterisk_cpu)
    return [
        Figure(
            "full_cpu_ratio",
            round(bare_asterisk / (asterisk + ctserver), 3),
            "bare against ours, CPU alone, full speed",
        ),
        Figure("full_asterisk_cpu_per_call_ms", round(asterisk, 2), "at full speed, with ctserver"),
        Figure("full_ctserver_cpu_per_call_ms", round(ctserver, 2), "at full speed"),
        Figure(
            "full_sipp_cpu_per_call_ms",
            round(ours.per_full_call(ours.full_sipp_cpu), 2),
            "caller and phone, with ctserver",
        ),
        Figure("bare_full_asterisk_cpu_per_call_ms", round(bare_asterisk, 2), "at full speed, bare"),
        Figure(
            "bare_full_sipp_cpu_per_call_ms", round(bare.per_full_call(bare.full_sipp_cpu), 2), "caller and phone, bare"
        ),
    ]
