"""SMS by SMSC.ru (and smsc.kz and others of its kind), HTTP interface with answers in JSON. Errors come with status 200."""

from __future__ import annotations

from ctserver.config import notify as tables
from ctserver.notify.parts import NO_MONEY_SECONDS, digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, Retry
from ctserver.outbound.client import Client

_PASSWORD, _MONEY, _ADDRESS, _REPEATED = 2, 3, 4, 9
_WAITS = {_MONEY: NO_MONEY_SECONDS, _ADDRESS: 600.0, _REPEATED: 60.0}


class Smsc:
    """Sends from the account of the settings."""

    attaches = 0

    def __init__(self, table: tables.Smsc, secret: str, client: Client) -> None:
        self._table, self._secret, self._client = table, secret, client

    async def send(self, message: Message) -> str:
        number = digits(recipient(message, self._table.to))
        form = {"phones": number, "mes": short_text(message), "fmt": "3", "charset": "utf-8"}
        form |= {"login": self._table.user, "psw": self._secret} if self._table.user else {"apikey": self._secret}
        if self._table.sender:
            form["sender"] = self._table.sender
        url = f"{self._table.base_url}/sys/send.php"
        answer = (await self._client.request("POST", url, data=form, secrets=[self._secret])).accept()
        said = answer.record()
        if "id" in said and "error_code" not in said:
            return f"id {answer.mask(said['id'])}, {answer.mask(said.get('cnt', '?'))} parts"
        code = said.get("error_code")
        why = f"error {answer.mask(code)}: {answer.mask(said.get('error', 'no words'))}"
        if code in _WAITS:
            raise Retry(why, _WAITS[code])
        raise GiveUp(why, unauthorised=code == _PASSWORD)

    async def close(self) -> None:
        """Nothing is kept open."""
