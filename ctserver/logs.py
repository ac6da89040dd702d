"""Log lines to standard error: text for people, or one JSON object a line for machines. No secret is ever given here."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import ClassVar


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class _Text(logging.Formatter):
    """One line an entry, whatever a caller has put into it; tracebacks stay readable."""

    _CONTROL: ClassVar[dict[int, str]] = {code: f"\\x{code:02x}" for code in range(32)}

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = record.message.translate(self._CONTROL)
        return super().formatMessage(record)


def _is_ours(record: logging.LogRecord) -> bool:
    """Not what aiohttp says of a question that is no HTTP: whoever sent it is told, and its excerpt may hold anything."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__module__ != "aiohttp.http_exceptions"


def setup(level: str, style: str) -> None:
    """Once, at the start of a command that runs long."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("panoramisk", "aiosqlite", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
