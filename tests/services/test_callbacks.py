"""Calls that we place: a wish is kept, an attempt is made once, and what came of it decides what follows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ctserver import config
from ctserver.config import Settings
from ctserver.domain import call as machine
from ctserver.domain.callback import CallbackEnded, Refused, WentOut
from ctserver.domain.model import DIRECT, Session
from ctserver.services.callbacks import Callbacks, NotSent, Wish
from ctserver.storage import calls, outgoing, sessions
from ctserver.storage.db import Row
from ctserver.storage.sqlite import Sqlite

NOW = 1_795_431_600_000  # 2026-11-23 11:00 UTC, a Monday
EVENING = NOW + 9 * 3_600_000
TOML = """
[server]
country = "GB"
time_zone = "Europe/London"
[lines.office]
dial = ["PJSIP/100", "PJSIP/101"]
hours = "Mo-Fr 09:00-18:00"
[sites.shop]
domains = ["shop.example"]
number = "+44 20 7946 0000"
[sites.other]
domains = ["other.example"]
number = "+44 20 7946 0001"
[callbacks]
dial = "PJSIP/{number}@trunk"
caller_id = "+442079460000"
sites = ["shop"]
"""
NUMBER = "+447400123456"


class Pbx:
    """Takes what it is told to place."""

    def __init__(self) -> None:
        self.placed: list[tuple[str, str, int]] = []
        self.error: Exception | None = None

    async def place(self, callback: str, channel: str, seconds: int) -> None:
        if self.error:
            raise self.error
        self.placed.append((callback, channel, seconds))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "ctserver.toml"
    file.write_text(TOML)
    return config.load(file)


@pytest.fixture
def pbx() -> Pbx:
    return Pbx()


@pytest.fixture
async def service(db: Sqlite, settings: Settings, pbx: Pbx) -> Callbacks:
    session = Session("s" * 26, "shop", "v" * 26, NOW, NOW, "https://shop.example/", "", DIRECT)
    await db.write(lambda tx: sessions.add_session(tx, session))
    return Callbacks(db, settings, pbx.place)


def wish(**own: object) -> Wish:
    fields = {"site": "shop", "session": "s" * 26, "visitor": "v" * 26, "number": NUMBER, "page": "", "address": "a"}
    return Wish(**{**fields, **own})  # type: ignore[arg-type]


async def row(db: Sqlite) -> Row:
    found = await db.one("SELECT * FROM callbacks ORDER BY id DESC")
    assert found is not None
    return found


async def ended(service: Callbacks, pbx: Pbx, at: int, company: str, visitor: str = "") -> None:
    callback, channel, _ = pbx.placed[-1]
    await service.heard("pbx", [CallbackEnded(callback, channel, at, company, visitor)])


async def test_a_wish_is_placed_at_once_and_once(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    assert await service.ask(wish(), NOW) == NOW
    await asyncio.gather(*(service.work(NOW) for _ in range(5)))
    assert len(pbx.placed) == 1
    callback, channel, seconds = pbx.placed[0]
    assert channel == f"callback-{callback}-1"
    assert seconds >= 60  # two steps of 30 s
    assert (await row(db))["state"] == "calling"


async def test_two_ctservers_place_it_once(service: Callbacks, settings: Settings, pbx: Pbx, db: Sqlite) -> None:
    await service.ask(wish(), NOW)
    await asyncio.gather(service.work(NOW), Callbacks(db, settings, pbx.place).work(NOW))
    assert len(pbx.placed) == 1


async def test_a_ctserver_that_dies_between_claim_and_call_places_no_second_one_soon(
    service: Callbacks, settings: Settings, pbx: Pbx, db: Sqlite
) -> None:
    """Nobody knows whether it rang: it counts as an attempt, and the next comes by the rule."""
    await service.ask(wish(), NOW)
    pbx.error = RuntimeError("killed")
    await service.work(NOW)
    pbx.error = None
    again = Callbacks(db, settings, pbx.place)
    for minute in range(1, 10):
        await again.work(NOW + minute * 60_000)
    assert not pbx.placed
    await again.work(NOW + 11 * 60_000)
    assert (await row(db))["result"] == "lost"
    await again.work(NOW + 17 * 60_000)
    assert [channel[-2:] for _, channel, _ in pbx.placed] == ["-2"]


async def test_both_sides_talked_and_nobody_is_rung_again(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    await service.ask(wish(), NOW)
    await service.work(NOW)
    await ended(service, pbx, NOW + 60_000, "ANSWER", "ANSWER")
    await ended(service, pbx, NOW + 60_000, "", "")  # told twice, and otherwise: the first holds
    await service.work(NOW + 3_600_000)
    assert len(pbx.placed) == 1
    assert ((await row(db))["state"], (await row(db))["result"]) == ("done", "talked")


async def test_it_is_tried_again_by_the_rule_and_given_up(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    await service.ask(wish(), NOW)
    now = NOW
    for _ in range(6):
        await service.work(now)
        await ended(service, pbx, now + 30_000, "NOANSWER")
        await service.work(now + 60_000)
        now += 6 * 60_000
    assert len(pbx.placed) == 3
    assert (await row(db))["state"] == "failed"


async def test_a_pbx_that_refuses_is_tried_again_later(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    await service.ask(wish(), NOW)
    pbx.error = NotSent("no PBX is linked")
    await service.work(NOW)
    assert ((await row(db))["state"], (await row(db))["result"]) == ("waiting", "not_placed")
    pbx.error = None
    await service.work(NOW + 6 * 60_000)
    assert len(pbx.placed) == 1


async def test_out_of_hours_it_waits_for_the_morning(service: Callbacks, pbx: Pbx) -> None:
    due_at = await service.ask(wish(), EVENING)
    assert due_at == NOW + 22 * 3_600_000  # 09:00 the next day
    await service.work(EVENING)
    assert not pbx.placed
    await service.work(due_at)
    assert len(pbx.placed) == 1


async def test_a_retry_out_of_hours_waits_too(service: Callbacks, pbx: Pbx) -> None:
    late = NOW + 7 * 3_600_000 - 60_000  # 17:59
    await service.ask(wish(), late)
    await service.work(late)
    await ended(service, pbx, late + 30_000, "NOANSWER")
    await service.work(late + 6 * 60_000)
    assert len(pbx.placed) == 1


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"site": "other"}, "off"),
        ({"visitor": "x" * 26}, "session"),
        ({"session": ""}, "session"),
        ({"number": "tel"}, "number"),
        ({"number": "+33612345678"}, "country"),
        ({"number": "020 7946 0000"}, "ours"),
    ],
)
async def test_who_is_not_rung(service: Callbacks, own: dict[str, object], why: str) -> None:
    with pytest.raises(Refused, match=f"^{why}$"):
        await service.ask(wish(**own), NOW)


async def test_a_number_that_waits_already_is_not_taken_twice(service: Callbacks, db: Sqlite) -> None:
    assert len({await service.ask(wish(), NOW + second) for second in range(5)}) == 1
    assert len(await db.fetch("SELECT 1 FROM callbacks")) == 1


async def test_one_address_may_not_ask_for_ever_more_people(service: Callbacks) -> None:
    for number in range(5):
        await service.ask(wish(number=f"+44740012345{number}"), NOW)
    with pytest.raises(Refused, match="often"):
        await service.ask(wish(number="+447400123459"), NOW)
    await service.ask(wish(number="+447400123459", address="b"), NOW)


async def test_no_more_than_two_at_a_time(service: Callbacks, pbx: Pbx) -> None:
    for number in range(4):
        await service.ask(wish(number=f"+44740012345{number}", address=str(number)), NOW)
    await service.work(NOW)
    assert len(pbx.placed) == 2
    await ended(service, pbx, NOW, "ANSWER", "ANSWER")
    await service.work(NOW)
    assert len(pbx.placed) == 3


async def test_a_line_that_the_settings_have_lost_since_holds_nobody_up(
    service: Callbacks, pbx: Pbx, db: Sqlite, settings: Settings
) -> None:
    """Somebody has asked, and before he is rung the line gets another name: the default one rings."""
    await service.ask(wish(), NOW)
    await db.write(lambda tx: tx.execute("UPDATE callbacks SET line = 'old'"))
    await service.ask(wish(number="+447400123457", address="b"), NOW)
    await service.work(NOW)
    assert len(pbx.placed) == 2
    company = await service.route(pbx.placed[0][0], "company")
    assert company.variables["CT_LINE"] == "office"


async def test_what_cannot_be_kept_of_one_call_costs_the_others_nothing(
    service: Callbacks, pbx: Pbx, db: Sqlite
) -> None:
    never = WentOut(
        "2.1", NOW, "07700900111", "PJSIP/100", "", ended_at=10**20
    )  # no database has a number for that time
    await service.ask(wish(), NOW)
    await service.work(NOW)
    callback, channel, _ = pbx.placed[-1]
    await service.heard("pbx", [never, CallbackEnded(callback, channel, NOW, "ANSWER", "ANSWER")])
    assert (await row(db))["result"] == "talked"


async def test_the_dialplan_learns_only_what_is_being_called(service: Callbacks, pbx: Pbx) -> None:
    await service.ask(wish(), NOW)
    assert (await service.route("0" * 26, "visitor")).route == ""
    await service.work(NOW)
    callback = pbx.placed[0][0]
    company = await service.route(callback, "company")
    assert company.variables["CT_CALLER"] == NUMBER
    assert company.variables["CT_LINE"] == "office"
    visitor = await service.route(callback, "visitor")
    assert visitor.variables["CT_DIAL"] == f"PJSIP/{NUMBER}@trunk"
    await ended(service, pbx, NOW, "ANSWER", "ANSWER")
    assert (await service.route(callback, "visitor")).route == ""


# ---- called back


async def missed(db: Sqlite) -> str:
    event = machine.Arrived("1.1", NOW, "1.1", "PJSIP/t-1", "+442079460000", "+447700900111", "")
    call = machine.begin(event, id="0" * 26, pbx="pbx", site="shop", line="office")
    call = machine.advance(call, machine.CallerHungUp("1.1", NOW + 10_000, 16))
    await db.write(lambda tx: calls.save(tx, call))
    return call.id


async def test_a_missed_caller_was_called_back_after_seven_minutes(service: Callbacks, db: Sqlite) -> None:
    call = await missed(db)
    assert await db.write(lambda tx: outgoing.called_back(tx, call)) is None
    tried, reached = NOW + 120_000, NOW + 7 * 60_000
    await service.heard("pbx", [WentOut("2.1", tried, "07700900111", "PJSIP/100", "")])
    await service.heard("pbx", [WentOut("2.1", tried, "07700900111", "PJSIP/100", "", None, tried + 9_000, "BUSY")])
    first = await db.write(lambda tx: outgoing.called_back(tx, call))
    assert first is not None
    assert (first.began_at, first.answered_at, first.status) == (tried, None, "BUSY")
    await service.heard(
        "pbx", [WentOut("2.2", reached, "447700900111", "PJSIP/101", "", reached, reached + 1, "ANSWER")]
    )
    found = await db.write(lambda tx: outgoing.called_back(tx, call))
    assert found is not None
    assert (found.answered_at, found.staff) == (reached, "PJSIP/101")


async def test_a_click_is_told_when_there_is_no_pbx(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    call = await missed(db)
    pbx.error = NotSent("no PBX is linked")
    with pytest.raises(Refused, match="pbx"):
        await service.ring(call, "alice", NOW + 60_000)
    pbx.error = None
    await service.work(NOW + 3_600_000)
    assert pbx.placed == []


async def test_the_caller_of_a_call_is_rung_from_the_dashboard_once(service: Callbacks, pbx: Pbx, db: Sqlite) -> None:
    call = await missed(db)
    await service.ring(call, "alice", NOW + 60_000)
    assert len(pbx.placed) == 1
    with pytest.raises(Refused, match="waiting"):
        await service.ring(call, "alice", NOW + 61_000)
    assert ((await row(db))["kind"], (await row(db))["answers"], (await row(db))["login"]) == ("desk", call, "alice")
    await ended(service, pbx, NOW + 90_000, "NOANSWER")
    await service.work(NOW + 3_600_000)
    assert len(pbx.placed) == 1, "a click is one attempt"
