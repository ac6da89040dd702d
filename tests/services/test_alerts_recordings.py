"""A message that brings the recording, or a link to it, waits for it; but not for ever."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ctserver import ids
from ctserver.storage.sqlite import Sqlite
from tests.services.office import Office, office, until_said


async def recorded(here: Office, tmp_path: Path, call: str, state: str = "ready", stage: str = "kept") -> None:
    """As the recording of the call stands in the database."""
    sql = """
        INSERT INTO recordings (call, state, file, bytes, millis, due_at, stage) VALUES ($1, $2, 'a.mp3', 3, 9, 0, $3)
        ON CONFLICT (call) DO UPDATE SET state = $2, stage = $3, file = 'a.mp3'
    """
    (tmp_path / "a.mp3").write_bytes(b"ID3")
    await here.db.write(lambda tx: tx.execute(sql, (call, state, stage)))


RECORDED = """
[alerts.voicemail]
on = ["missed"]
by = "mail"
after_seconds = 1
recording = "attach"
[alerts.linked]
on = ["missed"]
by = "sms"
after_seconds = 1
recording = "link"
"""


async def test_a_message_waits_for_its_recording_and_brings_it(
    db: Sqlite, toml: Any, until: Any, tmp_path: Path
) -> None:
    async with office(db, toml, RECORDED) as here:
        here.folder = tmp_path
        call = await here.call()
        await recorded(here, tmp_path, call, "waiting", "new")
        await until_said(here, "waits for the recording")
        assert here.mail.sent == here.sms.sent == []
        await recorded(here, tmp_path, call)
        await until(lambda: here.mail.sent and here.sms.sent)
        assert here.mail.sent[0].attachment is not None
        assert re.fullmatch(r"20\d\d-\d\d-\d\d-\d{4}-447700900123\.mp3", here.mail.sent[0].attachment.name)
        assert b"".join(here.mail.sent[0].attachment.read()) == b"ID3"
        assert "/shared/" not in here.mail.sent[0].text
        link = re.search(r"http://127.0.0.1:8080/shared/([\w-]{43})", here.sms.sent[0].text)
        assert link
        assert here.sms.sent[0].attachment is None
        (share,) = await db.fetch("SELECT * FROM shares")
        assert share["token_hash"] == ids.token_hash(link[1])
        assert share["expires_at"] - share["at"] == 7 * 86_400_000
        assert (await db.fetch("SELECT login, action FROM audit"))[0]["login"] == "alerts.linked"
        assert link[1].encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("ctserver.db*"))


async def test_a_recording_that_is_too_large_or_not_to_be_had_is_linked(
    db: Sqlite, toml: Any, until: Any, tmp_path: Path
) -> None:
    async with office(db, toml, RECORDED) as here:
        here.folder, here.mail.attaches = tmp_path, 2
        large = await here.call()
        await recorded(here, tmp_path, large)
        await until(lambda: here.mail.sent)
        assert here.mail.sent[0].attachment is None
        assert "/shared/" in here.mail.sent[0].html


async def test_a_recording_that_never_comes_does_not_hold_the_message_for_ever(
    db: Sqlite, toml: Any, until: Any, tmp_path: Path
) -> None:
    async with office(db, toml, RECORDED) as here:
        call = await here.call()
        await recorded(here, tmp_path, call, "waiting", "new")
        await db.write(lambda tx: tx.execute("UPDATE calls SET ended_at = ended_at - 60000"))
        await until(lambda: here.mail.sent)
        assert here.mail.sent[0].attachment is None
