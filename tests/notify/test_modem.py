"""The PBX's own GSM modem, asked over a real AMI link: what reaches the PBX, and what becomes of the message when the PBX
refuses, is slow to answer or is away."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ctserver import config, ids, sinks
from ctserver.asterisk import dialplan
from ctserver.asterisk.bridge import Bridge
from ctserver.config import ConfigError
from ctserver.domain.fact import Fact
from ctserver.services.attribution import Attributor
from ctserver.sinks import Sinks
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, FakePbx

QUEUED = "Response: Success\nActionID: @ID@\nMessage: [gsm0] SMS queued for send\n\n"
DENIED = "Response: Error\nActionID: @ID@\nMessage: Permission denied\n\n"
MODEM = """
[notify.modem]
type = "modem"
driver = "{driver}"
device = "gsm0"
{pbx}
[alerts.disk]
on = ["disk"]
by = "modem"
to = ["+447700900001"]
short = "{text}"
"""
Running = Callable[..., Any]


@pytest.fixture
def running(db: Sqlite, toml: Path, pbx: FakePbx, until: Any) -> Running:
    """Everything between a fact and the PBX: alerts, delivery, the modem's channel, the bridge and its link."""

    @contextlib.asynccontextmanager
    async def start(driver: str = "dongle", text: str = "full", which: str = "", linked: bool = True) -> Any:
        toml.write_text(toml.read_text().replace("127.0.0.1:1", pbx.address))
        if which:
            (toml.parent / "nothing").mkdir(exist_ok=True)
            other = '[[asterisk]]\nid = "second"\nami = "ADDRESS"\nami_secret_file = "secret"\nspool = "nothing"\n'
            toml.write_text(toml.read_text() + other.replace("ADDRESS", which))
        chosen = 'pbx = "second"' if which else ""
        toml.write_text(toml.read_text() + MODEM.format(driver=driver, text=text, pbx=chosen))
        settings = config.load(toml)
        attributor = await Attributor.load(db, settings)
        bridges = [Bridge(db, settings, attributor, one) for one in settings.asterisk]
        links = [asyncio.create_task(bridge.link.run()) for bridge in bridges]
        made = Sinks(db, settings, ask_pbx=sinks.through(bridges))
        await made.start()
        if linked:
            await until(lambda: all(bridge.link.problem is None for bridge in bridges))
        try:
            yield made
        finally:
            await made.stop()
            for link in links:
                link.cancel()
            await asyncio.gather(*links, return_exceptions=True)

    return start


async def tell(db: Sqlite, made: Sinks) -> None:
    fact = Fact("disk", ids.now_ms(), "disk", "9 MB free")
    await db.write(lambda tx: made.facts.record(tx, fact, ids.now_ms()))
    made.facts.wake()


async def outcome(db: Sqlite, *wanted: str) -> tuple[str, str]:
    """State and answer of the one message, as soon as its answer is there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            row = await db.one("SELECT state, answer FROM outbox")
            if row and row["answer"] and (not wanted or row["state"] in wanted):
                return row["state"], row["answer"]
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("driver", "action", "message"),
    [
        ("dongle", "DongleSendSMS", ("Message", "Диск\\\\n\\\\\\\\9 МБ")),
        ("quectel", "QuectelSendSMS", ("Message", "Диск\\\\n\\\\\\\\9 МБ")),
        ("message", "MessageSend", ("Base64Body", base64.b64encode("Диск\n\\9 МБ".encode()).decode())),
    ],
)
async def test_a_message_reaches_the_pbx_as_its_driver_wants_it(
    db: Sqlite, running: Running, pbx: FakePbx, driver: str, action: str, message: tuple[str, str]
) -> None:
    pbx.answers[action] = QUEUED
    async with running(driver, "Диск\\n\\\\9\\tМБ") as made:
        await tell(db, made)
        assert await outcome(db) == ("done", "[gsm0] SMS queued for send")
    (sent,) = pbx.sent(action)
    assert sent[message[0]] == message[1].replace("\\\\", "\\")
    assert "+447700900001" in (sent.get("Number"), sent.get("To"))
    assert "gsm0" in (sent.get("Device"), sent.get("Destination", "").removeprefix("mobile:"))


async def test_a_long_text_is_cut_to_what_a_line_of_ami_may_hold(db: Sqlite, running: Running, pbx: FakePbx) -> None:
    pbx.answers["DongleSendSMS"] = QUEUED
    async with running(text="Ж\\\\\\n" * 600) as made:
        await tell(db, made)
        await outcome(db, "done")
    (sent,) = pbx.sent("DongleSendSMS")
    assert 700 < len(sent["Message"].encode()) <= 1000
    assert sent["Message"].endswith("…")


async def test_while_the_pbx_is_away_the_message_waits_and_then_goes_once(
    db: Sqlite, running: Running, pbx: FakePbx
) -> None:
    pbx.answers["DongleSendSMS"] = QUEUED
    port = pbx.port
    await pbx.stop()
    async with running(linked=False) as made:
        await tell(db, made)
        state, answer = await outcome(db)
        assert (state, answer[:20]) == ("waiting", "no link to the PBX: ")
        await pbx.start(port)
        assert await outcome(db, "done") == ("done", "[gsm0] SMS queued for send")
    assert len(pbx.sent("DongleSendSMS")) == 1


async def test_a_link_that_breaks_before_the_answer_and_a_modem_that_is_off_are_tried_again(
    db: Sqlite, running: Running, pbx: FakePbx, until: Any
) -> None:
    pbx.mute = {"DongleSendSMS"}
    async with running() as made:
        await tell(db, made)
        await until(lambda: bool(pbx.sent("DongleSendSMS")))
        pbx.hang_up()
        assert await outcome(db) == ("waiting", "no link to the PBX: the link to the PBX broke before the answer")
        pbx.mute.clear()
        pbx.answers["DongleSendSMS"] = "Response: Error\nActionID: @ID@\nMessage: [gsm0] Device disconnected\n\n"
        await until(lambda: len(pbx.sent("DongleSendSMS")) == 2)
        await outcome(db, "waiting")
    rows = await db.fetch("SELECT outcome, answer FROM tries ORDER BY at")
    assert [tuple(row) for row in rows][1:] == [("retry", "[gsm0] Device disconnected")]


async def test_a_right_that_is_missing_rests_the_channel_and_keeps_the_messages(
    db: Sqlite, running: Running, pbx: FakePbx, until: Any
) -> None:
    pbx.answers["MessageSend"] = DENIED
    async with running("message") as made:
        for _ in range(3):
            await tell(db, made)
        await until(lambda: bool(made.delivery.problems()))
        assert made.delivery.problems() == {"notify.modem": "Permission denied"}
        pbx.answers["MessageSend"] = QUEUED
        assert await made.delivery.test("notify.modem") == "[gsm0] SMS queued for send"
        await until(lambda: len(pbx.sent("MessageSend")) >= 7)
    rows = await db.fetch("SELECT state FROM outbox WHERE via = 'notify.modem'")
    assert {row["state"] for row in rows} == {"done"}


@pytest.fixture
async def second() -> AsyncIterator[FakePbx]:
    made = FakePbx()
    await made.start()
    yield made
    await made.stop()


async def test_of_several_pbxs_the_one_with_the_modem_is_asked(
    db: Sqlite, running: Running, pbx: FakePbx, second: FakePbx
) -> None:
    second.answers["DongleSendSMS"] = QUEUED
    async with running(which=second.address) as made:
        await tell(db, made)
        await outcome(db, "done")
    assert (len(pbx.sent("DongleSendSMS")), len(second.sent("DongleSendSMS"))) == (0, 1)


def test_a_modem_of_no_pbx_is_a_mistake(toml: Path) -> None:
    table = MODEM.format(driver="dongle", text="", pbx='pbx = "atlantis"')
    toml.write_text(toml.read_text() + table)
    with pytest.raises(ConfigError) as caught:
        config.load(toml)
    assert [(one.key, one.what) for one in caught.value.problems] == [
        ("notify.modem.pbx", "there is no [[asterisk]] with the id 'atlantis'")
    ]


@pytest.mark.parametrize(("driver", "rights"), [("dongle", "call,"), ("message", "message,call,")])
def test_the_ami_user_gets_the_right_that_the_modem_takes(toml: Path, tmp_path: Path, driver: str, rights: str) -> None:
    toml.write_text(toml.read_text() + MODEM.format(driver=driver, text="", pbx=""))
    dialplan.write(config.load(toml), tmp_path / "asterisk", Path("/usr/bin/python3"))
    assert f"\nwrite = {rights}originate" in (tmp_path / "asterisk" / "ct-manager.conf").read_text()
