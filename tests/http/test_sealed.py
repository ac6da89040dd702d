"""A sealed recording is played as any other, piece by piece, and said to be closed without its key."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ctserver.recordings.seal import BLOCK, Keys, seal
from tests.somebody import Life, lives

KEY = "22" * 32
SOUND = random.Random(7).randbytes(2 * BLOCK + 1000)


@pytest.fixture
def overrides(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "keys").write_text(KEY)
    return {"recordings.encrypt_key_file": "keys"}


async def put(site: Any, key: str = KEY) -> Life:
    life = await lives(site.db, site.clock[0], "+447700900123", site.recordings)
    life.sound.write_bytes(SOUND)
    seal(life.sound, life.sound.with_name(life.sound.name + ".sealed"), Keys([key]))
    life.sound.unlink()
    await site.db.write(lambda tx: tx.execute("UPDATE recordings SET file = file || '.sealed'"))
    return life


async def test_every_range_is_the_same_as_of_a_plain_file(alice: Any) -> None:
    address = f"/calls/{(await put(alice)).call}/recording"
    size = len(SOUND)
    whole = await alice.get(address)
    assert (whole.status, await whole.read()) == (200, SOUND)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Type"] == "audio/wav"
    assert whole.headers["Content-Disposition"].endswith('.wav"')
    for asked, start, stop in (
        ("0-9", 0, 10), ("0-", 0, size), ("65530-65545", 65530, 65546), ("131000-", 131000, size), ("-500", size - 500, size),
        ("1-99999999", 1, size),
    ):  # fmt: skip
        part = await alice.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status, await part.read()) == (206, SOUND[start:stop]), asked
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    for asked in (f"{size}-", "99999999-", "x", "9-5"):
        part = await alice.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status, part.headers["Content-Range"], await part.read()) == (416, f"bytes */{size}", b""), asked
    head = await alice.client.head(address)
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))
    saved = await alice.get(f"{address}?download=1")
    assert await saved.read() == SOUND
    assert saved.headers["Content-Disposition"].startswith("attachment")


async def test_without_its_key_it_is_not_played_and_the_log_says_which_is_missing(
    alice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    life = await put(alice, key="33" * 32)
    answer = await alice.get(f"/calls/{life.call}/recording")
    assert answer.status == 502
    assert "sealed with the key" in caplog.text
    assert (await alice.get(f"/calls/{life.call}")).status == 200
