"""Runs the demo in the foreground: an Asterisk of its own, ctserver, the demo shop page. Ctrl-C stops all it started."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pbx

CHECKOUT = pbx.CHECKOUT


def main() -> int:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    var = options.var.resolve()
    binary = pbx.obtain(say)
    say(f"Asterisk {binary.version}: {'private, in .cache' if len(binary.command) > 1 else binary.command[0]}")
    exchange = pbx.Pbx(var / "pbx", binary, pbx.Ports(options.sip_port, options.ami_port, *options.rtp_ports))
    secret_file = var / "ami-secret"
    exchange.secret(secret_file)
    settings = {
        "server.listen": f"{options.host}:{options.web_port}",
        "server.public_url": f"http://{options.host}:{options.web_port}",
        "fastagi.listen": f"127.0.0.1:{options.fastagi_port}",
        "database.path": str(var / "ctserver.db"),
        "recordings.folder": str(var / "recordings"),
        "asterisk.pbx.ami": f"127.0.0.1:{options.ami_port}",
        "asterisk.pbx.ami_secret_file": str(secret_file),
    }
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "ctserver"]
    tail = ["--config", str(options.config.resolve()), *overrides]
    _free("SIP", "127.0.0.1", options.sip_port, socket.SOCK_DGRAM, "--sip-port")
    _free("AMI", "127.0.0.1", options.ami_port, socket.SOCK_STREAM, "--ami-port")
    (var / "recordings").mkdir(parents=True, exist_ok=True)
    generated = var / "asterisk"
    written = subprocess.run(
        [*command, "dialplan", *tail, "--write", str(generated)], capture_output=True, text=True, check=False
    )
    if written.returncode:
        sys.stderr.write(written.stderr)
        return written.returncode
    exchange.write(secret_file.read_text(encoding="utf-8").strip(), generated)
    server = None
    try:
        say("starting Asterisk")
        exchange.start()
        say("starting ctserver")
        server = subprocess.Popen([*command, "serve", *tail], start_new_session=True)
        if not _healthy(f"http://{options.host}:{options.web_port}/health", server):
            return server.poll() or 1
        _tell(options, var, exchange)
        return server.wait()
    except (KeyboardInterrupt, SystemExit):
        return 0
    finally:
        if server is not None and server.poll() is None:
            say("stopping ctserver")
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
        say("stopping Asterisk")
        exchange.stop()


def say(text: str) -> None:
    print(f"-- {text}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__)
    parser.add_argument(
        "--config", type=Path, default=CHECKOUT / "ctserver.toml", help="settings, default: ctserver.toml"
    )
    parser.add_argument("--var", type=Path, default=CHECKOUT / "var", help="database, recordings, PBX; default: var")
    parser.add_argument("--host", default="127.0.0.1", help="address of the web server, default: %(default)s")
    parser.add_argument("--web-port", type=int, default=8080, help="default: %(default)s")
    parser.add_argument("--sip-port", type=int, default=5160, help="UDP, default: %(default)s")
    parser.add_argument("--ami-port", type=int, default=5138, help="default: %(default)s")
    parser.add_argument("--fastagi-port", type=int, default=4573, help="default: %(default)s")
    parser.add_argument("--rtp-ports", type=int, nargs=2, default=(20000, 20999), metavar=("FIRST", "LAST"))
    return parser.parse_args()


def _free(what: str, host: str, port: int, kind: int, option: str) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SystemExit(
                f"error: the {what} port {host}:{port} cannot be used: {error.strerror}\n"
                f"  what to do: stop the other program (is a demo running already?) or give another port with {option}"
            ) from None


def _healthy(url: str, server: subprocess.Popen[bytes], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _tell(options: argparse.Namespace, var: Path, exchange: pbx.Pbx) -> None:
    base = f"http://{options.host}:{options.web_port}"
    first = var / "first-login.txt"
    login, _, password = first.read_text(encoding="utf-8").strip().partition(" ") if first.exists() else ("", "", "")
    known = f"{login} / {password}" if login else "the one you made"
    lines = [
        "",
        f"  demo shop   {base}/demo          arrive by one of its campaign links",
        f"  dashboard   {base}/              login: {known}",
        "  test call   the button on either page, or another terminal:",
        "                .venv/bin/ctserver testcall +442079460101",
        f"  by SIP      sip:+442079460101@127.0.0.1:{exchange.ports.sip} from a softphone on this machine",
        "  Ctrl-C stops everything.",
        "",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main())
