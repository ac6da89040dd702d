"""SMS by SMS.ru. The answer has a status for itself and one for each number; OK of the first says nothing of the second."""

from __future__ import annotations

from typing import Any

from ctserver.config import notify as tables
from ctserver.notify.parts import NO_MONEY_SECONDS, digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Answer, Client

_TAKEN = 100
_AWAY, _MONEY = 220, 201
_KEYS = (200, 300, 301, 302)


class Smsru:
    """Sends with the api_id of the settings."""

    attaches = 0

    def __init__(self, table: tables.Smsru, secret: str, client: Client) -> None:
        self._table, self._secret, self._client = table, secret, client

    async def send(self, message: Message) -> str:
        number = digits(recipient(message, self._table.to))
        form = {"api_id": self._secret, "to": number, "msg": short_text(message), "json": "1"}
        if self._table.sender:
            form["from"] = self._table.sender
        url = f"{self._table.base_url}/sms/send"
        answer = (await self._client.request("POST", url, data=form, secrets=[self._secret])).accept()
        said = answer.record()
        _judge(said, answer)
        each = said.get("sms")
        told = each.get(number) if isinstance(each, dict) else None
        if not isinstance(told, dict):
            raise Retry(f"says nothing of this number: {answer.words}")
        _judge(told, answer)
        return f"id {answer.mask(told.get('sms_id', '?'))}"

    async def close(self) -> None:
        """Nothing is kept open."""


def _judge(said: dict[str, Any], answer: Answer) -> None:
    """Raises Retry or GiveUp unless it was taken."""
    code = said.get("status_code")
    if code == _TAKEN:
        return
    why = f"error {answer.mask(code)}: {answer.mask(said.get('status_text', 'no words'))}"
    if code in (_AWAY, _MONEY):
        raise Retry(why, NO_MONEY_SECONDS if code == _MONEY else None)
    raise GiveUp(why, unauthorised=code in _KEYS)
