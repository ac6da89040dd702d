"""Incoming web hooks of Slack, Mattermost and Discord: one address, one place where messages appear."""

from __future__ import annotations

import json
import re
from typing import Any

from ctserver.config import notify as tables
from ctserver.notify.parts import text_with_links
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Client

LONGEST = {"slack": 30_000, "mattermost": 16_000, "discord": 2000}  # characters that each takes
_QUIET_MENTION = "@\u200b"  # a mention that rings at everybody's desk must not come from a caller's name


class ChatHook:
    """Posts to the address, which is the secret."""

    attaches = 0

    def __init__(self, table: tables.Hook, url: str, client: Client) -> None:
        self._kind, self._url, self._client = table.type, url, client

    async def send(self, message: Message) -> str:
        address = [self._url, self._url.partition("://")[2].partition("/")[2]]
        answer = await self._client.request("POST", self._url, json=self.body(message), secrets=address)
        if answer.status == 429 and self._kind == "discord":
            raise Retry(answer.words, _seconds(answer.body) or answer.wait())
        if answer.status in (401, 403, 404, 410):  # the hook was taken away
            raise GiveUp(f"the hook is gone: answered {answer.status} {answer.words}", unauthorised=True)
        return answer.accept().words or "taken"

    async def close(self) -> None:
        """Nothing is kept open."""

    def body(self, message: Message) -> dict[str, Any]:
        text = text_with_links(message)[: LONGEST[self._kind] * 9 // 10]
        if self._kind == "slack":
            escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return {"text": escaped, "unfurl_links": False}
        text = _plain_markdown(text)[: LONGEST[self._kind]]
        if self._kind == "discord":
            return {"content": text, "allowed_mentions": {"parse": []}}
        return {"text": text}


def _plain_markdown(text: str) -> str:
    """Every mark of Markdown as itself, but not inside addresses."""
    pieces = re.split(r"(https?://\S+)", text)
    for place in range(0, len(pieces), 2):
        pieces[place] = re.sub(r"([\\`*_~#\[\]()<>|])", r"\\\1", pieces[place]).replace("@", _QUIET_MENTION)
    return "".join(pieces)


def _seconds(body: bytes) -> float | None:
    try:
        return max(0.0, float(json.loads(body)["retry_after"]))
    except (ValueError, KeyError, TypeError):
        return None
