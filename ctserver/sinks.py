"""Where facts go: builds every web hook and alert of the settings, and the delivery that serves them."""

from __future__ import annotations

from collections.abc import Callable

from ctserver import ids
from ctserver.config import ConfigError, Problem, Settings, secret_lines, variable_of
from ctserver.domain import signature
from ctserver.integrations.webhook import Hook
from ctserver.outbound import HttpClient
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.storage.db import Database


class Sinks:
    """The web hooks and channels of the settings, the facts they subscribe to, and their delivery.

    Make it inside a running loop. Raises ConfigError for a secret that is missing or malformed.
    """

    def __init__(self, db: Database, settings: Settings, now: Callable[[], int] = ids.now_ms) -> None:
        self._client = HttpClient()
        hooks = [
            Hook(name, hook, hook_secrets(settings, name), settings.server.public_url, self._client)
            for name, hook in settings.webhooks.items()
        ]
        self.facts = Facts(settings, hooks)
        self.delivery = Delivery(db, [hook.via() for hook in hooks], self.facts, now)

    async def start(self) -> None:
        await self.delivery.start()

    async def stop(self) -> None:
        await self.delivery.stop()
        await self._client.close()


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
