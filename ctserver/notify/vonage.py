"""SMS by Vonage: always status 200; each part of the message has a status of its own."""

from __future__ import annotations

from ctserver.config import notify as tables
from ctserver.domain import sms
from ctserver.notify.parts import NO_MONEY_SECONDS, digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Client

_TAKEN, _THROTTLED, _KEY, _BROKEN, _MONEY = "0", "1", "4", "5", "9"
_WAITS = {_THROTTLED: 5.0, _BROKEN: None, _MONEY: NO_MONEY_SECONDS}


class Vonage:
    """Sends from the account of the settings; `user` is the API key, the secret the API secret."""

    attaches = 0

    def __init__(self, table: tables.Vonage, secret: str, client: Client) -> None:
        self._table, self._secret, self._client = table, secret, client

    async def send(self, message: Message) -> str:
        text = short_text(message)
        form = {
            "api_key": self._table.user,
            "api_secret": self._secret,
            "from": self._table.sender.removeprefix("+"),
            "to": digits(recipient(message, self._table.to)),
            "text": text,
            "type": "text" if sms.alphabet(text) == sms.GSM7 else "unicode",
            "client-ref": message.id[:100],
        }
        url = f"{self._table.base_url}/sms/json"
        answer = (await self._client.request("POST", url, data=form, secrets=[self._secret])).accept()
        parts = answer.record().get("messages")
        if not (isinstance(parts, list) and parts and all(isinstance(part, dict) for part in parts)):
            raise Retry(f"says nothing of the message: {answer.words}")
        for part in parts:
            code = str(part.get("status"))
            why = f"error {answer.mask(code)}: {answer.mask(part.get('error-text', 'no words'))}"
            if code in _WAITS and part is parts[0]:  # later: the first parts are on their way, not twice
                raise Retry(why, _WAITS[code])
            if code != _TAKEN:
                raise GiveUp(why, unauthorised=code == _KEY)
        return f"id {answer.mask(parts[0].get('message-id', '?'))}, {len(parts)} parts"

    async def close(self) -> None:
        """Nothing is kept open."""
