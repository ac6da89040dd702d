"""An office whose alerts go to channels that keep what they are given."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ctserver import config, ids
from ctserver.config import Settings
from ctserver.domain.call import Arrived, CallerHungUp
from ctserver.outbound import Message
from ctserver.outbound.attachment import Attachment
from ctserver.services.alerts import Alerts
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.services.delivery import Delivery
from ctserver.services.facts import Facts
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE
from tests.services.test_calls import answered

CHANNEL = """
[notify.mail]
type = "email"
host = "127.0.0.1"
sender = "ct@example.com"
[notify.sms]
type = "http"
url = "http://127.0.0.1/"
"""


class Box:
    """A channel that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.attaches = 1_000_000

    async def send(self, message: Message) -> str:
        self.sent.append(message)
        return "250 ok"

    async def close(self) -> None: ...


class Office:
    """Settings with these alerts, a journal, and two channels that keep what they are given."""

    def __init__(self, db: Sqlite, settings: Settings) -> None:
        self.db = db
        self.mail, self.sms = Box(), Box()
        self.folder = Path()
        alerts = Alerts(db, settings, {"mail": self.mail, "sms": self.sms}, self.sound)
        self.facts = Facts(settings, [alerts])
        self.delivery = Delivery(db, alerts.vias({}), self.facts)
        self.journal = Journal(db, settings, Attributor(settings, {}), "pbx", self.facts)
        self._calls = 0

    async def call(self, caller: str = "+447700900123", *, answer: bool = False, ago_ms: int = 0) -> str:
        """A call that ended so long ago; its id."""
        self._calls += 1
        linkedid, at = f"17000000{self._calls:02}.1", ids.now_ms() - ago_ms - 5_000 + self._calls
        events: list[Any] = [Arrived(linkedid, at, linkedid, "PJSIP/trunk-1", "02079460190", caller, "Alex")]
        await self.journal.apply([*events, *(answered(linkedid) if answer else [])])
        await self.journal.apply([CallerHungUp(linkedid, at + 4_000, 16)])
        row = await self.db.one("SELECT id FROM calls WHERE linkedid = $1", (linkedid,))
        assert row is not None
        return str(row["id"])

    async def sound(self, file: str, _: str) -> Attachment | None:
        return Attachment(self.folder / file)

    async def answers(self) -> list[str]:
        return [row["answer"] for row in await self.db.fetch("SELECT answer FROM outbox WHERE state = 'dropped'")]


@asynccontextmanager
async def office(db: Sqlite, toml: Any, alerts: str) -> Any:
    toml.write_text(toml.read_text() + CHANNEL + alerts)
    made = Office(db, config.load(toml))
    await made.delivery.start()
    try:
        yield made
    finally:
        await made.delivery.stop()


async def until_said(here: Office, words: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await here.db.one("SELECT 1 FROM outbox WHERE answer LIKE '%' || $1 || '%'", (words,)):
            await asyncio.sleep(0.02)
