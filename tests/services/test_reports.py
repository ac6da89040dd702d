"""Reports say what the journal holds: the ready-made sums against a plain count, while everything changes under them."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from ctserver.config import Settings
from ctserver.domain import clock, report
from ctserver.domain.clock import DAY_MS, HOUR_MS
from ctserver.domain.model import Attribution, Source
from ctserver.domain.report import DIMENSIONS, MEASURES
from ctserver.domain.rights import EVERYTHING, Scope
from ctserver.http.dashboard.filters import filter_of
from ctserver.services import reports
from ctserver.services.demo import shop_of
from ctserver.services.demo.write import days
from ctserver.services.reports import Question
from ctserver.storage import calls, demo, journal, search
from ctserver.storage.search import Filters
from ctserver.storage.sqlite import Sqlite

NOW = 1_793_600_000_000
COUNT = 75
ZONES = ["Europe/London", "Asia/Kathmandu", "America/St_Johns", "Europe/Moscow"]


@pytest.fixture
async def shop(db: Sqlite, settings: Settings) -> Sqlite:
    """Some weeks of a shop where little happens, all of it summed."""
    small = replace(shop_of(settings), sessions=5, calls=4)
    for place, site in enumerate(("shop", "other")):
        for day in days(replace(small, site=site), COUNT, NOW, seed=place):
            await db.write(lambda tx, day=day: _insert(tx, day))
    await db.write(lambda tx: reports.settle(tx, settings))
    await roll(db)
    return db


def _insert(tx: Any, day: Any) -> None:
    demo.insert(tx, demo.SESSION, day.sessions)
    demo.insert(tx, demo.CALL, day.calls)


async def ready(db: Sqlite, span: report.Span = (NOW - COUNT * DAY_MS, NOW)) -> report.Ready:
    return await db.read(lambda tx: reports.storage.valid(tx, span))


async def roll(db: Sqlite, times: int = 1000) -> int:
    done = 0
    while done < times and await reports.roll(db, NOW):
        done += 1
    return done


# ---- the plain count


def of(site: str, *lines: str) -> Scope:
    return Scope(frozenset([site]) if site else None, frozenset(lines) if lines else None)


RULE = (1, 30_000, 0)  # answered, talk, first


def plain(call: Any, all_calls: list[Any], rule: tuple[int, int, int]) -> dict[str, int]:
    """What reports count of one call, said in another way."""
    earlier = [
        call["arrived_at"] - other["arrived_at"]
        for other in all_calls
        if call["caller"] and (other["caller"], other["site"]) == (call["caller"], call["site"])
    ]
    gaps = [gap for gap in earlier if gap > 0]
    talk = call["ended_at"] - call["answered_at"] if call["answered_at"] else 0
    answered, least, within = rule
    target = (call["answered_at"] or not (answered or least)) and talk >= least
    if within and any(gap <= within for gap in gaps):
        target = False
    return {
        "sessions": 0,
        "calls": 1,
        "answered": int(call["answered_at"] is not None),
        "missed": int(call["outcome"] == "missed"),
        "targets": int(bool(target)),
        "newcomers": int(not gaps),
        "talk_ms": talk,
        "ring_ms": (call["answered_at"] or call["ended_at"]) - call["ringing_at"] if call["ringing_at"] else 0,
        "deals": int(call["value"] is not None),
        "revenue": call["value"] or 0,
    }


def value_of(dimension: str, row: Any, session: Any) -> str:
    """`row` is a call or a session, `session` the session of it."""
    label = f"{row['source']} / {row['medium']}" if row["medium"] not in ("", "(none)") else row["source"]
    place = session and (f"{session['region']}, {session['country']}" if session["region"] else session["country"])
    landing = session["landing_url"].split("?")[0].removeprefix("https://").rstrip("/") if session else ""
    known = {
        "channel": row["source_channel"] if "source_channel" in row else row["channel"],
        "source": label,
        "campaign": row["campaign"],
        "keyword": row["term"],
        "ad": row["content"],
        "landing": landing,
        "region": place or "",
        "device": session["device"] if session else "",
        "person": re.sub(r"^PJSIP/|-[0-9a-f]{8}$", "", row.get("answered_by", "")),
    }
    return known[dimension] if dimension in known else row[COLUMNS[dimension]]


COLUMNS = {"number": "did", "line": "line", "category": "category"}


class Book:
    """Everything in the database, counted row by row."""

    def __init__(self, calls: list[Any], sessions: list[Any], rule: tuple[int, int, int]) -> None:
        self.calls = [dict(row) for row in calls]
        self.sessions = {row["id"]: dict(row) for row in sessions}
        self.measured = [(call, plain(call, self.calls, rule)) for call in self.calls]

    @classmethod
    async def read(cls, db: Sqlite, rule: tuple[int, int, int] = RULE) -> Book:
        return cls(await db.fetch("SELECT * FROM calls"), await db.fetch("SELECT * FROM sessions"), rule)

    def by(self, dimension: str, span: tuple[int, int], site: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for call, measures in self.measured:
            if span[0] <= call["arrived_at"] < span[1] and site in ("", call["site"]):
                value = value_of(dimension, call, self.sessions.get(call["session"]))
                report.add(found.setdefault(value, report.nothing()), [measures[name] for name in MEASURES])
        for session in self.sessions.values():
            inside = span[0] <= session["started_at"] < span[1] and site in ("", session["site"])
            if dimension in report.OF_VISITORS and inside:
                found.setdefault(value_of(dimension, session, session), report.nothing())[0] += 1
        return found

    def slots(self, span: tuple[int, int], starts: list[int], site: str) -> list[list[int]]:
        found = [report.nothing() for _ in starts]
        rows = [(call["arrived_at"], call["site"], [m[name] for name in MEASURES]) for call, m in self.measured]
        one = [1, *report.nothing()[1:]]
        rows += [(session["started_at"], session["site"], one) for session in self.sessions.values()]
        for at, place, sums in rows:
            if span[0] <= at < span[1] and site in ("", place):
                report.add(found[max(i for i, start in enumerate(starts) if start <= at)], sums)
        return found


async def compare(db: Sqlite, dice: random.Random, rule: tuple[int, int, int] = RULE) -> None:
    """A few questions at random."""
    book = await Book.read(db, rule)
    for _ in range(6):
        zone = ZoneInfo(dice.choice(ZONES))
        first = clock.day_of(NOW, zone) - timedelta(days=dice.randrange(1, COUNT))
        until = clock.midnight(first + timedelta(days=dice.randrange(1, COUNT)), zone)
        part = dice.choice((0, 0, 12_345_678, dice.randrange(DAY_MS)))  # a part of a day, as Overview asks
        span = (clock.midnight(first, zone), until - part)
        by, site = dice.choice(DIMENSIONS), dice.choice(["", "shop", "other"])
        unit = dice.choice(report.UNITS)
        found = await reports.ask(db, Question(by, span, unit, zone, of(site)))
        assert {line.value: line.sums for line in found.lines} == book.by(by, span, site), (by, span, site)
        assert [sums for _, sums in found.series] == book.slots(span, [at for at, _ in found.series], site)
        if by in report.OF_VISITORS:
            total = report.nothing()
            for line in found.lines:
                report.add(total, line.sums)
            assert total == found.total


# ---- tests


async def test_the_ready_made_sums_say_what_a_plain_count_says(shop: Sqlite) -> None:
    spans = await shop.fetch("SELECT span, COUNT(DISTINCT start) AS n FROM rollups GROUP BY span ORDER BY span")
    assert [row["span"] for row in spans] == ["day", "month", "season", "week"]
    assert all(row["n"] >= 2 for row in spans if row["span"] != "season")
    await compare(shop, random.Random(1))


async def test_a_year_is_made_of_seasons_and_still_exact(shop: Sqlite) -> None:
    zone = ZoneInfo("UTC")
    span = (clock.midnight(date(2026, 7, 1), zone), clock.midnight(date(2026, 11, 1), zone))
    cut = report.pieces(span, await ready(shop, span))
    assert [kind for kind, _, _ in cut.summed] == ["season", "month"]
    book = await Book.read(shop)
    for by in DIMENSIONS:
        for site in ("", "other"):
            found = await reports.ask(shop, Question(by, span, "month", zone, of(site)))
            assert {line.value: line.sums for line in found.lines} == book.by(by, span, site)
            assert [sums for _, sums in found.series] == book.slots(span, [at for at, _ in found.series], site)
    call = await shop.one("SELECT id FROM calls WHERE arrived_at > $1 ORDER BY arrived_at", (NOW - 60 * DAY_MS,))
    await _sold(shop, call["id"], random.Random(5))
    assert not report.pieces(span, await ready(shop, span)).seasons
    found = await reports.ask(shop, Question("category", span, "month", zone))
    assert {line.value: line.sums for line in found.lines} == (await Book.read(shop)).by("category", span, "")


async def test_hours_are_the_sums_of_their_quarters(shop: Sqlite) -> None:
    sums = ", ".join(f"SUM({name})" for name in MEASURES)
    wanted = await shop.fetch(f"SELECT start - start % 3600000, site, {sums} FROM quarters GROUP BY 1, 2")
    found = await shop.fetch(f"SELECT start, site, {', '.join(MEASURES)} FROM hours ORDER BY start, site")
    assert len(found) > 100
    assert [tuple(row) for row in found] == [tuple(row) for row in wanted]


@pytest.mark.parametrize("seed", range(4))
async def test_reports_are_exact_whatever_is_corrected_late(shop: Sqlite, settings: Settings, seed: int) -> None:
    dice = random.Random(seed)
    ids = [row["id"] for row in await shop.fetch("SELECT id FROM calls")]
    for _ in range(5):
        for change in dice.sample(CHANGES, 3):
            await change(shop, dice.choice(ids), dice)
        await compare(shop, dice)
        await roll(shop, dice.choice((0, 1, 3, 1000)))
    await roll(shop)
    await compare(shop, dice)


async def _reattribute(db: Sqlite, id: str, dice: random.Random) -> None:
    session = (await db.fetch("SELECT id FROM sessions"))[dice.randrange(20)]["id"]
    other = Source("cpc", dice.choice(["google", "bing"]), "late")
    await db.write(lambda tx: calls.set_attribution(tx, id, Attribution("exact", 0.9, session, other)))


async def _late_end(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(
        lambda tx: tx.execute(
            "UPDATE calls SET ended_at = ended_at + $2, outcome = 'missed', answered_at = NULL WHERE id = $1",
            (id, dice.randrange(100_000)),
        )
    )


async def _recovered(db: Sqlite, id: str, dice: random.Random) -> None:
    """A call of the same caller that came to light later, but was earlier."""

    def unit(tx: Any) -> None:
        call = calls.call_of(tx.one("SELECT * FROM calls WHERE id = $1", (id,)))
        at = call.arrived_at - dice.randrange(20 * DAY_MS)
        name = f"{dice.getrandbits(64):x}"
        calls.save(tx, structs.replace(call, id=f"0{name:0>25}", linkedid=name, arrived_at=at))

    await db.write(unit)


async def _removed(db: Sqlite, id: str, dice: random.Random) -> None:
    def unit(tx: Any) -> None:
        tx.execute("DELETE FROM credits WHERE call = $1", (id,))
        tx.execute("DELETE FROM calls WHERE id = $1", (id,))

    await db.write(unit)


async def _erased(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(lambda tx: tx.execute("UPDATE calls SET caller = '' WHERE id = $1", (id,)))


async def _sold(db: Sqlite, id: str, dice: random.Random) -> None:
    value = dice.randrange(100_000)
    await db.write(lambda tx: tx.execute("UPDATE calls SET category = 'order', value = $2 WHERE id = $1", (id, value)))


async def _session_forgotten(db: Sqlite, id: str, dice: random.Random) -> None:
    def unit(tx: Any) -> None:
        row = tx.one("SELECT session FROM calls WHERE id = $1", (id,))
        if row and row["session"]:
            tx.execute("DELETE FROM sessions WHERE id = $1", (row["session"],))

    await db.write(unit)


async def _session_elsewhere(db: Sqlite, id: str, dice: random.Random) -> None:
    await db.write(
        lambda tx: tx.execute(
            "UPDATE sessions SET region = 'Wales', country = 'GB' WHERE id = (SELECT session FROM calls WHERE id = $1)",
            (id,),
        )
    )


CHANGES = [
    _reattribute, _late_end, _recovered, _removed, _erased, _sold, _session_forgotten, _session_elsewhere,
]  # fmt: skip


async def test_another_rule_of_target_calls_holds_for_the_past_too(shop: Sqlite, settings: Settings) -> None:
    rule = settings.sites["shop"].target_call.model_copy(update={"seconds": 5, "first_in_days": 10})
    site = settings.sites["shop"].model_copy(update={"target_call": rule})
    changed = settings.model_copy(update={"sites": {"shop": site, "other": site}})
    assert await shop.write(lambda tx: reports.settle(tx, changed))
    assert not await shop.write(lambda tx: reports.settle(tx, changed))
    await compare(shop, random.Random(2), (1, 5_000, 10 * DAY_MS))
    await roll(shop)
    await compare(shop, random.Random(3), (1, 5_000, 10 * DAY_MS))


async def test_what_changes_while_a_day_is_summed_makes_it_stale_again(shop: Sqlite) -> None:
    day = (NOW - 10 * DAY_MS) // DAY_MS * DAY_MS
    row = await shop.one("SELECT id, arrived_at FROM calls WHERE arrived_at >= $1 ORDER BY arrived_at", (day,))
    await _sold(shop, row["id"], random.Random(1))

    class Meddler:
        """A database in which the call changes again right after it was read."""

        async def read(self, unit: Any) -> Any:
            found = await shop.read(unit)
            await _sold(shop, row["id"], random.Random(2))
            return found

        async def read_slow(self, unit: Any, _seconds: float) -> Any:
            return await self.read(unit)

        async def write(self, unit: Any) -> Any:
            return await shop.write(unit)

    hour = row["arrived_at"] // HOUR_MS * HOUR_MS
    await reports._roll_hours(Meddler(), (day, day + DAY_MS))  # type: ignore[arg-type]
    known = await ready(shop)
    assert hour not in known.hours
    assert hour + HOUR_MS in known.hours
    assert day not in known.days
    await compare(shop, random.Random(4))


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


async def test_nothing_is_summed_before_it_is_over(shop: Sqlite) -> None:
    known = await ready(shop)
    assert max(known.days) + DAY_MS <= NOW
    assert max(known.weeks) + 7 * DAY_MS <= NOW
    assert report.next_month(max(known.months)) <= NOW
    assert report.next_season(max(known.seasons)) <= NOW
    assert await roll(shop) == 0


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
