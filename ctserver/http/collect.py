"""What visitors' pages call: the script, the visit, the signals. A refusal says why in X-Ct-Refused, and the page
keeps its own number. Bodies come as text/plain, so that browsers send them without asking first."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from ctserver import files
from ctserver.config import Settings, Site, Target
from ctserver.domain import phone, source
from ctserver.http import script
from ctserver.http.asked import Answer, Asked
from ctserver.http.desk import Asking, Desk, Route
from ctserver.http.gate import Refused
from ctserver.services import visits

MAX_URL = 2000
MAX_TITLE = 300
MAX_ENTRIES = 20
SCRIPT = {"Content-Type": "text/javascript; charset=utf-8"}
_VISITOR = re.compile(r"[0-9a-v]{26}")
_SIGNAL = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def ct_js(desk: Desk, asked: Asked) -> Answer:
    """The script of one site, with its public configuration; revalidated by ETag."""
    try:
        site = site_of(desk.settings, asked.query.get("site", ""))
    except Refused as refusal:
        return Answer(404, SCRIPT, f"// {refusal}\n".encode())
    body = script_of(desk.settings, site)
    tag = version_of(body)
    keep = "max-age=31536000, immutable" if asked.query.get("v") == tag else "max-age=300, stale-while-revalidate=86400"
    headers = {"Cache-Control": keep, "Cross-Origin-Resource-Policy": "cross-origin", "ETag": f'"{tag}"'}
    if headers["ETag"] in asked.headers.get("If-None-Match", ""):
        return Answer(304, headers)
    return Answer(200, {**headers, **SCRIPT}, body.encode())


def version_of(script: str) -> str:
    """Names this very text: its ETag, and the `v` of an address that may be kept for ever."""
    return hashlib.sha256(script.encode()).hexdigest()[:20]


def script_of(settings: Settings, site: str) -> str:
    """ct.js as this site gets it."""
    return _built(json.dumps(public_config(settings, site)))


@lru_cache(64)
def _built(config: str) -> str:
    """Made once: it takes the CPU of twenty page views."""
    return script.build(json.loads(config), _source())


def cookie_size(settings: Settings, site_id: str) -> int:
    """Bytes of the cookie of a visitor who was shown a number for every target, at most."""
    longest = max((_number(number) for number in _shown_on(settings, site_id)), key=len, default="0")
    numbers = dict.fromkeys(settings.sites[site_id].all_targets, json.loads(longest))
    session = {"v": 26 * "0", "e": 26 * "0", "h": 10**6, "b": 600, "d": 10**12}
    record = json.dumps({**session, "n": numbers}, separators=(",", ":"))
    return len(f"ct:{site_id}=") + len(base64.b64encode(record.encode()))


def public_config(settings: Settings, site_id: str) -> dict[str, Any]:
    """What the script must know; all of it is public."""
    site = settings.sites[site_id]
    return {
        "s": site_id,
        "o": settings.script_url,
        "t": [_public_target(name, target) for name, target in site.all_targets.items()],
        "a": sorted(_shown_on(settings, site_id)),
        "consent": site.consent,
        "dnt": int(site.respect_dnt),
        "days": site.visitor_days,
        "sub": site.cookie_domain or 0,
        "ga4": site.ga4,
    }


def _public_target(name: str, target: Target) -> dict[str, Any]:
    country, prefix, national = phone.parts(target.number)
    shown = {"k": name, "n": target.number, "c": country, "p": prefix, "l": national, "mode": target.mode}
    if target.mode == "reveal":
        shown["rt"] = target.reveal_text
    return {**shown, **{key: text for key, text in (("q", target.selector), ("m", target.mask)) if text}}


def _shown_on(settings: Settings, site_id: str) -> set[str]:
    """Every number that this site's pages may show instead of their own."""
    site = settings.sites[site_id]
    pools = {target.pool for target in site.all_targets.values() if target.pool}
    pools |= {rule.pool for rule in settings.rules if rule.pool and rule.site in ("", site_id)}
    numbers = {number for pool in pools for number in settings.pools[pool].numbers}
    return numbers | {static.number for static in settings.static.values() if static.site == site_id}


@dataclass(frozen=True, slots=True)
class Body:
    """The texts of a request body. Anything missing or of another kind is empty."""

    fields: dict[str, Any]

    def text(self, name: str, size: int) -> str:
        value = self.fields.get(name)
        return _clean(value, size) if isinstance(value, str) else ""

    def names(self, name: str, most: int = MAX_ENTRIES) -> list[str]:
        value = self.fields.get(name)
        entries = value[:most] if isinstance(value, list) else []
        return [_clean(entry, MAX_URL) for entry in entries if isinstance(entry, str)]

    def texts(self, name: str) -> dict[str, str]:
        """A few short named texts; numbers and truth values are written out."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            return {}
        kept = {key: entry for key, entry in list(value.items())[:MAX_ENTRIES] if isinstance(entry, str | int | float)}
        return {_clean(key, 40): _clean(str(entry), MAX_TITLE) for key, entry in kept.items()}


def _clean(text: str, size: int) -> str:
    """What can be written anywhere: no NUL, no half of a surrogate pair."""
    if text.isascii() and len(text) <= size and "\x00" not in text:
        return text
    return text.replace("\x00", "")[:size].encode("utf-8", "replace").decode()


def visit(desk: Desk, asked: Asked) -> Answer | Asking:
    """A page view: `{"s": site, "v": visitor, "u": URL, "r": referrer, "t": title, "n": [targets]}` -> numbers.

    With a session in `e` it is the same page view, which has come upon more targets.
    """
    try:
        body, site, headers = read(asked, desk)
        asker = desk.gate.asker(asked)
        desk.gate.admit(asked, asker, site, page_of(asked, body))
        visitor = body.text("v", 26)
        visitor = visitor if _VISITOR.fullmatch(visitor) else ""
        url, referrer = body.text("u", MAX_URL), body.text("r", MAX_URL)
        found = source.classify(url, referrer, desk.settings.sites[site].domains)
        desk.gate.count(asker, site, visitor, desk.now(), found)
    except Refused as refusal:
        return refuse(refusal)
    targets = desk.settings.sites[site].all_targets
    wanted = body.names("n", max(MAX_ENTRIES, len(targets)))
    view = visits.PageView(
        site=site,
        visitor=visitor,
        session=body.text("e", 26),
        url=url,
        referrer=referrer,
        title=body.text("t", MAX_TITLE),
        source=found,
        wants=tuple(name for name in targets if name in wanted),
        facts=desk.gate.facts(asker, found, script.client_ids(body.names("i")), body.texts("p")),
    )

    def told(reply: asyncio.Future[visits.Shown]) -> Answer:
        shown = reply.result()
        desk.gate.remember(shown.visitor, found)
        return Answer(200, {**headers, "Content-Type": "application/json"}, _shown(shown, desk.settings.sites[site]))

    return Asking(desk.reception.visit(view), told)


def _shown(shown: visits.Shown, site: Site) -> bytes:
    """As the script reads it: JSON."""
    numbers = ",".join(f'"{target}":{_number(number)}' for target, number in shown.numbers.items())
    head = f'{{"v":"{shown.visitor}","e":"{shown.session}","n":{{{numbers}}}'  # ids and names need no escaping
    return f'{head},"h":{shown.hold_ms // 1000},"b":{site.heartbeat_seconds}}}'.encode()


def signal(desk: Desk, asked: Asked) -> Answer | Asking:
    """What the visitor did: `{"s": site, "v": visitor, "e": session, "k": kind, "n": number}`. Answers nothing."""
    try:
        body, site, headers = read(asked, desk)
        asker = desk.gate.asker(asked)
        desk.gate.admit(asked, asker, site, page_of(asked, body))
        desk.gate.count_signal(asker, desk.now())
        kind = body.text("k", 40)
        if not _SIGNAL.fullmatch(kind):
            raise Refused("no such signal")
    except Refused as refusal:
        return refuse(refusal)
    number = body.text("n", 20)
    note = visits.Note(
        visitor=body.text("v", 26),
        session=body.text("e", 26),
        kind=kind,
        number=number if number in desk.numbers else "",
        ids=script.client_ids(body.names("i")),
        properties=body.texts("p"),
    )

    def told(reply: asyncio.Future[None]) -> Answer:
        reply.result()
        return Answer(204, headers)

    return Asking(desk.reception.signal(note), told)


def page_of(asked: Asked, body: Body) -> str:
    """The host of the page that asks, as the browser says it, else as the script does."""
    return source.host_of(asked.headers.get("Origin", "")) or source.host_of(body.text("u", MAX_URL))


def refuse(refusal: Refused) -> Answer:
    return Answer(204, {"X-Ct-Refused": str(refusal), "Access-Control-Allow-Origin": "*"})


def read(asked: Asked, desk: Desk) -> tuple[Body, str, dict[str, str]]:
    """The body, the site, and the headers of the answer. Raises Refused."""
    try:
        fields = _parsed(asked.body)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise Refused("the body is not an object")
    body = Body(fields)
    site = body.text("s", 40)
    if site not in desk.settings.sites:
        raise Refused("no such site")
    origin = asked.headers.get("Origin", "")
    return body, site, {"Access-Control-Allow-Origin": origin or "*", "Vary": "Origin", "Cache-Control": "no-store"}


def _parsed(body: bytes) -> Any:
    """Raises ValueError and RecursionError."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body)  # takes half a surrogate pair too, which browsers send of a title cut in two


def site_of(settings: Settings, wanted: str) -> str:
    if wanted in settings.sites:
        return wanted
    if not wanted and len(settings.sites) == 1:
        return next(iter(settings.sites))
    raise Refused("ctserver: no such site; the snippet must name it: ct.js?site=NAME")


@lru_cache(4096)
def _number(number: str) -> str:
    """A number as the script reads it: JSON."""
    country, prefix, national = phone.parts(number)
    shown = [phone.international(number), phone.national(number)]
    return json.dumps({"n": number, "c": country, "p": prefix, "l": national, "f": shown}, separators=(",", ":"))


ROUTES = (Route("GET", "/ct.js", ct_js), Route("POST", "/v1/visit", visit), Route("POST", "/v1/signal", signal))

_cache: list[str] = []


def _source() -> str:
    if not _cache:
        _cache.append((files.folder("web") / "static" / "ct.js").read_text(encoding="utf-8"))
    return _cache[0]
