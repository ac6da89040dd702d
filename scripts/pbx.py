"""A private Asterisk for the demo and the end-to-end tests: finds or makes one, writes its configuration, runs it.

Never touches an installed Asterisk's configuration: everything is written below one folder of ours.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT = CHECKOUT / ".cache" / "asterisk-root"
SUITE = "forky"  # the Debian release that has Asterisk 22 LTS
MINIMUM = 18


@dataclass(frozen=True)
class Binary:
    """An Asterisk that can be run: the command before its options, its modules and its data."""

    command: tuple[str, ...]
    modules: Path
    data: Path
    version: str

    def cli(self, configuration: Path, line: str) -> list[str]:
        return [*self.command, "-C", str(configuration), "-rx", line]


@dataclass(frozen=True)
class Ports:
    sip: int = 5160
    ami: int = 5138
    rtp_start: int = 20000
    rtp_end: int = 20999


def find() -> Binary | None:
    """An installed Asterisk that is new enough, else the private one if it was made."""
    return _installed() or _private()


def obtain(say: Callable[[str], None]) -> Binary:
    """As `find`, making the private Asterisk when there is none."""
    return find() or _make(say)


def _installed() -> Binary | None:
    path = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if not path:
        return None
    version = _version((path,))
    places = [*Path("/usr/lib").glob("*/asterisk/modules"), Path("/usr/lib/asterisk/modules")]
    places += [Path("/usr/lib64/asterisk/modules"), Path("/usr/local/lib/asterisk/modules")]
    modules = next((place for place in places if (place / "chan_pjsip.so").exists()), None)
    if modules is None or not version or int(version.split(".")[0]) < MINIMUM:
        return None
    data = next((d for d in (Path("/usr/share/asterisk"), Path("/var/lib/asterisk")) if (d / "sounds").exists()), None)
    return Binary((path,), modules, data or Path("/var/lib/asterisk"), version)


def _private() -> Binary | None:
    """The one in .cache, run by its own loader and libraries: no chroot, no root, and its AGI programs see this host."""
    for libraries in sorted((ROOT / "usr/lib").glob("*-linux-gnu*")):
        modules = libraries / "asterisk" / "modules"
        loader = next(iter(sorted(libraries.glob("ld-linux*.so.*"))), None)
        if loader and (modules / "chan_pjsip.so").exists():
            command = (str(loader), "--library-path", f"{libraries}:{libraries}/asterisk", f"{ROOT}/usr/sbin/asterisk")
            version = _version(command)
            return Binary(command, modules, ROOT / "usr/share/asterisk", version) if version else None
    return None


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run([*command, "-V"], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    found = re.search(r"Asterisk (?:certified-)?(\d+\.\d[\w.]*)", done.stdout)
    return found.group(1) if found else ""


def _make(say: Callable[[str], None]) -> Binary:
    if not shutil.which("mmdebstrap"):
        install(["mmdebstrap"], "to make a private Asterisk", say)
    say(f"making a private Asterisk 22 from Debian's packages in {ROOT} (about a minute, 340 MB)")
    making = ROOT.with_name("asterisk-root.new")
    shutil.rmtree(making, ignore_errors=True)
    making.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--include=asterisk,asterisk-core-sounds-en-gsm",
        SUITE,
        str(making),
    ]
    log = ROOT.parent / "asterisk-root.log"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise SystemExit(f"making the private Asterisk failed; the end of {log}:\n{tail}")
    making.rename(ROOT)
    made = _private()
    if made is None:
        raise SystemExit(f"the Asterisk in {ROOT} does not start; delete that folder and try again")
    return made


def install(packages: list[str], why: str, say: Callable[[str], None]) -> None:
    """Debian packages, by apt-get; says why root is needed."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if not shutil.which("apt-get") or (sudo and not shutil.which("sudo")):
        raise SystemExit(f"please install {' '.join(packages)} ({why}) and start again")
    say(f"installing {' '.join(packages)} {why}" + (" (needs root: sudo may ask for your password)" if sudo else ""))
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages],
    ):
        done = subprocess.run([*sudo, *environment, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


@dataclass
class Pbx:
    """One private Asterisk below `folder`."""

    folder: Path
    binary: Binary
    ports: Ports = field(default_factory=Ports)
    extra_dialplan: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    def secret(self, file: Path) -> None:
        """The AMI secret, made once."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
                out.write(secrets.token_urlsafe(24) + "\n")

    def write(self, ami_secret: str, generated: Path) -> None:
        """Every configuration file. `generated` is the folder that `ctserver dialplan --write` filled."""
        for name in ("etc", "lib", "spool", "run", "log", "agi-bin", "lib/keys"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        values = {
            "PBX": str(self.folder),
            "MODULES": str(self.binary.modules),
            "DATA": str(self._data()),
            "SBIN": str(Path(self.binary.command[-1]).parent),
            "SIP_PORT": str(self.ports.sip),
            "AMI_PORT": str(self.ports.ami),
            "RTP_START": str(self.ports.rtp_start),
            "RTP_END": str(self.ports.rtp_end),
            "AMI_SECRET": ami_secret,
            "EXTRA_DIALPLAN": self.extra_dialplan,
        }
        templates = [*(CHECKOUT / "asterisk-conf" / "demo").glob("*.conf"), *generated.glob("*.conf")]
        for template in templates:
            text = re.sub(r"@([A-Z_]+)@", lambda found: values[found.group(1)], template.read_text(encoding="utf-8"))
            target = self.etc / template.name
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
        for empty in (
            "acl",
            "ccss",
            "cel",
            "features",
            "geolocation",
            "http",
            "musiconhold",
            "pjproject",
            "queues",
            "statsd",
            "stasis",
            "udptl",
        ):
            (self.etc / f"{empty}.conf").touch()

    def _data(self) -> Path:
        """Asterisk's data folder as links, with the English sounds where Asterisk looks for them."""
        data = self.folder / "data"
        (data / "sounds").mkdir(parents=True, exist_ok=True)
        links = {data / entry.name: entry for entry in self.binary.data.iterdir() if entry.name != "sounds"}
        found = sorted(self.binary.data.glob("sounds/*/demo-congrats.*"))
        links |= {data / "sounds" / "en": found[0].parent} if found else {}
        for link, target in links.items():
            link.unlink(missing_ok=True)
            link.symlink_to(target.resolve())
        return data

    def start(self, seconds: float = 40) -> None:
        """Returns when Asterisk has fully booted; raises SystemExit with the end of its log when it does not."""
        console = (self.folder / "log" / "console.log").open("wb")
        command = [*self.binary.command, "-f", "-C", str(self.etc / "asterisk.conf")]
        self.process = subprocess.Popen(  # a session of its own: Ctrl-C must reach it after ctserver
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True
        )
        console.close()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if "fully booted" in self.cli("core waitfullybooted").lower():
                return
            time.sleep(0.2)
        self.stop()
        tail = (self.folder / "log" / "console.log").read_text(encoding="utf-8", errors="replace")[-3000:]
        raise SystemExit(f"Asterisk did not start; the end of its log in {self.folder}/log:\n{tail}")

    def cli(self, line: str) -> str:
        command = self.binary.cli(self.etc / "asterisk.conf", line)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    print(obtain(lambda text: print(text, file=sys.stderr)).command)
