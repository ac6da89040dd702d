"""The page of deliveries: the log, what is wrong, tests and retries by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ctserver import ids
from ctserver.domain.fact import Fact
from ctserver.domain.rights import EVERYTHING, Role
from ctserver.http.deps import DEPS
from ctserver.outbound import GiveUp
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.storage import outbox, search
from ctserver.storage.outbox import Wanted
from ctserver.storage.vias import State
from tests.http.conftest import Site
from tests.http.test_api import Program, token
from tests.http.test_pages import ring
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
    assert "mail accepted the test: fine" in await answer.text()
    assert (await alice.post("/deliveries/test", {"csrf": csrf, "via": "notify.none"})).status == 404


async def test_answers_are_shown_for_people(alice: Site, other: Any) -> None:
    said = "503 <h1 class=x>Down</h1><p>a <b@c.example> & more, until 2025-11-22T12:40:00.000Z"
    await alice.db.run(lambda connection: connection.execute("UPDATE outbox SET answer = $1", (said,)).close())
    page = await alice.page("/deliveries")
    assert "503 Down a &lt;b@c.example&gt; &amp; more, until 22 Nov 2025, 12:40<" in page


async def test_every_page_points_to_deliveries_while_a_channel_fails(alice: Site, other: Any) -> None:
    dotted = 'data-page="deliveries" class="wide dotted"'
    assert dotted not in await alice.page("/calls"), "one message was not taken, which is no trouble of the channel"
    alice.client.app[DEPS].delivery._queues["notify.mail"].state = State("notify.mail", 9, 0, 1, 0, "no route")
    page = await alice.page("/calls")
    assert dotted in page
    assert 'popovertarget="more" class="narrow dotted"' in page


async def test_a_page_without_deliveries_says_how_to_get_some(alice: Site) -> None:
    assert "[alerts.NAME]" in await alice.page("/deliveries")


# ---- the API


async def test_a_program_reads_the_log_sends_again_and_tests_a_channel(alice: Site, other: Any, until: Any) -> None:
    made, bad = other
    program = Program(alice, await token(alice, "deliveries"))
    alice.client.session.cookie_jar.clear()
    [row] = (await program.json("/api/v1/deliveries?state=failed"))["data"]
    assert (row["via"], row["kind"], row["to"], row["tries"]) == ("notify.mail", "disk", "somebody", 1)
    assert row["answer"] == "no such mailbox <b>"
    one = await program.json(f"/api/v1/deliveries/{row['id']}")
    assert [(tried["outcome"], tried["answer"]) for tried in one["log"]] == [("failed", "no such mailbox <b>")]
    bad.clear()
    answer = await alice.client.post(f"/api/v1/deliveries/{row['id']}/again", headers=program.headers)
    assert (answer.status, (await answer.json())["id"]) == (200, row["id"])
    await until(lambda: made.taken)
    answer = await alice.client.post("/api/v1/channels/notify.mail/test", headers=program.headers)
    assert await answer.json() == {"taken": True, "answer": "fine"}
    [channel] = (await program.json("/api/v1/channels"))["data"]
    assert channel["name"] == "notify.mail"
    log = await alice.db.fetch("SELECT via, action, subject FROM audit WHERE via = 'api'")
    assert {tuple(entry) for entry in log} == {
        ("api", "sent again", row["id"]),
        ("api", "channel tested", "notify.mail"),
    }
    for path in (f"/api/v1/deliveries/{'0' * 26}/again", "/api/v1/channels/none/test"):
        assert (await alice.client.post(path, headers=program.headers)).status == 404


async def test_a_token_without_the_right_sees_and_sends_nothing(alice: Site, other: Any) -> None:
    program = Program(alice, await token(alice, "calls", "work"))
    alice.client.session.cookie_jar.clear()
    row = await alice.db.one("SELECT id FROM outbox")
    assert row is not None
    assert (await program.get("/api/v1/deliveries")).status == 403
    again = f"/api/v1/deliveries/{row['id']}/again"
    assert (await alice.client.post(again, headers=program.headers)).status == 403
    assert len(other[0].seen) == 1


async def test_what_was_told_to_a_caller_names_him_only_to_those_who_may_know(alice: Site, other: Any) -> None:
    number = "+447700900123"
    for sql in (
        f"UPDATE outbox SET addressee = '{number}', topic = '{number}', answer = 'sent to {number}', said = '{number}'",
        f"UPDATE tries SET answer = 'sent to {number}'",
    ):
        await alice.db.run(lambda connection, sql=sql: connection.execute(sql).close())  # type: ignore[misc]
    row = await alice.db.one("SELECT id FROM outbox")
    assert row is not None
    programs = [Program(alice, await token(alice, "deliveries", *more)) for more in ((), ("callers",))]
    alice.client.session.cookie_jar.clear()
    for program, told in zip(programs, (False, True), strict=True):
        for path in ("/api/v1/deliveries", f"/api/v1/deliveries/{row['id']}"):
            text = await (await program.get(path)).text()
            assert row["id"] in text
            assert (number in text) is told, path


async def test_pages_of_the_log_follow_one_another(alice: Site, other: Any) -> None:
    facts = Facts(alice.settings, [All("notify.mail")])
    for number in range(4):
        fact = Fact("disk", ids.now_ms(), "disk", str(number))
        await alice.db.write(lambda tx, fact=fact: facts.record(tx, fact, ids.now_ms()))  # type: ignore[misc]
    program = Program(alice, await token(alice, "deliveries"))
    alice.client.session.cookie_jar.clear()
    seen, path = [], "/api/v1/deliveries?limit=2"
    while path:
        page = await program.json(path)
        seen += [row["id"] for row in page["data"]]
        path = page["next"]
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


async def test_who_sees_one_site_sees_nothing_that_was_told_of_calls_to_others(site: Site) -> None:
    call = await ring(site)
    row = await site.db.one("SELECT site FROM calls")
    assert row is not None
    facts = Facts(site.settings, [All("notify.mail")])
    fact = Fact("call.missed", ids.now_ms(), call, call=call)
    await site.db.write(lambda tx: facts.record(tx, fact, ids.now_ms()))
    delivery = await site.db.one("SELECT id FROM outbox")
    assert delivery is not None
    disk = Fact("disk", ids.now_ms(), "disk", "9 MB free")
    await site.db.write(lambda tx: facts.record(tx, disk, ids.now_ms()))
    for name, status in ((row["site"], 200), ("elsewhere", 404)):
        await site.log_in_as(Role.MANAGER, sites=name)
        assert (await site.get(f"/deliveries/{delivery['id']}")).status == status
        listed = await (await site.get("/api/v1/deliveries")).json()
        assert len(listed["data"]) == (status == 200)


async def test_a_pause_is_ended_by_hand_and_only_by_those_who_see_everything(
    site: Site, other: Any, until: Any
) -> None:
    made, bad = other
    bad.clear()
    csrf = await site.log_in_as("manager", sites="shop")
    for path in ("/deliveries/resume", "/deliveries/again", "/deliveries/test"):
        assert (await site.post(path, {"csrf": csrf, "via": "notify.mail"})).status == 403
    assert (await site.post("/api/v1/channels/notify.mail/test", headers={"X-Csrf": csrf})).status == 403
    assert not made.taken
    csrf = await site.log_in_as("owner")
    assert (await site.post("/deliveries/resume", {"csrf": csrf, "via": "notify.none"})).status == 404
    assert (await site.post("/deliveries/resume", {"csrf": csrf, "via": "notify.mail"})).status == 303
    assert (await site.post("/deliveries/again", {"csrf": csrf, "via": "notify.mail"})).status == 303
    await until(lambda: made.taken)


async def test_the_log_is_narrowed_by_what_it_is_about_and_to_whom(alice: Site, other: Any) -> None:
    for query, shown in (("kind=disk", True), ("kind=call.missed", False), ("q=SomeB", True), ("q=nobody", False)):
        html = await alice.page(f"/deliveries/rows?{query}")
        assert ("9 MB free" in html) is shown, query
    assert "9 MB free" not in await alice.page("/deliveries?before=" + "0" * 26)


async def test_nobody_waits_for_what_was_told_to_nobody(
    alice: Site, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_LOOK", 1)
    monkeypatch.setattr(search, "LOOKS_THROUGH", 2)
    facts = Facts(alice.settings, [All("notify.mail")])
    for number in range(4):
        fact = Fact("disk", ids.now_ms(), "disk", str(number))
        await alice.db.write(lambda tx, fact=fact: facts.record(tx, fact, ids.now_ms()))  # type: ignore[misc]
    newest = [row["id"] for row in await alice.db.fetch("SELECT id FROM outbox ORDER BY id DESC")]
    page = await alice.page("/deliveries/rows?q=nobody")
    assert "Searched back to" in page
    assert f"before={newest[2]}" in page
    found = await outbox.page(alice.db, Wanted(text="nobody", before=newest[2]), EVERYTHING, 50)
    assert (found.rows, found.older) == ([], None)
