"""The callback widget: its script for websites, and what it sends. Nothing here tells whether anybody answered."""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache

from ctserver import files
from ctserver.config import Settings
from ctserver.domain.callback import Refused as NotRung
from ctserver.domain.clock import MINUTE_MS
from ctserver.http import collect
from ctserver.http.asked import Answer, Asked
from ctserver.http.desk import Asking, Desk, Route
from ctserver.http.gate import Refused
from ctserver.services.callbacks import Wish

MAX_NUMBER = 32
MAX_PAGE = 500
MAX_MINUTES = 24 * 60
QUICK_SECONDS = 1  # nobody writes his number faster than that


def widget(desk: Desk, asked: Asked) -> Answer:
    """The script, made for one site."""
    try:
        site = collect.site_of(desk.settings, asked.query.get("site", ""))
        _check_widget(desk.settings, site)
    except Refused as refusal:
        return Answer(404, collect.SCRIPT, f"// {refusal}\n".encode())
    baked = {"SITE": site, "ORIGIN": desk.settings.script_url}
    body = _source()
    for name, value in baked.items():
        body = body.replace(f"__CT_{name}__", json.dumps(value).replace("<", "\\u003c"))
    headers = {"Cache-Control": "max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Answer(200, {**headers, **collect.SCRIPT}, body.encode())


def ask(desk: Desk, asked: Asked) -> Answer | Asking:
    """`{"s": site, "v": visitor, "e": session, "n": his number, "u": URL, "d": minutes to wait, "w": seconds that he took, "x": ""}` ->
    `{"at": epoch ms}`, when he will be rung, or `{"no": why}`: number, country, often, closed, session, off, ours.

    `x` is a field that people do not see: what fills it in is a robot, and is told that all is well.
    """
    try:
        body, site, headers = collect.read(asked, desk)
        _check_widget(desk.settings, site)
        asker = desk.gate.asker(asked)
        desk.gate.admit(asked, asker, site, collect.page_of(asked, body))
        desk.gate.count(asker, site, body.text("v", 26), desk.now())
    except Refused as refusal:
        return collect.refuse(refusal)
    seconds = body.fields.get("w")
    if body.text("x", 10) or not isinstance(seconds, int | float) or seconds < QUICK_SECONDS:
        return _said({"at": desk.now()}, headers)
    wish = Wish(
        site=site,
        session=body.text("e", 26),
        visitor=body.text("v", 26),
        number=body.text("n", MAX_NUMBER),
        page=body.text("u", MAX_PAGE),
        address=desk.gate.known_address(asker),
        delay_ms=_delay_ms(body.fields.get("d")),
    )

    def told(reply: asyncio.Future[int]) -> Answer:
        try:
            return _said({"at": reply.result()}, headers)
        except NotRung as refusal:
            return _said({"no": str(refusal)}, headers)

    return Asking(desk.reception.callback(wish), told)


def _said(content: dict[str, object], headers: dict[str, str]) -> Answer:
    return Answer(200, {**headers, "Content-Type": "application/json"}, json.dumps(content).encode())


def _delay_ms(minutes: object) -> int:
    return min(minutes, MAX_MINUTES) * MINUTE_MS if isinstance(minutes, int) and minutes > 0 else 0


def _check_widget(settings: Settings, site: str) -> None:
    """Raises Refused where there is no such widget."""
    if not settings.callbacks.dial or site not in settings.callbacks.sites:
        raise Refused("ctserver: no callbacks on this site")


ROUTES = (Route("GET", "/ct-callback.js", widget), Route("POST", "/v1/callback", ask))


@lru_cache(1)
def _source() -> str:
    return (files.folder("web") / "static" / "ct-callback.js").read_text(encoding="utf-8")
