"""The black list on pages and over the API."""

from __future__ import annotations

from typing import Any

from ctserver.domain.call import Arrived, CallerHungUp, StageReached
from ctserver.domain.rights import Right
from ctserver.ids import token_hash
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.storage import tokens

CALLER = "+447700900123"


async def call_of(site: Any, *, blocked: bool = False, linkedid: str = "1700000000.1") -> str:
    at = site.clock[0] - 60_000
    stage = [StageReached(linkedid, at + 10, "blocked")] if blocked else []
    arrived = Arrived(linkedid, at, linkedid, "PJSIP/t-1", "+442079460101", CALLER, "")
    journal = Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx")
    await journal.apply([arrived, *stage, CallerHungUp(linkedid, at + 100, 21)])
    (row,) = await site.db.fetch("SELECT id FROM calls WHERE linkedid = $1", (linkedid,))
    return str(row["id"])


async def test_a_manager_blocks_a_caller_on_the_page_of_his_call_and_lets_him_through_again(site: Any) -> None:
    csrf, id = await site.log_in_as("manager"), await call_of(site)
    assert "Block this caller" in await site.page(f"/calls/{id}")
    form = {"csrf": csrf, "number": CALLER, "call": id}
    answer = await site.post("/blocked", {**form, "why": "sells <b>lamps</b>"})
    assert (answer.status, answer.headers["Location"]) == (303, f"/calls/{id}#blocked")
    page = await site.page(f"/calls/{id}")
    assert "This caller is blocked" in page
    assert "sells &lt;b&gt;lamps" in page
    assert "+44 7700 900123" in await site.page("/blocked")
    site.clock[0] += 1000
    assert (await site.post("/blocked/remove", form)).status == 303
    assert "Nobody is blocked" in await site.page("/blocked")
    assert (await site.post("/blocked/remove", form)).status == 404
    entries = await site.db.fetch(
        "SELECT login, action, subject, detail FROM audit WHERE subject = $1 ORDER BY id", (CALLER,)
    )
    assert [tuple(entry) for entry in entries] == [
        ("manager", "caller blocked", CALLER, "sells <b>lamps</b>"),
        ("manager", "caller let through", CALLER, ""),
    ]


async def test_what_is_no_number_is_refused_in_words_and_stays_in_the_form(site: Any) -> None:
    csrf = await site.log_in_as("owner")
    answer = await site.post("/blocked", {"csrf": csrf, "number": "+44*", "why": "all of them"})
    page = await answer.text()
    assert answer.status == 422
    assert "That is not a phone number" in page
    assert 'value="all of them"' in page
    answer = await site.post("/blocked", {"csrf": csrf, "number": CALLER, "call": "//evil.example/............"})
    assert answer.headers["Location"] == "/blocked"


async def test_who_has_only_some_sites_or_lines_keeps_nobody_out_of_all(site: Any) -> None:
    csrf, id = await site.log_in_as("manager", sites="shop"), await call_of(site)
    page = await site.page(f"/calls/{id}")
    assert "Block this caller" not in page
    assert 'href="/blocked"' not in page
    assert (await site.get("/blocked")).status == 403
    assert (await site.post("/blocked", {"csrf": csrf, "number": CALLER})).status == 403


async def test_the_journal_finds_blocked_calls(site: Any) -> None:
    await site.log_in_as("manager")
    await call_of(site, blocked=True)
    await call_of(site, linkedid="1700000000.2")
    assert 'value="blocked"' in await site.page("/calls")
    assert (await site.page("/calls/rows?outcome=blocked")).count('data-href="/calls/') == 1
    (found,) = (await (await site.get("/api/v1/calls?outcome=blocked")).json())["data"]
    assert found["outcome"] == "blocked"


async def test_programs_keep_the_list_too(site: Any) -> None:
    await site.log_in_as("manager")
    token = "ct_for_a_program"
    await add_token(site, token)
    own = {"Authorization": f"Bearer {token}"}
    answer = await site.client.put("/api/v1/blocked/%2B447700900123", json={"why": "CRM says so"}, headers=own)
    (entry,) = (await answer.json())["data"]
    assert (entry["number"], entry["why"], entry["login"]) == (CALLER, "CRM says so", "manager")
    assert (await site.client.put("/api/v1/blocked/x", json={}, headers=own)).status == 422
    assert (await (await site.get("/api/v1/blocked", headers=own)).json())["settings"] == []
    assert (await site.client.delete("/api/v1/blocked/07700900123", headers=own)).status == 200
    assert (await site.client.delete("/api/v1/blocked/07700900123", headers=own)).status == 404


async def add_token(site: Any, text: str) -> None:
    rights = frozenset({Right.BLOCK})
    await site.db.write(
        lambda tx: tokens.add(tx, "t1", token_hash(text), "manager", "crm", rights, site.clock[0], None)
    )
