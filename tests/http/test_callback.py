"""What the callback button asks the server, and the button of the dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctserver.domain import call as machine
from ctserver.storage import calls

NUMBER = "+447400123456"
ORIGIN = {"Origin": "https://shop.example"}
CALLBACKS = '[callbacks]\ndial = "PJSIP/{number}@trunk"\nsites = ["shop"]\n'


@pytest.fixture
def toml(toml: Path) -> Path:
    toml.write_text(toml.read_text() + CALLBACKS)
    return toml


async def came(site: Any) -> dict[str, str]:
    """A visitor who looks at the page."""
    body = {"s": "shop", "u": "https://shop.example/", "r": "", "t": "Shop", "n": ["main"]}
    answer = await (await site.post("/v1/visit", json.dumps(body), headers=ORIGIN)).json()
    return {"s": "shop", "v": answer["v"], "e": answer["e"]}


async def ask(site: Any, body: dict[str, Any], headers: dict[str, str] = ORIGIN) -> Any:
    answer = await site.post("/v1/callback", json.dumps(body), headers=headers)
    return await answer.json() if answer.status == 200 else answer.headers["X-Ct-Refused"]


async def kept(site: Any) -> int:
    return len(await site.db.fetch("SELECT 1 FROM callbacks"))


async def test_a_visitor_asks_to_be_called(site: Any) -> None:
    said = await ask(site, {**await came(site), "n": "07400 123456", "w": 4, "x": "", "u": "https://shop.example/a"})
    assert said == {"at": site.clock[0]}
    row = await site.db.one("SELECT * FROM callbacks")
    assert (row["number"], row["line"], row["page"], row["kind"]) == (
        NUMBER,
        "office",
        "https://shop.example/a",
        "site",
    )
    assert row["address"] == "127.0.0.0", "only as much of his address as the settings keep"


@pytest.mark.parametrize("more", [{"x": "spam"}, {"w": 0.2}, {"w": "4"}, {"w": None}])
async def test_a_robot_is_told_that_all_is_well(site: Any, more: dict[str, Any]) -> None:
    assert "at" in await ask(site, {**await came(site), "n": NUMBER, "w": 4, "x": "", **more})
    assert await kept(site) == 0


@pytest.mark.parametrize("number", ["", "x", "1" * 5000, "+44 7400 123456\r\nX: y", "${SHELL(id)}", "999", None, 5])
async def test_what_is_no_number_is_not_kept(site: Any, number: Any) -> None:
    said = await ask(site, {**await came(site), "n": number, "w": 4, "x": ""})
    assert said.get("no") == "number"
    assert await kept(site) == 0


async def test_other_pages_and_other_sites_may_not_ask(site: Any) -> None:
    who = await came(site)
    said = await ask(site, {**who, "n": NUMBER, "w": 4}, {"Origin": "https://evil.example"})
    assert said == "this page is not on the site's domains"
    assert await kept(site) == 0
    assert (await site.get("/ct-callback.js?site=nowhere")).status == 404


async def test_the_script_is_made_for_its_site(site: Any) -> None:
    answer = await site.get("/ct-callback.js?site=shop")
    text = await answer.text()
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert 'SITE = "shop"' in text
    assert "__CT_" not in text


@pytest.fixture
async def call(site: Any) -> str:
    """A missed call."""
    now = site.clock[0] - 60_000
    event = machine.Arrived("1.1", now, "1.1", "PJSIP/t-1", "+442079460101", "+447700900111", "")
    made = machine.begin(event, id="0" * 26, pbx="pbx", site="shop", line="office")
    made = machine.advance(made, machine.CallerHungUp("1.1", now + 5_000, 16))
    await site.db.write(lambda tx: calls.save(tx, made))
    return made.id


async def test_a_click_rings_the_caller(alice: Any, call: str) -> None:
    page = await alice.page(f"/calls/{call}")
    assert f'action="/calls/{call}/callback"' in page
    form = {"csrf": await alice.csrf(), "next": "/missed"}
    answer = await alice.post(f"/calls/{call}/callback", form)
    assert (answer.status, answer.headers["Location"]) == (303, "/missed")
    assert len(alice.placed) == 1
    again = await alice.post(f"/calls/{call}/callback", form)
    assert again.status == 409
    assert "already being called" in await again.text()
    assert len(alice.placed) == 1


async def test_a_click_takes_the_token_of_the_form(alice: Any, call: str) -> None:
    assert (await alice.post(f"/calls/{call}/callback", {"csrf": "x"})).status == 403
    assert alice.placed == []


@pytest.mark.parametrize(("role", "status"), [("analyst", 403), ("client", 403), ("operator", 303)])
async def test_only_who_works_with_callers_rings_them(site: Any, call: str, role: str, status: int) -> None:
    csrf = await site.log_in_as(role, sites="shop" if role == "client" else "", lines="office")
    assert (await site.post(f"/calls/{call}/callback", {"csrf": csrf})).status == status


async def test_an_operator_of_another_line_does_not_ring_him(site: Any, call: str) -> None:
    csrf = await site.log_in_as("operator", lines="night")
    assert (await site.post(f"/calls/{call}/callback", {"csrf": csrf})).status == 404
    assert site.placed == []


async def test_who_waits_stands_on_the_page_of_missed_callers_and_can_be_let_go(alice: Any) -> None:
    await ask(alice, {**await came(alice), "n": NUMBER, "w": 4, "x": "", "d": 60})
    page = await alice.page("/missed")
    assert "Callbacks under way" in page
    assert "+44 7400 123456" in page
    row = await alice.db.one("SELECT id FROM callbacks")
    answer = await alice.post(f"/callbacks/{row['id']}/cancel", {"csrf": await alice.csrf()})
    assert answer.status == 303
    assert "Callbacks under way" not in await alice.page("/missed")


async def test_who_waits_is_not_shown_to_other_sites(site: Any) -> None:
    await ask(site, {**await came(site), "n": NUMBER, "w": 4, "x": "", "d": 60})
    csrf = await site.log_in_as("operator", lines="night")
    assert "Callbacks under way" not in await site.page("/missed")
    row = await site.db.one("SELECT id FROM callbacks")
    assert (await site.post(f"/callbacks/{row['id']}/cancel", {"csrf": csrf})).status == 404
