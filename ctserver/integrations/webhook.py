"""Web hooks: facts as signed JSON to an address of the operator's choice, by Standard Webhooks or as CloudEvents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ctserver import __version__, ids
from ctserver.config import WebHook
from ctserver.domain import fact as facts
from ctserver.domain import signature
from ctserver.domain.alert import Conditions, fits
from ctserver.domain.fact import Fact
from ctserver.outbound import GiveUp, Retry
from ctserver.outbound.client import Client
from ctserver.services.delivery import Job, Receipt, Via
from ctserver.storage.outbox import Entry

SAID = 4_000  # characters of the body kept in the log


def via(name: str) -> str:
    """The name of a hook's queue."""
    return f"hook.{name}"


class Hook:
    """One web hook: which facts it wants, and how it is told them."""

    def __init__(self, name: str, settings: WebHook, secrets: tuple[str, ...], source: str, client: Client) -> None:
        self.name = name
        self._settings = settings
        self._keys = [signature.key(secret) for secret in secrets]
        self._source = source
        self._hidden = (*secrets, *_secret_parts(settings.url))
        self._client = client

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        """One row if this hook wants the fact."""
        wanted = self._settings
        if fact.kind not in wanted.events or fact.subject == via(self.name):
            return
        if fact.call and not fits(Conditions((), wanted.lines, wanted.sites), fact):
            return
        yield Entry(ids.new(now), via(self.name), via(self.name), self.host, now, lane=fact.call)

    @property
    def host(self) -> str:
        """What may be shown of the address: its path and query may hold a key."""
        return urlsplit(self._settings.url).hostname or ""

    def via(self) -> Via:
        return Via(
            name=via(self.name),
            title=f"web hook {self.name}",
            deliver=self.deliver,
            test=self.test,
            retry_seconds=tuple(self._settings.retry_seconds),
            at_once=self._settings.at_once,
            per_minute=self._settings.per_minute,
            timeout_seconds=self._settings.timeout_seconds + 5,
            secrets=self._hidden,
        )

    async def deliver(self, job: Job) -> Receipt:
        """Raises Retry, GiveUp."""
        body = self.body(job.id, job.fact)
        return Receipt(await self._post(job.id, body), body.decode()[:SAID])

    async def test(self) -> str:
        """Send a fact of the kind `test`. Raises Retry, GiveUp."""
        now = ids.now_ms()
        fact = Fact(facts.TEST, now, self.name, data={"text": "This is a test of the web hook."})
        id = ids.new(now)
        return await self._post(id, self.body(id, fact))

    def body(self, id: str, fact: Fact) -> bytes:
        """What is sent; the same at every try."""
        chosen = self._settings.fields
        data: dict[str, Any] = {
            key: value for key, value in fact.data.items() if not (chosen and fact.call) or key in chosen
        }
        if fact.detail and not fact.call:
            data |= {"detail": fact.detail}
        if self._settings.format == "cloudevents":
            envelope: dict[str, Any] = {
                "specversion": "1.0",
                "id": id,
                "source": self._source,
                "type": fact.kind,
                "subject": fact.subject,
                "time": facts.iso(fact.at),
                "datacontenttype": "application/json",
                "data": data,
            }
        else:
            envelope = {"type": fact.kind, "timestamp": facts.iso(fact.at), "data": data}
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()

    async def _post(self, id: str, body: bytes) -> str:
        timestamp = ids.now_ms() // 1000
        cloud = self._settings.format == "cloudevents"
        headers = {
            "Content-Type": "application/cloudevents+json" if cloud else "application/json",
            "User-Agent": f"ctserver/{__version__}",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
        }
        if self._keys:
            headers["webhook-signature"] = signature.sign(self._keys, id, timestamp, body)
        answer = await self._client.request(
            "POST",
            self._settings.url,
            headers=headers,
            data=body,
            seconds=self._settings.timeout_seconds,
            secrets=self._hidden,
        )
        return judge(answer.status, answer.words, answer.wait())


def judge(status: int, text: str, retry_after: float | None) -> str:
    """The words of an answer that took it. Raises Retry, GiveUp.

    A refusal of what we sent is told apart from one of us: 401, 403 and 410 would befall the next message too. All others
    are tried again, as Standard Webhooks asks: a receiver that answers 404 may just be in the middle of an upgrade.
    """
    words = f"{status} {' '.join(text.split())[:300]}".strip()
    if 200 <= status < 300:
        return words
    if status in (401, 403, 410):
        raise GiveUp(words, unauthorised=True)
    if 300 <= status < 400:
        raise Retry(f"{words} (redirects are not followed: name the final address)")
    raise Retry(words, after=retry_after)


def _secret_parts(url: str) -> tuple[str, ...]:
    """What of an address must not be shown: its password, path and query."""
    parts = urlsplit(url)
    return tuple(text for text in (parts.password, parts.query, parts.path.strip("/")) if text and len(text) > 7)
