"""Where facts go: builds every web hook and alert of the settings, and the delivery that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ctserver import ids, notify
from ctserver.asterisk import ami, wire
from ctserver.asterisk.bridge import Bridge
from ctserver.config import ConfigError, Problem, Settings, WebHook, secret_lines, variable_of
from ctserver.config.notify import Push
from ctserver.domain import signature
from ctserver.integrations.webhook import Hook
from ctserver.notify.modem import Ask, PbxRefused
from ctserver.notify.web_push import public_key
from ctserver.outbound import Retry
from ctserver.outbound.client import Client
from ctserver.outbound.press import Press, Pressed
from ctserver.services.alerts import Alerts, Sounds, no_sounds
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.services.letters import Letters
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
        ask_pbx: Ask | None = None,
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
        self.channels = notify.make_all(settings, notify.Tools(self._client, db, ask_pbx or directly(settings)))
        push = any(isinstance(table, Push) for table in settings.notify.values())
        self.push_key = public_key(settings) if push else ""
        alerts = Alerts(db, settings, self.channels, sounds)
        letters = Letters(db, settings, self.channels)
        self._presses = Presses(db, settings, alerts, ring, changed)
        self.facts = Facts(settings, [*hooks, alerts, letters])
        secrets = channel_secrets(settings)
        vias = [*(hook.via() for hook in hooks), *alerts.vias(secrets), *letters.vias(secrets)]
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


def through(bridges: Sequence[Bridge]) -> Ask:
    """Asks a PBX by its bridge; `bridges` may be filled later."""

    async def ask(pbx: str, action: Mapping[str, str]) -> str:
        for bridge in bridges:
            if bridge.pbx.id == pbx or not pbx:
                return await _said(bridge.link.send(action))
        raise Retry(f"there is no link to the PBX {pbx}".strip())

    return ask


def directly(settings: Settings) -> Ask:
    """Asks a PBX over a link made for this one action: commands have no bridges."""

    async def ask(pbx: str, action: Mapping[str, str]) -> str:
        asked = next(one for one in settings.asterisk if one.id == pbx or not pbx)
        host, _, port = asked.ami.rpartition(":")
        return await _said(ami.ask_once(host, int(port), asked.ami_user, settings.secret(asked), action))

    return ask


async def _said(answer: Awaitable[wire.Message]) -> str:
    """The PBX's words. Raises Retry while it is away, PbxRefused."""
    try:
        return wire.text(await answer, "Message") or "taken"
    except TimeoutError:
        raise Retry(f"the PBX did not answer within {ami.ACTION_SECONDS:.0f} s") from None
    except ami.LinkDown as error:
        raise Retry(f"no link to the PBX: {error}") from None
    except ami.AmiError as error:
        raise PbxRefused(str(error)) from None


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
