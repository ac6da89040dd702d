"""Where facts go: builds every web hook and alert of the settings, and the delivery that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ctserver import ids, notify
from ctserver.config import ConfigError, Problem, Settings, WebHook, secret_lines, variable_of
from ctserver.domain import signature
from ctserver.integrations.webhook import Hook
from ctserver.outbound.client import Client
from ctserver.outbound.press import Press, Pressed
from ctserver.services.alerts import Alerts, Sounds, no_sounds
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.services.presses import Presses, Ring
from ctserver.storage.db import Database

EVERYWHERE = ("0.0.0.0/0", "::/0")


class Sinks:
    """The web hooks and channels of the settings, the facts they subscribe to, and their delivery.

    Make it inside a running loop. Raises ConfigError for a secret that is missing or malformed.
    """

    def __init__(
        self,
        db: Database,
        settings: Settings,
        now: Callable[[], int] = ids.now_ms,
        *,
        sounds: Sounds = no_sounds,
        ring: Ring | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = Client(settings.outbound.private_networks, seconds=settings.outbound.timeout_seconds)
        self._anywhere = Client(EVERYWHERE)
        hooks = [
            Hook(name, hook, hook_secrets(settings, name), settings.server.public_url, self._client_for(hook))
            for name, hook in settings.webhooks.items()
        ]
        self.channels = notify.make_all(settings, notify.Tools(self._client, db))
        alerts = Alerts(db, settings, self.channels, sounds)
        self._presses = Presses(db, settings, alerts, ring, changed)
        self.facts = Facts(settings, [*hooks, alerts])
        vias = [*(hook.via() for hook in hooks), *alerts.vias(channel_secrets(settings))]
        self.delivery = Delivery(db, vias, self.facts, now)
        self._now = now
        self._listening: list[asyncio.Task[None]] = []

    def _client_for(self, hook: WebHook) -> Client:
        return self._anywhere if hook.allow_private else self._client

    async def start(self) -> None:
        await self.delivery.start()
        listeners = notify.listeners(self.channels, self._hear)
        self._listening = [asyncio.create_task(one.run(), name=f"buttons of {name}") for name, one in listeners.items()]

    async def _hear(self, press: Press) -> Pressed:
        return await self._presses.press(press, self._now())

    async def stop(self) -> None:
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        await self.delivery.stop()
        for channel in self.channels.values():
            await channel.close()
        await self._client.close()
        await self._anywhere.close()


def hook_secrets(settings: Settings, name: str) -> tuple[str, ...]:
    """All secrets that this hook signs with. Raises ConfigError."""
    key = f"webhooks.{name}.secret_file"
    variable = variable_of("CTSERVER_WEBHOOK_SECRET", name)
    found = secret_lines(settings.base, key, settings.webhooks[name].secret_file, variable)
    try:
        for secret in found:
            signature.key(secret)
    except signature.BadSecret as error:
        hint = "make one: echo whsec_$(openssl rand -base64 32)"
        raise ConfigError(settings.base, [Problem(key, str(error), hint)]) from None
    return found


def channel_secrets(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The secret of every channel that has one, to be blotted out of what others say."""
    found: dict[str, tuple[str, ...]] = {}
    for name in settings.notify:
        try:
            found[name] = (settings.notify_secret(name),)
        except ConfigError:
            continue  # it does without one, or making the channel has told
    return found
