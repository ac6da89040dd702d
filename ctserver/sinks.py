"""Where facts go: builds every web hook and alert of the settings, and the delivery that serves them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ctserver import ids, notify
from ctserver.asterisk import ami, wire
from ctserver.asterisk.bridge import Bridge
from ctserver.config import ConfigError, Problem, Settings, WebHook, secret_lines, variable_of
from ctserver.domain import signature
from ctserver.integrations.webhook import Hook
from ctserver.notify.modem import Ask, PbxRefused
from ctserver.outbound import Retry
from ctserver.outbound.client import Client
from ctserver.services.alerts import Alerts
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.services.letters import Letters
from ctserver.storage.db import Database

EVERYWHERE = ("0.0.0.0/0", "::/0")


class Sinks:
    """The web hooks and channels of the settings, the facts they subscribe to, and their delivery.

    Make it inside a running loop. Raises ConfigError for a secret that is missing or malformed.
    """

    def __init__(
        self, db: Database, settings: Settings, now: Callable[[], int] = ids.now_ms, ask_pbx: Ask | None = None
    ) -> None:
        self._client = Client(settings.outbound.private_networks, seconds=settings.outbound.timeout_seconds)
        self._anywhere = Client(EVERYWHERE)
        hooks = [
            Hook(name, hook, hook_secrets(settings, name), settings.server.public_url, self._client_for(hook))
            for name, hook in settings.webhooks.items()
        ]
        self.channels = notify.make_all(settings, notify.Tools(self._client, db, ask_pbx or directly(settings)))
        alerts = Alerts(db, settings, self.channels)
        letters = Letters(db, settings, self.channels)
        self.facts = Facts(settings, [*hooks, alerts, letters])
        secrets = channel_secrets(settings)
        vias = [*(hook.via() for hook in hooks), *alerts.vias(secrets), *letters.vias(secrets)]
        self.delivery = Delivery(db, vias, self.facts, now)

    def _client_for(self, hook: WebHook) -> Client:
        return self._anywhere if hook.allow_private else self._client

    async def start(self) -> None:
        await self.delivery.start()

    async def stop(self) -> None:
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
