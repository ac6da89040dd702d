"""Callers who mean harm by their names and numbers: from the bytes of AMI through the journal to every page and file that shows them."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from ctserver.asterisk.translate import Translator
from ctserver.asterisk.wire import Splitter
from ctserver.http.pages import PAGES
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal

from .test_api import Program, token

TAG = '<canary oncanary="1">'
TEXTS = {
    "quotes": f'"\'`\\\\">{TAG}<!--',
    "newlines": rf"x\r\nSet-Cookie: canary=1\r\n\r\n{TAG}",  # Asterisk escapes them in names
    "dialplan": "${SHELL(touch /tmp/ctserver-canary)}$[7*7]",
    "shell": "$(touch /tmp/ctserver-canary);`id`|id&&id>x",
    "formula": "=cmd|' /C calc'!A0",
    "sum": "+7*7+cmd|' /C calc'!A0",
    "difference": "-2+3",
    "link": '@SUM(1)&HYPERLINK("http://x")',
    "tab": r"\t=1+1",
    "template": "{{7*7}}{% raw %}%(x)s{x}",
    "script": "</script><script>canary()</script><img src=x onerror=canary()>",
    "address": "javascript:canary()//../../etc/passwd%00",
    "control": "\x00\x07\x1b[31m\u202e\ud7ff",
    "long": f"'{TAG}\"," * 500,  # 13 KB
}
LINKS = ("href", "src", "action", "formaction", "data", "hx-get", "hx-post")
FORMULA = re.compile(r"[=+@\t\r-](?!\d[\d .,:-]*$)")  # and no number


class Markup(HTMLParser):
    """What a browser makes of a page: elements and attributes of strangers, and whatever would run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            runs = name in LINKS and (value or "").strip().lower().startswith("javascript:")
            if name.startswith("on") or "canary" in name or runs:
                self.found.append(f"{name}={value}")
        if tag == "canary" or (tag == "script" and "src" not in dict(attrs)):
            self.found.append(tag)


async def ring(site: Any, name: str, number: str, key: str) -> str:
    """A missed call, as Asterisk tells it; its id."""
    at = site.clock[0] / 1000
    head = f"Uniqueid: {key}\r\nLinkedid: {key}\r\nChannel: PJSIP/t-1\r\nTimestamp: {at:.3f}\r\n"
    who = f"CallerIDNum: {number}\r\nCallerIDName: {name}\r\n"
    stream = (
        f"Event: Newchannel\r\n{head}{who}ChannelState: 4\r\nContext: ct-inbound\r\nExten: +442079460101\r\n\r\n"
        f"Event: HangupRequest\r\n{head}{who}\r\nEvent: Hangup\r\n{head}{who}Cause: 127\r\n\r\n"
    )
    translator = Translator(["ct-inbound"])
    messages = Splitter().feed(stream.encode("utf-8", "replace"))
    events = [event for message in messages for event in translator.events(message, site.clock[0])]
    await Journal(site.db, site.settings, Attributor(site.settings, {}), "pbx").apply(events)
    row = await site.db.one("SELECT id FROM calls WHERE linkedid = $1", (key,))
    site.clock[0] += 1000
    return str(row["id"])


@pytest.fixture
async def shop(alice: Any) -> Any:
    """Alice's server after a call by each of them, once by name and once by number."""
    for place, text in enumerate(TEXTS.values()):
        await ring(alice, text, "+447700900123", f"1.{place}")
        await ring(alice, "x", text, f"2.{place}")
    return alice


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))


async def test_on_every_page_they_are_only_text(shop: Any) -> None:
    calls = [row["id"] for row in await shop.db.fetch("SELECT id FROM calls")]
    assert len(calls) == 2 * len(TEXTS)
    more = ("/calls/rows", "/calls?q=canary", "/reports?by=line", "/quality?queue=missed")
    paths = [*sorted({page.path for page in PAGES}), *more, *(f"/calls/{call}" for call in calls)]
    shown = ""
    for path in paths:
        response = await shop.get(path)
        text = await response.text()
        assert response.status == 200, path
        assert "canary" not in str(response.headers), path
        page = Markup()
        page.feed(text)
        assert page.found == [], path
        shown += text
    for safe in ("&lt;canary", "{{7*7}}", "${SHELL(", "=cmd|"):
        assert safe in shown, "it was looked at"


async def test_in_no_file_they_are_formulas_or_break_a_row(shop: Any) -> None:
    key = await token(shop)
    program = Program(shop, key)
    columns = "caller,caller_name,did,line,outcome"
    for path in (f"/calls/export.csv?cols={columns}", "/api/v1/feeds/calls.csv", "/reports/export.csv?by=line"):
        response = await program.get(path) if path.startswith("/api") else await shop.get(path)
        assert response.status == 200, path
        rows = cells(await response.text())
        assert {len(row) for row in rows} == {len(rows[0])}, path
        assert [cell for row in rows for cell in row if FORMULA.match(cell)] == [], path
        assert len(rows) == 1 + 2 * len(TEXTS) or "reports" in path


async def test_files_for_programs_are_whole(shop: Any) -> None:
    program = Program(shop, await token(shop))
    lines = (await (await shop.get("/calls/export.ndjson")).text()).splitlines()
    assert len([json.loads(line) for line in lines]) == 2 * len(TEXTS)
    book = zipfile.ZipFile(io.BytesIO(await (await shop.get("/calls/export.xlsx")).read()))
    sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    assert len(list(sheet.iter(f"{space}row"))) == 1 + 2 * len(TEXTS)
    assert not list(sheet.iter(f"{space}f"))
    assert not list(sheet.iter(f"{space}hyperlink"))
    listed = (await program.json("/api/v1/calls?limit=200"))["data"]
    assert len(listed) == 2 * len(TEXTS)
    assert max(len(call["caller_name"]) for call in listed) <= 200
    assert max(len(call["caller"]) for call in listed) <= 64
