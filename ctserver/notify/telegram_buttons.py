"""Hears which buttons are pressed under a bot's messages: getUpdates, by long polling, so that no address of ours need be open.

An update is done with before it is acted on: who presses as ctserver dies presses again, and nobody is rung twice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ctserver.notify.telegram import Telegram, keyboard
from ctserver.outbound import GiveUp, OutboundError, Retry
from ctserver.outbound.press import Hear, Press, Pressed

log = logging.getLogger(__name__)

POLL_SECONDS = 25  # how long Telegram may keep us waiting for news
SLACK_SECONDS = 10.0
SOON, LATER = 5.0, 300.0  # until it is asked again after an error of now, and one that a person must mend
MOST = 50  # updates at a time
WORDS = 200  # characters of the answer to a press; the Bot API's own limit


class Buttons:
    """The buttons of one channel."""

    def __init__(self, name: str, bot: Telegram, hear: Hear, soon: float = SOON) -> None:
        self._name, self._bot, self._hear, self._soon = name, bot, hear, soon
        self._offset = 0
        self._problem = ""

    async def run(self) -> None:
        """For ever."""
        heard: list[dict[str, Any]] = []
        while True:
            try:
                news = await self._updates(0 if heard else POLL_SECONDS)  # asking for the next is done with the last
            except OutboundError as error:
                await asyncio.sleep(self._wait(error))
                continue
            self._problem = ""
            for update in heard:
                await self._take(update)
            heard = news

    async def _updates(self, seconds: int) -> list[dict[str, Any]]:
        asked = {"offset": self._offset, "timeout": seconds, "limit": MOST, "allowed_updates": ["callback_query"]}
        said = await self._bot.ask("getUpdates", asked, seconds + SLACK_SECONDS)
        found = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
        numbers = [one["update_id"] for one in found if isinstance(one.get("update_id"), int)]
        self._offset = max([self._offset, *(number + 1 for number in numbers)])
        return found

    def _wait(self, error: OutboundError) -> float:
        """Seconds until it is asked again; a problem is told once."""
        if str(error) != self._problem:
            self._problem = str(error)
            log.warning("notify.%s does not hear its buttons: %s", self._name, error)
        if isinstance(error, Retry):
            return max(error.after or 0.0, self._soon)
        return LATER if isinstance(error, GiveUp) and error.unauthorised else 4 * self._soon

    async def _take(self, update: dict[str, Any]) -> None:
        query = update.get("callback_query")
        if not isinstance(query, dict):
            return
        try:
            await self._answer(query)
        except OutboundError as error:
            log.warning("notify.%s: a button was pressed, and it cannot be answered: %s", self._name, error)
        except Exception:
            log.exception("notify.%s: a button was pressed", self._name)

    async def _answer(self, query: dict[str, Any]) -> None:
        message = _record(query, "message")
        chat = _record(message, "chat")
        action, _, id = str(query.get("data", "")).partition(" ")
        names = self._bot.names_of(str(chat.get("id", "")))
        if chat.get("username"):
            names |= {f"@{chat['username']}"}
        pressed = await self._hear(Press(self._name, names, _name(_record(query, "from")), action, id))
        try:
            await self._bot.ask(
                "answerCallbackQuery", {"callback_query_id": query.get("id"), "text": pressed.words[:WORDS]}
            )
        finally:
            await self._show(chat, message, id, pressed)

    async def _show(self, chat: dict[str, Any], message: dict[str, Any], id: str, pressed: Pressed) -> None:
        if pressed.buttons is not None and message.get("message_id"):
            where = {"chat_id": chat.get("id"), "message_id": message["message_id"]}
            await self._bot.ask("editMessageReplyMarkup", where | {"reply_markup": keyboard(pressed.buttons, id)})


def _record(owner: dict[str, Any], key: str) -> dict[str, Any]:
    found = owner.get(key)
    return found if isinstance(found, dict) else {}


def _name(person: dict[str, Any]) -> str:
    """As he calls himself, and what tells him from others of that name."""
    called = f"{person.get('first_name', '')} {person.get('last_name', '')}".strip()
    handle = f"@{person['username']}" if person.get("username") else f"id {person.get('id', '?')}"
    return f"{called} {handle}".strip()
