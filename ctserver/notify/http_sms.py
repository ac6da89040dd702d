"""SMS by any gateway with an HTTP interface, described in the settings: what to ask, and how success looks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ctserver.config import notify as tables
from ctserver.notify.parts import BadTemplate, Pattern, digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Answer, Client


class HttpSms:
    """Fills the templates of the settings and asks the gateway."""

    attaches = 0

    def __init__(self, table: tables.HttpSms, secret: str, client: Client) -> None:
        self._table, self._secret, self._client = table, secret, client
        self._url = Pattern("url", table.url, lambda value: quote(str(value), safe=""))
        self._headers = {name: Pattern(f"headers.{name}", text) for name, text in table.headers.items()}
        self._fields = {name: Pattern(f"fields.{name}", text) for name, text in table.fields.items()}
        self._raw = Pattern("raw", table.raw)
        self._success = _expression("success_is", table.success_is)
        self._retry = _expression("retry_is", table.retry_is)

    async def send(self, message: Message) -> str:
        words = self._words(message)
        answer = await self._client.request(
            self._table.method,
            self._url.fill(words),
            headers={name: _header(pattern.fill(words)) for name, pattern in self._headers.items()},
            secrets=[self._secret],
            **self._body(words),
        )
        return self._judge(answer)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _words(self, message: Message) -> dict[str, str]:
        to = recipient(message, self._table.to)
        number = digits(to)
        return {
            "to": to,
            "to_plus": f"+{number}",
            "to_digits": number,
            "text": short_text(message),
            "sender": self._table.sender,
            "id": message.id,
            "secret": self._secret,
        }

    def _body(self, words: dict[str, str]) -> dict[str, Any]:
        if self._table.body == "raw":
            return {"data": self._raw.fill(words).encode()}
        fields = {name: pattern.fill(words) for name, pattern in self._fields.items()}
        return {{"query": "params", "form": "data", "json": "json"}[self._table.body]: fields}

    def _judge(self, answer: Answer) -> str:
        if answer.status not in self._table.statuses:
            raise answer.refusal(self._error(answer))
        if self._success is not None and not self._success.search(_at(answer, self._table.success)):
            if self._table.success:
                answer.json()  # what is no JSON was said by something in between: Retry
            why = self._error(answer) or answer.words or "it answered nothing"
            if self._retry is not None and self._retry.search(answer.body.decode("utf-8", "replace")):
                raise Retry(why, answer.wait())
            raise GiveUp(why)
        found = _at(answer, self._table.answer_id) if self._table.answer_id else ""
        return answer.mask(found) or answer.words

    def _error(self, answer: Answer) -> str:
        return answer.mask(_at(answer, self._table.answer_error)) if self._table.answer_error else ""


def _at(answer: Answer, path: str) -> str:
    """What stands at `messages.0.status` in a JSON answer, as text; the whole answer for no path; "" for nothing."""
    if not path:
        return answer.body.decode("utf-8", "replace")
    try:
        return "".join(_walk(json.loads(answer.body), path.split(".")))
    except (ValueError, RecursionError):
        return ""


def _walk(value: object, steps: list[str]) -> Iterator[str]:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return
    if value is not None:
        yield value if isinstance(value, str) else json.dumps(value)


def _header(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _expression(key: str, text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise BadTemplate(key, f"no regular expression: {error}") from error
