"""Telegram by its Bot API: a message, a recording with the words as its caption, buttons.

Addressee: the id of a chat, or `@channel`; `-100123/45` is the topic 45 of the group -100123.
"""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from ctserver.config import notify as tables
from ctserver.notify import parts
from ctserver.outbound import Button, GiveUp, Message, OutboundError, Retry
from ctserver.outbound.attachment import Attachment
from ctserver.outbound.client import Answer, Client

TEXT = 4096  # characters of a message, after entities; the Bot API's own limit, as those below
CAPTION = 1024
FILE_BYTES = 50_000_000
UPLOAD_SECONDS = 60.0
_METHODS = {".mp3": "Audio", ".m4a": "Audio", ".ogg": "Voice", ".opus": "Voice", ".oga": "Voice"}


class _MovedTo(Exception):
    """The group has become a supergroup with another id."""


class Telegram:
    """Sends as the bot of the token."""

    attaches = FILE_BYTES

    def __init__(self, table: tables.Telegram, token: str, client: Client) -> None:
        self._table = table
        self._token = token
        self._client = client
        self._moved: dict[str, str] = {}

    async def send(self, message: Message) -> str:
        chat = parts.recipient(message, self._table.to)
        chat = self._moved.get(chat, chat)
        try:
            return await self._tell(chat, message)
        except _MovedTo as moved:
            group, slash, topic = chat.partition("/")
            self._moved[chat] = f"{moved}{slash}{topic}"
            words = await self._tell(self._moved[chat], message)
            return f"{words}; the chat {group} is now {moved}: change it in ctserver.toml"

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def hears(self) -> bool:
        """Has it buttons to be pressed?"""
        return self._table.buttons

    def names_of(self, chat: str) -> frozenset[str]:
        """What this chat is called in the settings: its id, and the one it had before it moved."""
        return frozenset(
            {chat, *(old.partition("/")[0] for old, new in self._moved.items() if new.partition("/")[0] == chat)}
        )

    async def ask(self, method: str, fields: dict[str, Any], seconds: float | None = None) -> Any:
        """The result of any method. Raises Retry, GiveUp."""
        url = f"{self._table.base_url}/bot{self._token}/{method}"
        answer = await self._client.request("POST", url, json=fields, secrets=[self._token], seconds=seconds)
        _judge(answer)
        return answer.record().get("result")

    async def _tell(self, chat: str, message: Message) -> str:
        words, file = _words(message, TEXT), await asyncio.to_thread(_load, message.attachment)
        if file is None:
            return await self._send(
                "sendMessage", {"text": words, "link_preview_options": {"is_disabled": True}}, chat, message
            )
        if len(words) <= CAPTION:
            return await self._send_file(file, {"caption": words}, chat, message)
        told = await self._send("sendMessage", {"text": words}, chat, message)
        try:
            return f"{told}; {await self._send_file(file, {}, chat, replace(message, buttons=()))}"
        except OutboundError as error:  # the words have arrived: not a second time because of the file
            return f"{told}; the recording was not taken: {error}"

    async def _send_file(self, file: tuple[str, bytes], fields: dict[str, Any], chat: str, message: Message) -> str:
        kind = _METHODS.get(Path(file[0]).suffix, "Document")
        return await self._send(f"send{kind}", fields, chat, message, (kind.lower(), *file))

    async def _send(
        self,
        method: str,
        fields: dict[str, Any],
        chat: str,
        message: Message,
        file: tuple[str, str, bytes] | None = None,
    ) -> str:
        group, _, topic = chat.partition("/")
        fields = {"chat_id": group, "parse_mode": "HTML", "disable_notification": self._table.quiet} | fields
        if topic:
            fields["message_thread_id"] = topic
        buttons = [button for button in message.buttons if button.url or self._table.buttons]
        answer = await self._post(method, fields | _markup(buttons, message.id), file)
        if answer.status == 400 and buttons and "url" in answer.words.lower():
            buttons = [button for button in buttons if not button.url]  # none that leads into a private network
            answer = await self._post(method, fields | _markup(buttons, message.id), file)
        return _judge(answer)

    async def _post(self, method: str, fields: dict[str, Any], file: tuple[str, str, bytes] | None) -> Answer:
        url = f"{self._table.base_url}/bot{self._token}/{method}"
        if file is None:
            return await self._client.request("POST", url, json=fields, secrets=[self._token])
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value if isinstance(value, str) else json.dumps(value))
        form.add_field(file[0], file[2], filename=file[1])
        return await self._client.request("POST", url, data=form, secrets=[self._token], seconds=UPLOAD_SECONDS)


def keyboard(buttons: Sequence[Button], id: str) -> dict[str, Any]:
    """Links in one row, actions in the next: "done ID" comes back when one is pressed."""
    links = [{"text": button.text, "url": button.url} for button in buttons if button.url]
    actions = [{"text": button.text, "callback_data": f"{button.action} {id}"} for button in buttons if button.action]
    return {"inline_keyboard": [row for row in (links, actions) if row]}


def _markup(buttons: Sequence[Button], id: str) -> dict[str, Any]:
    return {"reply_markup": keyboard(buttons, id)} if buttons else {}


def _words(message: Message, most: int) -> str:
    """The words as Telegram's HTML, cut to what it takes."""
    head, text = message.subject, message.text.strip()
    if text.startswith(head):
        text = text.removeprefix(head).strip()
    room = most - len(head) - 2
    text = text if len(text) <= room else text[: room - 1] + "…"
    bold = f"<b>{html.escape(head, quote=False)}</b>" if head else ""
    return f"{bold}\n{html.escape(text, quote=False)}".strip()


def _load(file: Attachment | None) -> tuple[str, bytes] | None:
    """Its name and what is in it; None when it has gone or is too large: the words link to it."""
    try:
        return (file.name, b"".join(file.read())) if file and file.size <= FILE_BYTES else None
    except OSError:
        return None


def _judge(answer: Answer) -> str:
    """The id of the message. Raises Retry, GiveUp or _MovedTo."""
    if answer.status >= 500:
        raise answer.refusal()
    said = answer.record()
    if said.get("ok"):
        result = said.get("result")
        return f"message {result.get('message_id')}" if isinstance(result, dict) else "taken"
    more = said.get("parameters")
    more = more if isinstance(more, dict) else {}
    if moved := more.get("migrate_to_chat_id"):
        raise _MovedTo(str(moved))
    words = answer.mask(said.get("description", "refused without a word"))
    if answer.status == 429:
        wait = more.get("retry_after")
        raise Retry(words, float(wait) if isinstance(wait, int | float) else answer.wait())
    if answer.status == 403:  # this person has blocked the bot; others have not
        raise GiveUp(words)
    if answer.status == 404:  # there is no bot with this token
        raise GiveUp(f"{words}: is the token right?", unauthorised=True)
    raise answer.refusal(words)
