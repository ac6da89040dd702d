"""Every page with plausible data, to be looked at. `python tests/look/preview.py --out var/look` writes screenshots.

Serves the real templates and static files under the real content security policy, opens each page in Chromium at 1440
and 390 px, light and dark, in English and Russian, and fails on console errors, refused content and pages wider than the window. With `--serve`
it only serves, for working on the look. Nothing of ctserver itself is started: the data is made up in sample.py.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import io
import math
import random
import sys
import wave
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Page, async_playwright
from sample import NOW, PAGES, SECONDS, call_row, call_rows, calls_page, numbers_page, voices

from ctserver import language
from ctserver.domain.person import Person
from ctserver.domain.rights import TABLE, Role
from ctserver.http import render
from ctserver.http.deps import User
from ctserver.http.pages import PAGES as PAGES_OF_THE_DASHBOARD
from ctserver.http.pages import shown_to
from ctserver.language import Reader

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "web" / "static"
CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


def recording() -> bytes:
    """The same as sound, stereo 8 kHz, so that the player has something to play."""
    tones = [array.array("h", [0]) * (SECONDS * 8000) for _ in range(2)]
    for tone, track, pitch in zip(tones, voices(), (220, 330), strict=True):
        for i in range(len(tone)):
            tone[i] = int(6000 * track[i // 400] * math.sin(i * pitch * 2 * math.pi / 8000))
    both = array.array("h", bytes(4 * len(tones[0])))
    both[0::2], both[1::2] = tones
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(both.tobytes())
    return file.getvalue()


def words() -> dict[str, Any]:
    """What the server adds to every context for its reader."""
    paths = frozenset(page.path for page in PAGES_OF_THE_DASHBOARD)
    return {
        "lang": language.reader().language,
        "languages": language.LANGUAGES,
        "here": "/",
        "pages_of": partial(shown_to, User(Person("alice", Role.OWNER), TABLE[Role.OWNER], "preview"), paths),
    }


class Preview:
    """The pages under their own names, and what they fetch."""

    def __init__(self, folder: Path) -> None:
        self.env = render.environment()
        self.env.filters["ago"] = lambda ms: language.ago(ms, NOW)
        self.sound = folder / "preview.wav"
        self.sound.write_bytes(recording())
        self.polls = 0

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.speak])
        app.add_routes(
            [
                web.get("/preview.wav", self.wav),
                web.get("/preview.peaks", self.peaks),
                web.post("/demo/testcall", self.demo_call),
                web.get("/calls/rows", self.rows),
                web.get("/numbers/rows", self.number_rows),
                web.get("/calls/{id}", self.call_now),
                web.get("/{name}", self.page),
                web.static("/static", STATIC),
            ]
        )
        app.on_response_prepare.append(self.protect)
        return app

    async def protect(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = CSP

    def html(self, template: str, context: dict[str, Any]) -> web.Response:
        return web.Response(
            text=self.env.get_template(template).render({**context, **words()}), content_type="text/html"
        )

    @web.middleware
    async def speak(self, request: web.Request, handler: Any) -> web.StreamResponse:
        language.write_for(Reader(language.negotiate(request.headers.get("Accept-Language", "")), "UTC", "GB"))
        response: web.StreamResponse = await handler(request)
        return response

    async def page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in PAGES:
            raise web.HTTPNotFound
        template, context = PAGES[name]
        if name == "calls" and request.query.get("outcome") == "missed":
            template, context = PAGES["calls-filtered"]
        return self.html(template, context)

    async def rows(self, request: web.Request) -> web.Response:
        if "before" in request.query:
            rng = random.Random(9)
            return self.html("_call_rows.html", calls_page(calls=[call_row(i, rng) for i in range(50, 90)], older=None))
        self.polls += 1
        fresh = call_row(
            900 + self.polls,
            random.Random(self.polls),
            arrived_at=NOW - 1000,
            state="ringing",
            outcome=None,
            talk_seconds=0,
            has_recording=False,
        )
        return self.html("_call_rows.html", calls_page(calls=[fresh, *call_rows()]))

    async def call_now(self, _request: web.Request) -> web.Response:
        return self.html(*PAGES["call-now"])

    async def number_rows(self, _request: web.Request) -> web.Response:
        return self.html("_numbers_body.html", numbers_page())

    async def wav(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.sound)

    async def peaks(self, _request: web.Request) -> web.Response:
        caller, company = ([int(255 * level) for level in track] for track in voices())
        return web.json_response({"seconds": SECONDS, "caller": caller, "company": company})

    async def demo_call(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "number": (await request.json())["number"]})


async def shoot(page: Page, base: str, name: str, target: Path) -> list[str]:
    """One screenshot; what is wrong with the page comes back as words."""
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    page.on(
        "request", lambda r: None if r.url.startswith((base, "data:")) else wrong.append(f"leaves the origin: {r.url}")
    )
    await page.goto(f"{base}/{name}")
    await page.wait_for_load_state("networkidle")
    if name == "call":
        await page.evaluate("document.querySelector('#player audio').currentTime = 31")
        await page.wait_for_timeout(250)
    width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if width[0] > width[1]:
        wrong.append(f"wider than the window: {width[0]} > {width[1]}")
    await page.screenshot(path=target, full_page=name != "calls")
    return [f"{target.name}: {one}" for one in wrong]


async def shoot_all(base: str, folder: Path, only: list[str]) -> list[str]:
    wrong: list[str] = []
    async with async_playwright() as p:
        chromium = await p.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        for width, height in ((1440, 900), (390, 844)):
            for scheme in ("light", "dark"):
                for spoken in ("en", "ru"):
                    context = await chromium.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        locale=spoken,  # type: ignore[arg-type]
                    )
                    for name in only or PAGES:
                        page = await context.new_page()
                        wrong += await shoot(page, base, name, folder / f"{name}-{width}-{scheme}-{spoken}.png")
                        await page.close()
                    await context.close()
        await chromium.close()
    return wrong


async def run(folder: Path, port: int, serve: bool, only: list[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    runner = web.AppRunner(Preview(folder).app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if serve:
        print(f"{base}/calls and " + ", ".join(PAGES))
        await asyncio.Event().wait()
    wrong = await shoot_all(base, folder, only)
    await runner.cleanup()
    size = (STATIC / "app.css").stat().st_size
    if size >= 20_480:
        wrong.append(f"app.css is {size} bytes; 20 KB is the limit")
    print("\n".join(wrong) or f"{len(only or PAGES) * 8} screenshots in {folder}")
    return 1 if wrong else 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("pages", nargs="*", help=f"only these: {', '.join(PAGES)}")
    options.add_argument("--out", type=Path, default=ROOT / "var" / "look")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--serve", action="store_true", help="serve the pages and wait")
    given = options.parse_args()
    try:
        return asyncio.run(run(given.out, given.port, given.serve, given.pages))
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
