"""Reports say what the journal holds, whatever part of it they are asked for."""

from __future__ import annotations

import random
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from ctserver.config import Settings
from ctserver.domain import clock, report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.report import DIMENSIONS
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.http.dashboard.filters import filter_of
from ctserver.services import reports
from ctserver.services.reports import Question
from ctserver.storage import journal, search
from ctserver.storage.search import Filters
from ctserver.storage.sqlite import Sqlite
from tests.services.book import NOW, of, roll, summed_shop


@pytest.fixture
async def shop(db: Sqlite, settings: Settings) -> Sqlite:
    return await summed_shop(db, settings)


OTHER_FILTERS = [
    {"outcome": "missed"}, {"reason": "busy"}, {"caller": "repeat"}, {"target": "yes"}, {"talk_min": 60}, {"sure": 0.9},
    {"q": "google"}, {"q": "0101"}, {"tag": "vip"}, {"source": "google"}, {"source": "google / cpc", "device": "phone"},
    {"channel": "paid_search", "line": "office"}, {"campaign": "-", "region": "London, GB"}, {"keyword": "-", "outcome": "answered"},
]  # fmt: skip


async def test_a_narrowed_report_counts_what_the_journal_finds(shop: Sqlite) -> None:
    """By every value of every dimension, and by what else the journal filters."""
    zone = ZoneInfo("America/St_Johns")
    span = (clock.midnight(date(2026, 9, 20), zone), clock.midnight(date(2026, 11, 2), zone))
    call = (await shop.one("SELECT id FROM calls WHERE site = 'shop' AND arrived_at > $1 ORDER BY id", (span[0],)))[
        "id"
    ]
    await shop.write(
        lambda tx: tx.execute("INSERT INTO call_tags (call, tag, login, at) VALUES ($1, 'vip', 'a', 1)", (call,))
    )
    kinds = [{name: value} for name in DIMENSIONS for value in await _values(shop, name, span)]
    for given in [*kinds, *OTHER_FILTERS]:
        wanted = await _in_journal(shop, Filters(since=span[0], until=span[1], **given))
        question = Question("line", span, "week", zone, of("shop"), filters=Filters(**given))
        found = await reports.ask(shop, question)
        assert sum(line.sums[1] for line in found.lines) == found.total[1] == len(wanted) > 0, given
        grid = await reports.heat(shop, span, zone, of("shop"), Filters(**given))
        assert sum(sums[1] for day in grid for sums in day) == len(wanted), given


@pytest.mark.parametrize(
    ("channel", "person"),
    [
        ("PJSIP/alice-0000000c", "alice"),
        ("SIP/front-desk-00000a1b", "front-desk"),
        ("PJSIP/100-0000abcd", "100"),
        ("PJSIP/100", "100"),
        ("IAX2/branch-6201", "branch"),
        ("DAHDI/i1/7201-1f", "i1/7201"),
        ("Local/reception@ct-lines-00000003;1", "reception@ct-lines"),
        ("Agent/7", "7"),
        ("", ""),
    ],
)
async def test_who_answered_is_one_person_whatever_the_calls_channel_is_called(
    shop: Sqlite, channel: str, person: str
) -> None:
    """Asterisk numbers channels: each call's has a name of its own."""
    row = await shop.one("SELECT id FROM calls WHERE arrived_at > $1 ORDER BY id", (NOW - 30 * DAY_MS,))
    sql = "UPDATE calls SET answered_by = $2 WHERE id = $1"
    await shop.write(lambda tx: tx.execute(sql, (row["id"], channel)))
    assert (await shop.one("SELECT person FROM calls WHERE id = $1", (row["id"],)))["person"] == person
    span, zone = (NOW - 40 * DAY_MS, NOW), ZoneInfo("UTC")
    people = {line.value for line in (await reports.ask(shop, Question("person", span, "day", zone))).lines}
    assert person in people
    assert len(people) < 12
    found = await reports.ask(shop, Question("line", span, "day", zone, filters=Filters(person=person or "-")))
    assert row["id"] in await _in_journal(shop, Filters(since=span[0], until=span[1], person=person or "-"))
    assert found.total[1] > 0


async def test_a_report_narrowed_to_one_value_is_that_line_of_the_whole(shop: Sqlite) -> None:
    """All measures, sessions among them, in each slot of time."""
    zone = ZoneInfo("Europe/London")
    span = (clock.midnight(date(2026, 9, 20), zone), clock.midnight(date(2026, 11, 2), zone))
    for name in DIMENSIONS:
        whole = await reports.ask(shop, Question(name, span, "day", zone))
        slots = [report.nothing() for _ in whole.series]
        for line in whole.lines:
            filters = Filters(**{name: filter_of(name, line.value)})
            part = await reports.ask(
                shop, Question(name, span, "day", zone, before=(span[0] - 9 * DAY_MS, span[0]), filters=filters)
            )
            assert [(each.value, each.sums) for each in part.lines if any(each.sums)] == [(line.value, line.sums)], (
                name,
                line,
            )
            assert part.before is not None
            for total, (_, sums) in zip(slots, part.series, strict=True):
                report.add(total, sums)
        assert slots == [sums if name in report.OF_VISITORS else [0, *sums[1:]] for _, sums in whole.series], name


async def test_sessions_of_a_rare_keyword_are_counted_before_and_after_they_are_summed(shop: Sqlite) -> None:
    """The sums tell in which hours there are any."""
    rows = await shop.fetch("SELECT id FROM sessions WHERE started_at > $1 ORDER BY id", (NOW - 50 * DAY_MS,))
    span, zone = (NOW - 45 * DAY_MS + 12_345, NOW - 2 * DAY_MS - 1_234_567), ZoneInfo("Asia/Kathmandu")
    question = Question("landing", span, "day", zone, filters=Filters(keyword="seldom"))
    for row in random.Random(7).sample(rows, 6):
        change = "UPDATE sessions SET term = 'seldom' WHERE id = $1"
        await shop.write(lambda tx, id=row["id"], change=change: tx.execute(change, (id,)))
        for _ in range(2):
            wanted = await shop.fetch(
                "SELECT id FROM sessions WHERE term = 'seldom' AND started_at >= $1 AND started_at < $2", span
            )
            assert (await reports.ask(shop, question)).total[0] == len(wanted)
            await roll(shop)
    assert wanted


async def test_sessions_are_left_out_where_a_filter_says_nothing_of_them(shop: Sqlite) -> None:
    span = (NOW - 30 * DAY_MS, NOW)
    for given, counted in (({"source": "google"}, True), ({"line": "office"}, False), ({"outcome": "missed"}, False)):
        question = Question("source", span, "day", ZoneInfo("UTC"), filters=Filters(**given))
        found = await reports.ask(shop, question)
        assert (found.total[0] > 0) is counted is reports.counts_sessions(question)


async def _values(db: Sqlite, name: str, span: tuple[int, int]) -> list[str]:
    found = await reports.ask(db, Question(name, span, "month", ZoneInfo("UTC"), of("shop")))
    return [filter_of(name, line.value) for line in found.lines if line.sums[1]]


async def _in_journal(db: Sqlite, filters: Filters) -> list[str]:
    found, before = [], ""
    while True:
        page = await search.page(db, of("shop"), filters, before=before, limit=1000)
        found += [row["id"] for row in page.rows]
        if page.older is None:
            return found
        before = page.older


async def test_a_day_s_figures_are_what_a_plain_count_says(shop: Sqlite) -> None:
    """Whichever hours are summed: none of them, some, all."""
    dice, rows = random.Random(6), await shop.fetch("SELECT * FROM calls")
    for stale in (0, 2, 1):
        await shop.write(
            lambda tx, stale=stale: tx.execute(
                "UPDATE report_hours SET rolled = rolled - 1 WHERE $1 > 0 AND hour / 3600000 % $1 = 0", (stale,)
            )
        )
        for scope in (EVERYTHING, of("shop"), of("", "office"), of("other", "night")):
            since = NOW - dice.randrange(30 * DAY_MS)
            for until in (since + dice.randrange(DAY_MS), since + dice.randrange(HOUR_MS), since):
                inside = [
                    row for row in rows if since <= row["arrived_at"] < until and scope.sees(row["site"], row["line"])
                ]
                found = [len(inside), sum(row["answered_at"] is not None for row in inside), 0]
                found[2] = sum(row["outcome"] == "missed" for row in inside)
                assert await journal.counts(shop, scope, since, until) == (*found, 0)


async def test_hours_of_the_week_are_those_of_the_zone(shop: Sqlite) -> None:
    zone = ZoneInfo("America/St_Johns")
    span = (clock.midnight(date(2026, 10, 5), zone), clock.midnight(date(2026, 11, 3), zone))
    grid = await reports.heat(shop, span, zone, of("shop"))
    wanted = [[0] * 24 for _ in range(7)]
    for row in await shop.fetch("SELECT arrived_at FROM calls WHERE site = 'shop'"):
        if span[0] <= row["arrived_at"] < span[1]:
            at = report.datetime.fromtimestamp(row["arrived_at"] / 1000, tz=zone)
            wanted[at.weekday()][at.hour] += 1
    assert [[sums[1] for sums in day] for day in grid] == wanted
    assert sum(map(sum, wanted)) > 50


async def test_a_comparison_keeps_what_was_only_before(shop: Sqlite) -> None:
    zone = ZoneInfo("UTC")
    now = (NOW // DAY_MS) * DAY_MS
    question = Question(
        "keyword", (now - 2 * DAY_MS, now), "day", zone, EVERYTHING, (now - 30 * DAY_MS, now - 2 * DAY_MS)
    )
    found = await reports.ask(shop, question)
    assert any(line.sums[1] == 0 and line.before and line.before[1] for line in found.lines)
    assert found.before is not None
    assert found.before[1] == sum(line.before[1] for line in found.lines if line.before)
    assert len(found.series) == 2
    assert HOUR_MS


async def test_who_sees_some_sites_or_lines_has_those_counted(shop: Sqlite) -> None:
    span, zone = (NOW - 60 * DAY_MS, NOW), ZoneInfo("Europe/London")
    for scope in (
        of("shop", "night"),
        Scope(frozenset(["shop", "other"])),
        Scope(frozenset()),
        Scope(None, frozenset(["office"])),
    ):
        found = await reports.ask(shop, Question("source", span, "day", zone, scope))
        rows = await shop.fetch("SELECT site, line FROM calls WHERE arrived_at >= $1 AND arrived_at < $2", span)
        wanted = sum(scope.sees(row["site"], row["line"]) for row in rows)
        assert sum(line.sums[1] for line in found.lines) == found.total[1] == wanted
        assert (found.total[0] > 0) == (scope.lines is None and wanted > 0)
