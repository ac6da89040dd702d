"""Mails in a real browser: they fit a computer's and a telephone's window and are readable, light and dark, in both languages."""

import os
from pathlib import Path

import pytest

from tests.mails import SAMPLES, said

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
PICTURES = os.environ.get("CTSERVER_TEST_PICTURES")  # a folder for screenshots, to be looked at
WIDTHS = (640, 390)


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_mail_fits_and_is_readable(name, context):
    page = await context.new_page()
    for language, scheme in (("en", "light"), ("ru", "dark")):
        await page.emulate_media(color_scheme=scheme)
        await page.set_content(said(*SAMPLES[name], language).html)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 700})
            wide = await page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollWidth))")
            assert wide <= width, (language, scheme, width)
            if PICTURES:
                await page.screenshot(path=f"{PICTURES}/mail-{name}-{language}-{scheme}-{width}.png", full_page=True)
        await page.evaluate(AXE)
        found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
        serious = [one["id"] + " " + one["nodes"][0]["html"][:200] for one in found["violations"] if one["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == [], (language, scheme)
    card = await page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert card == "rgb(22, 25, 28)", "dark when the reader's is"
