"""Web push: to the browsers in which a person has switched it on (RFC 8030, 8291, 8292).

Addressee: a login, or "" for everybody. A browser that says it is gone is forgotten.
"""

from __future__ import annotations

import asyncio
import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPusher, WebPushException

from ctserver import ids
from ctserver.config import Settings
from ctserver.config import notify as tables
from ctserver.notify.parts import BadChannel
from ctserver.outbound import GiveUp, Message
from ctserver.outbound.client import Client
from ctserver.storage import push as storage
from ctserver.storage.db import Database

KEY_FILE = "push-key.pem"  # beside the database
TEXT = 1000  # characters; all of it must stay below the 4 kB that push services take
HOURS_12 = 12 * 3600


class WebPush:
    """Encrypts for each browser and hands it to the browser's push service. Raises BadChannel."""

    attaches = 0

    def __init__(self, table: tables.Push, settings: Settings, client: Client, db: Database) -> None:
        self._table, self._client, self._db = table, client, db
        self._vapid = key(settings)

    async def send(self, message: Message) -> str:
        browsers = await storage.subscriptions(self._db, message.to or self._table.to)
        if not browsers:
            raise GiveUp("nobody has switched on notifications in a browser")
        results = await asyncio.gather(*(self._push(browser, message) for browser in browsers), return_exceptions=True)
        taken = sum(not isinstance(result, BaseException) for result in results)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures and not taken:
            raise failures[0]
        return f"taken for {taken} of {len(browsers)} browsers"

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _push(self, browser: storage.Subscription, message: Message) -> None:
        body = await asyncio.to_thread(_encrypt, browser, message)
        answer = await self._client.request(
            "POST", browser.endpoint, data=body, headers=self._headers(browser.endpoint), secrets=[browser.endpoint]
        )
        if answer.status in (404, 410):
            await self._db.write(lambda tx: storage.forget(tx, browser.endpoint))
            raise GiveUp("the browser has switched notifications off")
        if answer.status == 403:  # a subscription for an earlier key of ours
            raise GiveUp(f"the push service refuses our key: {answer.words}")
        answer.accept()

    def _headers(self, endpoint: str) -> dict[str, str]:
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": ids.now_ms() // 1000 + HOURS_12,
            "sub": self._table.contact,
        }
        signed: dict[str, str] = self._vapid.sign(claims)
        more = {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"}
        return {**signed, **more, "TTL": str(self._table.hours * 3600), "Urgency": "high"}


def key(settings: Settings) -> Vapid02:
    """The key that says the pushes are ours; made at its first use, readable by us alone. Raises BadChannel."""
    file = settings.path(settings.database.path).with_name(KEY_FILE)
    try:
        if not file.exists():
            _make(file)
        return Vapid02.from_file(str(file))
    except (OSError, ValueError) as error:
        hint = f"give ctserver's user the right to write {file.parent}; remove a damaged {file.name}"
        raise BadChannel("type", f"{file} cannot be used: {error}", hint) from error


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    made = Vapid02()
    made.generate_keys()
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(made.private_pem())


def public_key(settings: Settings) -> str:
    """What browsers subscribe with: the uncompressed point, base64url. Raises BadChannel."""
    point = key(settings).public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).decode().rstrip("=")


def _encrypt(browser: storage.Subscription, message: Message) -> bytes:
    text = message.text if len(message.text) <= TEXT else message.text[: TEXT - 1] + "…"
    link = message.buttons[0].url if message.buttons else ""
    words = {"title": message.subject[:200], "text": text, "link": link, "id": message.id}
    info = {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": browser.auth}}
    try:
        return bytes(WebPusher(info).encode(json.dumps(words, ensure_ascii=False).encode())["body"])
    except (WebPushException, ValueError, KeyError) as error:
        raise GiveUp(f"the browser's keys are no good: {type(error).__name__}") from None
