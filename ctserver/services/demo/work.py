"""What the shop's people did with the calls: who was rung back, what was tagged, noted and rated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ctserver.domain import missed
from ctserver.domain.clock import MINUTE_MS
from ctserver.domain.quality import CRITERIA
from ctserver.services.demo import words
from ctserver.services.demo.shop import MARK
from ctserver.storage import marks, outgoing, quality
from ctserver.storage import missed as work
from ctserver.storage.db import Transaction
from ctserver.storage.outgoing import Outgoing

ID, CALLER, ARRIVED, ANSWERED, ENDED = 0, 7, 12, 14, 15  # places in a row of storage.demo.CALL


def follow_up(tx: Transaction, calls: Sequence[tuple[Any, ...]], now: int) -> None:
    """Of a day's calls. The same calls get the same work every time."""
    for row in calls:
        dice = random.Random(row[ID])  # noqa: S311 - nothing secret
        if row[ANSWERED] is None:
            _missed(tx, dice, row, now)
        elif row[ENDED] - row[ANSWERED] > 20_000:
            _marked(tx, dice, row)


def _missed(tx: Transaction, dice: random.Random, row: tuple[Any, ...], now: int) -> None:
    """Most are rung back within the hour, some are given up, some are somebody's job."""
    id, caller, login = row[ID], row[CALLER], dice.choice(words.LOGINS)
    at = row[ARRIVED] + MINUTE_MS + int(dice.expovariate(1 / (14 * MINUTE_MS)))
    fate = dice.random()
    if fate < 0.72 and caller and at < now:
        reached = at + 9_000 if fate < 0.62 else None
        ended = at + 9_000 + int(dice.lognormvariate(4.2, 0.7) * 1000)
        status = "ANSWER" if reached else "NOANSWER"
        outgoing.save(
            tx, Outgoing(f"{id[:-2]}ob", MARK, f"{id}-out", caller, f"PJSIP/{login}", "", at, reached, ended, status)
        )
    elif fate < 0.80 and at < now:
        work.settle(tx, id, missed.GIVEN_UP, login, at)
    elif fate < 0.90:
        work.assign(tx, id, login, login, min(at, now))


def _marked(tx: Transaction, dice: random.Random, row: tuple[Any, ...]) -> None:
    id, at, login = row[ID], row[ENDED] + MINUTE_MS, dice.choice(words.LOGINS)
    if dice.random() < 0.14:
        marks.add_tag(tx, id, dice.choice(words.TAGS), login, at)
    if dice.random() < 0.08:
        marks.put_note(tx, id, dice.choice(words.NOTES), login, at)
    if dice.random() < 0.06:
        low = 1 if dice.random() < 0.2 else 3
        quality.put_scores(tx, id, {name: dice.randint(low, 5) for name in CRITERIA}, login, at)
    if dice.random() < 0.008:
        quality.put_model(tx, id, dice.choice(words.LESSONS), login, at)
