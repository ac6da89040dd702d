"""Matrix: a message to a room. The id of the message makes a second try the same event (client-server API, v3)."""

from __future__ import annotations

import html
from urllib.parse import quote

from ctserver.config import notify as tables
from ctserver.notify.parts import recipient, text_with_links
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Client


class Matrix:
    """Sends as the user of the access token."""

    attaches = 0

    def __init__(self, table: tables.Matrix, token: str, client: Client) -> None:
        self._table, self._token, self._client = table, token, client

    async def send(self, message: Message) -> str:
        room = quote(recipient(message, self._table.to), safe="")
        path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{quote(message.id, safe='')}"
        text = text_with_links(message)
        formatted = html.escape(text).replace("\n", "<br>")
        body = {"msgtype": "m.text", "body": text, "format": "org.matrix.custom.html", "formatted_body": formatted}
        answer = await self._client.request(
            "PUT",
            self._table.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            secrets=[self._token],
        )
        if answer.status >= 500:
            raise answer.refusal()
        said = answer.record()
        if answer.ok:
            return answer.mask(said.get("event_id", "taken"))
        words = f"{answer.mask(said.get('errcode', answer.status))}: {answer.mask(said.get('error', ''))}"
        if answer.status == 429:
            wait = said.get("retry_after_ms")
            raise Retry(words, wait / 1000 if isinstance(wait, int | float) else answer.wait())
        if answer.status == 403:  # not in this room; other rooms may do
            raise GiveUp(words)
        raise answer.refusal(words)

    async def close(self) -> None:
        """Nothing is kept open."""
