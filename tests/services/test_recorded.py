"""Which calls are recorded: by the caller, and while the disk has room. Through Asterisk: tests/e2e/test_main_path.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctserver import config
from ctserver.asterisk import dialplan
from ctserver.config import ConfigError, Settings
from ctserver.services.recorded import Recorded
from ctserver.services.routing import Answer, Router

TOML = """
[server]
country = "GB"
[recordings]
never_callers = ["+44 7700 900888", "079*", "101"]
[lines.office]
dial = "PJSIP/200"
[lines.menu]
dial = "PJSIP/300"
greeting = "hello"
[sites.shop]
domains = ["shop.example"]
number = "+44 20 7946 0101"
[static.a]
number = "+44 20 7946 0102"
site = "shop"
source = "poster"
[static.b]
number = "+44 20 7946 0103"
site = "shop"
source = "poster"
line = "menu"
"""


def settings(folder: Path, **overrides: str) -> Settings:
    file = folder / "ctserver.toml"
    file.write_text(TOML)
    return config.load(file, {name.replace("__", "."): value for name, value in overrides.items()})


@pytest.mark.parametrize(
    "caller", ["07700900888", "+447700900888", "447700900888", "07911123456", "+447911123456", "101"]
)
async def test_some_callers_are_never_recorded_however_the_trunk_writes_them(tmp_path: Path, caller: str) -> None:
    router = Router(settings(tmp_path))
    assert await router.answer("02079460102", caller) == Answer("office|30|no|no|PJSIP/200", {"CT_REFUSED": "yes"})
    answer = await router.answer("02079460103", caller)
    assert answer.variables["CT_REFUSED"] == "yes", "its line has a context of its own, which asks this variable"


@pytest.mark.parametrize("caller", ["07700900889", "", "anonymous", "+79161234567", "1011"])
async def test_others_are(tmp_path: Path, caller: str) -> None:
    assert await Router(settings(tmp_path)).answer("02079460102", caller) == Answer("office|30|yes|yes|PJSIP/200")


def test_the_dialplan_knows_them_for_the_time_when_ctserver_is_away(tmp_path: Path) -> None:
    text = dialplan.render(settings(tmp_path), Path("/x"))
    context = text.split("[ct-unrecorded]\n")[1].split("\n\n")[0].splitlines()
    assert {line.split(",")[0].removeprefix("exten => ") for line in context} == {
        "c447700900888", "c07700900888", "c7700900888", "_c4479!", "_c004479!", "_c079!", "c101",
    }  # fmt: skip


async def test_nothing_is_recorded_when_the_disk_is_nearly_full_and_calls_go_on(tmp_path: Path) -> None:
    full = Recorded(settings(tmp_path, recordings__stop_free_mb="900000000", recordings__min_free_mb="0"))
    (tmp_path / "var" / "recordings").mkdir(parents=True)
    router = Router(settings(tmp_path), recorded=full)
    assert (await router.answer("02079460102", "")).route == "office|30|yes|yes|PJSIP/200"
    full.look()
    assert (await router.answer("+442079460102", "")).route == "office|30|no|no|PJSIP/200"
    assert "calls are not recorded any more" in full.stopped
    room = Recorded(settings(tmp_path, recordings__stop_free_mb="1", recordings__min_free_mb="900000000"))
    room.look()
    assert room.allows("")
    assert "less than the 900000000 MB" in room.disk


def test_recording_does_not_stop_before_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stop_free_mb"):
        settings(tmp_path, recordings__stop_free_mb="600")
