"""The journal's filters: each finds what a plain look at every call finds, in pages without gaps or doubles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ctserver.config import Settings
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.services.demo import shop_of
from ctserver.services.demo.write import days
from ctserver.storage import demo, search
from ctserver.storage.search import Filters
from ctserver.storage.sqlite import Sqlite

NOW = 1_793_600_000_000
DAY = 86_400_000


@pytest.fixture
async def shop(db: Sqlite, settings: Settings) -> Sqlite:
    small = replace(shop_of(settings), sessions=60, calls=30)
    for place, site in enumerate(("shop", "other")):
        for day in days(replace(small, site=site), 8, NOW, seed=place):
            await db.write(lambda tx, day=day: demo.insert(tx, demo.CALL, day.calls))
    return db


async def everything(db: Sqlite, filters: Filters, scope: Scope = EVERYTHING, limit: int = 7) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    before = ""
    while True:
        page = await search.page(db, scope, filters, before=before, limit=limit)
        found += [row["id"] for row in page.rows]
        if page.older is None:
            return found
        before = page.older


def talk(row: Any) -> int | None:
    return None if row["answered_at"] is None else row["ended_at"] - row["answered_at"]


CASES: list[tuple[Filters, Callable[[Any], bool]]] = [
    (Filters(), lambda row: True),
    (Filters(since=NOW - 3 * DAY, until=NOW - DAY), lambda row: NOW - 3 * DAY <= row["arrived_at"] < NOW - DAY),
    (Filters(site="other"), lambda row: row["site"] == "other"),
    (Filters(channel="paid_search"), lambda row: row["source_channel"] == "paid_search"),
    (Filters(source="google"), lambda row: row["source"] == "google"),
    (Filters(source="google / cpc"), lambda row: (row["source"], row["medium"]) == ("google", "cpc")),
    (Filters(source="-"), lambda row: row["source"] == ""),
    (Filters(campaign="christmas-sale"), lambda row: row["campaign"] == "christmas-sale"),
    (Filters(campaign="-", site="shop"), lambda row: row["campaign"] == "" and row["site"] == "shop"),
    (Filters(keyword="bicycle repair near me"), lambda row: row["term"] == "bicycle repair near me"),
    (Filters(number="+442079460101"), lambda row: row["did"] == "+442079460101"),
    (Filters(line="night"), lambda row: row["line"] == "night"),
    (Filters(person="100"), lambda row: row["answered_by"].startswith("PJSIP/100-")),
    (Filters(outcome="missed"), lambda row: row["outcome"] == "missed"),
    (Filters(reason="busy"), lambda row: row["reason"] == "busy"),
    (Filters(category="order"), lambda row: row["category"] == "order"),
    (Filters(talk_min=120), lambda row: (talk(row) or 0) >= 120_000),
    (Filters(talk_max=20), lambda row: talk(row) is not None and talk(row) <= 20_000),
    (Filters(sure=0.9), lambda row: row["confidence"] >= 0.9),
    (Filters(unsure=0.5), lambda row: row["confidence"] <= 0.5),
    (Filters(q="ВАВИЛОВ".capitalize()), lambda row: "Вавилов" in row["caller_name"]),
    (Filters(q="O'Brien"), lambda row: "O'Brien" in row["caller_name"]),
    (Filters(q="7700 900"), lambda row: "7700900" in row["caller"] + row["did"]),
    (Filters(q="%"), lambda row: False),
    (Filters(target="yes"), lambda row: (talk(row) or 0) >= 30_000),
    (Filters(target="no", outcome="answered"), lambda row: talk(row) is not None and talk(row) < 30_000),
]


@pytest.mark.parametrize(("filters", "fits"), CASES)
async def test_a_filter_finds_what_it_says(shop: Sqlite, filters: Filters, fits: Callable[[Any], bool]) -> None:
    rows = await shop.fetch("SELECT * FROM calls ORDER BY id DESC")
    wanted = [row["id"] for row in rows if fits(row)]
    assert await everything(shop, filters) == wanted
    assert await search.count(shop, EVERYTHING, filters) == (len(wanted), True)
    assert filters.q == "%" or len(wanted) > 0


async def test_a_number_typed_whole_is_found_at_once(shop: Sqlite) -> None:
    caller = (await shop.one("SELECT caller FROM calls WHERE caller <> '' GROUP BY caller ORDER BY COUNT(*) DESC"))[
        "caller"
    ]
    rows = await shop.fetch("SELECT id FROM calls WHERE caller = $1 ORDER BY id DESC", (caller,))
    assert await everything(shop, Filters(q=f"{caller[:3]} {caller[3:7]} {caller[7:]}")) == [row["id"] for row in rows]
    assert len(rows) > 1


@pytest.mark.parametrize("caller", ["new", "repeat"])
async def test_new_and_repeat_callers(shop: Sqlite, caller: str) -> None:
    seen, wanted = set(), []
    for row in await shop.fetch("SELECT id, caller, site FROM calls ORDER BY arrived_at"):
        new = not row["caller"] or (row["caller"], row["site"]) not in seen
        seen.add((row["caller"], row["site"]))
        if new == (caller == "new"):
            wanted.append(row["id"])
    assert await everything(shop, Filters(caller=caller)) == sorted(wanted, reverse=True)


async def test_nobody_finds_what_he_may_not_see(shop: Sqlite) -> None:
    rows = await shop.fetch("SELECT * FROM calls ORDER BY id DESC")
    for scope in (Scope(frozenset(["other"])), Scope(None, frozenset(["night"])), Scope(frozenset())):
        wanted = [row["id"] for row in rows if scope.sees(row["site"], row["line"])]
        assert await everything(shop, Filters(), scope) == wanted
        assert await everything(shop, Filters(outcome="missed"), scope) == [
            row["id"] for row in rows if row["id"] in wanted and row["outcome"] == "missed"
        ]
    assert await everything(shop, Filters(site="shop"), Scope(frozenset(["other"]))) == []
    blind = Scope(callers=False)
    for text in ("7700 900", "Вавилов", next(row["caller"] for row in rows if row["caller"])):
        assert await everything(shop, Filters(q=text), blind) == []


async def test_a_filter_that_finds_little_says_how_far_it_has_looked(
    shop: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_LOOK", 10)
    monkeypatch.setattr(search, "LOOKS_THROUGH", 20)
    page = await search.page(shop, EVERYTHING, Filters(q="Jürgen"), limit=50)
    ids = [row["id"] for row in await shop.fetch("SELECT id FROM calls ORDER BY id DESC LIMIT 21")]
    assert page.older == ids[20]
    assert page.looked_to is not None
    wanted = await shop.fetch("SELECT id FROM calls WHERE caller_name LIKE '%Jürgen%' ORDER BY id DESC")
    assert await everything(shop, Filters(q="Jürgen")) == [row["id"] for row in wanted]


async def test_counting_ends_where_it_would_take_long(shop: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COUNTS_TO", 10)
    assert await search.count(shop, EVERYTHING, Filters(outcome="answered")) == (10, False)
    monkeypatch.setattr(search, "LOOKS_THROUGH", 20)
    latest = await shop.fetch("SELECT caller_name FROM calls ORDER BY arrived_at DESC, id DESC LIMIT 21")
    count, whole = await search.count(shop, EVERYTHING, Filters(q="Jürgen"))
    assert not whole
    assert count == sum("Jürgen" in row["caller_name"] for row in latest)


def _values(sql: str) -> int:
    return max(int(number) for number in re.findall(r"\$(\d+)", sql))


async def test_every_leading_filter_has_an_index(shop: Sqlite) -> None:
    """In the order of the page: otherwise a rare value would be looked for in all calls, and a frequent one be sorted."""
    for name, sql in search._FLOORS.items():
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * _values(sql))
        assert "INDEX" in plan[0]["detail"], name
        assert "TEMP B-TREE" not in " ".join(row["detail"] for row in plan), name
    for name, sql in search._PAGES.items():
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * _values(sql))
        text = " ".join(row["detail"] for row in plan)
        assert "SCAN c" not in text, f"{name}: {text}"
        sorts = "TEMP B-TREE" in text
        assert sorts == (name == ""), f"{name}: {text}"  # there, what was found is sorted, and no more


async def test_what_one_filter_finds_is_counted_in_its_index(shop: Sqlite) -> None:
    for name in search._PAGES:
        sql = search._COUNTS_LED[name] if name else search._COUNTS[name]
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * _values(sql))
        if (
            name == "person"
        ):  # SQLite calls no index of what is reckoned covering, but puts reading the call off for ever
            program = await shop.fetch("EXPLAIN " + sql, (None,) * _values(sql))
            assert "DeferredSeek" in [step["opcode"] for step in program]
        else:
            assert any("USING COVERING INDEX" in row["detail"] for row in plan), name
    for filters, fits in CASES:
        if not filters.given & {"since", "q"}:
            rows = await shop.fetch("SELECT * FROM calls")
            assert await search.count(shop, EVERYTHING, filters) == (sum(map(fits, rows)), True), filters


async def test_where_no_filter_leads_one_index_is_read_and_no_call(shop: Sqlite) -> None:
    for sql in (search._FLOORS[""], search._PAGES[""]):
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * _values(sql))
        text = " ".join(row["detail"] for row in plan)
        assert "USING COVERING INDEX calls_arrived (" in text, text


async def test_a_tag_finds_the_calls_that_carry_it(shop: Sqlite) -> None:
    ids = [row["id"] for row in await shop.fetch("SELECT id FROM calls WHERE outcome = 'answered' ORDER BY id DESC")][
        ::9
    ]
    for id in ids:
        await shop.write(lambda tx, id=id: tx.execute("INSERT INTO call_tags VALUES ($1, 'vip', 'alice', 1)", (id,)))
    assert await everything(shop, Filters(tag="vip")) == ids
    assert await everything(shop, Filters(tag="vip", outcome="missed")) == []
    assert await everything(shop, Filters(tag="none")) == []
