"""Whatever Apprise knows, by its URL: an extra (`ctserver[apprise]`). It says yes or no, without an id and without a wait."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ctserver.notify.parts import BadChannel, text_with_links
from ctserver.outbound import Message, Retry
from ctserver.outbound.client import shown

SECONDS = 20.0


class AppriseUrl:
    """Hands messages to Apprise in a thread: it waits by blocking. Raises BadChannel."""

    attaches = 0

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        try:
            import apprise
        except ImportError:
            raise BadChannel("type", "Apprise is not installed", "pip install 'ctserver[apprise]'") from None
        self._library: Any = apprise
        self._seconds = seconds
        self._secrets = (url, url.partition("://")[2])
        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(url):
            raise BadChannel(
                "secret_file", "Apprise does not understand the URL", "see Apprise's own pages for its form"
            )

    async def send(self, message: Message) -> str:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._notify, message), self._seconds)
        except TimeoutError:
            raise Retry(f"no answer within {self._seconds:.0f} s") from None

    async def close(self) -> None:
        """Nothing is kept open."""

    def _notify(self, message: Message) -> str:
        with self._library.LogCapture(level=logging.WARNING) as said:
            taken = self._apprise.notify(body=text_with_links(message), title=message.subject)
            words = shown(said.getvalue(), self._secrets)
        if not taken:
            raise Retry(words or "Apprise could not deliver it and says no more")
        return "taken"
