"""A PBX that exists is set up by install-pbx; then doctor finds it well, and each fault that is made on purpose."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from ctserver import config, doctor
from ctserver.check import Result
from tests.e2e.conftest import POOL, Stack
from tests.stories.phone import Phone, Talk

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CALLER = "+447700900123"


class Existing(Stack):
    """The demo PBX before ctserver came, and then with what install-pbx makes of it."""

    def configure_pbx(self) -> None:
        empty = self.folder / "nothing"
        empty.mkdir()
        self.pbx.write("", empty)
        for name in ("extensions.conf", "manager.conf"):
            file = self.pbx.etc / name
            file.write_text(re.sub(r"^(#include ct-.*|timestampevents.*)\n", "", file.read_text(), flags=re.M))
        (self.folder / "ami-secret").unlink()

    def install(self) -> None:
        program = shlex.join([*self.pbx.binary.command, "-C", str(self.pbx.etc / "asterisk.conf")])
        done = self.ctserver(
            "install-pbx", "--etc", str(self.pbx.etc), "--asterisk", program, "--apply", "--overwrite", "--reload"
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    async def change(self, name: str, pattern: str, by: str) -> None:
        """One of the files of ctserver's, as somebody who does not know better changes it."""
        file = self.pbx.etc / "ctserver" / name
        text, count = re.subn(pattern, by, file.read_text(), count=1, flags=re.M)
        assert count == 1
        file.write_text(text)
        await self.cli("manager reload" if name == "ct-manager.conf" else "dialplan reload")

    async def cli(self, line: str) -> str:
        return await asyncio.to_thread(self.pbx.cli, line)

    async def examined(self, number: str = "") -> list[Result]:
        settings = config.load(self.config)
        order = doctor.Order(number, CALLER, 1.2)
        return [result async for result in doctor.examine(settings, settings.asterisk[0], order)]

    @asynccontextmanager
    async def office(self) -> AsyncIterator[Phone]:
        phone = await Phone("office", "127.0.0.1", ("127.0.0.1", self.ports["sip"])).open(self.ports["phone"])
        try:
            yield phone
        finally:
            phone.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pbx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Existing]:
    made = Existing(tmp_path_factory.mktemp("existing"))
    try:
        await asyncio.to_thread(made.start_pbx)
        await asyncio.to_thread(made.install)
        made.start_server()
        await made.healthy()
        yield made
    finally:
        await asyncio.to_thread(made.stop)


def wrong(results: list[Result]) -> str:
    """Everything that is bad, with what to do."""
    return "\n".join(f"{result.name}: {result.text} [{result.todo}]" for result in results if not result.ok)


async def test_all_is_well_with_a_pbx_that_was_set_up(pbx: Existing) -> None:
    with pbx.phone():
        done = await asyncio.to_thread(pbx.ctserver, "doctor", "--listen", "1.5")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BAD" not in done.stdout
    for words in ("both sides are heard", "under Calls: answered", "recorded, ", "reads the database"):
        assert words in done.stdout
    assert re.search(r"Timestamp events: +Yes", await pbx.cli("manager show settings"))


FAULTS = {
    "the right to originate": ("ct-manager.conf", r"^write = .*", "write = call,reporting", "the right 'originate' is missing in `write`"),
    "the right to report": ("ct-manager.conf", r"^write = .*", "write = call,originate", "the right 'reporting' is missing in `write`"),
    "the right to hear Asterisk": ("ct-manager.conf", r"^read = .*", "read = call,agent,user", "the right 'system' is missing in `read`"),
    "the right to hear calls": ("ct-manager.conf", r"^read = .*", "read = system,agent,user", "the right 'call' is missing in `read`"),
    "the right to hear the dialplan": ("ct-manager.conf", r"^read = .*", "read = system,call,agent", "the right 'user' is missing in `read`"),
    "another secret": ("ct-manager.conf", r"^secret = .*", "secret = another", "login refused for AMI user 'ctserver'"),
    "another address": ("ct-manager.conf", r"^permit = .*", "permit = 192.0.2.1/255.255.255.255", "check its `permit`"),
    "no dialplan": ("ct-inbound.conf", r"^\[ct-inbound\]", "[ct-elsewhere]", "Asterisk knows no context ct-inbound"),
    "an old dialplan": ("ct-settings.conf", r"\|yes\|no\|PJSIP/[^)]*", "|yes|no|PJSIP/old", "a dialplan of other settings: "),
    "another folder": ("ct-settings.conf", r"CT_RECORDINGS=[^)]*", "CT_RECORDINGS=/proc/nowhere", "records into /proc/nowhere, ctserver looks into"),
    "another port": ("ct-settings.conf", r"CT_FASTAGI=agi://[^/]*", "CT_FASTAGI=agi://127.0.0.1:9", "Asterisk got no answer from ctserver at"),
    "no ct-route": ("ct-settings.conf", r"CT_SCRIPT=[^)]*", "CT_SCRIPT=/nowhere/ct-route", "Asterisk started ct-route and got no route"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_on_the_side_of_asterisk_is_told(pbx: Existing, fault: str) -> None:
    name, pattern, by, words = FAULTS[fault]
    kept = (pbx.pbx.etc / "ctserver" / name).read_text()
    await pbx.change(name, pattern, by)
    try:
        assert words in wrong(await pbx.examined())
    finally:
        (pbx.pbx.etc / "ctserver" / name).write_text(kept)
        await pbx.cli("manager reload" if name == "ct-manager.conf" else "dialplan reload")


async def test_a_module_that_is_not_loaded_is_told(pbx: Existing) -> None:
    await pbx.cli("module unload app_mixmonitor.so")
    try:
        async with pbx.office() as phone:
            found, _ = await asyncio.gather(pbx.examined(POOL[0]), _talk(phone, sound=True))
    finally:
        await pbx.cli("module load app_mixmonitor.so")
    assert "Asterisk does not record: MixMonitor made no file" in wrong(found)
    assert "the call was answered and not recorded" in wrong(found)
    assert "under Calls" not in wrong(found)


async def test_a_phone_without_sound_is_told(pbx: Existing) -> None:
    async with pbx.office() as phone:
        found, _ = await asyncio.gather(pbx.examined(POOL[0]), _talk(phone, sound=False))
        assert "not one RTP packet arrived" in wrong(found)
        assert "open the UDP ports of rtp.conf" in wrong(found)
        found, _ = await asyncio.gather(pbx.examined(POOL[0]), _talk(phone, sound=True))
        assert "all of them silence" in wrong(found)


@pytest.mark.parametrize(
    ("status", "words"),
    [(488, "the phone refused the call's codecs"), (486, "rang, it is busy"), (603, "rang, it rejected the call")],
)
async def test_a_phone_that_nobody_picks_up_is_told(pbx: Existing, status: int, words: str) -> None:
    async with pbx.office() as phone:
        phone.on_call = lambda talk: talk.refuse(status)
        assert words in wrong(await pbx.examined(POOL[0]))


async def test_on_freepbx_the_trunk_brings_tracked_numbers_here_and_others_there(pbx: Existing) -> None:
    """In whatever way the trunk writes them; and where it calls its account, the number stands in To."""
    freepbx = "[from-trunk]\nexten => _[0-9a-z].,1,Set(DB(other/${EXTEN})=yes)\n same => n,Hangup(16)\n"
    (pbx.pbx.etc / "extensions_additional.conf").write_text(freepbx)
    with (pbx.pbx.etc / "extensions.conf").open("a") as file:
        file.write("#include extensions_custom.conf\n#include extensions_additional.conf\n")
    (pbx.pbx.etc / "extensions_custom.conf").write_text("")
    await asyncio.to_thread(pbx.install)
    assert (pbx.pbx.etc / "extensions_custom.conf").read_text().count("#include") == 1
    trunk = pbx.pbx.etc / "pjsip.conf"
    trunk.write_text(trunk.read_text().replace("context = ct-inbound", "context = ct-from-trunk"))
    await pbx.cli("module reload res_pjsip.so")
    caller = await Phone(CALLER, "127.0.0.1", ("127.0.0.1", pbx.ports["sip"])).open(0)
    try:
        async with pbx.office() as phone:
            phone.on_call = lambda talk: talk.refuse(486)
            account = f"sip:account77@127.0.0.1:{pbx.ports['sip']}"
            for number, uri in (("02079460190", ""), ("+442079460190", account), ("5551234", ""), ("5551234", account)):
                await caller.dial(number, uri=uri).ended()
    finally:
        caller.close()
    await pbx.eventually("SELECT 1 FROM calls WHERE did = '+442079460190' AND state = 'ended' LIMIT -1 OFFSET 1")
    assert len(pbx.rows("SELECT 1 FROM calls WHERE did NOT IN ('+442079460190', ?)", POOL[0])) == 0
    others = await pbx.cli("database show other")
    assert "/other/5551234" in others
    assert "/other/account77" in others


async def test_ctserver_away_is_told_and_that_the_call_is_not_in_the_journal(pbx: Existing) -> None:
    pbx.signal(signal.SIGTERM)
    try:
        async with pbx.office() as phone:
            phone.on_call = lambda talk: talk.refuse(486)
            found = wrong(await pbx.examined(POOL[0]))
    finally:
        pbx.start_server()
    assert "ctserver: does not run" in found
    assert "FastAGI: nobody answers Asterisk" in found
    assert "the call is not under Calls" in found
    await pbx.healthy()


async def _talk(phone: Phone, *, sound: bool) -> Talk:
    talk = await phone.picks_up(0.1)
    if sound:
        talk.speak()
    return talk
