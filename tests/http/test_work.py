"""What people do with calls on the pages: the work list of missed calls; category, tags, note and value of a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctserver.domain.call import Arrived, CallerHungUp, LegDone, LegRinging, LegStarted
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.storage import missed

EVIL = "\"'><script>alert(1)</script>"


async def ring(site: Any, linkedid: str, at: int, caller: str = "+447700900123", *, answered: bool = False) -> str:
    """A call that is over; its id."""
    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    story: list[Any] = [
        Arrived(linkedid, at, linkedid, "PJSIP/t", "+442079460190", caller, "Ada"),
        LegStarted(linkedid, at, "b", "PJSIP/100-1"),
        LegRinging(linkedid, at, "b"),
    ]
    story += [LegDone(linkedid, at + 1000, "b", "ANSWER")] if answered else []
    await journal.apply([*story, CallerHungUp(linkedid, at + 9000, 16)])
    row = await site.db.one("SELECT id FROM calls WHERE linkedid = $1", (linkedid,))
    return str(row["id"])


async def act(site: Any, path: str, **fields: str) -> int:
    return int((await site.post(path, {"csrf": await site.csrf(), **fields})).status)


async def test_a_missed_caller_is_work_until_somebody_has_called_him_back(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    html = await alice.page("/missed")
    assert f'id="case-{call}"' in html
    assert "+44 7700 900123" in html
    page = (await alice.page(f"/calls/{call}")).replace("\u00a0", " ")
    assert ("waiting 5 min" in page, 'href="/missed?show=todo&amp;days=7"' in page) == (True, True)
    assert await act(alice, f"/missed/{call}", step="take") == 303
    assert f'id="case-{call}"' in await alice.page("/missed?show=mine")
    assert await act(alice, f"/missed/{call}", step="called_back") == 303
    assert f'id="case-{call}"' not in await alice.page("/missed")
    done = await alice.page("/missed?show=done")
    assert "called back in 5 min" in done.replace("\u00a0", " ")
    assert "called back in 5 min" in (await alice.page(f"/calls/{call}")).replace("\u00a0", " ")
    assert await act(alice, f"/missed/{call}", step="reopen") == 303
    assert f'id="case-{call}"' in await alice.page("/missed")


async def test_a_withheld_number_is_nobodys_work_and_every_figure_says_so(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    hidden = await ring(alice, "2.1", alice.clock[0] - 200_000, "")
    html = await alice.page("/missed")
    assert (f'id="case-{call}"' in html, f'id="case-{hidden}"' in html) == (True, False)
    assert "To do <b>1</b>" in html
    assert "of 1<" in html
    assert "1 missed call from a withheld number" in html
    assert await act(alice, f"/missed/{hidden}", step="given_up") == 303
    assert "Resolved <b>0</b>" in await alice.page("/missed?show=done")


async def test_of_more_missed_calls_than_are_looked_at_the_list_says_which(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        await ring(alice, f"{n}.1", alice.clock[0] - n * 3_600_000 - 300_000, f"+44770090012{n}")
    assert "Listed and counted are" not in await alice.page("/missed")
    monkeypatch.setattr(missed, "MOST", 3)
    html = await alice.page("/missed")
    assert "of 3<" in html
    assert "the latest 3 missed calls alone" in html


async def test_one_who_rang_again_and_was_answered_waits_no_more(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    await ring(alice, "2.1", alice.clock[0] - 100_000, answered=True)
    assert f'id="case-{call}"' not in await alice.page("/missed")
    assert "rang again after" in await alice.page("/missed?show=done")


async def test_the_work_list_takes_only_steps_that_there_are_on_calls_that_were_missed(alice: Any) -> None:
    missed = await ring(alice, "1.1", alice.clock[0] - 300_000)
    answered = await ring(alice, "2.1", alice.clock[0] - 300_000, "+447700900124", answered=True)
    assert await act(alice, f"/missed/{missed}", step="x") == 400
    assert await act(alice, f"/missed/{answered}", step="take") == 404
    assert await act(alice, f"/missed/{'0' * 26}", step="take") == 404
    assert (await alice.post(f"/missed/{missed}", {"step": "take"})).status == 403


async def test_a_call_is_given_category_tags_note_and_value(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000, answered=True)
    path = f"/calls/{call}/marks"
    assert await act(alice, path, category="order") == 303
    assert await act(alice, path, tag="Wholesale") == 303
    assert await act(alice, path, note=EVIL, value="1 250,50") == 303
    html = await alice.page(f"/calls/{call}")
    assert 'value="" aria-pressed="true"' in html
    assert 'value="wholesale"' in html
    assert "1250.50" in html
    assert "&lt;script&gt;alert(1)" in html
    assert EVIL not in html
    row = await alice.db.one("SELECT category, value FROM calls WHERE id = $1", (call,))
    assert (row["category"], row["value"]) == ("order", 125_050)
    assert await act(alice, path, untag="wholesale") == 303
    assert 'name="untag"' not in await alice.page(f"/calls/{call}")


@pytest.mark.parametrize(("fields", "status"), [({"category": "no such"}, 400), ({"value": "much"}, 422)])
async def test_what_is_no_category_and_no_sum_is_refused(alice: Any, fields: dict[str, str], status: int) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    assert await act(alice, f"/calls/{call}/marks", **fields) == status


async def test_a_mark_is_a_change_that_others_fetch(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    before = await alice.db.one("SELECT updated_at FROM calls WHERE id = $1", (call,))
    await act(alice, f"/calls/{call}/marks", tag="x")
    after = await alice.db.one("SELECT updated_at FROM calls WHERE id = $1", (call,))
    assert after["updated_at"] > before["updated_at"]


async def test_changed_tags_are_a_fact_and_the_same_ones_again_are_not(alice: Any) -> None:
    call = await ring(alice, "1.1", alice.clock[0] - 300_000)
    for fields in ({"tag": "a"}, {"tag": "a"}, {"note": "x"}, {"tag": "b"}, {"untag": "a"}):
        await act(alice, f"/calls/{call}/marks", **fields)
        alice.clock[0] += 1000
    rows = await alice.db.fetch("SELECT data FROM facts WHERE kind = 'call.tagged' ORDER BY at")
    assert [json.loads(row["data"])["tags"] for row in rows] == [["a"], ["a", "b"], ["b"]]
