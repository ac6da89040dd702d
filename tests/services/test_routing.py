"""Which line a call goes to, and what its dialplan is told besides."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from ctserver import config
from ctserver.config import Settings
from ctserver.domain import call as machine
from ctserver.services.attribution import Attributor
from ctserver.services.callers import Callers, endpoint_of_channel, endpoint_of_dial, phones
from ctserver.services.routing import Answer, Router
from ctserver.services.speech import Speaker
from ctserver.storage import calls
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE, quickest

NOW = 1_795_431_600_000  # 2026-11-23 11:00 UTC, a Monday
TOML = """
[lines.office]
dial = ["PJSIP/100", "PJSIP/101"]
hours = "Mo-Fr 09:00-18:00; PH off"
time_zone = "Europe/London"
closed = "line"
closed_line = "night"
returning = true
name_prefix = true
[lines.office.menu]
sound = "menu"
keys = {1 = "sales"}
[lines.night]
dial = "PJSIP/night"
hours = "24/7"
[lines.sales]
queue = "sales"
hours = "24/7 off"
[lines.plain]
dial = "PJSIP/200"
[sites.shop]
domains = ["shop.example"]
number = "+44 20 7946 0000"
[static.a]
number = "+44 20 7946 0101"
site = "shop"
source = "google"
medium = "cpc"
line = "office"
[static.b]
number = "+44 20 7946 0102"
site = "shop"
source = "poster"
line = "plain"
[callers]
blocked = ["+44 7700 900666", "+4470*"]
anonymous = "busy"
calls_per_hour = 2
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "ctserver.toml"
    file.write_text(TOML)
    return config.load(file)


async def test_a_plain_line_is_one_dial_string_and_nothing_more(settings: Settings) -> None:
    answer = await Router(settings).answer("02079460102", "07700900111")
    assert answer == Answer("plain|30|yes|yes|PJSIP/200")


async def test_each_pbx_is_asked_to_store_a_route_once_an_hour(settings: Settings) -> None:
    now = [NOW]
    router = Router(settings, now=lambda: now[0])

    async def stores(pbx: str) -> bool:
        return (await router.answer("02079460102", "07700900111", pbx)).route.split("|")[3] == "yes"

    assert [await stores(pbx) for pbx in ("pbx", "two", "pbx", "two")] == [True, True, False, False]
    now[0] += 3_600_000
    assert [await stores(pbx) for pbx in ("two", "pbx")] == [True, True]


@pytest.mark.parametrize(
    ("now", "states"),
    [
        (NOW, {"CT_HOURS_office": "open", "CT_HOURS_night": "open", "CT_HOURS_sales": "closed"}),
        (NOW + 9 * 3_600_000, {"CT_HOURS_office": "closed", "CT_HOURS_night": "open", "CT_HOURS_sales": "closed"}),
    ],
)
async def test_the_hours_of_every_line_on_the_way_are_told(
    settings: Settings, now: int, states: dict[str, str]
) -> None:
    answer = await Router(settings, now=lambda: now).answer("+442079460101", "+447700900111")
    assert answer == Answer("office|start|yes|yes|PJSIP/100", states)


@pytest.mark.parametrize(
    ("caller", "way"),
    [("07700900666", "reject"), ("+447012345678", "reject"), ("", "busy"), ("+447700900111", "30")],
)
async def test_callers_who_are_not_wanted(settings: Settings, caller: str, way: str) -> None:
    answer = await Router(settings).answer("+442079460102", caller)
    assert answer.route.split("|")[1] == way


async def test_who_rings_too_often_is_refused_for_a_while(settings: Settings) -> None:
    now = [NOW]
    router = Router(settings, now=lambda: now[0])
    ways = [(await router.answer("+442079460102", "+447700900111")).route.split("|")[1] for _ in range(3)]
    assert ways == ["30", "30", "reject"]
    now[0] += 3_600_000
    assert (await router.answer("+442079460102", "+447700900111")).route.split("|")[1] == "30"


async def test_the_source_and_the_last_phone_are_told(settings: Settings, db: Sqlite) -> None:
    router = Router(settings, await callers(settings, db), now=lambda: NOW)
    known = (await router.answer("+442079460101", "+447700900111")).variables
    assert (known["CT_PREFIX"], known["__CT_SOURCE"]) == ("Google", "google / cpc")
    assert "CT_LAST" not in known
    await db.write(lambda tx: calls.save(tx, spoken("PJSIP/101-0000000c")))
    assert (await router.answer("+442079460101", "+447700900111")).variables["CT_LAST"] == "PJSIP/101"


async def test_a_slow_database_does_not_hold_up_a_call(settings: Settings, db: Sqlite) -> None:
    router = Router(settings, await callers(settings, db), now=lambda: NOW)
    gate = threading.Event()
    slow = db.write(lambda _: gate.wait(PATIENCE))
    await asyncio.sleep(0.05)

    async def answered() -> None:
        answer = await router.answer("+442079460101", "+447700900111")
        assert answer.route.startswith("office|start|")

    assert await quickest(answered, 0.25) < 0.25
    gate.set()
    await slow


@pytest.mark.parametrize(
    ("dial", "endpoint"),
    [
        ("PJSIP/101", "PJSIP/101"),
        ("PJSIP/+447700900001@trunk", "PJSIP/trunk"),
        ("PJSIP/ct-out/sip:a@b:5060", "PJSIP/ct-out"),
        ("Local/600@from-internal/n", ""),
    ],
)
def test_the_endpoint_of_a_dial_string(dial: str, endpoint: str) -> None:
    assert endpoint_of_dial(dial) == endpoint


def test_a_phone_is_known_by_its_channel_only_if_it_is_alone_at_its_endpoint(settings: Settings) -> None:
    lines = {**settings.lines, "m": settings.lines["plain"].model_copy(update={"dial": ["PJSIP/1@t&PJSIP/2@t"]})}
    known = phones(lines)
    assert known[endpoint_of_channel("PJSIP/101-0000000c")] == "PJSIP/101"
    assert "PJSIP/t" not in known


async def test_a_text_is_spoken_once_and_not_waited_for(settings: Settings, db: Sqlite, tmp_path: Path) -> None:
    program = tmp_path / "speak"
    program.write_text('#!/bin/sh\nprintf "%s" "$1" > "$2"\n')
    program.chmod(0o755)
    speaker = Speaker(speaking(settings, [str(program), "{text}", "{file}"]))
    source = (await callers(settings, db))._attributor.uses["+442079460101"].source
    assert source
    assert speaker.sound("Call from {source}", source) == ""
    await speaker.speak()
    sound = speaker.sound("Call from {source}", source)
    assert Path(f"{sound}.wav").read_text() == "Call from google"


async def test_a_program_that_fails_or_hangs_is_let_go(settings: Settings, db: Sqlite) -> None:
    source = (await callers(settings, db))._attributor.uses["+442079460101"].source
    assert source
    for command in (["false"], ["/there/is/none"], ["sleep", "60"]):
        speaker = Speaker(speaking(settings, command))
        assert speaker.sound("Call from {source}", source) == ""
        await asyncio.wait_for(speaker.speak(), PATIENCE)
        assert speaker.sound("Call from {source}", source) == ""


def speaking(settings: Settings, command: list[str]) -> Settings:
    speech = settings.speech.model_copy(update={"command": command, "timeout_seconds": 1})
    return settings.model_copy(update={"speech": speech})


async def callers(settings: Settings, db: Sqlite) -> Callers:
    return Callers(db, settings, await Attributor.load(db, settings), Speaker(settings))


def spoken(channel: str) -> Any:
    event = machine.Arrived("1.1", NOW - 60_000, "1.1", "PJSIP/t-1", "+442079460101", "+447700900111", "")
    call = machine.begin(event, id="0" * 26, pbx="pbx", site="shop", line="office")
    call = machine.advance(call, machine.LegStarted("1.1", NOW - 59_000, "1.2", channel))
    return machine.advance(call, machine.LegDone("1.1", NOW - 58_000, "1.2", "ANSWER"))
