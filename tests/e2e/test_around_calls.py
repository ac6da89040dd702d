"""What stands around a talk: the key that is asked for afterwards, music meanwhile, messages and their alerts, callers who ring
too often. One real Asterisk for all of it."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiosmtpd.controller import Controller

from tests.conftest import PATIENCE
from tests.e2e.test_lines import NUMBERS, Lines
from tests.notify.test_mail import Box
from tests.ports import free_port
from tests.stories.phone import Talk
from tests.stories.world import MUSIC_HERTZ

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ASKED = {line: number.replace("+4420794602", "+4420794604") for line, number in NUMBERS.items()}
SECONDS = 3  # how long a key is waited for
ASKED |= {"inside": "+442079460498", "merged": "+442079460499"}
MOST = 7  # calls of one caller in an hour
SETTINGS = f"""
[callbacks]
dial = "PJSIP/ct-out/sip:{{{{number}}}}@@CAROL@"
ring_seconds = 5
[lines.inside]
dial = "Local/102@company/n"
ring_seconds = 4
[lines.merged]
dial = "Local/102@company"
ring_seconds = 4
[sites.spoken]
domains = ["spoken.example"]
number = "+44 20 7946 0002"
line = "plain"
after_call = {{{{ keys = {{{{ 1 = "order" }}}}, sound = "beep" }}}}
[static.spoken]
number = "+44 20 7946 0302"
site = "spoken"
source = "x"
[sites.asked]
domains = ["asked.example"]
number = "+44 20 7946 0001"
line = "plain"
categories = ["Bicycle", "Repair"]
[sites.asked.after_call]
seconds = {SECONDS}
[sites.asked.after_call.keys]
1 = "Bicycle"
2 = "Repair"
""" + "".join(
    f'[static.asked-{line}]\nnumber = "{number}"\nsite = "asked"\nline = "{line}"\nsource = "x"\n'
    for line, number in ASKED.items()
)


MAIL = """
[outbound]
private_networks = ["127.0.0.0/8"]
[notify.mail]
type = "email"
host = "127.0.0.1"
port = @PORT@
security = "none"
sender = "Calls <calls@example.com>"
[alerts.message]
on = ["voicemail"]
by = "mail"
to = ["boss@example.com"]
recording = "attach"
"""


_callers = iter(range(10, 99))


class Around(Lines):
    toml = Lines.toml.replace('anonymous = "reject"', f'anonymous = "reject"\ncalls_per_hour = {MOST}') + SETTINGS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.box = Box()
        port = free_port()
        self.post = Controller(self.box, hostname="127.0.0.1", port=port)
        with self.config.open("a", encoding="utf-8") as out:
            out.write(MAIL.replace("@PORT@", str(port)))

    async def open(self) -> None:
        self.post.start()
        await super().open()

    async def close(self) -> None:
        self.post.stop()
        await super().close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Around]:
    async with Around(tmp_path_factory.mktemp("around")).running() as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _quiet(world: Around) -> AsyncIterator[None]:
    """Each test has a caller of its own."""
    async with world.one_test():
        world.trunk.user = f"+4474001234{next(_callers)}"
        yield


async def connect(world: Around, line: str, phone: str, numbers: dict[str, str] = ASKED) -> tuple[Talk, Talk]:
    """Both sides of a talk that has gone on for a moment."""
    caller = world.trunk.dial(numbers[line])
    answered = await world.phones[phone].picks_up(0.2)
    await caller.status(200)
    caller.speak()
    answered.speak()
    await asyncio.sleep(0.5)
    return caller, answered


async def call_since(world: Around, moment: float, line: str) -> Any:
    """The ended call to this line that arrived after then."""
    sql = "SELECT * FROM calls WHERE did = ? AND state = 'ended' AND arrived_at > ?"
    (call,) = await world.eventually(sql, ASKED[line], int(moment * 1000))
    return call


def noted(world: Around) -> list[str]:
    """The keys that Asterisk has noted."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(world.recordings.glob("ct-calls-*.log")))
    return re.findall(r"^CTKey,.*Key: ([0-9*])", text, re.M)


# ---- the key after the call


async def test_who_answered_says_by_a_key_what_the_call_was_about(world: Around) -> None:
    """On a line of one phone, of several, of one after another, of a queue, and of the PBX's own dialplan behind a Local channel; by
    SIP INFO and by keys in the sound."""
    began = time.time()
    answers = {"plain": "alice", "group": "alice", "sequence": "bob", "queue": "bob", "inside": "bob"}
    world.phones["bob"].keys_in_sound = True
    for line, phone in answers.items():
        for other in world.phones.values():
            other.ringing = asyncio.Queue()
            other.on_call = other.ringing.put_nowait
        caller, answered = await connect(world, line, phone)
        await caller.hang_up()
        await asyncio.sleep(0.5)
        assert not answered.over.is_set(), f"{line}: nobody is asked"
        await answered.press("2")
        await answered.ended()
    world.phones["bob"].keys_in_sound = False
    assert noted(world) == ["2"] * len(answers)
    for line, phone in answers.items():
        call = await call_since(world, began, line)
        await world.eventually("SELECT 1 FROM calls WHERE id = ? AND category = 'Repair'", call["id"])
        assert (call["outcome"], call["reason"], call["hung_up_by"]) == ("answered", "completed", "caller")
        (entry,) = world.rows("SELECT login, via, detail FROM audit WHERE subject = ?", call["id"])
        whose = "Local/102@company" if line == "inside" else f"PJSIP/{phone}"
        assert tuple(entry) == (whose, "phone", "category=Repair key=2")
    assert len(world.rows("SELECT 1 FROM calls")) == len(answers), "being asked is no call"


async def test_the_category_stands_on_the_call_in_the_journal_and_in_the_audit_log(world: Around) -> None:
    (call,) = world.rows("SELECT id FROM calls WHERE did = ? AND category = 'Repair'", ASKED["plain"])
    async with world.session() as client:
        pages = [
            await world.page(client, path) for path in (f"/calls/{call['id']}", "/calls?category=Repair", "/audit")
        ]
    assert re.search(r'value="" aria-pressed="true"[^>]*><kbd>2</kbd>Repair', pages[0])
    assert pages[1].count(f"/calls/{call['id']}")
    assert "by phone, extension alice" in pages[2]


async def test_whoever_presses_nothing_is_free_again_soon(world: Around) -> None:
    """And his call is what it would have been: its end, its legs and its recording end with the caller."""
    began = time.time()
    caller, answered = await connect(world, "plain", "alice")
    before = time.time()
    await caller.hang_up()
    await answered.ended()
    held = time.time() - before
    assert SECONDS - 0.5 < held < SECONDS + 5
    call = await call_since(world, began, "plain")
    assert abs(call["ended_at"] / 1000 - before) < SECONDS / 2
    (leg,) = world.rows("SELECT * FROM legs WHERE call = ?", call["id"])
    assert (leg["status"], leg["cause"]) == ("ANSWER", 16)
    assert abs(leg["ended_at"] - call["ended_at"]) < 500
    (kept,) = await world.eventually("SELECT * FROM recordings WHERE call = ? AND state = 'ready'", call["id"])
    assert kept["millis"] < call["talk_ms"] + 700


async def test_the_tones_are_heard_and_a_key_without_a_meaning_is_asked_for_again(world: Around) -> None:
    caller, answered = await connect(world, "plain", "alice")
    ear = world.phones["alice"].heard
    await caller.hang_up()
    ear.sound.clear()
    await asyncio.sleep(0.8)
    assert share(ear.sound, 880) > 0.5
    await answered.press("7")
    await asyncio.sleep(0.3)
    assert not answered.over.is_set()
    await answered.press("1")
    await answered.ended()
    assert noted(world)[-1] == "1"


async def test_nobody_is_asked_who_hangs_up_himself_or_whose_site_wants_no_keys(world: Around) -> None:
    before = noted(world)
    caller, answered = await connect(world, "plain", "alice")
    await answered.hang_up()
    await caller.ended()
    caller, answered = await connect(world, "plain", "alice", NUMBERS)
    await caller.hang_up()
    await answered.ended(SECONDS - 0.5)
    assert noted(world) == before


async def test_a_key_pressed_while_ctserver_is_away_counts_when_it_is_back(world: Around) -> None:
    began = time.time()
    world.signal(signal.SIGKILL)
    try:
        caller, answered = await connect(world, "group", "bob")
        await caller.hang_up()
        await asyncio.sleep(0.5)
        await answered.press("1")
        await answered.ended()
    finally:
        await asyncio.to_thread(world.start_server)
        await world.healthy()
    call = await call_since(world, began, "group")
    await world.eventually("SELECT 1 FROM calls WHERE id = ? AND category = 'Bicycle'", call["id"])


async def test_transfers_and_pick_ups_go_on_as_before(world: Around) -> None:
    """Whoever has passed the caller on is not asked; whoever picked the call up is."""
    caller, answered = await connect(world, "plain", "alice")
    await answered.transfer("102")
    await answered.hang_up()
    bob = await world.phones["bob"].picks_up(0.2)
    await asyncio.sleep(0.5)
    await caller.hang_up()
    await bob.ended(SECONDS - 0.5)

    caller, first = await connect(world, "plain", "alice")
    await first.hold()
    second = world.phones["alice"].dial("102")
    bob = await world.phones["bob"].picks_up(0.2)
    await second.status(200)
    await first.transfer("102", instead_of=second)
    await asyncio.sleep(0.8)
    assert "!ct-after!" not in await asyncio.to_thread(world.pbx.cli, "core show channels concise")
    await first.hang_up()
    await caller.hang_up()
    await bob.ended(SECONDS - 0.5)

    caller = world.trunk.dial(ASKED["plain"])
    await world.phones["alice"].rings()
    carol = await world.phones["carol"].talks_to("*8")
    carol.speak()
    await caller.status(200)
    await asyncio.sleep(0.3)
    await caller.hang_up()
    await asyncio.sleep(0.5)
    assert not carol.over.is_set()
    await carol.press("1")
    await carol.ended()


async def test_a_local_channel_that_melts_away_takes_the_question_with_it(world: Around) -> None:
    """Without /n Asterisk joins the phone to the caller itself."""
    caller, answered = await connect(world, "merged", "bob")
    assert not caller.over.is_set()
    assert not answered.over.is_set()
    await caller.hang_up()
    await answered.ended()


async def test_the_sound_of_the_settings_is_what_asks(world: Around) -> None:
    caller, answered = await connect(world, "spoken", "alice", {"spoken": "+442079460302"})
    await caller.hang_up()
    await asyncio.sleep(0.6)
    await answered.hang_up()
    log = (world.pbx.folder / "log" / "full.log").read_text(encoding="utf-8", errors="replace")
    assert re.search(r"<PJSIP/alice-\w+> Playing 'beep", log[log.index("s@ct-ask-spoken") :])


async def test_after_a_callback_the_company_is_asked_too(world: Around) -> None:
    visitor = world.trunk.user
    call = world.trunk.dial(ASKED["plain"])
    (await world.phones["alice"].called()).refuse(486)
    await call.ended()
    before = noted(world)
    await world.ring_back(visitor)
    alice = await world.phones["alice"].picks_up(0.2)
    carol = await world.phones["carol"].picks_up(0.2)
    alice.speak()
    carol.speak()
    await asyncio.sleep(0.5)
    await carol.hang_up()
    await asyncio.sleep(0.6)
    await alice.press("2")
    await alice.ended()
    assert noted(world) == [*before, "2"]


# ---- music


@pytest.mark.parametrize(("line", "early"), [("group", True), ("held", False)])
async def test_who_waits_or_is_on_hold_hears_the_music_of_the_line(world: Around, line: str, early: bool) -> None:
    """While phones ring, before anybody has answered; in a queue, which answers at once."""
    call = world.trunk.dial(NUMBERS[line])
    await call.status(183 if early else 200)
    call.speak()
    alice = await world.phones["alice"].rings()
    assert await soon(True, world)
    await alice.answer()
    await asyncio.sleep(0.2)
    assert await soon(False, world)
    await alice.hold()
    assert await soon(True, world)
    await call.hang_up()


async def soon(wanted: bool, world: Around) -> bool:
    """Does he hear it, or hear it no more? A busy machine sends sound late and by fits."""
    for _ in range(5):
        if await hears_music(world) == wanted:
            return True
    return False


async def hears_music(world: Around) -> bool:
    """Is most of what the caller hears in the next half second the tone?"""
    ear = world.trunk.heard
    await asyncio.sleep(0.2)
    ear.sound.clear()
    await asyncio.sleep(0.5)
    return len(ear.sound) > 2_000 and share(ear.sound, MUSIC_HERTZ) > 0.9


# ---- messages


async def test_a_message_is_in_the_journal_with_its_sound_and_somebody_gets_it_by_mail(world: Around) -> None:
    call = world.trunk.dial(NUMBERS["message"])
    await call.status(200)
    call.speak()
    await asyncio.sleep(3.5)
    await call.hang_up()
    (row,) = await world.eventually("SELECT * FROM calls WHERE caller = ? AND state = 'ended'", world.trunk.user)
    assert (row["outcome"], row["reason"]) == ("missed", "voicemail")
    await world.eventually("SELECT 1 FROM recordings WHERE call = ? AND state = 'ready'", row["id"])
    async with asyncio.timeout(PATIENCE):
        while not world.box.mails:
            await asyncio.sleep(0.1)
    (mail,) = world.box.mails
    assert mail["To"] == "boss@example.com"
    assert "message" in mail["Subject"]
    text = mail.get_body(("plain",))
    assert text is not None
    assert f"{world.url}/calls/{row['id']}" in text.get_content()
    (sound,) = mail.iter_attachments()
    assert sound.get_content_type().startswith("audio/")
    assert len(sound.get_content()) > 8_000


# ---- callers who ring too often


async def test_only_so_many_calls_of_one_caller_ring_within_an_hour(world: Around) -> None:
    rung: list[str] = []

    def refuse(talk: Talk) -> None:
        rung.append(talk.phone.user)
        talk.refuse(486)

    world.phones["alice"].on_call = refuse
    often = world.trunk.user
    for _ in range(MOST + 1):
        await world.trunk.dial(NUMBERS["plain"]).ended()
    world.trunk.user = "+447400123499"
    await world.trunk.dial(NUMBERS["plain"]).ended()
    assert len(rung) == MOST + 1, "the last one of the first caller does not ring, another caller does"
    sql = "SELECT outcome FROM calls WHERE caller = ? AND state = 'ended' ORDER BY arrived_at"
    await world.eventually(sql, world.trunk.user)
    assert [row["outcome"] for row in world.rows(sql, often)] == ["missed"] * MOST + ["blocked"]
    assert [row["outcome"] for row in world.rows(sql, world.trunk.user)] == ["missed"]


def share(sound: bytes | bytearray, hertz: float) -> float:
    """The share of the energy of mu-law that lies within 20 Hz of a tone, 0 to 1."""
    samples = np.array([linear(byte) for byte in sound], dtype=float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / 8000) - hertz) < 20
    return float(power[near].sum() / max(power.sum(), 1e-9))


def linear(byte: int) -> int:
    """The sample of a byte of G.711 mu-law."""
    byte = ~byte & 0xFF
    magnitude = ((byte & 0x0F) << 3 | 0x84) << (byte >> 4 & 7)
    return (0x84 - magnitude) if byte & 0x80 else (magnitude - 0x84)
