"""The journal, the reports and the overview over HTTP: what is asked for is shown, and exported, and nothing else."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote_plus, urlencode
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from ctserver.domain.clock import DAY_MS
from ctserver.domain.report import DIMENSIONS
from ctserver.http.dashboard.filters import COLUMNS
from ctserver.http.dashboard.report_address import BY
from ctserver.services import reports, rollups
from ctserver.services.demo import shop_of
from ctserver.services.demo.write import days
from ctserver.storage import demo

from .test_work import ring

EVIL = "=cmd|' /C calc'!A0<script>alert(1)</script>"


@pytest.fixture
async def shop(alice: Any) -> Any:
    """Alice's server after a week of a small shop, with a caller who means harm."""
    base = shop_of(alice.settings)
    for place, site in enumerate(("shop", "other")):
        for day in days(replace(base, site=site, sessions=40, calls=16), 9, alice.clock[0], seed=place):
            await alice.db.write(lambda tx, day=day: _insert(tx, day))
    await alice.db.write(
        lambda tx: tx.execute(
            "UPDATE calls SET caller_name = $1, campaign = $1, term = $1 WHERE id = (SELECT MAX(id) FROM calls)",
            (EVIL,),
        )
    )
    while await rollups.roll(alice.db, alice.clock[0]):
        pass
    return alice


def _insert(tx: Any, day: Any) -> None:
    demo.insert(tx, demo.SESSION, day.sessions)
    demo.insert(tx, demo.CALL, day.calls)


async def ids(site: Any, where: str = "1 = 1") -> list[str]:
    return [row["id"] for row in await site.db.fetch(f"SELECT id FROM calls WHERE {where} ORDER BY id DESC")]


def midnight_of(site: Any) -> int:
    """The beginning of today."""
    now = datetime.fromtimestamp(site.clock[0] / 1000, tz=ZoneInfo("Europe/London"))
    return int(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


# ---- the journal


async def test_the_journal_says_how_many_calls_fit(shop: Any) -> None:
    wanted = len(await ids(shop, "outcome = 'missed'"))
    assert f">{wanted} calls match<" in await shop.page("/calls?outcome=missed")
    assert "calls match" not in await shop.page("/calls")
    assert "calls match" not in await shop.page("/calls?q=nobody")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("outcome=missed", "outcome = 'missed'"),
        ("source=google+/+cpc", "source = 'google' AND medium = 'cpc'"),
        ("line=night&site=other", "line = 'night' AND site = 'other'"),
        ("person=100", "answered_by LIKE 'PJSIP/100-%'"),
        ("talk_min=60&talk_max=120", "ended_at - answered_at BETWEEN 60000 AND 120000"),
        ("sure=90", "confidence >= 0.9"),
        ("q=%2B44+20+7946+0101", "did = '+442079460101'"),
        ("category=order", "category = 'order'"),
    ],
)
async def test_an_export_is_exactly_what_is_filtered(shop: Any, query: str, where: str) -> None:
    wanted = await ids(shop, where)
    assert wanted
    lines = (await shop.page(f"/calls/export.ndjson?{query}")).splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted
    rows = list(csv.DictReader(io.StringIO((await shop.page(f"/calls/export.csv?{query}")).removeprefix("\ufeff"))))
    assert [row["id"] for row in rows] == wanted
    html = await shop.page(f"/calls?{query}")
    assert html.count('class="call') == min(50, len(wanted))
    assert all(f"call-{id}" in html for id in wanted[:50])


async def test_an_xlsx_file_holds_the_calls_and_no_formula(shop: Any) -> None:
    response = await shop.get("/calls/export.xlsx")
    book = zipfile.ZipFile(io.BytesIO(await response.read()))
    sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    assert len(sheet.findall(".//x:row", space)) == len(await ids(shop)) + 1
    assert sheet.findall(".//x:f", space) == []
    assert EVIL in "".join(sheet.itertext())


async def test_dates_in_a_spreadsheet_are_dates_by_the_readers_clock(shop: Any) -> None:
    await shop.post("/settings", {"csrf": await shop.csrf(), "language": "en", "zone": "Asia/Kathmandu", "phones": ""})
    cells = await first_row(shop, "/calls/export.xlsx")
    row = await shop.db.one("SELECT id, arrived_at FROM calls ORDER BY id DESC")
    assert cells["A2"] == row["id"]
    local = datetime.fromtimestamp(row["arrived_at"] // 1000, tz=ZoneInfo("Asia/Kathmandu")).replace(tzinfo=None)
    assert cells["B2"] == local
    slots = await first_row(shop, "/reports/export.xlsx?by=time&unit=day&period=7d")
    assert (slots["A2"].hour, slots["A2"].minute) == (0, 0)


async def first_row(site: Any, path: str) -> dict[str, Any]:
    """The cells below the head; numbers that a cell's style shows as dates are dates."""
    book = zipfile.ZipFile(io.BytesIO(await (await site.get(path)).read()))
    assert book.testzip() is None
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    styles = ElementTree.fromstring(book.read("xl/styles.xml"))
    dates = {
        each.get("numFmtId") for each in styles.findall(".//x:numFmt", space) if "yyyy" in each.get("formatCode", "")
    }
    shown = [each.get("numFmtId") in dates for each in styles.findall("x:cellXfs/x:xf", space)]
    sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    found: dict[str, Any] = {}
    for cell in sheet.findall(".//x:row[@r='2']/x:c", space):
        value = cell.findtext("x:v", None, space)
        if value is None:
            found[cell.get("r", "")] = cell.findtext("x:is/x:t", "", space)
        elif shown[int(cell.get("s", "0"))]:
            moment = datetime(1899, 12, 30) + timedelta(days=float(value))  # noqa: DTZ001
            found[cell.get("r", "")] = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
        else:
            found[cell.get("r", "")] = float(value)
    return found


async def test_a_caller_puts_no_formula_into_a_spreadsheet(shop: Any) -> None:
    for path in ("/calls/export.csv", "/reports/export.csv?by=campaign&period=30d"):
        text = await shop.page(path)
        cells = [cell for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) for cell in row]
        assert "'" + EVIL in cells
        assert not any(cell[:1] in "=@" for cell in cells if cell)


async def test_an_export_needs_the_right_and_is_in_the_audit_log(shop: Any) -> None:
    await shop.page("/calls/export.csv?outcome=missed")
    row = await shop.db.one("SELECT login, subject, detail FROM audit WHERE action = 'exported'")
    assert tuple(row) == ("alice", "calls", "outcome=missed")
    await shop.log_in_as("operator", lines="office")
    assert (await shop.get("/calls/export.csv")).status == 403
    assert "/calls/export" not in await shop.page("/calls")


async def test_a_client_exports_his_site_alone(shop: Any) -> None:
    await shop.log_in_as("client", sites="other")
    rows = [json.loads(line) for line in (await shop.page("/calls/export.ndjson")).splitlines()]
    assert {row["site"] for row in rows} == {"other"}
    assert (await shop.page("/calls/export.ndjson?site=shop")) == ""
    total = json.loads((await shop.page("/reports/export.ndjson?by=time&unit=month&period=12m")).splitlines()[-1])
    assert total["calls"] <= len(rows)


async def test_an_analyst_sees_no_whole_numbers_in_an_export(shop: Any) -> None:
    caller = (await shop.db.one("SELECT caller FROM calls WHERE caller <> '' ORDER BY id DESC"))["caller"]
    assert caller in await shop.page("/calls/export.csv")
    await shop.log_in_as("analyst")
    assert caller not in await shop.page("/calls/export.csv")


async def test_every_column_can_be_shown_and_nothing_else(shop: Any) -> None:
    html = await shop.page("/calls?cols=" + ",".join([*COLUMNS, "<script>", "secret"]))
    assert all(f'class="c-{name}' in html for name in COLUMNS)
    assert "c-secret" not in html
    assert EVIL not in html
    few = await shop.page("/calls?col=caller&col=campaign")
    assert 'class="c-campaign' in few
    assert 'class="c-when' not in few
    assert "cols=caller%2Ccampaign" in few


async def test_filters_can_be_taken_away_one_by_one(shop: Any) -> None:
    html = await shop.page("/calls?outcome=missed&source=google&period=30d")
    assert 'href="/calls?period=30d&amp;source=google"' in html
    assert (
        'href="/calls?period=30d&amp;outcome=missed"' in html or 'href="/calls?outcome=missed&amp;period=30d"' in html
    )


@pytest.mark.parametrize("name", ["period", "from", "to", "source", "talk_min", "sure", "cols", "tag", "target", "q"])
@pytest.mark.parametrize(
    "value", ["%00", "%ff", "99999999999999999999", "-", "2026-13-99", "9999-12-31", "' OR 1=1", "x" * 900]
)
async def test_an_address_may_hold_anything(shop: Any, name: str, value: str) -> None:
    for path in ("/calls", "/calls/export.csv", "/reports", "/reports/export.csv"):
        assert (await shop.get(f"{path}?{name}={value}")).status in (200, 400)


async def test_a_view_is_kept_for_the_one_who_saved_it(shop: Any) -> None:
    csrf = await shop.csrf()
    saved = await shop.post(
        "/calls/views", {"csrf": csrf, "name": "Missed <b>ads</b>", "query": "outcome=missed&source=google&evil=1"}
    )
    assert saved.headers["Location"] == "/calls?source=google&outcome=missed"
    html = await shop.page("/calls")
    assert "Missed &lt;b&gt;ads&lt;/b&gt;" in html
    assert 'href="/calls?source=google&amp;outcome=missed"' in html
    id = (await shop.db.one("SELECT id FROM saved_views"))["id"]
    other = await shop.log_in_as("manager")
    assert "Missed &lt;b&gt;" not in await shop.page("/calls")
    assert (await shop.post(f"/calls/views/{id}/remove", {"csrf": other})).status == 404
    assert (await shop.db.one("SELECT COUNT(*) AS n FROM saved_views"))["n"] == 1


async def test_what_filters_suggest_is_what_there_was(shop: Any) -> None:
    shop.clock[0] += 1
    html = await shop.page("/calls/suggest")
    assert '<option value="google / cpc">' in html
    assert "+44 20 7946 0101" in html


# ---- reports


@pytest.mark.parametrize("by", BY)
async def test_every_report_has_its_page_and_its_file(shop: Any, by: str) -> None:
    html = await shop.page(f"/reports?by={by}&period=30d&compare=previous")
    assert 'aria-current="page"' in html
    assert EVIL not in html
    rows = [json.loads(line) for line in (await shop.page(f"/reports/export.ndjson?by={by}&period=30d")).splitlines()]
    whole_days = f"arrived_at < {midnight_of(shop)}"
    assert sum(row["calls"] for row in rows) == len(await ids(shop, whole_days if by == "hours" else "1 = 1"))


async def test_a_row_of_a_report_leads_to_its_calls(shop: Any) -> None:
    html = await shop.page("/reports?by=source&period=30d&site=shop")
    link = next(
        part.split('"')[0] for part in html.split('href="') if part.startswith("/calls?") and "google+%2F+cpc" in part
    )
    found = await shop.page(link.replace("&amp;", "&").replace("/calls?", "/calls/export.ndjson?"))
    wanted = await ids(shop, "source = 'google' AND medium = 'cpc' AND site = 'shop'")
    assert [json.loads(line)["id"] for line in found.splitlines()] == wanted


async def test_a_row_leads_to_its_calls_whatever_stands_in_an_address(shop: Any) -> None:
    """A visitor's address may name anything a campaign, and a number's settings a source without a medium."""
    rows = await ids(shop, "source = 'google' AND site = 'shop'")
    texts = [
        "spring\u00a0sale",
        "\U0001f468\u200d\U0001f469 & co",
        "a\tb\nc",
        "100% = ?#",
        "<b>'\"",
        "летняя\u202fраспродажа",
    ]
    for place, text in enumerate(texts):
        for id in rows[place::20][: place + 1]:
            sql = "UPDATE calls SET campaign = $2, source = 'leaflet', medium = $3 WHERE id = $1"
            await shop.db.write(lambda tx, v=(id, text, "print" * (place % 2)), sql=sql: tx.execute(sql, v))
    counted = 0
    for by in ("campaign", "source"):
        html = await shop.page(f"/reports?by={by}&period=30d&site=shop&rows=all")
        for link, count in re.findall(r'<td class="num strong"><a href="(/calls\?[^"]*)"[^>]*>([\d,]+)<', html):
            found = await shop.page(unescape(link).replace("/calls?", "/calls/export.ndjson?"))
            assert len(found.splitlines()) == int(count.replace(",", "")), link
            counted += int(count.replace(",", ""))
    assert counted == 2 * len(await ids(shop, "site = 'shop'"))
    today = await shop.page("/")
    for link, count in re.findall(r'href="(/calls\?period=today&amp;source=[^"]*)".*?<b>(\d+)</b>', today, re.S):
        assert len((await shop.page(unescape(link).replace("/calls?", "/calls/export.ndjson?"))).splitlines()) == int(
            count
        )


@pytest.mark.parametrize("by", DIMENSIONS)
async def test_each_row_leads_down_and_to_as_many_calls_as_it_counts(shop: Any, by: str) -> None:
    html = await shop.page(f"/reports?by={by}&period=30d&site=shop")
    rows = re.findall(
        r'<td class="r-value".*?href="(/reports\?[^"]*)".*?<td class="num strong"><a href="(/calls\?[^"]*)"[^>]*>([\d,]+)<',
        html,
        re.S,
    )
    assert rows
    for down, calls, count in rows[:4] + rows[-2:]:
        wanted = int(count.replace(",", ""))
        found = await shop.page(unescape(calls).replace("/calls?", "/calls/export.ndjson?"))
        assert len(found.splitlines()) == wanted
        below = unescape(down).replace("/reports?", "/reports/export.ndjson?")
        assert f"by={by}&" not in below
        assert sum(json.loads(line)["calls"] for line in (await shop.page(below)).splitlines()) == wanted


async def test_a_report_is_narrowed_in_its_page_files_plot_and_comparison(shop: Any) -> None:
    given = urlencode({"source": "google / cpc", "outcome": "missed"})
    wanted = await ids(shop, "source = 'google' AND medium = 'cpc' AND outcome = 'missed'")
    html = await shop.page(f"/reports?by=keyword&period=30d&compare=previous&{given}")
    assert "Source: google / cpc" in html
    assert f'href="/calls?period=30d&amp;source={quote_plus("google / cpc")}&amp;outcome=missed"' in html
    plot = json.loads(unescape(re.search('data-plot="([^"]*)"', html)[1]))  # type: ignore[index]
    assert sum(plot["data"][0]) == len(wanted) > 0
    for by in ("keyword", "time", "hours", "callers"):
        for kind in ("csv", "ndjson"):
            text = await shop.page(f"/reports/export.{kind}?by={by}&period=30d&{given}")
            rows: Any = csv.DictReader(io.StringIO(text)) if kind == "csv" else map(json.loads, text.splitlines())
            assert sum(int(row["calls"]) for row in rows) == len(wanted), (by, kind)
    cleared = await shop.page("/reports?by=keyword&period=30d")
    assert "Source: google" not in cleared


async def test_a_report_that_takes_too_long_says_so_and_nobody_else_waits(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's endless report is being made meanwhile."""
    monkeypatch.setattr(reports, "SLOW_SECONDS", 0.3)
    sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    endless = asyncio.create_task(shop.db.read_slow(lambda tx: tx.fetch(sql), 600))
    await asyncio.sleep(0.1)
    narrowed = "source=google&period=12m"
    assert "This report takes too long" in await shop.page(f"/reports?by=campaign&{narrowed}")
    assert "This report takes too long" in await shop.page(f"/reports?by=hours&{narrowed}")
    assert (await shop.get(f"/reports/export.csv?by=campaign&{narrowed}")).status == 503
    for path in ("/reports?by=campaign&source=google&period=today", "/reports?period=12m", "/", "/missed", "/calls"):
        assert "takes too long" not in await asyncio.wait_for(shop.page(path), 5)
    endless.cancel()
    await asyncio.gather(endless, return_exceptions=True)
    monkeypatch.setattr(reports, "SLOW_SECONDS", 20)
    assert "google" in await shop.page(f"/reports?{narrowed}")


async def test_new_and_repeat_callers_are_stacked_over_time(shop: Any) -> None:
    html = await shop.page("/reports?by=callers&period=7d&unit=day")
    plot = json.loads(unescape(re.search('data-plot="([^"]*)"', html)[1]))  # type: ignore[index]
    assert plot["stacked"]
    assert plot["series"] == ["New callers", "Repeat callers"]
    text = await shop.page("/reports/export.ndjson?by=callers&period=7d&unit=day")
    rows = [json.loads(line) for line in text.splitlines()]
    assert plot["data"] == [[row["newcomers"] for row in rows], [row["repeat"] for row in rows]]
    assert all(row["newcomers"] + row["repeat"] == row["calls"] for row in rows)
    assert sum(row["repeat"] for row in rows) > 0
    day = shop.clock[0] // DAY_MS * DAY_MS
    assert sum(row["calls"] for row in rows) == len(await ids(shop, f"arrived_at >= {day - 6 * DAY_MS}"))


async def test_time_begins_with_the_first_data_and_what_is_not_over_says_so(shop: Any) -> None:
    text = await shop.page("/reports/export.ndjson?by=time&period=12m&unit=week")
    weeks = [json.loads(line) for line in text.splitlines()]
    first = (await shop.db.one("SELECT MIN(started_at) AS at FROM sessions"))["at"]
    monday = datetime.fromtimestamp(first // 1000, tz=ZoneInfo("Europe/London")).date()
    assert date.fromisoformat(weeks[0]["from"][:10]) == monday - timedelta(days=monday.weekday())
    assert len(weeks) in (2, 3)
    assert [week["whole"] for week in weeks] == [1] * (len(weeks) - 1) + [0]
    html = await shop.page("/reports?by=time&period=12m&unit=week&compare=year")
    assert html.count("so far") >= 2
    assert "to compare with." in html
    assert 'class="delta"' not in html
    hours = (await shop.page("/reports/export.ndjson?by=time&period=today&unit=hour")).splitlines()
    assert len(hours) == datetime.fromtimestamp(shop.clock[0] / 1000, tz=ZoneInfo("Europe/London")).hour + 1


async def test_a_report_says_on_which_day_of_the_reader_the_data_begin(shop: Any) -> None:
    """In the afternoon of UTC, which is the same day in America; that day of UTC begins the day before there."""
    first = (await shop.db.one("SELECT MIN(started_at) AS at FROM sessions"))["at"] // DAY_MS * DAY_MS + 15 * 3_600_000
    for sql in (
        "DELETE FROM credits",
        "DELETE FROM calls WHERE arrived_at < $1",
        "DELETE FROM sessions WHERE started_at < $1",
    ):
        await shop.db.write(lambda tx, sql=sql: tx.execute(sql, (first,)[: sql.count("$")]))
    while await rollups.roll(shop.db, shop.clock[0]):
        pass
    await shop.post("/settings", {"csrf": await shop.csrf(), "language": "en", "zone": "America/Denver", "phones": ""})
    day = datetime.fromtimestamp(first / 1000, tz=ZoneInfo("America/Denver")).date()
    for site in ("", "&site=other"):
        text = await shop.page(f"/reports/export.ndjson?by=time&period=30d&unit=day{site}")
        assert date.fromisoformat(json.loads(text.splitlines()[0])["from"][:10]) == day
        said = f"No data before {day.day} {day:%b %Y}."
        for query in ("period=30d", "period=30d&by=hours", "period=7d&compare=previous"):
            assert said in await shop.page(f"/reports?{query}{site}"), query
        assert "No data before" not in await shop.page(f"/reports?period=7d{site}")
        assert f"No data before {day.day} {day:%b %Y} to compare with." in await shop.page(
            f"/reports?period=30d&compare=year{site}"
        )


async def test_rows_are_sorted_as_asked(shop: Any) -> None:
    def column(html: str, cell: int) -> list[int]:
        body = html.split('class="list report')[1].split("<tbody>")[1]
        rows = [row.split('<td class="num')[cell] for row in body.split("<tr>")[1:]]
        return [int(re.sub("<[^>]*>", " ", "<" + row).split()[0].replace(",", "")) for row in rows]

    by_sessions = column(await shop.page("/reports?by=source&period=30d&sort=sessions"), 1)
    assert by_sessions == sorted(by_sessions, reverse=True)
    by_calls = column(await shop.page("/reports?by=source&period=30d"), 2)
    assert by_calls == sorted(by_calls, reverse=True)
    assert by_calls != by_sessions


async def test_the_heat_map_has_averages_of_each_hour_of_the_week(shop: Any) -> None:
    html = await shop.page("/reports?by=hours&period=30d")
    assert html.count('<td role="cell" class="h') == 7 * 24
    rows = re.findall(r'class="sum num">([\d.]+)</td><td[^>]*>(\d+)</td><td[^>]*>(\d+)</td>', html)
    assert [int(days) for _, _, days in rows].count(2) == 1, "eight days without today have one weekday twice"
    midnight = midnight_of(shop)
    assert sum(int(count) for _, count, _ in rows) == len(await ids(shop, f"arrived_at < {midnight}"))
    assert "Today is left out until it is over." in html
    text = await shop.page("/reports/export.ndjson?by=hours&period=30d")
    cells = [json.loads(line) for line in text.splitlines()]
    for weekday, (mean, count, over) in enumerate(rows, 1):
        hours = [cell for cell in cells if cell["weekday"] == weekday]
        assert float(mean) == pytest.approx(int(count) / int(over), abs=0.0501), "the row agrees with itself"
        assert float(mean) == pytest.approx(sum(one["calls"] / max(1, one["days"]) for one in hours), abs=0.06)


async def test_the_hours_of_today_alone_are_what_there_is_so_far(shop: Any) -> None:
    html = await shop.page("/reports?by=hours&period=today")
    midnight = midnight_of(shop)
    totals = re.findall(r'class="sum num">[\d.]+</td><td[^>]*>(\d+)</td>', html)
    assert sum(map(int, totals)) == len(await ids(shop, f"arrived_at BETWEEN {midnight} AND {shop.clock[0]}"))
    assert "figures so far" in html


@pytest.mark.parametrize(("name", "days"), [("today", 1), ("7d", 7), ("month", 0)])
async def test_a_period_that_is_not_over_is_compared_with_the_same_part_of_the_earlier_one(
    shop: Any, name: str, days: int
) -> None:
    zone = ZoneInfo("Europe/London")
    now = datetime.fromtimestamp(shop.clock[0] / 1000, tz=zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=days - 1) if days else midnight.replace(day=1)
    back = timedelta(days=days or (first - timedelta(days=1)).day)
    html = await shop.page(f"/reports?by=source&period={name}&compare=previous")
    since, until = ((moment - back).timestamp() * 1000 for moment in (first, now))
    counted = len(await ids(shop, f"arrived_at >= {since} AND arrived_at < {until}"))
    if until < (await shop.db.one("SELECT MIN(started_at) AS at FROM sessions"))["at"]:
        assert "to compare with." in html
        return
    assert f"until {now:%H:%M}, as this period is not over." in html
    total, change = re.search(
        r"<dt>Calls.*?<dd><a[^>]*>([\d,]+)</a> <span class=\"delta\">([^<]+)", html, re.S
    ).groups()  # type: ignore[union-attr]
    assert int(total) - int(change.replace("−", "-").replace("±", "")) == counted


async def test_revenue_has_its_change_too(shop: Any) -> None:
    html = await shop.page("/reports?by=source&period=7d&compare=previous")
    assert re.search(r"<dt>Revenue</dt><dd>[\d,]+ <span class=\"delta\">[+−][\d,]+<", html)


async def test_the_zone_of_the_reader_decides_what_a_day_is(shop: Any) -> None:
    async def of(zone: str) -> list[Any]:
        csrf = await shop.csrf()
        await shop.post("/settings", {"csrf": csrf, "language": "en", "zone": zone, "phones": ""})
        text = await shop.page("/reports/export.ndjson?by=time&unit=day&period=7d")
        return [json.loads(line) for line in text.splitlines()]

    there, here = await of("Pacific/Auckland"), await of("America/St_Johns")
    assert [row["from"][11:] for row in there] == ["00:00:00+13:00"] * 7
    assert here[0]["from"].endswith("00:00:00-03:30")
    assert [row["calls"] for row in there] != [row["calls"] for row in here]


# ---- the overview


async def test_the_overview_tells_the_day(shop: Any, until: Callable[..., Any]) -> None:
    html = await shop.page("/")
    today = await ids(shop, f"arrived_at >= {shop.clock[0] // 86_400_000 * 86_400_000}")
    assert f"{len(today)} call" in html or "No calls yet" in html
    for text in ("Calls by hour", "Missed and not called back", "What brought today", "Pools", "small"):
        assert text in html


async def test_on_a_day_with_a_change_of_clocks_the_overview_goes_by_the_clock(alice: Any) -> None:
    """The 25th of October 2026 has 25 hours in London: half past ten is eleven and a half hours after midnight."""
    london = ZoneInfo("Europe/London")

    def at(day: int, hour: int, minute: int) -> int:
        return int(datetime(2026, 10, day, hour, minute, tzinfo=london).timestamp() * 1000)

    alice.clock[0] = at(25, 10, 30)
    csrf = await alice.log_in_as("owner")  # the earlier login has ended by this clock
    await alice.post("/settings", {"csrf": csrf, "language": "en", "zone": "Europe/London", "phones": ""})
    for n, moment in enumerate([at(18, 9, 50), at(18, 10, 10), at(18, 11, 10), at(25, 10, 5)]):
        await ring(alice, f"{n}.1", moment, f"+44770090012{n}", answered=True)
    html = await alice.page("/")
    assert "1 fewer than by this time last Sunday" in html
    assert "2 last Sunday by now" in re.sub("<[^>]*>", "", html), "of new callers"
    hours = re.findall(r'<tr><th scope="row">([\d:]+)</th>' + r'<td class="num">(\d+)</td>' * 3, html)
    assert hours == [("09:00", "0", "0", "1"), ("10:00", "1", "0", "1"), ("11:00", "0", "0", "1")]


async def test_an_operators_overview_has_no_pools_and_no_reports(shop: Any) -> None:
    await shop.log_in_as("operator", lines="office")
    html = await shop.page("/")
    assert "/pools" not in html
    assert "/reports" not in html


async def test_the_overview_of_an_empty_journal_says_what_will_be_there(alice: Any) -> None:
    html = await alice.page("/")
    assert "No calls yet today" in html
    assert "Nobody has called yet today" in html
