"""The page of deliveries: the log, what is wrong, tests and retries by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ctserver import ids
from ctserver.domain.fact import Fact
from ctserver.http.deps import DEPS
from ctserver.outbound import GiveUp
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from tests.http.conftest import Site
from tests.services.test_delivery import All, Other


@pytest.fixture
async def other(site: Site) -> Any:
    """A channel "notify.mail" that refuses everything until `bad` is emptied."""
    bad = ["no such mailbox <b>"]
    made = Other(lambda _: GiveUp(bad[0]) if bad else None)
    facts = Facts(site.settings, [All("notify.mail")])
    delivery = Delivery(site.db, [made.via("notify.mail")], facts)
    object.__setattr__(site.client.app[DEPS], "delivery", delivery)
    await delivery.start()
    fact = Fact("disk", ids.now_ms(), "disk", "9 MB free")
    await site.db.write(lambda tx: facts.record(tx, fact, ids.now_ms()))
    facts.wake()
    while not await site.db.one("SELECT 1 FROM outbox WHERE state = 'failed'"):
        await asyncio.sleep(0.01)
    yield made, bad
    await delivery.stop()


async def test_the_log_tells_what_was_given_up_and_why_and_sends_it_again(alice: Site, other: Any, until: Any) -> None:
    page = await alice.page("/deliveries?state=failed")
    assert "no such mailbox &lt;b&gt;" in page
    row = await alice.db.one("SELECT id FROM outbox")
    assert row is not None
    assert "disk" in await alice.page(f"/deliveries/{row['id']}")
    made, bad = other
    bad.clear()
    csrf = await alice.csrf()
    assert (await alice.post(f"/deliveries/{row['id']}/again", {"csrf": csrf})).status == 303
    await until(lambda: made.taken)
    assert (await alice.get("/deliveries/" + "0" * 26)).status == 404


async def test_a_channel_is_tested_by_a_button(alice: Site, other: Any) -> None:
    csrf = await alice.csrf()
    answer = await alice.post("/deliveries/test", {"csrf": csrf, "via": "notify.mail"})
    assert "mail has taken the test: fine" in await answer.text()
    assert (await alice.post("/deliveries/test", {"csrf": csrf, "via": "notify.none"})).status == 404


async def test_a_page_without_deliveries_says_how_to_get_some(alice: Site) -> None:
    assert "[alerts.NAME]" in await alice.page("/deliveries")
