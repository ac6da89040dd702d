#!/usr/bin/env python3
"""Makes the pictures of the README, or pictures of every page to be looked at, from the pretended shop of `ctserver demo-data`.

    .venv/bin/python docs/pictures/make.py                 (the README's, into this folder)
    .venv/bin/python docs/pictures/make.py --all FOLDER    (every page: 1440 and 390 px, light and dark, English and Russian)

Needs playwright and Chromium, as the tests do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, async_playwright

CHECKOUT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(CHECKOUT))

from tests.browser.conftest import CHROMIUM  # noqa: E402
from tests.browser.office import SECRETS, office_of  # noqa: E402
from tests.browser.shop import PASSWORD, Shop  # noqa: E402

SIZES = {"1440": {"width": 1440, "height": 900}, "390": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
LANGUAGES = {"en": "en-GB", "ru": "ru-RU"}
DAYS, CALLS = 60, 44
GOOGLE = 0  # the first of the demo page's campaign links


async def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        await shop.fill(DAYS, CALLS)
        await shop.start()
        await shop.busy()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=options.chromium, args=CHROMIUM)
            try:
                await (_all(browser, shop, options) if options.all else _readme(browser, shop))
            finally:
                await browser.close()
                await shop.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="makes pictures of the pages from demo data")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, in all sizes, themes and languages")
    parser.add_argument(
        "--only", default="", help="with --all: pages, sizes, themes, languages: calls,call,390,dark,ru"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="default: %(default)s")
    return parser.parse_args()


async def _all(browser: Browser, shop: Shop, options: argparse.Namespace) -> None:
    options.all.mkdir(parents=True, exist_ok=True)
    only = set(filter(None, options.only.split(",")))
    os.environ.update(SECRETS)
    with tempfile.TemporaryDirectory() as folder:
        async with office_of(Path(folder)) as (office, _, _):
            views = {name: shop.address + path for name, path in (await shop.views()).items()}
            views |= {"deliveries": f"{office}/deliveries", "login": f"{shop.address}/login"}
            wanted = {name: url for name, url in views.items() if not only & set(views) or name in only}
            for size, theme, language in _kinds(only):
                for address in (shop.address, office):
                    context = await _come(browser, address, size, theme, language)
                    await _take(
                        context,
                        {name: url for name, url in wanted.items() if url.startswith(address)},
                        options.all,
                        f"{size}-{theme}-{language}",
                    )
                    await context.close()


async def _take(context: BrowserContext, views: dict[str, str], folder: Path, kind: str) -> None:
    """A picture of each of these pages, as high as it is; the way in is shown to one who is not logged in."""
    page = await context.new_page()
    for name, url in views.items():
        if name == "login":
            await context.clear_cookies()
        await page.goto(url)
        await page.wait_for_load_state("networkidle")
        await page.wait_for_timeout(100)  # plots and wave forms
        await page.screenshot(path=folder / f"{name}-{kind}.png", full_page=True)


def _kinds(only: set[str]) -> Iterator[tuple[str, str, str]]:
    """Size, theme and language: all, or of each kind those that are wanted."""
    yield from product(*([one for one in kind if one in only] or list(kind) for kind in (SIZES, THEMES, LANGUAGES)))


async def _come(browser: Browser, address: str, size: str, theme: str, language: str) -> BrowserContext:
    """A browser in which alice is logged in."""
    context = await browser.new_context(
        viewport=SIZES[size],
        color_scheme=theme,
        locale=LANGUAGES[language],
        is_mobile=size == "390",
        has_touch=size == "390",
    )
    page = await context.new_page()
    await page.goto(f"{address}/login")
    await page.fill("input[name=login]", "alice")
    await page.fill("input[name=password]", PASSWORD)
    await page.press("input[name=password]", "Enter")
    await page.wait_for_url(f"{address}/")
    await page.close()
    return context


async def _readme(browser: Browser, shop: Shop) -> None:
    visitor = await browser.new_page(viewport=SIZES["1440"], locale="en-GB")
    await visitor.goto(f"{shop.address}/demo")
    await visitor.locator("aside.strip a").nth(GOOGLE).click()
    await visitor.wait_for_load_state("networkidle")
    await visitor.screenshot(path=FOLDER / "demo.png")
    await visitor.close()
    context = await _come(browser, shop.address, "1440", "light", "en")
    page = await context.new_page()
    views = await shop.views()
    for name in ("overview", "calls", "call", "reports", "missed"):
        await page.goto(shop.address + views[name])
        await page.wait_for_timeout(500)
        await page.screenshot(path=FOLDER / f"{name}.png")
        sys.stdout.write(f"{FOLDER / name}.png\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
