"""SMS by a GSM modem that the PBX itself owns: one AMI action. The modem's queue takes it from there."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping

from ctserver.config import notify as tables
from ctserver.notify.parts import digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, Retry

Ask = Callable[[str, Mapping[str, str]], Awaitable[str]]  # PBX and action -> its words; raises Retry or PbxRefused
_OURS = ("permission", "invalid/unknown command", "missing")  # another try would be refused the same way
MOST_BYTES = 900  # of one header: Asterisk drops an action with a line above 1,024 (manager.c)


class PbxRefused(Exception):
    """The PBX answered the action with an error; its words."""


class Modem:
    """Asks the PBX of the settings, or the only one."""

    attaches = 0

    def __init__(self, table: tables.Modem, ask: Ask) -> None:
        self._table, self._ask = table, ask

    async def send(self, message: Message) -> str:
        number = f"+{digits(recipient(message, self._table.to))}"
        try:
            return await self._ask(self._table.pbx, self.action(number, short_text(message)))
        except PbxRefused as refused:
            words = str(refused)
            if any(word in words.lower() for word in _OURS):
                raise GiveUp(words, unauthorised="permission" in words.lower()) from None
            raise Retry(words) from None

    async def close(self) -> None:
        """The link is the PBX's, not ours."""

    def action(self, number: str, text: str) -> dict[str, str]:
        """The AMI action; no line break of the text gets into it as one."""
        device, driver = self._table.device, self._table.driver
        plain = "".join(letter if letter >= " " or letter == "\n" else " " for letter in text.replace("\r", ""))
        if driver == "message":
            body = _fitting(plain, lambda words: base64.b64encode(words.encode()).decode())
            return {"Action": "MessageSend", "Destination": f"mobile:{device}", "To": number, "Base64Body": body}
        name = "DongleSendSMS" if driver == "dongle" else "QuectelSendSMS"
        escaped = _fitting(plain, lambda words: words.replace("\\", "\\\\").replace("\n", "\\n"))
        return {"Action": name, "Device": device, "Number": number, "Message": escaped}


def _fitting(text: str, written: Callable[[str], str]) -> str:
    """The text as it is `written`, or as much of its beginning as a header holds."""
    while len((found := written(text)).encode()) > MOST_BYTES:
        text = text[: len(text) * 9 // 10] + "…"
    return found
