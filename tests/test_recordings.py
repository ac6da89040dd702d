"""The life of a recording after it was joined: real sound, real ffmpeg, a storage that speaks S3 on a real socket."""

from __future__ import annotations

import asyncio
import json
import math
import re
import struct
import wave
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctserver import config
from ctserver.domain import call as machine
from ctserver.recordings import sound
from ctserver.recordings.keeper import Keeper
from ctserver.recordings.places import Places
from ctserver.recordings.sound import ConvertError
from ctserver.storage import calls, recordings
from ctserver.storage.db import Row
from ctserver.storage.sqlite import Sqlite

pytestmark = pytest.mark.e2e  # needs ffmpeg

CALL = "0" * 26
FILE = f"000000/{CALL}.wav"
SECONDS = 3
DAY_MS = 86_400_000


def speak(file: Path, seconds: float = SECONDS) -> None:
    """440 Hz on the left, silence on the right."""
    file.parent.mkdir(parents=True, exist_ok=True)
    samples = (round(9000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(int(8000 * seconds)))
    with wave.open(str(file), "wb") as out:
        out.setparams((2, 2, 8000, 0, "NONE", ""))
        out.writeframes(b"".join(struct.pack("<hh", sample, 0) for sample in samples))


class Shelf:
    def __init__(self, db: Sqlite, toml: Path, now: int, **overrides: str) -> None:
        self.db, self.now = db, now
        self.settings = config.load(toml, {"recordings.folder": str(toml.parent / "kept"), **overrides})
        self.places = Places(self.settings)
        self.keeper = Keeper(db, self.settings, self.places)

    async def put(self, *, site: str = "shop") -> None:
        speak(self.places.folder / FILE)
        arrived = machine.Arrived("1.1", self.now, "1.1", "PJSIP/trunk-1", "+442079460101", "+447700900123", "")
        call = machine.begin(arrived, id=CALL, pbx="pbx", site=site)
        call = replace(call, state=machine.ENDED, ended_at=self.now + 5000)
        await self.db.write(lambda tx: calls.save(tx, call))
        await self.db.write(lambda tx: recordings.expect(tx, CALL, self.now))
        size = (self.places.folder / FILE).stat().st_size
        await self.db.write(lambda tx: recordings.adopted(tx, CALL, FILE, size, SECONDS * 1000))

    async def row(self) -> Row:
        return await recordings.of_call(self.db, CALL)

    def files(self) -> list[str]:
        return sorted(file.name for file in (self.places.folder / "000000").glob("*"))


@pytest.mark.parametrize("format", ["opus", "mp3"])
async def test_a_recording_is_made_small_and_the_wav_goes_when_the_copy_is_proved(
    db: Sqlite, toml: Path, now: int, format: str
) -> None:
    shelf = Shelf(db, toml, now, **{"recordings.format": format})
    await shelf.put()
    before = (shelf.places.folder / FILE).stat().st_size
    assert await shelf.keeper.keep_new(now) == 1
    row = await shelf.row()
    assert (row["stage"], row["format"], row["file"]) == ("kept", format, f"000000/{CALL}.{format}")
    assert shelf.files() == sorted([f"{CALL}.{format}", f"{CALL}.peaks.json"])
    assert row["bytes"] < before / 5
    assert len(row["sha256"]) == 64
    drawn = json.loads(await shelf.places.peaks(row["file"]) or "")
    assert max(drawn["caller"]) > 60
    assert max(drawn["company"]) == 0
    assert await shelf.keeper.keep_new(now) == 0


async def test_a_sound_that_cannot_be_copied_stays_and_the_reason_is_kept(db: Sqlite, toml: Path, now: int) -> None:
    shelf = Shelf(db, toml, now, **{"recordings.format": "opus"})
    await shelf.put()
    speak(shelf.places.folder / FILE, seconds=1)  # not what was joined
    assert await shelf.keeper.keep_new(now) == 0
    row = await shelf.row()
    assert (row["stage"], row["tries"], row["file"]) == ("new", 1, FILE)
    assert "instead of 3.0 s" in row["problem"]
    assert (await shelf.places.local(FILE, "disk")) == (shelf.places.folder / FILE).resolve()
    assert await shelf.keeper.keep_new(now) == 0, "it waits before it tries again"
    for _ in range(6):
        row = await shelf.row()
        await shelf.keeper.keep_new(row["due_at"])
    assert (await shelf.row())["stage"] == "failed"
    assert f"{CALL}.wav" in shelf.files()


async def test_rubbish_is_refused_in_ffmpegs_words(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF" + bytes(400))
    with pytest.raises(ConvertError, match=r"\w"):
        await sound.convert(tmp_path / "x.wav", tmp_path / "x.mp3", "mp3", 1000)
    assert [file.name for file in tmp_path.iterdir()] == ["x.wav"]


async def test_recordings_are_removed_when_their_time_is_over(db: Sqlite, toml: Path, now: int) -> None:
    shelf = Shelf(db, toml, now, **{"retention.recordings_days": "90", "sites.shop.recordings_days": "30"})
    await shelf.put()
    await shelf.keeper.keep_new(now)
    assert await shelf.keeper.remove_old(now + 30 * DAY_MS) == 0
    assert await shelf.keeper.remove_old(now + 30 * DAY_MS + 1) == 1
    assert shelf.files() == []
    assert ((await shelf.row())["state"], (await shelf.row())["file"]) == ("expired", "")


def test_a_name_that_leads_out_of_the_folder_is_no_recording(toml: Path) -> None:
    places = Places(config.load(toml))
    for name in ("../secret", "/etc/passwd", "a/../../secret", ""):
        assert places.path(name) is None


class Bucket:
    """What a storage that speaks S3 does with whole objects; it forgets, cuts or fails when told to."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200
        self.signed = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.signed += "AWS4-HMAC-SHA256" in request.headers.get("Authorization", "")
        if self.status != 200:
            return web.Response(status=self.status, text="<Error><Code>Denied</Code></Error>")
        if request.method == "PUT":
            self.objects[request.path] = await request.read()
            return web.Response(headers={"ETag": '"1"'})
        if request.method == "POST" and "delete" in request.query:
            keys = re.findall(r"<Key>(.*?)</Key>", (await request.read()).decode())
            for key in keys:
                self.objects.pop(f"{request.path}/{key}", None)
            done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            return web.Response(text=f"<DeleteResult>{done}</DeleteResult>", content_type="application/xml")
        if request.path not in self.objects:
            return web.Response(status=404)
        headers = {"ETag": '"1"', "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT"}
        return web.Response(body=self.objects[request.path], headers=headers)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
async def stored(
    db: Sqlite, toml: Path, now: int, bucket: Bucket, aiohttp_server: Callable[..., Awaitable[Any]]
) -> Shelf:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bucket.handle)
    server = await aiohttp_server(app)
    (toml.parent / "s3").write_text("very-secret\n")
    return Shelf(
        db,
        toml,
        now,
        **{
            "s3.bucket": "calls",
            "s3.endpoint": f"http://127.0.0.1:{server.port}",
            "s3.access_key_id": "key",
            "s3.secret_file": "s3",
            "s3.prefix": "shop",
        },
    )


async def test_a_finished_recording_moves_to_the_storage_and_comes_back_to_be_played(
    stored: Shelf, bucket: Bucket, now: int
) -> None:
    await stored.put()
    content = (stored.places.folder / FILE).read_bytes()
    assert await stored.keeper.keep_new(now) == 1
    assert list(bucket.objects.values()) == [content]
    assert next(iter(bucket.objects)).endswith(f"shop/{FILE}")
    assert bucket.signed
    assert stored.files() == [f"{CALL}.peaks.json"]
    row = await stored.row()
    found = await asyncio.gather(*(stored.places.local(row["file"], row["place"]) for _ in range(3)))
    assert found[0] is not None
    assert found[0].read_bytes() == content
    await stored.keeper.remove(row)
    assert bucket.objects == {}
    assert not found[0].exists()


async def test_a_storage_that_refuses_loses_nothing(stored: Shelf, bucket: Bucket, now: int) -> None:
    bucket.status = 403
    await stored.put()
    assert await stored.keeper.keep_new(now) == 0
    row = await stored.row()
    assert (row["stage"], row["place"]) == ("new", "disk")
    assert "very-secret" not in row["problem"]
    assert f"{CALL}.wav" in stored.files()
    bucket.status = 200
    assert await stored.keeper.keep_new(row["due_at"]) == 1
