"""Web push: to the browsers in which a person has switched it on (RFC 8030, 8291, 8292).

Addressee: a login, or "" for everybody. Of a call only those are told who may see it, and with its caller's number only
those who may know that. A browser that says it is gone is forgotten.
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
from ctserver.domain.person import Person
from ctserver.notify.parts import BadChannel
from ctserver.outbound import GiveUp, Message, Nobody
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
        asked = message.to or self._table.to
        readers = await storage.readers(self._db, asked)
        told = [(browser, person) for browser, person in readers if _may_know(person, message, named=bool(asked))]
        if not told:
            raise Nobody("nobody who may know it has switched on notifications in a browser")
        pushes = (self._push(browser, person, message) for browser, person in told)
        results = await asyncio.gather(*pushes, return_exceptions=True)
        taken = sum(not isinstance(result, BaseException) for result in results)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures and not taken:
            raise failures[0]
        return f"taken for {taken} of {len(told)} browsers"

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _push(self, browser: storage.Subscription, person: Person, message: Message) -> None:
        said = await message.for_login(person.login, not person.scope.callers) if message.for_login else message
        body = await asyncio.to_thread(_encrypt, browser, words(said))
        headers = self._headers(browser.endpoint, message)
        answer = await self._client.request(
            "POST", browser.endpoint, data=body, headers=headers, secrets=[browser.endpoint]
        )
        if answer.status in (404, 410):
            await self._db.write(lambda tx: storage.forget(tx, browser.endpoint))
            raise Nobody("the browser has switched notifications off")
        if answer.status == 403:  # a subscription for an earlier key of ours
            raise GiveUp(f"the push service refuses our key: {answer.words}")
        answer.accept()

    def _headers(self, endpoint: str, message: Message) -> dict[str, str]:
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": ids.now_ms() // 1000 + HOURS_12,
            "sub": self._table.contact,
        }
        signed: dict[str, str] = self._vapid.sign(claims)
        more = {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"}
        if message.about:  # what the browser has not fetched yet of this call is replaced (RFC 8030, 5.4)
            more["Topic"] = message.about.call
        lasts = message.useful_seconds or self._table.hours * 3600
        return {**signed, **more, "TTL": str(lasts), "Urgency": "high"}


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


def _may_know(person: Person, message: Message, *, named: bool) -> bool:
    """Of calls whoever sees them; of the rest those who see everything, and whom the rule or the settings name."""
    scope = person.scope
    if message.about:
        return scope.sees(message.about.site, message.about.line)
    return named or (scope.sites is None and scope.lines is None)


def words(message: Message) -> dict[str, str]:
    """What push-worker.js shows: title and text, what a click opens, and what it replaces (`tag`)."""
    link = next((button.url for button in message.buttons if button.url), "")
    lines = [line for line in message.text.splitlines() if line.strip() not in (link, message.subject)]  # told once
    text = "\n".join(lines).strip()
    text = text if len(text) <= TEXT else text[: TEXT - 1] + "…"
    tag = message.about.call if message.about else message.id
    return {"title": message.subject[:200], "text": text, "link": link, "tag": tag}


def _encrypt(browser: storage.Subscription, said: dict[str, str]) -> bytes:
    info = {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": browser.auth}}
    try:
        return bytes(WebPusher(info).encode(json.dumps(said, ensure_ascii=False).encode())["body"])
    except (WebPushException, ValueError, KeyError) as error:
        raise GiveUp(f"the browser's keys are no good: {type(error).__name__}") from None
