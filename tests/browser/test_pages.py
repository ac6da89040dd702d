"""Every page of the dashboard, on a desktop and on a phone, light and dark, in English and in Russian: readable for all, within the
window, without a fault in the console or a request to others, and in Russian without a word of English."""

import re
import sys

import pytest

from ctserver.services.demo import words
from tests.browser.conftest import AXE, ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import catalogues

KINDS = [  # of size, theme and language every pair; axe, which is slow, where it sees both sizes, themes and languages
    ("desktop", "light", "en-GB", True),
    ("phone", "dark", "en-GB", False),
    ("desktop", "dark", "ru-RU", False),
    ("phone", "dark", "ru-RU", True),
    ("phone", "light", "ru-RU", False),
]
ENGLISH = {"demo"}  # the pretended shop
ALIKE = "tbody tr:nth-child(n + 9)"  # rows after these are like them; axe takes its time over each
FAULTS = f"axe.run({{exclude: [['{ALIKE}']]}}, {{resultTypes: ['violations']}}).then((found) => found.violations)"
BLACK = "[...document.querySelectorAll('main svg rect')].filter((one) => getComputedStyle(one).fill === 'rgb(0, 0, 0)').length"
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"
TEXTS = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (!node.parentElement.closest("code, pre, kbd, script, style, template, [lang]:not(html), [translate=no]")) found.push(node.nodeValue);
  }
  for (const one of document.querySelectorAll("[title], [aria-label], [placeholder]")) {
    if (!one.closest("[lang]:not(html), [translate=no]")) for (const name of ["title", "aria-label", "placeholder"]) found.push(one.getAttribute(name) || "");
  }
  return [document.title, ...found];
}"""
DATA = [
    *(text for page in words.PAGES for text in page), *words.NOTES, *words.LESSONS, *words.TAGS, *map(words.name_of, range(1000)), *words.TERMS,
    "Lighthouse Bicycles", "Lighthouse Hire", "Front desk", "Harbour Advertising",
    "Asks for the name at once", "no script",  # typed by other tests
]  # fmt: skip


def _english():
    """Texts that the Russian catalogue says otherwise."""
    for file in catalogues.catalogues():
        for message in catalogues.read(file):
            one = message.id[0] if isinstance(message.id, tuple) else message.id
            said = message.string[0] if isinstance(message.string, tuple) else message.string
            if one and one != said and re.search("[a-z]", one):
                yield one


ENGLISH_TEXTS = set(_english())
STOPWORDS = re.compile(
    r"\b(?:the|of|and|is|are|was|were|this|that|with|from|by|for|not|no|all|calls?|visitors?|ago|last)\b", re.I
)


@pytest.mark.parametrize(("size", "scheme", "locale", "axe"), KINDS)
async def test_every_page_is_readable_fits_and_speaks_the_readers_language(
    come, shop, wrong, size, scheme, locale, axe
):
    page = await come("alice", size, scheme, locale)
    faults = []
    for name, path in {**await shop.views(), "demo": "/demo"}.items():
        await page.goto(shop.address + path)
        language = "en" if name in ENGLISH else locale[:2]
        faults += [f"{name}: {text}" for text in await look(page, language, axe)]
    assert faults == []
    assert [text.split(":")[0] for text in wrong] == [(await shop.views())["error"]]  # the console tells of a 404
    wrong.clear()


@pytest.mark.parametrize(("size", "scheme", "locale", "axe"), KINDS)
async def test_the_way_in_is_readable_fits_and_speaks_the_readers_language(come, shop, size, scheme, locale, axe):
    page = await come("", size, scheme, locale)
    for path in ("/login", "/forgot"):
        await page.goto(shop.address + path)
        assert await look(page, locale[:2], axe) == [], path


async def look(page, language, axe):
    """What is wrong with the page that is open."""
    wide, window = await page.evaluate(WIDTHS)
    found = [f"{wide} px wide"] if wide > window else []
    if black := await page.evaluate(BLACK):
        found.append(f"{black} bars without a colour")
    if axe:
        await page.evaluate(AXE)
        found += [_told(one) for one in await page.evaluate(FAULTS) if one["impact"] in ("serious", "critical")]
    assert await page.evaluate("document.documentElement.lang") == language or language == "en"
    return found + (untranslated(await page.evaluate(TEXTS)) if language == "ru" else [])


def _told(fault):
    return f"{fault['id']}: {fault['help']}: " + "; ".join(node["html"][:120] for node in fault["nodes"][:3])


def untranslated(texts):
    """Texts of the English catalogue, and what else reads like English and is none of the shop's own words."""
    found = []
    for text in {" ".join(text.split()) for text in texts}:
        left = text
        for known in sorted(DATA, key=len, reverse=True):
            left = left.replace(known, "")
        if text in ENGLISH_TEXTS or STOPWORDS.search(left):
            found.append(f"not in Russian: {text}")
    return found
