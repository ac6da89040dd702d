"""An owner gives out and erases one caller's data from a call's page; nobody else, not by a slip, and it is written down."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tests.somebody import lives

ANN = "+447700900123"
DAY_MS = 86_400_000


async def test_an_owner_sees_gives_out_and_erases_what_there_is(alice: Any) -> None:
    life = await lives(alice.db, alice.clock[0] - DAY_MS, ANN, alice.recordings)
    address = f"/calls/{life.call}/person"
    assert f'href="{address}"' in await alice.page(f"/calls/{life.call}")
    text = await alice.page(address)
    assert "<dt>recordings</dt><dd>1</dd>" in text
    csrf = {"csrf": await alice.csrf()}
    given = await alice.post(f"{address}/export", csrf)
    assert given.status == 200
    archive = zipfile.ZipFile(io.BytesIO(await given.read()))
    data = json.loads(archive.read("data.json"))
    assert data["number"] == ANN
    assert archive.read(data["calls"][0]["recording_file"]) == life.sound.read_bytes()
    slip = await alice.post(f"{address}/erase", {**csrf, "last": "9999"})
    assert slip.status == 422
    assert life.sound.exists()
    done = await alice.post(f"{address}/erase", {**csrf, "last": "0123"})
    assert (done.status, done.headers["Location"]) == (303, f"/calls/{life.call}")
    row = await alice.db.one("SELECT caller FROM calls WHERE id = $1", (life.call,))
    assert row["caller"].startswith("erased-")
    assert not life.sound.exists()
    assert row["caller"] in await alice.page(f"/calls/{life.call}")
    assert (await alice.get(address)).status == 404, "there is nobody any more"
    entries = await alice.db.fetch("SELECT action, subject, detail FROM audit WHERE login = 'alice' ORDER BY id")
    told = [tuple(entry) for entry in entries if entry["action"].startswith("person")]
    assert {(action, subject) for action, subject, _ in told} == {
        ("person exported", life.call), ("person erased", row["caller"]),
    }  # fmt: skip
    assert "900123" not in str([tuple(entry) for entry in entries])


async def test_a_manager_may_not(site: Any) -> None:
    life = await lives(site.db, site.clock[0] - DAY_MS, ANN, site.recordings)
    csrf = await site.log_in_as("manager")
    address = f"/calls/{life.call}/person"
    assert (await site.get(address)).status == 403
    assert "/person" not in await site.page(f"/calls/{life.call}")
    for what in ("export", "erase"):
        assert (await site.post(f"{address}/{what}", {"csrf": csrf, "last": "0123"})).status == 403
    assert life.sound.exists()
