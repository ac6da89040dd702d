"""One caller's data, given out whole and forgotten without a trace; nobody else's is touched."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from ctserver import config, ids
from ctserver.asterisk import evidence
from ctserver.domain.caller_data import Written
from ctserver.domain.rights import EVERYTHING
from ctserver.privacy import caller_data_of
from ctserver.recordings.places import Places
from ctserver.services import demo, reports, rollups
from ctserver.services.caller_data import CallerData, NoNumber, number_of
from ctserver.services.reports import Question
from ctserver.storage import feed, sessions, sqlite
from ctserver.storage.sqlite import Sqlite
from tests.somebody import Life, lives, sizes

ANN, BOB = "+447700900123", "+447700900456"
DAY_MS = 86_400_000
NOTE = (
    "CTEnd,Uniqueid: 1.{n},Linkedid: 1.{n},Channel: PJSIP/t-1,CallerIDNum: {number},CallerIDName: {name},"
    "Did: 442079460101,Timestamp: 1700000000.123,.\n"
)


@dataclass
class House:
    db: Sqlite
    data: CallerData
    folder: Path
    now: int
    ann: Life
    bob: Life

    @property
    def notes(self) -> Path:
        return self.folder / "ct-calls-20231101.log"

    async def dump(self) -> str:
        """Every value of every table, and every file."""
        tables = await self.db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
        rows = [tuple(row) for table in tables for row in await self.db.fetch(f"SELECT * FROM {table['name']}")]
        files = [file.read_bytes().decode("latin-1") for file in sorted(self.folder.rglob("*")) if file.is_file()]
        return "\n".join([*map(repr, rows), *files])


@pytest.fixture
async def house(db: Sqlite, settings: config.Settings, now: int) -> House:
    folder = settings.path(settings.recordings.folder)
    ann = await lives(db, now - 40 * DAY_MS, ANN, folder)
    await lives(db, now - 30 * DAY_MS, ANN, folder)
    bob = await lives(db, now - 35 * DAY_MS, BOB, folder)
    made = House(db, caller_data_of(db, settings, Places(settings)), folder, now, ann, bob)
    lines = [("07700900123", "Ann%20Other"), ("+447700900456", "Bob"), ("+447700900123", "")]
    made.notes.write_text("".join(NOTE.format(n=n, number=number, name=name) for n, (number, name) in enumerate(lines)))
    return made


@pytest.mark.parametrize(
    "text",
    ["+44 7700 900123", "07700 900123", "0044 7700-900-123", "(07700) 900123", "tel:+447700900123", "447700900123"],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert number_of(text, "GB") == ANN


@pytest.mark.parametrize("text", ["", "Ann", "anonymous", "%", "' OR 1=1 --", "12"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NoNumber):
        number_of(text, "GB")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ring +44 7700 900123 soon", "ring X soon"),
        ("q=%2B447700900123&site=shop", "q=X&site=shop"),
        ("07700 900-123", "X"),
        ("caller=%2B44+7700+900123&x=1", "caller=X&x=1"),
        ("0044 (0) 7700 900123.", "X."),
        ("7700900123", "X"),
        ("+4477009001234", "+4477009001234"),
        ("order 9907700900123", "order 9907700900123"),
        ("+447700900124", "+447700900124"),
    ],
)
def test_a_number_is_taken_out_of_texts_and_others_stay(text: str, left: str) -> None:
    written = Written(ANN)
    assert written.replaced(text, "X") == left
    assert written.stands_in(text) == (text != left)


async def test_the_export_holds_everything_of_him_and_nothing_of_others(house: House) -> None:
    out = io.BytesIO()
    await house.data.export(ANN, out, house.now)
    archive = zipfile.ZipFile(out)
    data = json.loads(archive.read("data.json"))
    assert data["calls"][0]["id"] == house.ann.call
    call = data["calls"][0]
    assert (call["caller_name"], call["keys"], call["notes"][0]["text"][:3]) == ("Ann Other", "4711#0815", "Ann")
    assert call["arrived_at"].endswith("Z")
    for part in (
        "tags",
        "ratings",
        "legs",
        "steps",
        "facts",
        "told",
        "audit",
        "model_call",
        "missed_work",
        "shared",
        "pauses",
    ):
        assert call[part], part
    assert archive.read(call["recording_file"]) == house.ann.sound.read_bytes()
    assert len([name for name in archive.namelist() if name.startswith("recordings/")]) == 2
    assert data["visitors"][0]["id"] == house.ann.session
    assert all(data["visitors"][0][part] for part in ("visits", "signals", "shown"))
    assert (len(data["callbacks"]), len(data["calls_to_him"])) == (2, 2)
    assert {"audit", "saved_views", "call_notes"} <= data["written_down"].keys()
    whole = archive.read("data.json").decode()
    assert not any(secret in whole for secret in (BOB, house.bob.call, house.bob.session, BOB[-6:]))


async def test_without_applying_nothing_is_changed_and_everything_counted(house: House) -> None:
    before = await house.dump()
    found = await house.data.find(ANN, house.now)
    assert found.counts == {
        "calls": 2, "recordings": 2, "visitors' sessions": 2, "callback requests": 2, "outgoing calls to this number": 2,
        "messages containing this number": 14, "PBX call files": 2,
    }  # fmt: skip
    assert await house.dump() == before


async def test_his_number_goes_where_others_have_written_it_and_programs_are_told(house: House) -> None:
    before = await feed.last_change(house.db)
    session, call = house.bob.session, house.bob.call
    for sql in (
        f"INSERT INTO call_tags (call, tag, login, at) VALUES ('{call}', 'tel 07700 900123', 'bob', 1)",
        f"UPDATE model_calls SET why = 'like {ANN}' WHERE call = '{call}'",
        "INSERT INTO users (id, login, password_hash, created_at) VALUES ('u', 'bob', '', 1)",
        f"INSERT INTO tokens (id, token_hash, login, name, scopes, created_at, seen_at) VALUES ('t', 'h', 'bob', 'for {ANN}', '', 1, 0)",
        f"UPDATE sessions SET landing_url = 'https://shop.example/thanks?tel=07700900123' WHERE id = '{session}'",
        f"UPDATE visits SET url = 'https://shop.example/thanks?tel=%2B447700900123' WHERE session = '{session}'",
        f"UPDATE tries SET answer = 'sent to {ANN}' WHERE outbox IN (SELECT id FROM outbox WHERE fact = '{house.bob.fact}')",
        "UPDATE audit SET detail = 'caller=%2B44+7700+900123' WHERE action = 'exported'",
    ):
        await house.db.run(lambda connection, sql=sql: connection.execute(sql).close())  # type: ignore[misc]
    await house.data.erase(ANN, house.now)
    left = await house.dump()
    assert [secret for secret in ("900123", "7700+900") if secret in left] == []
    for kept in ("https://shop.example/thanks?tel=erased-", "like erased-", "sent to erased-", "vip"):
        assert kept in left
    changed = await feed.changed(house.db, EVERYTHING, feed.Wanted(0, feed.LATEST), before, 10)
    assert sorted(row["caller"][:7] for row in changed.rows) == [BOB[:7], "erased-", "erased-"]


async def test_nothing_of_him_is_left_anywhere_and_all_of_others(house: House) -> None:
    rows, size = await sizes(house.db), house.notes.stat().st_size
    text = await house.dump()
    secrets = (ANN[1:], "44770 0900123", ANN[-6:], "Ann", "4711#0815", "abc123", house.ann.visitor, "192.0.2.0", "vip")
    assert all(secret in text for secret in secrets), "what is not there need not go"
    _, alias = await house.data.erase(ANN, house.now)
    left = await house.dump()
    of_bob = {"Ann", "4711#0815", "abc123", "192.0.2.0", "vip"}  # the same words were written of him
    assert [secret for secret in secrets if secret in left and secret not in of_bob] == []
    bob = await house.db.one("SELECT * FROM calls WHERE id = $1", (house.bob.call,))
    assert (bob["caller"], bob["caller_name"], bob["keys"]) == (BOB, "Ann Other", "4711#0815")
    assert house.bob.sound.exists()
    assert not house.ann.sound.exists()
    assert not house.ann.sound.with_suffix(".peaks.json").exists()
    await house.data.erase(BOB, house.now)
    left = await house.dump()
    assert [secret for secret in secrets if secret in left] == []
    after = await sizes(house.db)
    stays = (
        "calls",
        "sessions",
        "credits",
        "legs",
        "facts",
        "outbox",
        "tries",
        "callbacks",
        "outgoing",
        "audit",
        "missed_work",
    )
    assert {table: after[table] for table in stays} == {table: rows[table] for table in stays}, (
        "that it happened stays known"
    )
    assert house.notes.stat().st_size == size, "Asterisk writes on at the end"
    assert (
        await house.db.one(
            "SELECT COUNT(*) AS n FROM outgoing o JOIN calls c ON c.caller = o.number AND c.caller = $1", (alias,)
        )
    )["n"] == 4
    assert (await house.data.find(ANN, house.now)).counts == dict.fromkeys(
        (await house.data.find(ANN, house.now)).counts, 0
    )


async def test_neither_the_database_nor_its_log_holds_on_disk_what_was_erased(house: House, tmp_path: Path) -> None:
    def on_disk() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.glob("ctserver.db*"))

    assert ANN.encode() in on_disk()
    await house.data.erase(ANN, house.now)
    assert ANN.encode() not in on_disk()
    assert BOB.encode() in on_disk()


async def test_notes_are_still_notes(house: House) -> None:
    await house.data.erase(ANN, house.now)
    lines = house.notes.read_text().splitlines()
    assert [evidence.events(line, house.now)[0].caller for line in lines] == ["xxxxxxxxxxx", BOB, "xxxxxxxxxxxxx"]
    assert "Did: 442079460101" in lines[0]


async def test_what_others_are_told_later_names_nobody(house: House) -> None:
    await house.db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'waiting' WHERE fact = $1", (house.ann.fact,))
    )
    await house.data.erase(ANN, house.now)
    row = await house.db.one(
        "SELECT o.state, o.answer, f.data, f.once FROM outbox o JOIN facts f ON f.id = o.fact WHERE f.id = $1",
        (house.ann.fact,),
    )
    assert (row["state"], row["answer"]) == ("dropped", "erased")
    assert re.fullmatch(r"erased-[0-9a-f]{8}", json.loads(row["data"])["caller"])
    assert row["once"] == f"{house.ann.call} call.ended", "so that nobody is told of the call once more"


async def test_a_call_that_goes_on_stays_until_it_is_over(house: House, settings: config.Settings) -> None:
    late = await lives(house.db, house.now - 200_000, ANN, house.folder)
    found, _ = await house.data.erase(ANN, house.now)
    assert found.going_on == 1
    rows = await house.db.fetch("SELECT id FROM calls WHERE caller = $1", (ANN,))
    assert [row["id"] for row in rows] == [late.call]
    assert late.sound.exists()
    found, _ = await house.data.erase(ANN, house.now + 3_600_000)
    assert found.going_on == 0
    assert ANN[-6:] not in await house.dump()


async def test_a_visitor_who_may_be_somebody_else_is_neither_given_out_nor_erased(house: House) -> None:
    unsure = await lives(house.db, house.now - 20 * DAY_MS, "+447700900789", house.folder, confidence=0.5)
    await house.db.write(lambda tx: tx.execute("DELETE FROM callbacks WHERE number = $1", (unsure.number,)))
    out = io.BytesIO()
    await house.data.export(unsure.number, out, house.now)
    assert json.loads(zipfile.ZipFile(out).read("data.json"))["visitors"] == []
    await house.data.erase(unsure.number, house.now)
    assert (await house.db.one("SELECT visitor FROM sessions WHERE id = $1", (unsure.session,)))[
        "visitor"
    ] == unsure.visitor


async def test_a_visitor_whom_the_website_named_is_his(house: House) -> None:
    named = await lives(
        house.db, house.now - 20 * DAY_MS, "+447700900789", house.folder, properties={"phone": "07700 900321"}
    )
    found = await house.data.find("+447700900321", house.now)
    assert [row["id"] for row in found.sessions] == [named.session]


async def test_reports_count_the_same_afterwards(db: Sqlite, settings: config.Settings, now: int) -> None:
    folder = settings.path(settings.recordings.folder)
    await demo.fill(db, demo.shop_of(settings, 20), folder, 4, now)
    row = await db.one(
        "SELECT caller, COUNT(*) AS n FROM calls WHERE caller <> '' GROUP BY caller ORDER BY n DESC LIMIT 1"
    )
    assert row["n"] > 1, "a caller who rang twice"
    today = now - now % DAY_MS

    async def figures() -> Any:
        found = {}
        for by in ("channel", "landing", "region", "category", "person"):
            report = await reports.ask(db, Question(by, (today - 4 * DAY_MS, today), "day", UTC))
            found[by] = [(line.value, line.sums) for line in report.lines], report.series
        return found

    async def roll() -> None:
        while await rollups.roll(db, now):
            pass

    await roll()
    before = await figures()
    await caller_data_of(db, settings, Places(settings)).erase(row["caller"], now + DAY_MS)
    assert await db.one("SELECT 1 FROM calls WHERE caller = $1", (row["caller"],)) is None
    assert await figures() == before
    await roll()
    assert await figures() == before


async def test_a_running_server_does_not_remember_him(
    house: House, tmp_path: Path, settings: config.Settings, until: Callable[..., Any]
) -> None:
    known = await house.db.write(lambda tx: sessions.latest_session(tx, "shop", house.ann.visitor))
    assert known
    other = await sqlite.open(tmp_path / "ctserver.db")  # as the command does
    await caller_data_of(other, settings, Places(settings)).erase(ANN, house.now)
    await other.close()
    assert await house.db.write(lambda tx: sessions.latest_session(tx, "shop", house.ann.visitor)) is None
    again = await lives(house.db, ids.now_ms(), ANN, house.folder)
    assert (await house.db.one("SELECT caller FROM calls WHERE id = $1", (again.call,)))["caller"] == ANN
