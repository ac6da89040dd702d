"""What Asterisk keeps of calls by itself: notes of ended calls, read into the journal whenever ctserver is back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ctserver import config, files
from ctserver.asterisk import evidence
from ctserver.asterisk.evidence import Notes
from ctserver.config import Settings
from ctserver.domain import source
from ctserver.domain.call import Arrived, CallerHungUp, Event, LegDone, LegStarted, Vanished
from ctserver.services import visits
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.visits import PageView
from ctserver.storage import migrate, sqlite
from ctserver.storage.sqlite import Sqlite
from tests.services.test_calls import fill_up, make_room

BORN = 1_700_000_000
FILE = "ct-calls-20231114.log"
ADS = "https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring&gclid=abc"


def note(number: int = 1, *, status: str = "ANSWER", did: str = "02079460101", lasted: float = 70, **own: str) -> str:
    """As [ct-ended] writes it: 5 s until it rang out or was answered, 60 s of talk."""
    uniqueid = f"pbx-{BORN + number}.{number}"
    fields = {
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
        "Channel": "PJSIP/trunk-00000001",
        "CallerIDNum": "+447700900123",
        "CallerIDName": "%D0%90%2C%20b%3A%20c",
        "DID": did,
        "Line": "office",
        "Asked": "script",
        "DialStatus": status,
        "HangupCause": "16",
        "Arrived": f"{BORN + number}.250",
        "DialedMs": "65000" if status == "ANSWER" else "",
        "RingMs": "1000",
        "AnsweredMs": "60000" if status == "ANSWER" else "",
        "Peer": "PJSIP/100-00000002" if status == "ANSWER" else "",
        "Timestamp": f"{BORN + number + lasted:.3f}",
    }
    body = ",".join(f"{name}: {value}" for name, value in (fields | own).items())
    return f"CTEnd,{body},.\n"


class House:
    """A journal and the notes that it is brought up to date from."""

    def __init__(self, db: Sqlite, settings: Settings, spool: Path, pbx: str = "pbx") -> None:
        self.db = db
        self.file = spool / FILE
        self.journal = Journal(db, settings, Attributor(settings, {}), pbx)
        self.notes = Notes(db, settings, self.journal, spool, pbx)

    def write(self, *lines: str) -> None:
        with self.file.open("a", encoding="utf-8") as out:
            out.write("".join(lines))

    async def read(self) -> int:
        return await self.notes.read(BORN * 1000 + 10**6, settled=False)

    async def rows(self, columns: str = "linkedid, outcome, reason") -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.db.fetch(f"SELECT {columns} FROM calls ORDER BY arrived_at")]


@pytest.fixture
def house(db: Sqlite, settings: Settings, tmp_path: Path) -> House:
    spool = tmp_path / "spool"
    spool.mkdir()
    return House(db, settings, spool)


def first(number: int = 1) -> str:
    return f"pbx-{BORN + number}.{number}"


def arrived(number: int = 1) -> Arrived:
    at = (BORN + number) * 1000 + 200
    return Arrived(first(number), at, first(number), "PJSIP/trunk-1", "02079460101", "+447700900123", "Caller")


async def test_a_call_that_nobody_saw_is_in_the_journal_with_its_times_and_who_answered(house: House) -> None:
    house.write(note())
    assert await house.read() == 1
    row = await house.db.one("SELECT * FROM calls")
    assert row is not None
    assert (row["did"], row["caller"], row["caller_name"]) == ("+442079460101", "+447700900123", "А, b: c")
    assert (row["site"], row["line"], row["routed_by"]) == ("shop", "office", "script")
    assert (row["outcome"], row["reason"], row["answered_by"]) == ("answered", "completed", "PJSIP/100-00000002")
    times = [row[name] - BORN * 1000 for name in ("arrived_at", "ringing_at", "answered_at", "ended_at")]
    assert times == [1250, 7000, 11000, 71000]
    assert [leg["status"] for leg in await house.db.fetch("SELECT * FROM legs")] == ["ANSWER"]
    assert [row["state"] for row in await house.db.fetch("SELECT state FROM recordings")] == ["waiting"]


@pytest.mark.parametrize(
    ("status", "cause", "rang", "reason"),
    [
        ("BUSY", "17", "", "busy"),
        ("NOANSWER", "0", "1000", "no_answer"),
        ("NOANSWER", "21", "", "rejected"),
        ("CANCEL", "0", "1000", "abandoned"),
        ("CANCEL", "0", "", "abandoned_early"),
        ("CHANUNAVAIL", "3", "", "unreachable"),
        ("", "0", "", "abandoned_early"),
    ],
)
async def test_why_nobody_answered_is_judged_as_of_a_call_that_was_followed(
    house: House, status: str, cause: str, rang: str, reason: str
) -> None:
    house.write(note(status=status, HangupCause=cause, RingMs=rang))
    await house.read()
    assert await house.rows() == [(first(), "missed", reason)]


async def test_notes_are_read_once(house: House) -> None:
    house.write(note(1), note(2))
    assert await house.read() == 2
    assert await house.read() == 0
    house.write(note(3))
    assert await house.read() == 1
    assert len(await house.rows()) == 3


async def test_a_call_that_was_followed_to_its_end_stays_as_it_is(house: House) -> None:
    await house.journal.apply([arrived(), CallerHungUp(first(), BORN * 1000 + 9000, 16)])
    before = await house.rows("*")
    house.write(note())
    assert await house.read() == 0
    assert await house.rows("*") == before


async def test_a_call_left_open_ends_when_it_ended(house: House) -> None:
    leg: list[Event] = [
        LegStarted(first(), BORN * 1000 + 2000, "leg", "PJSIP/100-00000002"),
        LegDone(first(), BORN * 1000 + 3000, "leg", "ANSWER"),
    ]
    await house.journal.apply([arrived(), *leg])
    house.write(note())
    assert await house.read() == 1
    assert await house.rows("outcome, reason, answered_at, ended_at, arrived_at") == [
        ("answered", "completed", BORN * 1000 + 3000, BORN * 1000 + 71000, BORN * 1000 + 1200)
    ]
    assert house.journal.open_calls() == []


async def test_a_call_closed_as_unknown_is_corrected(house: House) -> None:
    await house.journal.apply([arrived(), Vanished(first(), BORN * 1000 + 500_000)])
    assert await house.rows() == [(first(), "missed", "unknown")]
    house.write(note())
    assert await house.read() == 1
    assert await house.rows("outcome, reason, ended_at") == [("answered", "completed", BORN * 1000 + 71000)]


async def test_a_call_that_is_followed_is_left_to_its_events_until_the_next_look(house: House) -> None:
    await house.journal.apply([arrived()])
    house.write(note())
    assert await house.notes.read(BORN * 1000) == 0
    assert await house.rows("state") == [("arrived",)]
    assert await house.notes.read(BORN * 1000) == 1
    assert await house.rows("state") == [("ended",)]


async def test_a_line_that_is_being_written_waits(house: House) -> None:
    whole = note()
    house.write(whole[:100])
    assert await house.read() == 0
    house.write(whole[100:])
    assert await house.read() == 1


async def test_lines_cut_by_a_full_disk_cost_no_other_call(house: House) -> None:
    house.write(note(1)[:80], note(2), "\n", "garbage\n", note(3)[:-3] + "\n", note(4))
    assert await house.read() == 2
    assert [row[0] for row in await house.rows()] == [first(2), first(4)]


async def test_a_file_cut_short_or_put_in_its_place_is_read_from_its_start(house: House) -> None:
    house.write(note(1), note(2))
    await house.read()
    house.file.write_text(note(3))
    assert await house.read() == 1
    house.file.unlink()
    house.write(note(1), note(4), note(5))
    assert await house.read() == 2
    assert len(await house.rows()) == 5


async def test_a_long_file_is_read_in_pieces(house: House) -> None:
    house.write(*(note(number) for number in range(1, 601)))
    assert await house.read() == 600
    assert len(await house.rows()) == 600


async def test_an_endless_line_is_passed_by(house: House) -> None:
    house.write("x" * 300_000, "\n", note())
    assert await house.read() == 1


async def test_an_older_copy_of_the_database_gets_the_calls_that_it_lacks_and_none_twice(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    house.write(note(1))
    await house.read()
    copy = tmp_path / "older.db"
    await house.db.run(lambda connection: connection.execute("VACUUM INTO ?", (str(copy),)).fetchall())
    await house.journal.apply([arrived(2), CallerHungUp(first(2), BORN * 1000 + 9000, 16)])
    house.write(note(2), note(3))
    await house.read()
    all_ids = await house.rows("id")
    older = await sqlite.open(copy)
    await migrate.migrate(older, migrate.read(files.folder("migrations")))
    restored = House(older, settings, house.file.parent)
    assert await restored.read() == 2
    assert await restored.rows("id") == all_ids, "the same call has the same id, and so finds its recording"
    await older.close()


async def test_a_full_database_loses_no_call(house: House) -> None:
    await fill_up(house.db)
    house.write(*(note(number) for number in range(1, 31)))
    assert await house.read() == 0
    assert await house.rows() == []
    await make_room(house.db)
    assert await house.read() == 30


async def test_a_late_call_is_attributed_as_of_its_own_time(house: House, settings: Settings) -> None:
    view = PageView("shop", "", ADS, "", "", ("main",), source=source.classify(ADS, ""))
    shown = await visits.record(house.db, settings, [], view, BORN * 1000 - 5_000)
    later = PageView("shop", "", "https://shop.example/?utm_source=bing", "", "", ("main",))
    await visits.record(house.db, settings, [], later, BORN * 1000 + 900_000)
    house.write(note(did=shown.numbers["main"]))
    await house.read()
    assert await house.rows("session, source, campaign") == [(shown.session, "google", "spring")]


async def test_facts_of_a_late_call_are_written_once(house: House, settings: Settings) -> None:
    house.write(note(status="NOANSWER"))
    await house.read()
    shutil.copy(house.file, house.file.with_name("ct-calls-20231115.log"))
    await house.read()
    facts = await house.db.fetch("SELECT kind, at, data FROM facts ORDER BY at, kind")
    assert [fact["kind"] for fact in facts] == ["call.ringing", "call.ended", "call.missed"]
    assert json.loads(facts[-1]["data"])["reason"] == "no_answer"


async def test_two_pbxs_with_equal_ids_keep_their_calls_apart(house: House, settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    second = House(house.db, settings, other, "two")
    house.write(note(did="02079460101"))
    second.write(note(did="02079460102"))
    assert (await house.read(), await second.read()) == (1, 1)
    assert sorted(await house.rows("pbx, did")) == [("pbx", "+442079460101"), ("two", "+442079460102")]
    assert len({id for (id,) in await house.rows("id")}) == 2


async def test_a_clock_put_back_in_the_middle_of_a_call_makes_no_time_run_backwards(house: House) -> None:
    house.write(note(lasted=-3600))
    await house.read()
    ((arrived_at, ringing_at, answered_at, ended_at),) = await house.rows(
        "arrived_at, ringing_at, answered_at, ended_at"
    )
    assert arrived_at <= ringing_at <= answered_at <= ended_at  # type: ignore[operator]


def test_hostile_names_stay_in_their_field() -> None:
    hostile = "%2CDID%3A%20666%0D%0A%22%7C%2E%00%FF"
    (told, over) = evidence.messages(note(CallerIDName=hostile).strip())
    assert told["DID"] == "02079460101"
    assert told["CallerIDName"] == ',DID: 666\r\n"|.\x00�'
    assert over["Event"] == "Hangup"


# ---- keys pressed after calls


@pytest.fixture
def asking(house: House, toml: Path) -> House:
    """The notes of a shop that asks for a key."""
    keys = 'categories = ["Bicycle", "Repair"]\n[sites.shop.after_call.keys]\n1 = "Bicycle"\n2 = "Repair"\n'
    text = toml.read_text().replace('pool = "small"\n', f'pool = "small"\n{keys}', 1)
    toml.write_text(text)
    return House(house.db, config.load(toml), house.file.parent)


def pressed(key: str = "2", number: int = 1, channel: str = "PJSIP/101-00000002") -> str:
    """As [ct-after] notes it."""
    return f"CTKey,Linkedid: {first(number)},Key: {key},Channel: {channel},Timestamp: {BORN + number + 72}.000,.\n"


async def categories(house: House) -> list[str]:
    return [str(found) for (found,) in await house.rows("category")]


async def test_a_key_pressed_after_a_call_is_its_category_and_stands_in_the_audit_log(asking: House) -> None:
    asking.write(note(), note(2), pressed())
    await asking.read()
    assert await categories(asking) == ["Repair", ""]
    (entry,) = await asking.db.fetch("SELECT * FROM audit")
    assert (entry["login"], entry["via"], entry["action"]) == ("PJSIP/101", "phone", "call changed")
    assert (entry["detail"], entry["at"]) == ("category=Repair key=2", (BORN + 73) * 1000)
    assert [row["id"] for row in await asking.db.fetch("SELECT id FROM calls WHERE category <> ''")] == [
        entry["subject"]
    ]


async def test_a_key_counts_once_and_leaves_what_people_said_of_the_call(asking: House) -> None:
    asking.write(note(), note(2))
    await asking.read()
    await asking.db.write(
        lambda tx: tx.execute("UPDATE calls SET category = 'Bicycle' WHERE linkedid = $1", (first(),))
    )
    asking.write(pressed(), pressed(number=2))
    await asking.read()
    assert await categories(asking) == ["Bicycle", "Repair"]
    await asking.db.write(lambda tx: tx.execute("UPDATE calls SET category = ''"))
    asking.write(note(3))
    await asking.read()
    assert await categories(asking) == ["", "", ""]
    assert len(await asking.db.fetch("SELECT 1 FROM audit")) == 1


@pytest.mark.parametrize(
    "line", [pressed("7"), pressed("2", 9), pressed("22"), pressed("${X}"), pressed().strip("\n.")]
)
async def test_a_key_that_means_nothing_changes_nothing(asking: House, line: str) -> None:
    asking.write(note(), line, note(2))
    await asking.read()
    assert await categories(asking) == ["", ""]
    assert await asking.db.fetch("SELECT 1 FROM audit") == []


async def test_a_key_behind_a_note_that_a_full_disk_cut_short_counts(asking: House) -> None:
    asking.write(note(), note(2).strip()[:90], pressed())
    await asking.read()
    assert await asking.rows("linkedid, category") == [(first(), "Repair")]


async def test_a_site_that_asks_for_no_keys_takes_none(house: House) -> None:
    house.write(note(), pressed())
    await house.read()
    assert await categories(house) == [""]


async def test_old_files_go_when_they_are_read(house: House, tmp_path: Path) -> None:
    house.write(note())
    unread = house.file.with_name("ct-calls-20231101.log")
    unread.write_text("cut")
    for file in (house.file, unread):
        os.utime(file, (BORN, BORN))
    await house.read()
    await house.notes.tidy()
    assert (house.file.exists(), unread.exists()) == (False, True)
    assert await house.db.fetch("SELECT 1 FROM evidence WHERE file = $1", (FILE,)) == []
