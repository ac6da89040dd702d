"""Writes facts into the transaction of the change that caused them, with a row for each sink that wants them.

The rows are seen by the delivery as soon as the transaction is on disk and somebody calls `wake`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ctserver import ids
from ctserver.config import Settings
from ctserver.domain import call as machine
from ctserver.domain import fact as facts
from ctserver.domain.call import Call
from ctserver.domain.fact import Circumstances, Fact
from ctserver.storage import calls, outbox
from ctserver.storage.db import Transaction
from ctserver.storage.outbox import Entry

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """Somebody who wants to be told of some facts."""

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        """Rows for the outbox; none if this fact is of no interest."""


class Facts:
    """Records facts; `subscribers` and `on_wake` are given by the composition root."""

    def __init__(self, settings: Settings, subscribers: Sequence[Subscriber] = ()) -> None:
        self._settings = settings
        self._url = settings.server.public_url
        self.subscribers = list(subscribers)
        self.on_wake: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Facts were committed: deliver them now."""
        self.on_wake()

    def record(self, tx: Transaction, fact: Fact, now: int) -> bool:
        """Write the fact and what it asks to be delivered; False if it was told before."""
        id = ids.new(fact.at)
        if not outbox.add_fact(tx, id, fact):
            return False
        for entry in self._entries(fact, now):
            outbox.enqueue(tx, id, fact.place, entry, now)
        return True

    def _entries(self, fact: Fact, now: int) -> list[Entry]:
        """A mistake in here must not cost the change that the fact is about."""
        found: list[Entry] = []
        for subscriber in self.subscribers:
            try:
                found.extend(subscriber.entries(fact, now))
            except Exception:
                log.exception("nobody was told of %s %s", fact.kind, fact.subject)
        return found

    def of_call(self, tx: Transaction, call: Call, now: int) -> None:
        """Whatever holds of the call by now and was not told before."""
        told = frozenset(outbox.told(tx, call.id))
        if not told.issuperset(facts.keys_of_call(call)):
            for fact in facts.of_call(call, self._circumstances(tx, call), self._url):
                if fact.once not in told:
                    self.record(tx, fact, now)

    def recording_ready(self, tx: Transaction, call_id: str, millis: int, now: int) -> None:
        """The call can be listened to."""
        if call := calls.one(tx, call_id):
            told = self._circumstances(tx, call)
            self.record(tx, facts.of_recording(call, told, self._url, now, millis / 1000), now)

    def attributed_anew(self, tx: Transaction, call: Call, now: int) -> None:
        """The call is now thought to be somebody else's, or nobody's: told at each change."""
        (first, again) = facts.of_new_attribution(call, self._circumstances(tx, call), self._url, now)
        if not self.record(tx, first, now):
            self.record(tx, again, now)

    def tagged(self, tx: Transaction, call_id: str, tags: Sequence[str], now: int) -> None:
        """Somebody has changed the tags of the call."""
        if call := calls.one(tx, call_id):
            self.record(tx, facts.of_tags(call, self._circumstances(tx, call), self._url, now, tuple(tags)), now)

    def _circumstances(self, tx: Transaction, call: Call) -> Circumstances:
        return Circumstances(
            first_call=calls.is_first(tx, call),
            out_of_hours=call.closed,
            voicemail=call.voicemail and call.state == machine.ENDED,
        )
