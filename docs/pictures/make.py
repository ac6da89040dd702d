#!/usr/bin/env python3
"""Makes the pictures of the README from a running demo: visitors arrive, calls are placed, pages are photographed.

    scripts/run                                       (in one terminal)
    .venv/bin/python docs/pictures/make.py            (in another; needs playwright and Chromium)

A demo on other ports: give --web, --ami and --var as you gave them to scripts/run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHECKOUT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(__file__).resolve().parent
SIZE = {"width": 1440, "height": 900}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
BILLBOARD = "+442079460190"
GOOGLE, YANDEX, NEWSLETTER, DIRECT = 0, 1, 2, 3  # the order of the demo page's campaign links

# Callers from Ofcom's range for drama; who has no campaign reads the billboard. The last two give up while it rings.
CALLERS = [
    ("+447700900112", NEWSLETTER, False),
    ("+447700900154", DIRECT, False),
    ("+447700900131", None, False),
    ("+447700900187", YANDEX, True),
    ("+447700900168", GOOGLE, True),
    ("+447700900125", GOOGLE, False),
]


def main() -> int:
    options = _options()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        try:
            visitors = [_visitor(browser, options.web, campaign) for _, campaign, _ in CALLERS]
            for (caller, _, gives_up), number in zip(CALLERS, visitors, strict=True):
                _call(options, number, caller, gives_up=gives_up)
            sys.stderr.write("waiting for the calls to end\n")
            _photograph(browser, options)
        finally:
            browser.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="makes the pictures of the README from a running demo")
    parser.add_argument("--web", default="http://127.0.0.1:8080", help="default: %(default)s")
    parser.add_argument("--ami", default="127.0.0.1:5138", help="default: %(default)s")
    parser.add_argument("--var", type=Path, default=CHECKOUT / "var", help="the demo's folder, default: var")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="default: %(default)s")
    return parser.parse_args()


def _visitor(browser: Browser, web: str, campaign: int | None) -> str:
    """Arrive by a campaign link, look at a second page; the number that is shown then, in E.164."""
    if campaign is None:
        return BILLBOARD
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{web}/demo")  # only to read its links
    link = page.locator("aside.strip a").nth(campaign).get_attribute("href")
    page.context.close()
    page = browser.new_context(viewport=SIZE, locale="en-GB").new_page()
    page.goto(f"{web}{link}")
    number = _shown(page)
    if campaign == GOOGLE:
        page.screenshot(path=FOLDER / "demo.png")
    page.goto(f"{web}/demo")  # a second page view, as by a link inside the site
    _shown(page)
    return number


def _shown(page: Page) -> str:
    """The number in the page's header once the script has replaced it."""
    own = "+442079460000"
    for _ in range(100):
        digits = "".join(c for c in page.locator("#shop-number").inner_text() if c in "+0123456789")
        digits = "+44" + digits[1:] if digits.startswith("0") else digits
        if digits != own:
            return digits
        time.sleep(0.05)
    raise SystemExit("the demo page shows its own number: is ctserver up?")


def _call(options: argparse.Namespace, number: str, caller: str, *, gives_up: bool) -> None:
    settings = {"asterisk.pbx.ami": options.ami, "asterisk.pbx.ami_secret_file": options.var.resolve() / "ami-secret"}
    command = [sys.executable, "-m", "ctserver", "testcall", number, "--caller", caller]
    command += ["--config", str(CHECKOUT / "ctserver.toml")]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    before = set(_channels(options))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=CHECKOUT)
    if gives_up:
        time.sleep(1.2)  # the receptionist answers after two seconds
        for channel in sorted(set(_channels(options)) - before):
            if "@ct-testcall" in channel:
                _asterisk(options, f"channel request hangup {channel}")
    time.sleep(1)


def _channels(options: argparse.Namespace) -> list[str]:
    lines = _asterisk(options, "core show channels concise").splitlines()
    return [line.split("!")[0] for line in lines if "!" in line]


def _asterisk(options: argparse.Namespace, line: str) -> str:
    sys.path.insert(0, str(CHECKOUT / "scripts"))
    import pbx

    binary = pbx.find()
    if binary is None:
        raise SystemExit("there is no Asterisk: start scripts/run first")
    return pbx.Pbx(options.var.resolve() / "pbx", binary).cli(line)


def _photograph(browser: Browser, options: argparse.Namespace) -> None:
    deadline = time.monotonic() + 120
    while _channels(options) and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(3)  # the recordings become ready
    context = browser.new_context(viewport=SIZE, locale="en-GB", color_scheme="light")
    page = _login(context, options)
    page.goto(f"{options.web}/calls")
    _save(page, "calls")
    page.get_by_role("link", name="07700 900125").or_(page.locator("a[href*='/calls/']")).first.click()
    page.wait_for_url("**/calls/*")
    _save(page, "call")
    page.goto(f"{options.web}/numbers")
    _save(page, "numbers")


def _login(context: BrowserContext, options: argparse.Namespace) -> Page:
    login, _, password = (options.var / "first-login.txt").read_text(encoding="utf-8").strip().partition(" ")
    page = context.new_page()
    page.goto(f"{options.web}/login")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{options.web}/calls**")
    return page


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")
    sys.stdout.write(f"{FOLDER / name}.png\n")


if __name__ == "__main__":
    sys.exit(main())
