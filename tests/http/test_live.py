"""The live page and its stream: how things stand, told anew after each change, to any number of watchers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ctserver import ids
from ctserver.domain import source
from ctserver.domain.call import Arrived, CallerHungUp, LegDone, LegRinging, LegStarted
from ctserver.http.auth import ASKED_AGAIN_SECONDS
from ctserver.services import visits
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.live import Live, Shared
from tests.conftest import PATIENCE


def journal_of(site: Any) -> Journal:
    made = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    made.on_change = site.live.changed
    return made


async def heard(site: Any, path: str = "/events", **headers: str) -> AsyncIterator[dict[str, Any]]:
    """What the stream says, one after the other."""
    async with site.client.get(path, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        while line := await response.content.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


async def test_a_call_is_told_while_it_rings_and_when_it_is_over(alice: Any) -> None:
    now, journal = alice.clock[0], journal_of(alice)
    stream = heard(alice)
    async with asyncio.timeout(PATIENCE):
        assert (await anext(stream))["ringing"] == []
        await journal.apply(
            [Arrived("1.1", now, "1.1", "PJSIP/t", "+442079460101", "+447700900123", "Ada <b>"),
             LegStarted("1.1", now, "b", "PJSIP/100-1"), LegRinging("1.1", now, "b")]
        )  # fmt: skip
        [ringing] = (await anext(stream))["ringing"]
        assert ringing["who"] == "+44 7700 900123 Ada <b>"
        await journal.apply([CallerHungUp("1.1", now + 5000, 16)])
        assert (await anext(stream))["ringing"] == []
    await stream.aclose()


async def test_the_live_page_shows_calls_and_visitors_and_its_stream_the_same(alice: Any) -> None:
    now = alice.clock[0]
    url = "https://shop.example/hire?utm_source=news&utm_medium=email"
    view = visits.PageView("shop", "", url, "", "Hire", ("main",), source=source.classify(url, ""))
    await visits.record(alice.db, alice.settings, [], view, now)
    caller = Arrived("1.1", now, "1.1", "PJSIP/t", "+442079460190", "+447700900123", "<script>")
    await journal_of(alice).apply([caller])
    html = await alice.page("/live")
    stream = heard(alice, "/events?page=live")
    async with asyncio.timeout(PATIENCE):
        told = await anext(stream)
    await stream.aclose()
    for text in (html, told["html"]):
        assert "news / email" in text
        assert "/hire" in text
        assert "&lt;script&gt;" in text
        assert "<script>" not in text.replace("<script src", "")


async def test_the_stream_speaks_the_readers_language(alice: Any) -> None:
    assert '<html lang="ru">' in await (await alice.get("/live", headers={"Accept-Language": "ru"})).text()


async def test_the_stream_is_for_those_who_are_logged_in(site: Any) -> None:
    assert (await site.get("/events")).status == 303


async def test_many_watchers_cost_one_read_for_each_change() -> None:
    live, reads = Live(), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    shared = Shared(live, read)
    assert await asyncio.gather(*(shared.get() for _ in range(50))) == [1] * 50
    live.changed()
    assert await asyncio.gather(*(shared.get() for _ in range(50))) == [2] * 50


async def test_a_server_that_stops_lets_its_watchers_go() -> None:
    live = Live()
    waiting = asyncio.create_task(live.after(live.version, 60))
    await asyncio.sleep(0)
    assert live.watchers == 1
    live.close()
    await asyncio.wait_for(waiting, PATIENCE)
    assert live.watchers == 0


async def test_of_many_visitors_the_last_seen_are_listed_and_all_are_counted(alice: Any) -> None:
    now = alice.clock[0]
    url = "https://shop.example/"

    def come(tx: Any) -> None:
        for number in range(60):
            visitor = f"v{number}"
            tx.execute(
                """
                INSERT INTO sessions (id, site, visitor, started_at, last_seen_at, landing_url, referrer, medium, source, campaign,
                                      term, content, click_ids, channel, country, region, city, device, browser, os, ip, ids, properties)
                VALUES ($1, 'shop', $1, $2, $2, $3, '', 'cpc', 'google', '', '', '', '{}', '', '', '', '', '', '', '', '', '{}', '{}')
                """,
                (visitor, now, url),
            )
            tx.execute(
                """
                INSERT INTO leases (id, number, pool, session, how, shown_at, seen_at, until)
                VALUES ($1, '+442079460101', 'small', $2, 'shared', $3, $4, $5)
                """,
                (ids.new(now), visitor, now, now - (60 - number) * 1000, now + 60_000 if number else now - 1),
            )

    await alice.db.write(come)
    html = await alice.page("/live")
    assert "<b>59</b> visitors with a number" in html
    assert html.count('id="v-v') == 50
    assert html.index("v-v59-") < html.index("v-v58-") < html.index("v-v10-")
    assert "v-v9-" not in html
    assert "and 9 more" in html
    assert html.count(">shared<") == 50


async def test_a_row_is_written_anew_when_it_changes_and_for_each_reader(alice: Any) -> None:
    now, journal = alice.clock[0], journal_of(alice)
    await journal.apply([Arrived("1.1", now, "1.1", "PJSIP/t", "+442079460101", "+447700900123", "")])
    html = await alice.page("/live")
    assert "<b>Ringing</b>" in html
    russian = await (await alice.get("/live", headers={"Accept-Language": "ru"})).text()
    assert "<b>Ringing</b>" not in russian
    assert "<b>Звонит</b>" in russian
    assert "<b>Ringing</b>" in await alice.page("/numbers")
    await journal.apply([LegStarted("1.1", now, "b", "PJSIP/100-0000000c"), LegDone("1.1", now + 1000, "b", "ANSWER")])
    alice.clock[0] += 5000
    html = await alice.page("/live")
    assert "<b>Talking</b>" in html
    assert " · 100<" in html
    assert "PJSIP" not in html
    assert "<b>On a call</b>" in await alice.page("/numbers")
    assert "0:04" in html
    alice.clock[0] += 60_000
    assert "1:04" in await alice.page("/live")


@pytest.mark.parametrize("taken", ["DELETE FROM logins", "UPDATE users SET sites = 'other'"])
async def test_a_stream_ends_for_whom_his_login_or_a_site_is_taken_from(site: Any, taken: str) -> None:
    await site.log_in_as("manager")
    async with asyncio.timeout(PATIENCE), site.client.get("/events") as response:
        assert b"event: now" in await response.content.readuntil(b"}\n\n")
        await site.db.run(lambda connection: connection.execute(taken).close())
        await asyncio.sleep(ASKED_AGAIN_SECONDS)
        site.live.changed()
        assert await response.read() == b""
