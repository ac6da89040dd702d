"""SMS by Twilio: errors are honest HTTP statuses, with a code and words in JSON."""

from __future__ import annotations

from ctserver.config import notify as tables
from ctserver.notify.parts import digits, recipient, short_text
from ctserver.outbound import Message
from ctserver.outbound.client import Client

LONGEST = 1600  # characters; Twilio refuses more


class Twilio:
    """Sends from the account of the settings, logged in with its token or with an API key (`user`)."""

    attaches = 0

    def __init__(self, table: tables.Twilio, secret: str, client: Client) -> None:
        self._table, self._secret, self._client = table, secret, client

    async def send(self, message: Message) -> str:
        sender = self._table.sender
        form = {"To": f"+{digits(recipient(message, self._table.to))}", "Body": short_text(message)[:LONGEST]}
        form["MessagingServiceSid" if sender.startswith("MG") else "From"] = sender
        url = f"{self._table.base_url}/2010-04-01/Accounts/{self._table.account}/Messages.json"
        user = (self._table.user or self._table.account, self._secret)
        answer = await self._client.request("POST", url, data=form, user=user)
        if not answer.ok and answer.status < 500:
            said = answer.record()
            raise answer.refusal(f"error {answer.mask(said.get('code'))}: {answer.mask(said.get('message', ''))}")
        said = answer.accept().record()
        return f"id {answer.mask(said.get('sid', '?'))}, {answer.mask(said.get('status', '?'))}"

    async def close(self) -> None:
        """Nothing is kept open."""
