"""How long a caller rang, waited, listened to menus, was on hold and talked. Never negative, whatever the clocks did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ctserver.domain.call import Call, Leg, Step

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds. `ring` and `ivr` are parts of `wait`; `talk` is without `hold`."""

    wait: int = 0  # from the arrival to the first answer, or to the end
    ring: int = 0  # of it, while at least one phone was ringing
    ivr: int = 0  # of it, in greetings, announcements and menus
    talk: int = 0  # connected with somebody of the company
    hold: int = 0  # connected, and listening to music


LISTENING = ("greeting", "menu", "hours", "blocked")  # stages in which a machine speaks


def times(call: Call, now: int) -> Times:
    """Up to the end of the call; of an open one up to `now`."""
    end = max(call.arrived_at, call.ended_at if call.ended_at is not None else now)
    answered = min(end, max(call.arrived_at, call.answered_at)) if call.answered_at is not None else end
    phones = [leg for leg in call.legs if not leg.local] or call.legs
    waiting, talking = (call.arrived_at, answered), (answered, end)
    connected = [(leg.answered_at, _until(leg, end)) for leg in phones if leg.answered_at is not None]
    rang = [(leg.ringing_at, _rang_until(leg, end)) for leg in phones if leg.ringing_at is not None]
    if not connected and call.answered_at is not None:  # nobody saw the legs
        connected = [talking]
    if not rang and call.ringing_at is not None:
        rang = [(call.ringing_at, answered)]
    on_hold = sum(_union([span for leg in phones for span in held(leg, call.steps, end)], talking))
    return Times(
        wait=answered - call.arrived_at,
        ring=sum(_union(rang, waiting)),
        ivr=sum(_union(listened(call, answered), waiting)),
        talk=sum(_union(connected, talking)) - on_hold,
        hold=on_hold,
    )


def _until(leg: Leg, end: int) -> int:
    return leg.ended_at if leg.ended_at is not None else end


def _rang_until(leg: Leg, end: int) -> int:
    return leg.answered_at if leg.answered_at is not None else _until(leg, end)


def held(leg: Leg, steps: Sequence[Step], end: int) -> list[Span]:
    """From each hold to the same party's next unhold, else to the party's end."""
    if leg.answered_at is None:
        return []
    until = _until(leg, end)
    moments = sorted((step.at, step.kind) for step in steps if step.leg == leg.uniqueid)
    back = [at for at, kind in moments if kind == "unhold"]
    return [(at, min(until, next((b for b in back if b >= at), until))) for at, kind in moments if kind == "hold"]


def listened(call: Call, answered: int) -> list[Span]:
    """From each stage in which a machine speaks to whatever comes next."""
    stages = sorted((step.at, step.kind) for step in call.steps if step.leg == "")
    moments = sorted([at for at, _ in stages] + [leg.started_at for leg in call.legs] + [answered])
    return [(at, next((m for m in moments if m > at), answered)) for at, kind in stages if kind in LISTENING]


def _union(spans: Iterable[Span], within: Span) -> list[int]:
    """The lengths of what these spans cover together, inside `within`."""
    lengths, covered = [], within[0]
    for start, end in sorted(spans):
        start, end = max(start, covered), min(end, within[1])
        if end > start:
            lengths.append(end - start)
            covered = end
    return lengths
