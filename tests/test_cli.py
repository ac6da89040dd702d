"""The commands as a person types them: mistakes end with status 2, what is wrong, what to do, and no traceback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver import cli, files
from ctserver.recordings.seal import Keys, seal
from ctserver.storage import migrate, sqlite
from tests.ports import free_port
from tests.somebody import lives

SECONDS = 60


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


@pytest.fixture
def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def run(tmp_path: Path, toml: Path, environment: dict[str, str]) -> Callable[..., Awaitable[Done]]:
    """`ctserver ...` in the folder of a small ctserver.toml."""

    async def run(*arguments: str | Path, stdin: bytes = b"", command: list[str] | None = None) -> Done:
        process = await asyncio.create_subprocess_exec(
            *(command or [sys.executable, "-m", "ctserver"]), *map(str, arguments),
            cwd=tmp_path, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), SECONDS)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    return run


@pytest.fixture
def typed(
    tmp_path: Path, toml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[Done]]:
    """The same without a process of its own, which takes a second to start."""
    monkeypatch.chdir(tmp_path)

    def call(arguments: list[str]) -> int:
        try:
            cli.main(arguments)
        except SystemExit as end:
            return int(end.code or 0)
        raise AssertionError("main() ends with a status")

    async def typed(*arguments: str | Path) -> Done:
        status = await asyncio.wait_for(asyncio.to_thread(call, list(map(str, arguments))), SECONDS)
        return Done(status, *capsys.readouterr())

    return typed


def is_mistake(done: Done, *words: str) -> None:
    """Status 2; one line what, one line what to do; no traceback."""
    assert done.status == 2, done
    assert "Traceback" not in done.err
    assert re.search(r"^error: \S", done.err, re.MULTILINE), done.err
    assert re.search(r"^  what to do: \S", done.err, re.MULTILINE), done.err
    for word in words:
        assert word in done.err


Run = Callable[..., Awaitable[Done]]


# ---- mistakes in ctserver.toml


async def test_broken_toml_is_told(run: Run, toml: Path) -> None:
    toml.write_text("[server\n")
    is_mistake(await run("serve"), "ctserver.toml: TOML: cannot be read", "line 1")


@pytest.mark.parametrize(
    "command", [["serve"], ["check"], ["testcall", "1"], ["dialplan"], ["snippet"], ["user", "bob"], ["record", "x"]]
)
async def test_a_broken_file_of_settings_is_told_by_every_command(typed: Run, toml: Path, command: list[str]) -> None:
    toml.write_text("[server\n")
    is_mistake(await typed(*command), "ctserver.toml: TOML: cannot be read", "line 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nlisten = 'nowhere'", ["server.listen", "not an address", "127.0.0.1:8080"]),
        ("[server]\nlisten = '127.0.0.1:1'\nlistne = 'x'", ["server.listne: unknown key", "did you mean 'listen'"]),
        ("[pools.a]\nnumbers = ['hello']", ["pools.a.numbers.0", "no phone number", "+44 20 7946 0101"]),
        (
            "[pools.a]\nnumbers = ['+442079460101']\n[pools.b]\nnumbers = ['+442079460101']",
            ["pools.b.numbers", "is also in pools.a"],
        ),
    ],
)
async def test_a_mistake_in_the_settings_names_file_key_and_remedy(
    run: Run, toml: Path, text: str, words: list[str]
) -> None:
    toml.write_text(f"{text}\n[lines.office]\ndial = 'PJSIP/1'\n")
    is_mistake(await run("check"), "ctserver.toml", *words)


async def test_a_missing_file_of_settings_is_told(typed: Run, toml: Path) -> None:
    toml.unlink()
    is_mistake(await typed("check"), "No such file", "--config")
    is_mistake(await typed("check", "--config", "other.toml"), "other.toml")


async def test_a_missing_secret_is_told(run: Run, toml: Path) -> None:
    (toml.parent / "secret").unlink()
    is_mistake(await run("serve"), "ami_secret_file", "CTSERVER_AMI_SECRET_PBX")


@pytest.mark.parametrize("pair", ["nope.key=1", "server.listen=x", "noequals", "=", "lines.office.ring_seconds=many"])
async def test_a_wrong_override_is_told(typed: Run, pair: str) -> None:
    is_mistake(await typed("check", "--set", pair))


# ---- mistakes around it


async def test_a_taken_web_port_is_told(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        is_mistake(await run("serve", "--set", f"server.listen={address}"), address, "in use", "[server] listen")


async def test_a_taken_fastagi_port_is_told(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        is_mistake(await run("serve", "--set", f"fastagi.listen={address}"), address, "in use", "[fastagi] listen")


async def test_a_wrong_ami_secret_is_told(run: Run, typed: Run, pbx: Any, toml: Path) -> None:
    (toml.parent / "secret").write_text("wrong")
    setting = f"asterisk.pbx.ami={pbx.address}"
    is_mistake(await run("serve", "--set", setting), "login refused for AMI user 'ctserver'", "manager.conf")
    is_mistake(await typed("testcall", "02079460101", "--set", setting), "login refused", "manager.conf")
    is_mistake(await typed("record", "x.txt", "--set", setting), "login refused")
    checked = await typed("check", "--set", setting)
    assert checked.status == 2
    assert re.search(r"BAD +Asterisk pbx: .*login refused.*\n +what to do: .*manager.conf", checked.out)


@pytest.mark.parametrize("key", ["recordings.folder", "database.path"])
async def test_an_unwritable_folder_is_told(run: Run, typed: Run, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").touch()
    is_mistake(await run("serve", "--set", f"{key}=file/below"), "file", key.split(".")[0])
    checked = await typed("check", "--set", f"{key}=file/below")
    assert checked.status == 2
    assert re.search(r"BAD .*not writable\n +what to do: ", checked.out)


AS_NOBODY = """
import asyncio, encodings.idna, http, os, runpy, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
import ctserver.cli, ctserver.__main__, asyncio.unix_events
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
ctserver.cli.main()
"""


@pytest.mark.parametrize("key", ["recordings.folder", "database.path"])
async def test_a_folder_of_somebody_else_is_told(run: Run, toml: Path, key: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ct-", dir="/tmp"))
    try:
        shutil.copy(toml, folder / "ctserver.toml")
        (folder / "secret").write_text("x")
        (folder / "mine").mkdir(mode=0o755)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        if os.geteuid() != 0:
            (folder / "mine").chmod(0o555)
        folder.chmod(0o755)
        values = {"recordings.folder": "open/rec", "database.path": "open/x.db", key: "mine/below/x"}
        pairs = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        command = [sys.executable, "-c", AS_NOBODY]
        is_mistake(
            await run("serve", "--config", folder / "ctserver.toml", *pairs, command=command), "ermission denied"
        )
    finally:
        shutil.rmtree(folder)


async def test_a_database_that_is_none_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    for command in ("serve", "user bob"):
        is_mistake(await run(*command.split(), "--set", "database.path=x.db"), "not a database", "[database] path")


async def test_a_database_of_another_program_or_version_is_told(run: Run, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE orders (id)")
    connection.commit()
    for command in ("serve", "user bob"):
        done = await run(*command.split(), "--set", "database.path=x.db")
        assert done.status == 2
        assert "tables of another program. Name another file" in done.err
        assert "Traceback" not in done.err
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["orders"]
    connection.close()


@pytest.mark.parametrize("arguments", [[], ["nope"], ["replay"], ["testcall"], ["record"], ["serve", "--nope"]])
async def test_a_wrong_command_is_told(typed: Run, arguments: list[str]) -> None:
    done = await typed(*arguments)
    assert done.status == 2
    assert "usage: ctserver" in done.err
    assert "Traceback" not in done.err


# ---- test calls


@pytest.mark.parametrize("number", ["hello", "12", "", "+442079460999", "9" * 500])
async def test_a_test_call_goes_to_tracked_numbers_only(typed: Run, number: str) -> None:
    is_mistake(await typed("testcall", number))


@pytest.mark.parametrize("caller", ["x\r\n\r\nAction: Command", "1,EVIL=2", "", "anonymous"])
async def test_a_test_caller_is_a_number(typed: Run, pbx: Any, caller: str) -> None:
    is_mistake(
        await typed("testcall", "02079460101", "--caller", caller, "--set", f"asterisk.pbx.ami={pbx.address}"), "caller"
    )
    assert pbx.sent("Originate") == []


async def test_a_test_call_is_placed_once(typed: Run, pbx: Any) -> None:
    done = await typed(
        "testcall", "020 7946 0101", "--caller", "+447700900123", "--set", f"asterisk.pbx.ami={pbx.address}"
    )
    assert (done.status, done.err) == (0, "")
    (sent,) = pbx.sent("Originate")
    assert sent["Channel"] == "Local/+442079460101@ct-testcall/n"
    assert sent["Variable"] == "__CT_TEST_CALLER=+447700900123"


async def test_a_test_call_that_the_pbx_refuses_is_told_and_not_tried_again(typed: Run, pbx: Any) -> None:
    pbx.answers["Originate"] = "Response: Error\nActionID: @ID@\nMessage: Permission denied\n\n"
    is_mistake(await typed("testcall", "02079460101", "--set", f"asterisk.pbx.ami={pbx.address}"), "Permission denied")
    assert len(pbx.sent("Originate")) == 1


async def test_a_test_call_that_the_pbx_never_answers_is_not_placed_twice(typed: Run, pbx: Any) -> None:
    pbx.mute = {"Originate"}
    is_mistake(await typed("testcall", "02079460101", "--set", f"asterisk.pbx.ami={pbx.address}"))
    assert len(pbx.sent("Originate")) == 1


async def test_without_a_pbx_there_is_no_test_call(typed: Run) -> None:
    is_mistake(
        await typed("testcall", "02079460101", "--set", f"asterisk.pbx.ami=127.0.0.1:{free_port()}"),
        "Connect call failed",
    )


# ---- tests of channels and web hooks

NOTIFY = """
[notify.sms]
type = "smsru"
base_url = "URL"
secret_file = "secret"
to = "+447700900001"
[notify.modem]
type = "modem"
device = "dongle0"
to = "+447700900001"
[webhooks.crm]
url = "URL/hook"
allow_private = true
secret_file = "hook-secret"
[outbound]
private_networks = ["127.0.0.0/8"]
"""


@pytest.fixture
async def notify(typed: Run, toml: Path, db: sqlite.Sqlite, serve: Any, pbx: Any) -> Callable[..., Awaitable[Done]]:
    """`ctserver notify test NAME`, where a gateway and a web hook answer with this status and text."""

    toml.with_name("hook-secret").write_text("whsec_" + "A" * 44)

    async def notify(name: str, status: int = 200, text: str = "") -> Done:
        url = await serve(lambda _: web.Response(status=status, text=text))
        if "[notify.sms]" not in toml.read_text():
            toml.write_text(toml.read_text() + NOTIFY)
        toml.write_text(re.sub(r"http://127[.0-9]*:\d+|\bURL\b", url, toml.read_text()))
        where = ["--set", f"asterisk.pbx.ami={pbx.address}", "--set", f"database.path={toml.with_name('ctserver.db')}"]
        return await typed("notify", "test", name, *where)

    return notify


async def test_what_takes_the_test_message_ends_with_its_words_and_status_0(notify: Any, pbx: Any) -> None:
    taken = json.dumps(
        {"status": "OK", "status_code": 100, "sms": {"447700900001": {"status_code": 100, "sms_id": "9-1"}}}
    )
    assert await notify("sms", text=taken) == Done(0, "taken: id 9-1\n", "")
    assert await notify("crm", text="thank you") == Done(0, "taken: 200 thank you\n", "")
    pbx.answers["DongleSendSMS"] = "Response: Success\nActionID: @ID@\nMessage: [dongle0] SMS queued for send\n\n"
    assert await notify("modem") == Done(0, "taken: [dongle0] SMS queued for send\n", "")
    (sent,) = pbx.sent("DongleSendSMS")
    assert (sent["Device"], sent["Number"]) == ("dongle0", "+447700900001")
    assert "a test of the channel modem" in sent["Message"]


async def test_what_refuses_the_test_message_ends_with_its_words_and_status_1(notify: Any, pbx: Any) -> None:
    broke = json.dumps({"status": "ERROR", "status_code": 201, "status_text": "no money"})
    pbx.answers["DongleSendSMS"] = "Response: Error\nActionID: @ID@\nMessage: [dongle0] Device disconnected\n\n"
    for name, answer, words in (
        ("sms", (200, broke), "error 201: no money"),
        ("sms", (503, "s3cret is away"), "answered 503 Service Unavailable: *** is away"),
        ("crm", (410, "gone"), "410 gone"),
        ("modem", (200, ""), "[dongle0] Device disconnected"),
    ):
        done = await notify(name, *answer)
        assert (done.status, done.out, done.err.splitlines()[0]) == (1, "", f"not taken: {words}")
    await pbx.stop()
    assert "no link to the PBX" in (await notify("modem")).err


async def test_a_name_that_no_channel_has_is_told_with_those_there_are(notify: Any) -> None:
    is_mistake(await notify("mial"), "'mial'", "crm, sms, modem")


# ---- record and replay


async def test_replay_prints_the_calls_of_a_stream(typed: Run, root: Path) -> None:
    streams = root / "tests/asterisk/streams"
    done = await typed("replay", streams / "two_calls_at_once/stream.txt", "--json")
    assert (done.status, done.err) == (0, "")
    assert [json.loads(line) for line in done.out.splitlines()] == json.loads(
        (streams / "two_calls_at_once/expected.json").read_text()
    )
    told = await typed("replay", streams / "answered/stream.txt")
    assert (
        told.out == "2026-11-22 05:07:58  +447700900123 -> +442079460100  answered (completed)  PJSIP/alice-00000001\n"
    )


async def test_replay_takes_other_contexts(typed: Run, root: Path, tmp_path: Path) -> None:
    stream = (root / "tests/asterisk/streams/answered/stream.txt").read_text().replace("ct-inbound", "from-trunk")
    (tmp_path / "x.txt").write_text(stream.replace("UserEvent: CT", "UserEvent: Other"))
    guessed = await typed("replay", "x.txt", "--json")
    assert "taking the callers in: from-trunk" in guessed.err
    assert len(guessed.out.splitlines()) == 1
    assert (await typed("replay", "x.txt", "--json", "--inbound-context", "other")).out == ""
    both = await typed("replay", "x.txt", "--json", "--inbound-context", "other", "--inbound-context", "from-trunk")
    assert len(both.out.splitlines()) == 1


@pytest.mark.parametrize(
    "content", ["[1]", "{", "[" * 100_000, '[{"a": "b"}]', "", "Dear sirs: no stream\n\nat all", "\0\1"]
)
async def test_replay_of_no_stream_is_told(typed: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    is_mistake(await typed("replay", "x.json"), "x.json", "ctserver record")
    is_mistake(await typed("replay", "none.txt"), "none.txt")
    is_mistake(await typed("replay", tmp_path), "directory")


async def test_a_stream_is_recorded_and_replayed(typed: Run, pbx: Any, root: Path, tmp_path: Path, until: Any) -> None:
    stream = (root / "tests/asterisk/streams/answered/stream.txt").read_bytes()
    task = asyncio.create_task(
        typed("record", "live.txt", "--seconds", "1.5", "--set", f"asterisk.pbx.ami={pbx.address}")
    )
    await until(lambda: bool(pbx.links))
    pbx.say(stream[stream.index(b"Event: Newchannel") :])
    assert (await task).status == 0
    recorded = (tmp_path / "live.txt").read_bytes()
    assert b"s3cret" not in recorded
    done = await typed("replay", "live.txt", "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == json.loads(
        (root / "tests/asterisk/streams/answered/expected.json").read_text()
    )


# ---- what works


async def test_the_snippet_of_a_site(typed: Run) -> None:
    assert (
        await typed("snippet", "shop")
    ).out == '<script async src="http://127.0.0.1:8080/ct.js?site=shop"></script>\n'
    is_mistake(await typed("snippet", "nope"), "no site 'nope'", "shop")
    versioned = (await typed("snippet", "shop", "--versioned")).out
    assert re.fullmatch(
        r'<script async src="http://127.0.0.1:8080/ct.js\?site=shop&amp;v=[0-9a-f]{20}"></script>\n', versioned
    )


async def test_the_dialplan_is_printed_or_written(typed: Run, tmp_path: Path) -> None:
    assert "[ct-defaults]" in (await typed("dialplan")).out
    written = await typed("dialplan", "--write", "conf")
    assert {Path(line).name for line in written.out.splitlines()} == {
        "ct-inbound.conf", "ct-freepbx.conf", "ct-settings.conf", "ct-manager.conf", "ct-route",
    }  # fmt: skip
    (tmp_path / "file").touch()
    is_mistake(await typed("dialplan", "--write", "file/below"))


async def test_a_login_is_made_with_the_password_of_standard_input(run: Run, tmp_path: Path) -> None:
    store = await sqlite.open(tmp_path / "x.db")
    await migrate.migrate(store, migrate.read(files.folder("migrations")))
    await store.close()
    done = await run("user", "bob", "--set", "database.path=x.db", stdin=b"hunter2 and more\n")
    assert (done.status, done.out) == (0, "login: bob\nrole: owner\npassword: hunter2 and more\n")


async def test_users_and_tokens_are_made_changed_and_removed(run: Run, tmp_path: Path) -> None:
    store = await sqlite.open(tmp_path / "x.db")
    await migrate.migrate(store, migrate.read(files.folder("migrations")))
    await store.close()
    there = ("--set", "database.path=x.db")
    assert "role: owner" in (await run("user", "ann", *there, stdin=b"x\n")).out
    made = await run("user", "bob", *there, "--role", "operator", "--line", "office", stdin=b"x\n")
    assert made.out == "login: bob\nrole: operator\nlines: office\npassword: x\n"
    assert (await run("user", "bob", *there, "--role", "analyst", "--line", "")).out == "login: bob\nrole: analyst\n"
    is_mistake(await run("user", "bob", *there, "--role", "client"), "named sites only", "--site")
    is_mistake(await run("user", "bob", *there, "--site", "nowhere"), "no site 'nowhere'", "shop")
    assert re.fullmatch(r"ct_[\w-]{43}\n", (await run("token", "bob", "calls", "reports", *there)).out)
    is_mistake(await run("token", "eve", "calls", *there), "no user 'eve'")
    assert (await run("user", "bob", *there, "--no-second-factor")).status == 0
    assert (await run("user", "bob", *there, "--remove")).out == "user removed: bob\n"
    is_mistake(await run("user", "ann", *there, "--remove"), "the only owner")
    is_mistake(await run("user", "ann", *there, "--role", "analyst"), "the only owner", "another owner first")
    store = await sqlite.open(tmp_path / "x.db")
    said = [(row["action"], row["subject"]) for row in await store.fetch("SELECT * FROM audit WHERE via = 'command'")]
    await store.close()
    assert sorted(said) == [
        ("second factor removed", "bob"),
        ("token made", "command line"),
        ("user changed", "bob"),
        ("user made", "ann"),
        ("user made", "bob"),
        ("user removed", "bob"),
    ]


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path, environment: dict[str, str], *pairs: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ctserver", "serve", *(part for pair in pairs for part in ("--set", pair)),
        cwd=tmp_path, env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_the_server_starts_serves_and_stops_naming_each_step(
    pbx: Any, tmp_path: Path, toml: Path, environment: dict[str, str]
) -> None:
    web, agi = free_port(), free_port()
    pairs = [f"server.listen=127.0.0.1:{web}", f"fastagi.listen=127.0.0.1:{agi}", f"asterisk.pbx.ami={pbx.address}"]
    async with serving(tmp_path, environment, *pairs) as process:
        assert process.stderr is not None
        lines: list[str] = []
        async with asyncio.timeout(SECONDS):
            while not any("is ready at" in line for line in lines) or not any("linked to" in line for line in lines):
                lines.append((await process.stderr.readline()).decode())
                assert lines[-1], lines
        health = await ask(web, b"GET /health HTTP/1.0\r\n\r\n")
        assert b" 200 " in health.split(b"\r\n")[0], health
        huge = await ask(web, b"POST /v1/visit HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
        assert b" 413 " in huge.split(b"\r\n")[0]
        assert b'CT_ROUTE "office|' in await ask(agi, b"agi_network_script: route\nagi_arg_1: 02079460101\n\n")
        login = tmp_path / "var/first-login.txt"
        assert login.read_text().startswith("admin ")
        assert login.stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGTERM)
        rest = (await asyncio.wait_for(process.stderr.read(), SECONDS)).decode()
        assert await process.wait() == 0
        stopped = re.findall(r"stopping: (.+)", rest)
        assert stopped == ["upkeep", "web server", "AMI pbx", "deliveries", "FastAGI", "database"]
        assert "Traceback" not in "".join(lines) + rest


async def ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(3):
            while part := await reader.read(65536):
                answer += part
    writer.close()
    return answer


async def test_check_finds_mistakes_in_texts_and_gateways_before_a_call_is_missed(typed: Run, toml: Path) -> None:
    toml.write_text(
        toml.read_text()
        + '[notify.sms]\ntype = "http"\nurl = "http://127.0.0.1/{{ tto }}"\n'
        + '[notify.chat]\ntype = "telegram"\nsecret_file = "none"\n'
        + '[notify.push]\ntype = "push"\ncontact = "mailto:a@example.com"\n'
        + '[alerts.missed]\non = ["missed"]\nby = "sms"\ntext = "{{ calller }}"\n'
    )
    checked = await typed("check")
    assert checked.status == 2
    for key, words in {
        "notify.sms.url": "'tto' is undefined",
        "notify.chat.secret_file": "No such file",
        "alerts.missed.text": "'calller' is undefined",
    }.items():
        assert re.search(rf"BAD +{key}: .*{words}", checked.out), checked.out
    assert not list(toml.parent.rglob("push-key.pem")), "it changes nothing"


async def test_check_tells_of_a_pool_that_two_sites_share(typed: Run, toml: Path) -> None:
    assert "shared by" not in (await typed("check")).out
    other = '[sites.other]\nname = "Other"\ndomains = ["other.example"]\nnumber = "+44 20 7946 0001"\npool = "small"\n'
    toml.write_text(toml.read_text() + other)
    checked = await typed("check")
    assert checked.status == 2
    assert re.search(
        r"BAD +pool small: shared by the sites shop, other; all its calls count for shop\n +what to do: ", checked.out
    )


async def test_check_tells_of_a_cookie_that_browsers_would_drop(typed: Run, toml: Path) -> None:
    target = '[sites.shop.targets.t{0}]\nnumber = "+44 20 7946 1{0:03}"\npool = "small"\n'
    toml.write_text(toml.read_text() + "".join(target.format(n) for n in range(40)))
    assert "its cookie" not in (await typed("check")).out
    checked = await typed("check", "--set", "sites.shop.cookie_domain=shop.example")
    assert checked.status == 2
    assert re.search(r"BAD +site shop: its cookie may take [56]\d{3} bytes, and browsers keep 4096\n", checked.out)


async def test_check_tries_everything_and_changes_nothing(typed: Run, pbx: Any, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = await typed("check", "--set", f"asterisk.pbx.ami={pbx.address}")
    assert done.status == 0, done
    assert [line[:3] for line in done.out.splitlines()] == ["ok "] * 6
    assert sorted(tmp_path.rglob("*")) == before


# ---- sealed recordings


async def test_a_sealed_recording_is_opened_by_command(typed: Run, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound" * 50_000)
    (tmp_path / "keys").write_text("44" * 32)
    seal(tmp_path / "x.wav", tmp_path / "x.wav.sealed", Keys(["44" * 32]))
    (tmp_path / "x.wav").unlink()
    with_key = ("--set", "recordings.encrypt_key_file=keys")
    done = await typed("recording", "decrypt", "x.wav.sealed", *with_key)
    assert (done.status, done.out) == (0, "x.wav\n")
    assert (tmp_path / "x.wav").read_bytes() == b"sound" * 50_000
    assert (tmp_path / "x.wav").stat().st_mode & 0o777 == 0o600
    is_mistake(await typed("recording", "decrypt", "x.wav.sealed", *with_key), "is there already", "--out")
    is_mistake(await typed("recording", "decrypt", "x.wav.sealed"), "no key", "encrypt_key_file")
    (tmp_path / "keys").write_text("55" * 32)
    is_mistake(await typed("recording", "decrypt", "x.wav.sealed", "--out", "y", *with_key), "sealed with the key")
    assert not (tmp_path / "y").exists()


# ---- one caller's data


async def test_a_caller_is_given_out_counted_and_forgotten(typed: Run, tmp_path: Path) -> None:
    db = await sqlite.open(tmp_path / "var/ctserver.db")
    await migrate.migrate(db, migrate.read(files.folder("migrations")))
    await lives(db, 1_700_000_000_000, "+447700900123", tmp_path / "var/recordings")
    done = await typed("person", "export", "07700 900123")
    assert done.status == 0, done
    assert "     1 calls\n" in done.out
    with zipfile.ZipFile(tmp_path / "person-447700900123.zip") as archive:
        assert {"data.json", "README.txt"} < set(archive.namelist())
    assert (tmp_path / "person-447700900123.zip").stat().st_mode & 0o777 == 0o600
    is_mistake(await typed("person", "export", "07700 900123"), "is there already", "--out")
    is_mistake(await typed("person", "erase", "Ann", "--apply"), "no telephone number", "+44")
    assert "nothing was changed" in (await typed("person", "erase", "+44 7700 900123")).out
    assert "forgotten" in (await typed("person", "erase", "+44 7700 900123", "--apply")).out
    assert "     0 calls\n" in (await typed("person", "erase", "+44 7700 900123")).out
    entries = [(row["action"], row["detail"]) for row in await db.fetch("SELECT action, detail FROM audit ORDER BY id")]
    assert [action for action, _ in entries][-2:] == ["person exported", "person erased"]
    assert "900123" not in str(entries)
    await db.close()
