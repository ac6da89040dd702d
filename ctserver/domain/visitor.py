"""What a browser says of itself: is a person behind it, and on what device.

Bots are refused by name, never by a guess: a telephone that is taken for a bot costs a call, a bot that is taken for a
person costs a number for a while. The names are those that robots, link previews, monitors, scanners and HTTP libraries
give in their own documentation and send in practice. Browsers and operating systems come from ua-parser's rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ua_parser import parse_os, parse_user_agent

_MAX_UA = 1000

# A page fetched before anybody looks at it: the header, and what it then holds.
_PREFETCH = (
    ("Sec-Purpose", re.compile(r"prefetch|prerender|preview", re.IGNORECASE)),
    ("Purpose", re.compile(r"prefetch|prerender|preview", re.IGNORECASE)),
    ("X-Purpose", re.compile(r"prefetch|prerender|preview|instant", re.IGNORECASE)),
    ("X-Moz", re.compile(r"prefetch", re.IGNORECASE)),
)

_HEADLESS = (
    "headless",
    "phantomjs",
    "slimerjs",
    "puppeteer",
    "playwright",
    "selenium",
    "webdriver",
    "cypress",
    "htmlunit",
    "jsdom",
    "splash/",
)

# "(compatible; Name/1.0; +http://about.me/bot)": only robots give an address to ask at.
_WITH_ADDRESS = re.compile(r"([\w.!-]+)(?:[/ ]v?[\d.]+[\w.~-]*)?[^\w+]*\+ ?https?:", re.IGNORECASE)

# Words at the end of a robot's name. CUBOT makes telephones.
_ROBOT = re.compile(
    r"(?:(?<!cu)bots?|crawler?|crawling|spider|slurp|scraper|fetcher|archiver|pinger)(?![a-z])", re.IGNORECASE
)

_STARTS = (
    "WhatsApp/",
    "Viber/",
    "Pinterest/",
)  # link previews; within a longer text they are a browser in the application

_NAMED = tuple(
    (name.lower(), name.rstrip("/"))
    for names in (
        # link previews of networks and messengers
        "facebookexternalhit|facebookcatalog|meta-externalagent|meta-externalfetcher|vkShare|SkypeUriPreview|LinkPreview",
        "Snap URL Preview Service|Slack-ImgProxy|Iframely|Embedly|BingPreview|Google Web Preview|Google Favicon",
        "FlipboardProxy|Yahoo Link Preview",
        # search and language-model systems whose name has none of the words above
        "Mediapartners-Google|APIs-Google|AdsBot-Google|FeedFetcher-Google|Google-InspectionTool|GoogleOther",
        "Google-Read-Aloud|Google-Safety|Google-Site-Verification|GoogleProducer|Google-PageRenderer|Google-Extended",
        "Google-Agent|YaDirectFetcher|YandexMetrika|YandexDirect|YandexImages|YandexWebmaster|StackRambler",
        "ChatGPT-User|Claude-User|Claude-Web|Perplexity-User|MistralAI-User|DuckAssist|anthropic-ai|cohere-ai",
        "ia_archiver|archive.org|heritrix|Nutch|Yeti/1|Daumoa|Feedly|Outbrain|Diffbot|BuiltWith|Wappalyzer",
        # monitors and measuring
        "Chrome-Lighthouse|PTST/|GTmetrix|Pingdom|StatusCake|Site24x7|DatadogSynthetics|Datadog/|Catchpoint|SpeedCurve",
        "Better Uptime|BetterStack|Checkly|UptimeRobot|Uptime-Kuma|updown.io|HetrixTools|check_http|Zabbix|Blackbox Exporter",
        "W3C_Validator|W3C-checklink|Validator.nu|Screaming Frog|Xenu Link|Sitebulb|Siteimprove|Netpeak|Serpstat",
        # scanners and copiers
        "Nmap|masscan|zgrab|CensysInspect|Nikto|sqlmap|WPScan|Nessus|Qualys|Acunetix|Netsparker|Netcraft|HTTrack|WebCopier",
        "Expanse, a Palo Alto|InternetMeasurement|l9explore|Nuclei",
    )
    for name in names.split("|")
)

# Programs, by the start of what they send
_LIBRARY = re.compile(
    r"(?:curl|Wget|HTTPie|python|aiohttp|httpx|urllib|libwww-perl|LWP|Go-http-client|Java|Apache-HttpClient|okhttp"
    r"|axios|node-fetch|node|undici|got|Deno|Bun|Dart|GuzzleHttp|PHP|Symfony|WordPress|Ruby|Faraday|Typhoeus|Scrapy"
    r"|PostmanRuntime|Postman|insomnia|RestSharp|Microsoft-CryptoAPI|WinHttp|Microsoft Office|reqwest|ureq|hyper|Erlang|"
    r"libcurl|lua-resty-http|Jakarta|CFNetwork|colly|Photon|fasthttp|k6|ApacheBench|Siege|wrk|hey|vegeta)(?![a-z])",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[\w.!-]*\Z")


@dataclass(frozen=True, slots=True)
class Device:
    """`kind`: desktop, phone, tablet or "" (television, console, unknown). Names without versions, "" when unknown."""

    kind: str
    browser: str
    os: str


def is_bot(user_agent: str, headers: Mapping[str, str]) -> str | None:
    """Why no person is looking at the page, in words fit for an HTTP header; None for a person.

    `headers` are looked up as HTTP writes them (Sec-Purpose); a mapping that ignores case is welcome.
    """
    for name, wanted in _PREFETCH:
        value = headers.get(name)
        if value and wanted.search(value):
            return "prefetch"
    if "Headless" in headers.get("Sec-CH-UA", ""):
        return "headless browser"
    return _refusal(user_agent[:_MAX_UA])


@lru_cache(4096)
def device(user_agent: str) -> Device:
    """The device, browser and operating system. Total. The first call of a process loads the rules (0.2 s)."""
    text = user_agent[:_MAX_UA].encode("utf-8", "replace").decode()
    browser, system = parse_user_agent(text), parse_os(text)
    family, os = browser.family if browser else "", system.family if system else ""
    return Device(_kind(text), _BROWSERS.get(family, family), _SYSTEMS.get(os, os))


@lru_cache(4096)
def _refusal(user_agent: str) -> str | None:
    if not user_agent.strip(" -"):
        return "no user agent"
    lower = user_agent.lower()
    if any(name in lower for name in _HEADLESS):
        return "headless browser"
    if user_agent.startswith(_STARTS):
        return _named(user_agent.partition("/")[0])
    if ("+http" in lower or "+ http" in lower) and (found := _WITH_ADDRESS.search(user_agent)):
        return _named(found[1])
    for text, name in _NAMED:
        if text in lower:
            return _named(name)
    if found := _ROBOT.search(user_agent):
        start = _TOKEN.search(user_agent[: found.start()])
        return _named((start[0] if start else "") + found[0])
    if found := _LIBRARY.match(user_agent):
        return _named(found[0])
    if "CFNetwork" in user_agent and not user_agent.startswith("Mozilla/"):
        return _named("CFNetwork")
    return None


def _named(name: str) -> str:
    """One line of plain ASCII: it goes into a header."""
    return "bot: " + re.sub(r"[^ -~]", "", name)[:60]


_NO_COMPUTER = re.compile(
    r"smart-?tv|smarttv|google ?tv|apple ?tv|hbbtv|web0s|netcast|tizen.*\btv\b|bravia|\baft[a-z]{1,4}\b|crkey|roku"
    r"|playstation|xbox|nintendo",
    re.IGNORECASE,
)
_TABLET = re.compile(r"ipad|tablet(?! pc)|playbook|kindle|\bsilk/(?!.*mobile)", re.IGNORECASE)
_PHONE = re.compile(
    r"iphone|ipod|mobile|windows phone|blackberry|bb10|opera m(?:ini|obi)|symbian|series ?[46]0|j2me|midp|kaios",
    re.IGNORECASE,
)
_DESKTOP = re.compile(r"windows|macintosh|x11|cros |linux|freebsd", re.IGNORECASE)


def _kind(user_agent: str) -> str:
    if _NO_COMPUTER.search(user_agent):
        return ""
    if _TABLET.search(user_agent):
        return "tablet"
    if _PHONE.search(user_agent):
        return "phone"
    if "Android" in user_agent:  # a browser on a telephone says Mobile; an application says nothing
        return "tablet" if user_agent.startswith("Mozilla/") else "phone"
    return "desktop" if _DESKTOP.search(user_agent) else ""


# ua-parser's families that a person would call by another name
_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Android WebView",
    "Android": "Android Browser",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "iOS WebView",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "MiuiBrowser": "Mi Browser",
    "Other": "",
}
_SYSTEMS = {"Mac OS X": "macOS", "Other": ""}
