"""Jinja2, its filters, and the static files with versioned addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from gettext import NullTranslations
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ctserver import __version__, files, ids
from ctserver.domain import phone
from ctserver.http.deps import USER

_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_ERRORS = {
    400: ("This request could not be read", "Something in it is not what it should be.", "Go back and try again."),
    403: ("Not allowed", "The form was too old, or this login may not do that.", "Reload the page and try again."),
    404: ("There is no such page", "It may have been removed, or the address has a mistake.", ""),
    405: ("Not possible here", "This address does not take that kind of request.", ""),
    503: ("Not now", "The server could not do that. Calls go through all the same.", "Try again in a moment."),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/static/{path:[a-z0-9_./-]+}", static)
    app.router.add_get("/favicon.ico", _favicon)


def page(request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page or a fragment. Every template has user, csrf, health, version, flash and now."""
    user = request.get(USER)
    common = {
        "user": user,
        "csrf": user.csrf if user else "",
        "page": "",
        "health": None,
        "version": __version__,
        "flash": None,
        "now": ids.now_ms(),
    }
    text = environment().get_template(template).render({**common, **context})
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def error_page(request: web.Request, status: int) -> web.Response:
    """An error in words; never the raw one."""
    title, text, todo = _ERRORS.get(status, _ERRORS[503 if status >= 500 else 400])
    return page(request, "error.html", {"status": status, "title": title, "text": text, "todo": todo}, status=status)


async def static(request: web.Request) -> web.StreamResponse:
    """A file of web/static. With the version that `asset` gives, it may be kept for ever."""
    path = request.match_info["path"]
    found = _static(path)
    if found is None:
        raise web.HTTPNotFound
    body, tag, kind = found
    keep = "max-age=31536000, immutable" if request.query.get("v") == tag else "no-cache"
    headers = {"Cache-Control": keep, "ETag": f'"{tag}"'}
    if request.headers.get("If-None-Match") == f'"{tag}"':
        return web.Response(status=304, headers=headers)
    response = web.Response(body=body, content_type=kind, headers=headers)
    response.enable_compression()
    return response


def see_other(location: str) -> web.Response:
    """303 to a path of ours."""
    return web.Response(status=303, headers={"Location": location})


async def _favicon(_: web.Request) -> web.StreamResponse:
    return see_other(asset("favicon.svg"))


def asset(path: str) -> str:
    """The address of a static file, with its version."""
    found = _static(path)
    return f"/static/{path}?v={found[1]}" if found else f"/static/{path}"


@lru_cache(maxsize=256)
def _static(path: str) -> tuple[bytes, str, str] | None:
    root = (files.folder("web") / "static").resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return None
    body = file.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:12], _KINDS.get(file.suffix, "text/plain")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one Jinja2 environment."""
    made = Environment(
        loader=FileSystemLoader(files.folder("web") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    made.install_gettext_translations(NullTranslations(), newstyle=True)  # type: ignore[attr-defined]
    made.globals["asset"] = asset
    made.filters |= {
        "phone": phone.international,
        "ago": ago,
        "clock": lambda ms: f"{local(ms):%H:%M:%S}",
        "datetime": lambda ms: f"{local(ms):%-d %B %Y, %H:%M:%S}",
        "isotime": lambda ms: local(ms).isoformat(timespec="milliseconds"),
        "duration": duration,
    }
    return made


def local(ms: int) -> datetime:
    """Epoch milliseconds in the server's time zone."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone()


def ago(ms: int) -> str:
    """Relative within a day, absolute after."""
    gone = (ids.now_ms() - ms) // 1000
    if gone < 60:
        return "just now"
    if gone < 3600:
        return f"{gone // 60} min ago"
    return f"{gone // 3600} h ago" if gone < 86400 else f"{local(ms):%-d %b, %H:%M}"


def duration(seconds: float) -> str:
    """3:07, or 1:02:07."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
