"""The wheel, installed in a clean environment outside the checkout, is a whole ctserver."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("web", "migrations", "asterisk-conf", "agi-scripts")


@dataclass(frozen=True)
class Installed:
    """A clean environment with the wheel in it, and a folder to work in."""

    wheel: Path
    bin: Path
    home: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "ctserver"), *words],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CTSERVER"))}
        return {**kept, "CTSERVER_AMI_SECRET": "not a secret"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = tmp_path_factory.mktemp("package")
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    do(sys.executable, *pip, "wheel", "-q", "--no-deps", "--wheel-dir", str(made / "dist"), str(ROOT))
    [wheel] = (made / "dist").glob("*.whl")
    do(sys.executable, "-m", "venv", str(made / "venv"))
    python = str(made / "venv" / "bin" / "python")
    do(python, *pip, "install", "-q", "-r", str(ROOT / "scripts" / "requirements.txt"))
    do(python, *pip, "install", "-q", "--no-deps", str(wheel))
    do(python, *pip, "check")
    home = made / "home"
    home.mkdir()
    with zipfile.ZipFile(wheel) as files:
        (home / "ctserver.toml").write_bytes(files.read("ctserver/_files/ctserver.toml"))
    return Installed(wheel, made / "venv" / "bin", home)


def do(*command: str) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    text: str


@pytest.fixture(scope="module")
def base(installed: Installed) -> Iterator[str]:
    """The address of `ctserver serve` with the shipped settings; ports are free ones, and there is no Asterisk."""
    web, fastagi, ami = (free_port() for _ in range(3))
    address = f"http://127.0.0.1:{web}"
    settings = {
        "server.listen": f"127.0.0.1:{web}",
        "server.public_url": address,
        "fastagi.listen": f"127.0.0.1:{fastagi}",
        "asterisk.pbx.ami": f"127.0.0.1:{ami}",
    }
    command = [str(installed.bin / "ctserver"), "serve", *(f"--set={key}={value}" for key, value in settings.items())]
    with (installed.home / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=installed.home, env=installed.environment, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not answers(web):
            log_text = (installed.home / "log").read_text()
            assert server.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.1)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def answers(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return True
    except OSError:
        return False


def get(url: str) -> Answer:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return Answer(response.status, response.headers["Content-Type"] or "", response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["Content-Type"] or "", error.read().decode())


def test_the_wheel_holds_every_file_that_is_not_python(installed: Installed) -> None:
    tracked = subprocess.run(["git", "ls-files", *SHIPPED], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {f"ctserver/_files/{name}" for name in [*tracked.stdout.splitlines(), "ctserver.toml"]}
    with zipfile.ZipFile(installed.wheel) as files:
        names = set(files.namelist())
    assert len(wanted) > 20
    assert wanted <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_tells_its_version(installed: Installed) -> None:
    done = installed.run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ctserver-{done.stdout.strip()}-" in installed.wheel.name


def test_check_reads_the_shipped_settings_and_misses_only_asterisk(installed: Installed) -> None:
    ports = [f"--set={key}=127.0.0.1:{free_port()}" for key in ("server.listen", "fastagi.listen", "asterisk.pbx.ami")]
    done = installed.run("check", *ports)
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert done.returncode == 2, done.stderr
    assert len(bad) == 1
    assert "Asterisk pbx" in bad[0]


def test_dialplan_writes_files_that_need_no_checkout(installed: Installed) -> None:
    folder = installed.home / "asterisk"
    done = installed.run("dialplan", "--write", str(folder))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(str(file) for file in folder.iterdir())
    program = (folder / "ct-route").read_text()
    assert str(installed.bin) in program
    assert str(ROOT) not in program
    question = "agi_request: x\nagi_arg_1: 442079460101\n\n"
    asked = subprocess.run([str(folder / "ct-route")], input=question, capture_output=True, text=True, check=False)
    assert asked.returncode == 0  # no database yet: it says nothing, and the dialplan goes on
    assert "SET VARIABLE" not in asked.stdout


def test_it_serves_the_demo_shop(base: str) -> None:
    page = get(f"{base}/demo")
    assert (page.status, page.kind) == (200, "text/html; charset=utf-8")
    assert "Lighthouse Bicycles" in page.text


def test_it_serves_the_script_and_the_static_files(base: str) -> None:
    script = get(f"{base}/ct.js?site=demo")
    assert script.status == 200
    assert script.kind.startswith("text/javascript")
    assert base in script.text
    style = get(f"{base}/static/app.css")
    assert (style.status, style.kind.split(";")[0]) == (200, "text/css")


def test_it_serves_the_login_page_and_keeps_the_rest_behind_it(base: str) -> None:
    assert 'name="password"' in get(f"{base}/login").text
    assert 'name="password"' in get(f"{base}/calls").text


def test_its_health_names_the_missing_asterisk_and_nothing_else(base: str) -> None:
    health = get(f"{base}/health")
    parts = json.loads(health.text)
    assert health.status == 503
    assert parts.pop("AMI") != "ok"
    assert parts == {"ok": False, "database": "ok", "FastAGI": "ok", "disk": parts["disk"], "recordings": "ok"}
