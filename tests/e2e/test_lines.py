"""Every kind of line, through a real Asterisk: what rings, what the caller meets on the way, what is said of it."""

from __future__ import annotations

import asyncio
import re
import signal
import wave
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.stories.phone import Message, Phone, Talk
from tests.stories.world import TOML as STORIES_TOML
from tests.stories.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

OPEN, CLOSED = "24/7", "24/7 off"
LINES = f"""
[calls]
default_line = "held"
[lines.plain]
dial = "PJSIP/alice"
ring_seconds = 4
[lines.group]
dial = "PJSIP/alice&PJSIP/bob"
ring_seconds = 4
music = "tones"
[lines.sequence]
dial = ["PJSIP/alice", "PJSIP/bob"]
ring_seconds = 2
[lines.queue]
queue = "sales"
ring_seconds = 8
whisper_sound = "beep"
[lines.held]
queue = "sales"
music = "tones"
ring_seconds = 8
[lines.extension]
extension = "102@company"
[lines.outside]
dial = "PJSIP/ct-out/sip:carol@@CAROL@"
ring_seconds = 4
greeting = "beep"
[lines.mobile]
dial = "PJSIP/+447700900222@carol"
ring_seconds = 4
[lines.gone]
dial = "PJSIP/dave"
[lines.empty]
queue = "nobody"
[lines.hours]
dial = "PJSIP/alice"
ring_seconds = 4
hours = "{OPEN}"
closed = "line"
closed_line = "plain"
[lines.closed]
dial = "PJSIP/alice"
hours = "{CLOSED}"
closed_sound = "beep"
[lines.night]
dial = "PJSIP/alice"
hours = "{CLOSED}"
closed = "line"
closed_line = "bob"
[lines.bob]
dial = "PJSIP/bob"
ring_seconds = 4
[lines.message]
dial = "PJSIP/dave"
ring_seconds = 2
missed = "voicemail"
voicemail_sound = "beep"
voicemail_seconds = 6
[lines.menu]
dial = "PJSIP/carol"
ring_seconds = 4
greeting = "beep"
refuse_key = "9"
[lines.menu.menu]
sound = "beep"
seconds = 3
tries = 2
wrong_sound = "beep"
[lines.menu.menu.keys]
1 = "plain"
2 = "night"
[lines.known]
dial = ["PJSIP/alice", "PJSIP/bob"]
ring_seconds = 3
returning = true
name_prefix = true
source_header = "X-Ct-Source"
whisper_sound = "beep"
whisper_text = "Call from {{{{source}}}}"
[speech]
command = ["/bin/sh", "speak", "{{{{text}}}}", "{{{{file}}}}"]
[callers]
blocked = ["+44 7700 900666", "+4479*"]
anonymous = "reject"
"""
NAMES = re.findall(r"^\[lines\.(\w+)\]", LINES, re.M)
NUMBERS = {line: f"+4420794602{number:02}" for number, line in enumerate(NAMES)}


class Lines(World):
    """The stories' world with lines of every kind."""

    numbers = NUMBERS
    toml = (
        STORIES_TOML[: STORIES_TOML.index("[sites.shop]")]
        + LINES
        + '[sites.shop]\ndomains = ["127.0.0.1"]\nnumber = "+44 20 7946 0000"\nline = "plain"\n'
        + "".join(
            f'[static.{line}]\nnumber = "{number}"\nsite = "shop"\nline = "{line}"\n'
            f'source = "{"google" if line == "known" else line}"\nmedium = "cpc"\n'
            for line, number in NUMBERS.items()
        )
    )

    def configure_pbx(self) -> None:
        """With a program that speaks: it knows one sound."""
        text = self.config.read_text(encoding="utf-8").replace('"speak"', f'"{self.folder / "speak"}"')
        self.config.write_text(text, encoding="utf-8")
        with wave.open(str(self.folder / "voice.wav"), "wb") as voice:
            voice.setparams((1, 2, 8000, 0, "NONE", ""))
            voice.writeframes(bytes(3200))
        (self.folder / "speak").write_text(f'cp "{self.folder}/voice.wav" "$2"\n', encoding="utf-8")
        super().configure_pbx()

    async def journal(self, line: str, *, count: int = 1) -> Any:
        """The latest ended call to the number of this line, when there are so many."""
        rows = await self.eventually(
            "SELECT * FROM calls WHERE did = ? AND state = 'ended' ORDER BY id LIMIT -1 OFFSET ?",
            self.numbers[line],
            count - 1,
        )
        return rows[-1]

    def calls(self, line: str) -> int:
        return len(self.rows("SELECT 1 FROM calls WHERE did = ? AND state = 'ended'", self.numbers[line]))

    def ended(self) -> dict[str, str]:
        """The fields of the latest CTEnd in Asterisk's log."""
        text = (self.pbx.folder / "log" / "full.log").read_text(encoding="utf-8", errors="replace")
        last = re.findall(r'UserEvent\("[^"]*", "(CTEnd,[^\n]*)"\)', text)[-1]
        return dict(part.split(": ", 1) if ": " in part else (part.rstrip(":"), "") for part in last.split(",")[1:])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lines]:
    async with Lines(tmp_path_factory.mktemp("lines")).running() as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _quiet(world: Lines) -> AsyncIterator[None]:
    async with world.one_test():
        yield


def header(talk: Talk, name: str) -> str:
    assert isinstance(talk.invite, Message)
    return talk.invite.get(name)


async def talk_for_a_moment(call: Talk, phone: Phone) -> None:
    await phone.picks_up(0.2)
    await call.status(200)
    await asyncio.sleep(0.5)
    await call.hang_up()


@pytest.mark.parametrize("line", ["gone", "empty"])
async def test_a_line_that_cannot_be_reached_ends_at_the_default_line_whatever_kind_that_is(
    world: Lines, line: str
) -> None:
    world.trunk.user = "+447700900177"
    call = world.trunk.dial(world.numbers[line])
    await call.status(200)  # music plays: the default line is a queue
    call.speak()
    bob = await world.phones["bob"].picks_up(0.2)
    bob.speak()
    await asyncio.sleep(1)
    await call.hang_up()
    row = await world.journal(line)
    assert (row["outcome"], row["line"]) == ("answered", "held")
    await world.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", row["id"])


async def test_a_plain_line_rings_as_it_always_did(world: Lines) -> None:
    await talk_for_a_moment(world.trunk.dial(world.numbers["plain"]), world.phones["alice"])
    call = await world.journal("plain")
    assert (call["outcome"], call["line"], call["routed_by"]) == ("answered", "plain", "ctserver")
    assert world.ended()["Stage"] == "ring"


@pytest.mark.parametrize(
    "called", ["office", "_pbx", "5", f"*{NUMBERS['bob']}", f"{NUMBERS['bob']};npdi;rn=+442079460999"]
)
async def test_whatever_the_trunk_calls_somebody_is_rung(world: Lines, called: str) -> None:
    """The tracked number where it is told, else what unknown numbers ring."""
    tracked = NUMBERS["bob"] in called
    before = len(world.rows("SELECT 1 FROM calls WHERE state = 'ended'"))
    call = world.trunk.dial(called, uri=f"sip:{called}@127.0.0.1:{world.ports['sip']}")
    await talk_for_a_moment(call, world.phones["bob"])
    *_, row = await world.eventually("SELECT * FROM calls WHERE state = 'ended' ORDER BY id LIMIT -1 OFFSET ?", before)
    assert (row["outcome"], row["line"]) == ("answered", "bob" if tracked else "held")
    assert not tracked or row["did"] == NUMBERS["bob"]


async def test_several_phones_ring_at_once(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["group"])
    alice = await world.phones["alice"].rings()
    await talk_for_a_moment(call, world.phones["bob"])
    await alice.ended()
    assert (await world.journal("group"))["outcome"] == "answered"


async def test_phones_ring_one_after_another(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["sequence"])
    alice = await world.phones["alice"].rings()
    await alice.ended()
    await talk_for_a_moment(call, world.phones["bob"])
    assert (await world.journal("sequence"))["outcome"] == "answered"


async def test_a_queue_rings_its_members(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["queue"])
    await talk_for_a_moment(call, world.phones["alice"])
    assert (await world.journal("queue"))["outcome"] == "answered"
    assert world.ended()["Stage"] == "queue"


async def test_an_extension_of_the_pbx_takes_the_call_over(world: Lines) -> None:
    await talk_for_a_moment(world.trunk.dial(world.numbers["extension"]), world.phones["bob"])
    assert (await world.journal("extension"))["outcome"] == "answered"
    assert world.ended()["Stage"] == "pbx"


async def test_a_greeting_is_heard_and_then_a_sip_address_rings(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["outside"])
    await call.status(200)  # the greeting is heard
    carol = await world.phones["carol"].picks_up(0.2)
    await asyncio.sleep(0.5)
    await call.hang_up()
    await carol.ended()
    assert (await world.journal("outside"))["outcome"] == "answered"


async def test_a_mobile_is_rung_over_the_trunk(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["mobile"])
    mobile = await world.phones["carol"].rings()
    assert isinstance(mobile.invite, Message)
    assert mobile.invite.start.startswith("INVITE sip:+447700900222@")
    await mobile.answer()
    await call.status(200)
    await call.hang_up()
    assert (await world.journal("mobile"))["outcome"] == "answered"


async def test_an_open_line_rings(world: Lines) -> None:
    await talk_for_a_moment(world.trunk.dial(world.numbers["hours"]), world.phones["alice"])
    assert (await world.journal("hours"))["line"] == "hours"


async def test_a_closed_line_announces_it_and_hangs_up(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["closed"])
    await call.ended()
    await world.journal("closed")
    said = world.ended()
    assert (said["Stage"], said["Closed"], said["Line"]) == ("hours", "yes", "closed")


async def test_a_closed_line_leads_to_another(world: Lines) -> None:
    await talk_for_a_moment(world.trunk.dial(world.numbers["night"]), world.phones["bob"])
    assert (await world.journal("night"))["outcome"] == "answered"
    assert (world.ended()["Line"], world.ended()["Closed"]) == ("bob", "yes")


async def test_hours_hold_without_ctserver_too(world: Lines) -> None:
    """Asterisk judges by the plain week in the dialplan."""
    world.signal(signal.SIGTERM)
    try:
        await talk_for_a_moment(world.trunk.dial(world.numbers["night"]), world.phones["bob"])
        await world.quiet()
        assert (world.ended()["Line"], world.ended()["Closed"]) == ("bob", "yes")
        await talk_for_a_moment(world.trunk.dial(world.numbers["hours"]), world.phones["alice"])
        await world.quiet()
        assert world.ended()["Line"] == "hours"
    finally:
        await asyncio.to_thread(world.start_server)
        await world.healthy()


async def test_a_message_is_the_recording_of_the_call(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["message"])
    await call.status(200)
    call.speak()
    await asyncio.sleep(4.5)
    await call.hang_up()
    row = await world.journal("message")
    assert row["outcome"] == "missed"
    said = world.ended()
    assert said["Stage"] == "voicemail"
    assert 2 <= int(said["Message"]) <= 12
    (kept,) = await world.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", row["id"])
    assert 1_500 < kept["millis"] < 12_000


async def test_a_key_of_the_menu_leads_to_its_line(world: Lines) -> None:
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    await asyncio.sleep(2.5)
    await call.press("1")
    await world.phones["alice"].picks_up(0.2)
    await asyncio.sleep(0.5)
    await call.hang_up()
    assert (await world.journal("menu"))["outcome"] == "answered"
    assert (world.ended()["Line"], world.ended()["Keys"]) == ("plain", "1")


async def test_a_menu_leads_on_when_no_key_or_a_wrong_one_is_pressed(world: Lines) -> None:
    before = world.calls("menu")
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    await asyncio.sleep(2.5)
    await call.press("7")
    await world.phones["carol"].picks_up(0.2)
    await asyncio.sleep(0.5)
    await call.hang_up()
    assert (await world.journal("menu", count=before + 1))["outcome"] == "answered"
    assert (world.ended()["Line"], world.ended()["Keys"]) == ("menu", "7")


async def test_a_caller_who_leaves_in_the_menu_is_known_to_have_been_there(world: Lines) -> None:
    before = world.calls("menu")
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    await asyncio.sleep(3)
    await call.hang_up()
    assert (await world.journal("menu", count=before + 1))["outcome"] == "missed"
    assert world.ended()["Stage"] == "menu"


async def test_who_refuses_is_not_recorded(world: Lines) -> None:
    before = world.calls("menu")
    call = world.trunk.dial(world.numbers["menu"])
    await call.status(200)
    await asyncio.sleep(0.9)
    await call.press("9")
    call.speak()
    await world.phones["carol"].picks_up(0.2)
    await asyncio.sleep(1)
    await call.hang_up()
    row = await world.journal("menu", count=before + 1)
    assert row["outcome"] == "answered"
    assert not list(world.recordings.glob(f"{row['uniqueid']}*"))


async def test_the_source_is_told_and_the_one_who_spoke_to_him_last_is_rung_first(world: Lines) -> None:
    stranger = await Phone("+447700900155", "127.0.0.1", world.trunk.pbx).open(0)  # nobody has spoken to him yet
    call = stranger.dial(world.numbers["known"], name="Carla")
    alice = await world.phones["alice"].rings()
    assert '"[Google] Carla"' in header(alice, "From")
    assert header(alice, "X-Ct-Source") == "google / cpc"
    alice.refuse(486)
    await talk_for_a_moment(call, world.phones["bob"])
    assert (await world.journal("known"))["answered_by"].startswith("PJSIP/bob")
    await world.quiet()
    (notes,) = world.recordings.glob("ct-calls-*.log")
    assert "CallerIDName: Carla," in notes.read_text(encoding="utf-8"), "Asterisk notes the caller's own name"
    async with asyncio.timeout(60):  # it is spoken every other second
        while not (speech := [*(world.folder / "var" / "speech").glob("*.wav")]):
            await asyncio.sleep(0.1)
    again = stranger.dial(world.numbers["known"])
    bob = await world.phones["bob"].rings()
    assert '"[Google] +447700900155"' in header(bob, "From")
    assert world.phones["alice"].ringing.empty()
    await bob.answer()
    await again.status(200)
    await asyncio.sleep(0.3)
    await again.hang_up()
    stranger.close()
    log = (world.pbx.folder / "log" / "full.log").read_text(encoding="utf-8", errors="replace")
    (spoken,) = speech
    assert re.search(rf"<PJSIP/bob-\w+> Playing '{spoken.with_suffix('')}", log), "Bob hears the source"


@pytest.mark.parametrize("number", ["+447700900666", "+447912345678", "anonymous"])
async def test_callers_who_are_not_wanted_do_not_ring(world: Lines, number: str) -> None:
    before = world.calls("plain")
    stranger = Phone(number, "127.0.0.1", world.trunk.pbx)
    await stranger.open(0)
    try:
        await stranger.dial(world.numbers["plain"]).ended()
    finally:
        stranger.close()
    row = await world.journal("plain", count=before + 1)
    assert (row["outcome"], row["reason"]) == ("blocked", "blocked")
    assert world.ended()["Stage"] == "blocked"
    assert world.phones["alice"].ringing.empty()


async def test_a_line_that_the_dialplan_does_not_know_yet_rings_all_the_same(world: Lines) -> None:
    """The settings have changed, and nobody ran `ctserver dialplan`."""
    await asyncio.to_thread(world.pbx.cli, "dialplan remove context ct-line-sequence")
    try:
        await talk_for_a_moment(world.trunk.dial(world.numbers["sequence"]), world.phones["alice"])
    finally:
        await asyncio.to_thread(world.pbx.cli, "dialplan reload")
