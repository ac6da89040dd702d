"""Facts are written with the change that caused them, each once."""

from __future__ import annotations

import json
from collections.abc import Iterable

from msgspec.structs import replace

from ctserver import ids
from ctserver.config import Settings
from ctserver.domain.call import Call
from ctserver.domain.fact import CALL_FIELDS, Fact
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.facts import Facts
from ctserver.storage import calls
from ctserver.storage.outbox import Entry
from ctserver.storage.sqlite import Sqlite
from tests.services.test_calls import answered, arrived, ended


class Everything:
    """A sink that wants every fact."""

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        yield Entry(ids.new(now), "hook.all", "hook.all", "", now, lane=fact.call)


class Broken:
    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        raise ZeroDivisionError


async def kinds(db: Sqlite) -> list[str]:
    return [row["kind"] for row in await db.fetch("SELECT kind FROM facts ORDER BY at")]


def journal(db: Sqlite, settings: Settings, *subscribers: Everything | Broken) -> Journal:
    return Journal(db, settings, Attributor(settings, {}), "pbx", Facts(settings, subscribers))


async def test_an_answered_call_leaves_its_facts_in_the_order_of_its_life(db: Sqlite, settings: Settings) -> None:
    await journal(db, settings, Everything()).apply([arrived(), *answered(), ended()])
    rows = await db.fetch("SELECT f.kind FROM outbox o JOIN facts f ON f.id = o.fact ORDER BY o.place")
    assert [row["kind"] for row in rows] == ["call.ringing", "call.answered", "call.ended"]


async def test_a_missed_call_is_both_ended_and_missed(db: Sqlite, settings: Settings) -> None:
    await journal(db, settings).apply([arrived(), ended()])
    assert await kinds(db) == ["call.ended", "call.missed"]
    row = await db.one("SELECT data, call FROM facts WHERE kind = 'call.missed'")
    assert row is not None
    data = json.loads(row["data"])
    assert set(data) == set(CALL_FIELDS)
    assert (data["call_id"], data["outcome"], data["first_call"]) == (row["call"], "missed", True)
    assert data["url"] == f"{settings.server.public_url}/calls/{row['call']}"


async def test_a_call_saved_again_after_a_restart_is_told_once(db: Sqlite, settings: Settings) -> None:
    await journal(db, settings, Everything()).apply([arrived(), *answered()])
    later = journal(db, settings, Everything())
    (call,) = await later.resume()
    await later.apply([ended()])
    facts = Facts(settings, [Everything()])
    ended_call = replace(await _stored(db, call.id))
    await db.write(lambda tx: facts.of_call(tx, ended_call, 0))
    assert await kinds(db) == ["call.ringing", "call.answered", "call.ended"]
    assert len(await db.fetch("SELECT 1 FROM outbox")) == 3


async def _stored(db: Sqlite, id: str) -> Call:
    call = await calls.by_id(db, id)
    assert call is not None
    return call


async def test_the_second_call_of_a_client_is_not_his_first(db: Sqlite, settings: Settings) -> None:
    both = journal(db, settings)
    await both.apply([arrived(), ended()])
    await both.apply([arrived("1700000000.5", at=1_700_000_100_000), ended("1700000000.5")])
    rows = await db.fetch(
        "SELECT data FROM facts WHERE kind = 'call.missed' ORDER BY json_extract(data, '$.arrived_at')"
    )
    assert [json.loads(row["data"])["first_call"] for row in rows] == [True, False]


async def test_a_mistake_in_a_sink_costs_no_call(db: Sqlite, settings: Settings) -> None:
    await journal(db, settings, Broken(), Everything()).apply([arrived(), ended()])
    assert len(await db.fetch("SELECT 1 FROM calls")) == 1
    assert len(await db.fetch("SELECT 1 FROM outbox")) == 2
