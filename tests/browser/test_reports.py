"""Journal, reports and overview in a real browser: filtered, exported, drawn, on a desktop and on a phone."""

import asyncio
import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from .conftest import becomes, true_in


async def outcomes(page):
    return set(await page.locator("tr.call td.c-outcome b").all_inner_texts())


# ---- the journal


async def test_a_filter_changes_the_rows_the_chips_and_the_address(open_page, shop):
    page = await open_page("/calls")
    assert await outcomes(page) >= {"Answered", "Missed"}
    await page.get_by_text("Missed", exact=True).locator("visible=true").nth(1).click()
    await page.wait_for_url(f"{shop.address}/calls?outcome=missed")
    assert await outcomes(page) == {"Missed"}
    await page.get_by_text("Filters", exact=True).click()
    await page.wait_for_selector("datalist#s-source option", state="attached")
    await page.get_by_role("combobox", name="Source").fill("google / cpc")
    await page.get_by_role("combobox", name="Source").press("Enter")
    await page.wait_for_url("**source=google*")
    assert set(await page.locator(".chip").all_inner_texts()) == {"Source: google / cpc", "Missed"}
    sources = set(await page.locator("tr.call td.c-source .source > span:first-of-type").all_inner_texts())
    assert sources == {"google / cpc"}
    copied = await open_page(page.url.removeprefix(shop.address))
    assert await copied.locator("tr.call").count() == await page.locator("tr.call").count()
    await copied.locator(".chip").first.click()
    await expect(copied.locator(".chip")).to_have_count(1)


async def test_columns_are_chosen_and_kept_as_a_view(open_page, shop):
    page = await open_page("/calls?outcome=answered")
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_label("Answered by").locator("visible=true").check()
    await page.wait_for_selector("th.c-person")
    assert re.fullmatch("[a-z]+", (await page.locator("td.c-person").first.inner_text()).strip())
    assert "cols=" in page.url
    await page.keyboard.press("Escape")
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_text("Views", exact=True).click()
    await page.get_by_label("Name of the view").fill("Who answers")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save view").click()
    again = await open_page("/calls")
    assert await again.locator("th.c-person").count() == 0
    await again.get_by_text("Views", exact=True).click()
    await again.get_by_role("link", name="Who answers").click()
    await again.wait_for_selector("th.c-person")
    await becomes(lambda: outcomes(again), {"Answered"})


@pytest.mark.parametrize("kind", ["CSV", "XLSX (Excel)", "NDJSON"])
async def test_what_is_filtered_is_exported(open_page, shop, kind):
    page = await open_page("/calls?outcome=missed")
    await page.get_by_text("Export", exact=True).click()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name=kind).click()
    file = await (await waiting.value).path()
    data = await asyncio.to_thread(Path(file).read_bytes)
    wanted = (await shop.db.one("SELECT COUNT(*) AS n FROM calls WHERE outcome = 'missed'"))["n"]
    if kind == "CSV":
        assert len(list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))) == wanted
    elif kind == "NDJSON":
        assert {json.loads(line)["outcome"] for line in data.splitlines()} == {"missed"}
    else:
        assert data.startswith(b"PK")


async def test_older_calls_follow_without_losing_the_place(open_page):
    page = await open_page("/calls")
    first = await page.locator("tr.call").first.get_attribute("id")
    await page.get_by_text("Show older calls").click()
    await true_in(page, "document.querySelectorAll('tr.call').length > 50")
    found = await page.locator("tr.call").evaluate_all("rows => rows.map(row => row.id)")
    assert found[0] == first
    assert len(found) == len(set(found)) == 100


async def test_a_phone_shows_a_list_and_its_filters(open_page):
    page = await open_page("/calls", "phone")
    assert await page.locator("thead").locator("visible=true").count() == 0
    first = await page.locator("tr.call").first.bounding_box()
    assert first["y"] < 300, "what one came for is seen without scrolling"
    for what in ("Search calls", "All filters"):
        box = await page.get_by_label(what).bounding_box()
        assert min(box["width"], box["height"]) >= 44
    assert not await page.get_by_text("Filters", exact=True).is_visible()
    await page.get_by_label("All filters").click()
    await page.get_by_text("Filters", exact=True).click()
    box = await page.locator(".fields").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


async def test_on_a_phone_what_is_wider_than_the_window_fades_where_more_of_it_is(open_page):
    page = await open_page("/reports?by=source&period=30d", "phone")
    table, tabs = page.locator(".scroll:has(.report)"), page.locator(".by")
    await expect(table).to_have_attribute("data-more", "right")
    await tabs.evaluate("row => row.scrollLeft = 0")
    await page.wait_for_selector(".by[data-more=right]")
    first = page.locator(".report tbody tr").first.locator("td").first
    left = (await first.bounding_box())["x"]
    await table.evaluate("box => box.scrollLeft = box.scrollWidth")
    await page.wait_for_selector(".scroll[data-more=left]:has(.report)")
    assert (await first.bounding_box())["x"] == left, "whose figures these are stays in sight"
    more = page.locator(".pages .narrow")
    assert await more.get_attribute("aria-current") == "true"
    await more.click()
    assert "Reports" in await page.locator("#more").inner_text(), "pages by their names, not by icons alone"


# ---- reports


async def test_a_report_is_a_plot_a_table_and_a_picture(open_page, tmp_path):
    page = await open_page("/reports?by=source&period=7d")
    drawn = """() => { const canvas = document.querySelector('#plot canvas'), pen = canvas?.getContext('2d');
      return pen && new Set(pen.getImageData(0, 0, canvas.width, canvas.height).data).size > 20 }"""
    await true_in(page, drawn)
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="PNG").click()
    download = await waiting.value
    assert download.suggested_filename == "report-source-day.png"
    data = await asyncio.to_thread(Path(await download.path()).read_bytes)
    assert data.startswith(b"\x89PNG")
    assert len(data) > 5_000
    calls = [int(text.replace(",", "")) for text in await page.locator("table.report td.strong").all_inner_texts()]
    assert calls == sorted(calls, reverse=True)


async def test_another_dimension_period_and_comparison_keep_the_rest(open_page, shop):
    page = await open_page("/reports?period=7d")
    await page.get_by_role("link", name="Campaign").click()
    await page.wait_for_url("**by=campaign*")
    await page.get_by_label("Compare with").select_option("previous")
    await page.wait_for_selector("td.strong .delta")
    assert "by=campaign" in page.url
    assert "period=7d" in page.url
    await expect(page.locator("#plot canvas")).to_have_count(1)
    await expect(page.locator(".u-legend")).to_contain_text("Previous period")
    await page.get_by_role("link", name="Missed").locator("visible=true").last.click()
    await page.wait_for_url("**sort=missed*")
    assert await page.locator("th[aria-sort]").inner_text() == "Missed"
    whole = await page.locator(".merit dd").nth(1).inner_text()
    await page.get_by_text("Filters", exact=True).click()
    await page.locator("select[name=line]").select_option("workshop")
    await page.wait_for_url("**line=workshop*")
    figures = await page.locator(".merit").inner_text()
    assert "Sessions" not in figures, "a session knows no line"
    assert (
        0
        < int((await page.locator(".merit dd").first.inner_text()).split()[0])
        < int(whole.split()[0].replace(",", ""))
    )


async def test_a_row_leads_down_and_its_count_to_the_journal(open_page, shop):
    page = await open_page("/reports?by=source&period=30d")
    row = page.locator("table.report tbody tr", has_text="google / cpc")
    count = (await row.locator("td.strong a").inner_text()).replace(",", "")
    await row.get_by_role("link", name="google / cpc").click()
    await page.wait_for_url("**by=campaign*")
    assert await page.locator(".chip").all_inner_texts() == ["Source: google / cpc"]
    assert (await page.locator(".merit dd").nth(1).inner_text()).split()[0].replace(",", "") == count
    assert await page.locator("[name=source]").input_value() == "google / cpc"
    await page.get_by_text("Filters", exact=True).click()
    await page.locator("select[name=device]").select_option("phone")
    await page.wait_for_url("**device=phone*")
    assert await page.locator(".chip").all_inner_texts() == ["Source: google / cpc", "Device: Phone"]
    await page.get_by_text("Filters", exact=True).click()
    await page.get_by_role("link", name="Show these calls").click()
    await page.wait_for_url("**/calls?*device=phone*")
    assert set(await page.locator(".chip").all_inner_texts()) == {"30 days", "Source: google / cpc", "Device: Phone"}


DRAWN = "(dot) => getComputedStyle(dot).color + dot.innerHTML"


async def test_a_source_has_a_dot_of_its_own_the_same_on_every_page(open_page):
    page = await open_page("/reports?by=source&period=30d")
    colours = {}
    for row in await page.locator("table.report tbody tr").all():
        if await row.locator(".r-value a:not(.soft)").count():
            colours[await row.locator(".r-value a").inner_text()] = await row.locator(".dot").evaluate(DRAWN)
    assert len(colours) > 8  # more than there are colours
    assert len(set(colours.values())) == len(colours)
    await page.goto(page.url.split("/reports")[0] + "/calls")
    seen = set()
    for source in await page.locator(".c-source .source").all():
        name = (await source.locator("> span").first.inner_text()).strip()
        if name in colours:
            assert await source.locator(".dot").evaluate(DRAWN) == colours[name], name
            seen.add(name)
    assert len(seen) > 5


async def test_new_callers_stand_on_repeat_ones_beside_their_table(open_page):
    page = await open_page("/reports?by=callers&period=7d&unit=day")
    plot, table = await page.locator("#plot canvas").bounding_box(), await page.locator("table.figures").bounding_box()
    assert plot["x"] + plot["width"] <= table["x"]
    legend = await page.locator(".u-legend .u-series:visible .u-label").all_inner_texts()
    assert {"New callers", "Repeat callers"} <= set(legend)
    rows = page.locator("table.figures tbody tr")
    assert await rows.count() == 7
    assert "so far" in await rows.last.inner_text()
    phone = await open_page("/reports?by=callers&period=7d&unit=day", "phone")
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 390


async def test_the_hours_of_the_week_are_a_table_that_reads_aloud(open_page):
    page = await open_page("/reports?by=hours&period=30d")
    assert await page.locator("table.heat tbody tr").count() == 7
    assert await page.locator("table.heat tbody td[class^=h]").count() == 168
    assert (await page.locator("table.heat tbody th").all_inner_texts())[0] == "Monday"
