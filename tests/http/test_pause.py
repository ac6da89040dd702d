"""Recordings paused and resumed, by pages and by programs. That the sound is silent meanwhile: tests/e2e/test_main_path.py."""

from __future__ import annotations

from typing import Any

from ctserver.asterisk.bridge import NotRecorded
from ctserver.domain.call import Arrived, CallerHungUp, LegDone, LegRinging, LegStarted, Routed
from ctserver.domain.fact import iso
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.pauses import Pauses
from ctserver.storage import audit, pauses

from .test_api import Program, token

LINKEDID = "1700000000.7"


async def talk(site: Any) -> tuple[Journal, str]:
    """Somebody talks to the office."""
    now = site.clock[0]
    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    await journal.apply(
        [
            Arrived(LINKEDID, now - 4_000, LINKEDID, "PJSIP/t-1", "+442079460101", "+447700900123", ""),
            Routed(LINKEDID, now - 3_900, "1", "office", "ctserver"),
            LegStarted(LINKEDID, now - 3_800, "b", "PJSIP/100-1"),
            LegRinging(LINKEDID, now - 3_700, "b"),
            LegDone(LINKEDID, now - 2_000, "b", "ANSWER"),
        ]
    )
    row = await site.db.one("SELECT id FROM calls ORDER BY id DESC")
    return journal, str(row["id"])


async def test_a_program_pauses_and_resumes(alice: Any) -> None:
    journal, call = await talk(alice)
    program = Program(alice, await token(alice))
    address = f"/api/v1/calls/{call}/recording"
    paused = await program.post(f"{address}/pause")
    assert (paused.status, await paused.json()) == (200, {"paused": True, "until": iso(alice.clock[0] + 120_000)})
    again = await program.post(f"{address}/pause")
    assert (again.status, (await again.json())["detail"]) == (409, "the recording is paused already")
    assert "Recording paused" in await alice.page("/live")
    assert "Recording paused" in await alice.page(f"/calls/{call}")
    alice.clock[0] += 5_000
    resumed = await program.post(f"{address}/resume")
    assert await resumed.json() == {"paused": False, "until": None}
    assert (await program.post(f"{address}/resume")).status == 409
    assert alice.placed == [f"{LINKEDID} silent", f"{LINKEDID} heard"]
    rows = await audit.page(alice.db, "", "", call, "", 10)
    assert [(row["action"], row["login"], row["via"]) for row in rows] == [
        ("recording resumed", "alice", "api"), ("recording paused", "alice", "api"),
    ]  # fmt: skip
    alice.parts["AMI"] = "away"
    assert (await program.post(f"{address}/pause")).status == 503
    assert not await pauses.open_ones(alice.db)
    await journal.apply([CallerHungUp(LINKEDID, alice.clock[0], 16)])
    assert (await program.post(f"{address}/pause")).status == 409


async def test_only_who_works_on_calls_may_pause(site: Any) -> None:
    _, call = await talk(site)
    for role, seen, status in (("operator", "office", 303), ("client", "", 403), ("analyst", "", 403)):
        csrf = await site.log_in_as(role, lines=seen, sites="shop" if role == "client" else "")
        page = await site.page("/live")
        assert ("Pause the recording" in page) is (status == 303), role
        answer = await site.post(f"/calls/{call}/recording/pause", {"csrf": csrf, "next": "/live"})
        assert answer.status == status, role
    assert site.placed == [f"{LINKEDID} silent"]


async def test_what_was_paused_resumes_by_itself_also_after_a_restart(site: Any) -> None:
    journal, call = await talk(site)
    heard: list[bool] = []

    async def mute(pbx: str, uniqueid: str, silent: bool) -> None:
        heard.append(silent)
        if heard == [True, False]:
            raise NotRecorded  # the caller has gone

    now = site.clock[0]
    await Pauses(site.db, mute, 30, lambda: None).pause(call, "alice", now)
    another = Pauses(site.db, mute, 30, lambda: None)  # the server was started again
    await another.work(now + 29_000)
    assert heard == [True]
    await another.work(now + 30_000)
    assert heard == [True, False]
    assert [row["ended_at"] for row in await pauses.of_call(site.db, call)] == [now + 30_000]
    await another.pause(call, "alice", now + 31_000)
    await journal.apply([CallerHungUp(LINKEDID, now + 32_000, 16)])
    await another.work(now + 33_000)
    assert not await pauses.open_ones(site.db)
    assert heard == [True, False, True]
