"""The life of a recording after it was joined: real sound, real ffmpeg, a storage that speaks S3 on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
import re
import struct
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from ctserver import config
from ctserver.domain import call as machine
from ctserver.recordings import sound
from ctserver.recordings.keeper import Keeper
from ctserver.recordings.places import Places, keys
from ctserver.recordings.seal import BLOCK, MAGIC, SUFFIX, Keys, Sealed, SealError, seal
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
    found = await shelf.places.local(FILE, "disk")
    assert found
    assert found.path == (shelf.places.folder / FILE).resolve()
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
    assert found[0].path
    assert b"".join(found[0].read()) == content
    await stored.keeper.remove(row)
    assert bucket.objects == {}
    assert not found[0].path.exists()


async def test_a_storage_that_refuses_loses_nothing(stored: Shelf, bucket: Bucket, now: int) -> None:
    bucket.status = 403
    await stored.put()
    assert await stored.keeper.keep_new(now) == 0
    row = await stored.row()
    assert (row["stage"], row["place"]) == ("new", "disk")
    assert "very-secret" not in row["problem"]
    assert f"{CALL}.wav" in stored.files()
    for _ in range(20):
        row = await stored.row()
        assert await stored.keeper.keep_new(row["due_at"]) == 0
    bucket.status = 200
    assert await stored.keeper.keep_new(row["due_at"] + 6 * 3_600_000) == 1, "when it is back, a day later too"


# ---- sealed


KEY = "11" * 32
OTHER_KEY = base64.b64encode(bytes(range(32))).decode()


def keyed(toml: Path, *keys: str) -> dict[str, str]:
    """The setting, and the file that it names."""
    (toml.parent / "keys").write_text("# made in spring\n" + "\n".join(keys) + "\n")
    return {"recordings.encrypt_key_file": "keys"}


@pytest.mark.parametrize("format", ["opus", "wav"])
async def test_with_a_key_nothing_that_can_be_heard_or_drawn_stays_on_the_disk(
    db: Sqlite, toml: Path, now: int, format: str
) -> None:
    shelf = Shelf(db, toml, now, **keyed(toml, KEY), **{"recordings.format": format})
    await shelf.put()
    plain = (shelf.places.folder / FILE).read_bytes()
    assert await shelf.keeper.keep_new(now) == 1
    row = await shelf.row()
    assert (row["stage"], row["format"], row["file"]) == ("kept", format, f"000000/{CALL}.{format}.sealed")
    assert shelf.files() == sorted([f"{CALL}.{format}.sealed", f"{CALL}.peaks.json.sealed"])
    for file in shelf.places.folder.rglob("*"):
        assert file.is_dir() or file.read_bytes().startswith(MAGIC), file
    found = await shelf.places.local(row["file"], row["place"])
    assert found
    assert (found.name, found.path) == (f"{CALL}.{format}", None)
    sound = b"".join(found.read())
    assert len(sound) == found.size
    assert sound == plain if format == "wav" else sound.startswith(b"OggS")
    assert max(json.loads(await shelf.places.peaks(row["file"]) or "")["caller"]) > 60
    await shelf.keeper.remove(row)
    assert shelf.files() == []


async def test_a_sealed_recording_goes_to_the_storage_sealed(
    stored: Shelf, bucket: Bucket, now: int, toml: Path
) -> None:
    await stored.put()
    content = (stored.places.folder / FILE).read_bytes()
    settings = config.load(toml, keyed(toml, KEY))
    stored.places.keys = keys(settings)
    assert await stored.keeper.keep_new(now) == 1
    [there] = bucket.objects.values()
    assert there.startswith(MAGIC)
    row = await stored.row()
    found = await stored.places.local(row["file"], row["place"])
    assert found
    assert b"".join(found.read()) == content
    assert not list(stored.places.folder.rglob("*.wav"))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17])
def test_any_part_of_a_sealed_file_can_be_read(tmp_path: Path, size: int) -> None:
    dice, known = random.Random(size), Keys([KEY])
    plain = dice.randbytes(size)
    (tmp_path / "x").write_bytes(plain)
    seal(tmp_path / "x", tmp_path / "x.sealed", known)
    opened = Sealed(tmp_path / "x.sealed", known)
    assert (opened.size, b"".join(opened.read())) == (size, plain)
    for _ in range(30):
        start, length = dice.randrange(size + 2), dice.choice([1, 100, BLOCK, 2 * BLOCK])
        assert b"".join(opened.read(start, length)) == plain[start : start + length]


def test_two_files_of_the_same_sound_have_nothing_in_common(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(1000))
    for name in ("a", "b"):
        seal(tmp_path / "x", tmp_path / name, Keys([KEY]))
    assert (tmp_path / "a").read_bytes()[60:] != (tmp_path / "b").read_bytes()[60:]


def test_whatever_is_changed_cut_or_moved_is_noticed(tmp_path: Path) -> None:
    known, target = Keys([KEY]), tmp_path / "x.sealed"
    (tmp_path / "x").write_bytes(random.Random(1).randbytes(2 * BLOCK + 500))
    seal(tmp_path / "x", target, known)
    good, step = target.read_bytes(), BLOCK + 16
    flipped = [
        good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in (0, 9, 20, 50, 55, 60, 70_000, len(good) - 1)
    ]
    swapped = good[:60] + good[60 + step : 60 + 2 * step] + good[60 : 60 + step] + good[60 + 2 * step :]
    cut = [good[: 60 + step], good[: 60 + 2 * step], good[:-1], good[:60], good[:30], b""]
    for bad in (*flipped, swapped, *cut, good + b"x"):
        target.write_bytes(bad)
        with pytest.raises(SealError):
            b"".join(Sealed(target, known).read())


def test_an_old_key_still_opens_and_a_new_one_seals(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"sound")
    seal(tmp_path / "x", tmp_path / "old", Keys([KEY]))
    both = Keys([OTHER_KEY, KEY])
    seal(tmp_path / "x", tmp_path / "new", both)
    for name in ("old", "new"):
        assert b"".join(Sealed(tmp_path / name, both).read()) == b"sound"
    with pytest.raises(
        SealError, match=r"sealed with the key [0-9a-f]{16}, which is not among those of \[recordings\]"
    ):
        Sealed(tmp_path / "new", Keys([KEY]))


@pytest.mark.parametrize("line", ["short", "zz" * 32, base64.b64encode(bytes(31)).decode(), "11" * 31])
def test_a_key_that_is_none_is_told_at_the_start(toml: Path, line: str) -> None:
    with pytest.raises(config.ConfigError) as told:
        keys(config.load(toml, keyed(toml, line)))
    [problem] = told.value.problems
    assert problem.key == "recordings.encrypt_key_file"
    assert "line 1 is no key" in problem.what
    assert line not in problem.what


async def test_what_was_kept_before_there_was_a_key_is_sealed_when_asked_for(db: Sqlite, toml: Path, now: int) -> None:
    shelf = Shelf(db, toml, now, **{"recordings.format": "mp3"})
    await shelf.put()
    await shelf.keeper.keep_new(now)
    later = Shelf(db, toml, now, **keyed(toml, KEY), **{"recordings.format": "mp3"})
    assert await later.keeper.keep_new(now) == 0
    assert await db.write(lambda tx: recordings.keep_again(tx, SUFFIX)) == 1
    assert await later.keeper.keep_new(now) == 1
    assert later.files() == sorted([f"{CALL}.mp3.sealed", f"{CALL}.peaks.json.sealed"])
    assert await db.write(lambda tx: recordings.keep_again(tx, SUFFIX)) == 0
