"""What programs read: every filter in every order finds what a plain look at every call finds, in pages without gaps or doubles."""

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
from ctserver.storage import demo, feed, search
from ctserver.storage.feed import LATEST, Wanted
from ctserver.storage.sqlite import Sqlite

NOW = 1_793_600_000_000
DAY = 86_400_000
ALL = Wanted(0, LATEST)
ORDERS = {
    "newest": (feed.newest, (LATEST + 1, ""), lambda row: (-row["arrived_at"], -int(row["id"][10:], 16))),
    "oldest": (feed.oldest, (-1, ""), lambda row: (row["arrived_at"], row["id"])),
    "changed": (feed.changed, (0, ""), lambda row: (row["updated_at"], row["id"])),
}
CASES: list[tuple[Wanted, Callable[[Any], bool]]] = [
    (ALL, lambda row: True),
    (Wanted(NOW - 3 * DAY, NOW - DAY), lambda row: NOW - 3 * DAY <= row["arrived_at"] < NOW - DAY),
    (replace(ALL, site="other"), lambda row: row["site"] == "other"),
    (replace(ALL, line="night"), lambda row: row["line"] == "night"),
    (replace(ALL, did="+442079460101"), lambda row: row["did"] == "+442079460101"),
    (replace(ALL, outcome="missed"), lambda row: row["outcome"] == "missed"),
    (replace(ALL, source="google"), lambda row: row["source"] == "google"),
    (replace(ALL, campaign="christmas-sale"), lambda row: row["campaign"] == "christmas-sale"),
    (replace(ALL, source="google", outcome="missed"), lambda row: (row["source"], row["outcome"]) == ("google", "missed")),
]  # fmt: skip


@pytest.fixture
async def shop(db: Sqlite, settings: Settings) -> Sqlite:
    small = replace(shop_of(settings), sessions=60, calls=30)
    for place, site in enumerate(("shop", "other")):
        for day in days(replace(small, site=site), 8, NOW, seed=place):
            await db.write(lambda tx, day=day: demo.insert(tx, demo.CALL, day.calls))
    await db.write(lambda tx: tx.execute("UPDATE calls SET updated_at = ended_at + LENGTH(caller_name) * 1000"))
    return db


async def everything(db: Sqlite, name: str, wanted: Wanted, scope: Scope = EVERYTHING) -> list[str]:
    """The ids on all pages."""
    read, place, _key = ORDERS[name]
    found: list[str] = []
    more = True
    while more:
        page = await read(db, scope, wanted, place, 7)
        assert len(page.rows) <= 7
        found += [row["id"] for row in page.rows]
        place, more = page.place, page.more
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("few", "looks"), [(1000, 20_000), (0, 20_000), (0, 20)])
async def test_a_filter_finds_what_it_says(
    shop: Sqlite, monkeypatch: pytest.MonkeyPatch, order: str, few: int, looks: int
) -> None:
    """By the few calls of a value; among all calls; and with many pages on which nothing is found."""
    monkeypatch.setattr(feed, "FEW", few)
    monkeypatch.setattr(search, "FIRST_LOOK", looks // 2)
    monkeypatch.setattr(search, "LOOKS_THROUGH", looks)
    rows = sorted(await shop.fetch("SELECT * FROM calls"), key=ORDERS[order][2])
    caller = next(row["caller"] for row in rows if row["caller"])
    for wanted, fits in [*CASES, (replace(ALL, caller=caller), lambda row: row["caller"] == caller)]:
        expected = [row["id"] for row in rows if fits(row)]
        assert await everything(shop, order, wanted) == expected, wanted
        assert expected, wanted
    for scope in (Scope(frozenset(["other"])), Scope(None, frozenset(["night"])), Scope(frozenset())):
        seen = [row["id"] for row in rows if scope.sees(row["site"], row["line"])]
        assert await everything(shop, order, ALL, scope) == seen


async def test_nobody_waits_for_what_is_not_there(shop: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "FEW", -1)
    monkeypatch.setattr(search, "LOOKS_THROUGH", 20)
    monkeypatch.setattr(search, "FIRST_LOOK", 10)
    page = await feed.newest(shop, EVERYTHING, replace(ALL, campaign="spring", outcome="missed"), (LATEST, ""), 5)
    ids = [row["id"] for row in await shop.fetch("SELECT id FROM calls ORDER BY arrived_at DESC, id DESC LIMIT 20")]
    assert (page.rows, page.more, page.place[1]) == ([], True, ids[-1])


@pytest.mark.parametrize("order", [feed._NEWEST, feed._OLDEST, feed._CHANGED])
async def test_pages_are_read_in_their_order(shop: Sqlite, order: Any) -> None:
    index = {"arrived_at": "COVERING INDEX calls_arrived", "updated_at": "INDEX calls_updated"}[order.by]
    for sql in (order.pages[""], order.place):
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * len(set(re.findall(r"\$\d+", sql))))
        text = " ".join(row["detail"] for row in plan)
        assert f"{index} (({order.by},id)>(?,?) AND ({order.by},id)<(?,?))" in text, text
        assert "TEMP B-TREE" not in text.split("SCAN found")[0], text
    for name, sql in order.pages.items():
        plan = await shop.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * 16)
        text = " ".join(row["detail"] for row in plan)
        assert name == "" or f"{name}=?" in text.split("SCAN found")[0], text
