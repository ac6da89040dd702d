"""Replay a world under a policy, and count who was named rightly. Only here do answer and truth meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ctserver.domain.attribution import CallFacts
from ctserver.domain.calibration import Calibration, calibrate
from ctserver.domain.clock import DAY_MS
from ctserver.services.simulation import traffic as world_of
from ctserver.services.simulation.policies import POLICIES, UNNAMED, Ctserver, Named, Policy
from ctserver.services.simulation.traffic import START, Call, Traffic, Visit, World


@dataclass(frozen=True, slots=True)
class Result:
    """`accuracy`: share of all calls credited to the right visitor. `coverage`: share of all calls credited to
    anybody. `calibration_error`: expected calibration error of the stated confidences. `shared`: share of showings
    of a number somebody else held; `overflowed`: share of visitors left with the site's own number."""

    policy: str
    numbers: int
    calls: int
    accuracy: float
    coverage: float
    calibration_error: float
    shared: float = 0.0
    overflowed: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: when, what was said, and whether it was right."""

    at: int
    named: Named
    right: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """A whole run, call by call."""

    policy: str
    numbers: int
    outcomes: tuple[Outcome, ...]
    shown: int
    visits: int
    shared: int = 0

    def accuracy(self, since: int = 0, until: int | None = None) -> float:
        """Share of the calls of that time (epoch ms) that were credited to the right visitor."""
        rights = [o.right for o in self.outcomes if o.at >= since and (until is None or o.at < until)]
        return sum(rights) / len(rights) if rights else 0.0

    def calibration(self) -> Calibration:
        """Predicted against observed. An uncredited call says nothing of a session, so it is not counted."""
        return calibrate((o.named.confidence, o.right) for o in self.outcomes if o.named.session is not None)

    def result(self) -> Result:
        calls = len(self.outcomes)
        covered = sum(o.named.session is not None for o in self.outcomes)
        return Result(
            policy=self.policy,
            numbers=self.numbers,
            calls=calls,
            accuracy=round(self.accuracy(), 6),
            coverage=round(covered / calls, 6) if calls else 0.0,
            calibration_error=round(self.calibration().error, 6),
            shared=round(self.shared / self.shown, 6) if self.shown else 0.0,
            overflowed=round(1 - self.shown / self.visits, 6) if self.visits else 0.0,
        )


def pool_of(size: int) -> tuple[str, ...]:
    """Invented numbers."""
    return tuple(f"+7495{i:07d}" for i in range(1, size + 1))


def replay(world: World, policy_name: str, size: int, policy: Policy | None = None) -> Replay:
    """Run one policy over a world, event by event."""
    numbers = pool_of(size)
    policy = policy if policy is not None else POLICIES[policy_name](numbers, world.heartbeat)
    dialled: dict[str, str] = {}
    visitors: dict[str, str] = {}
    outcomes: list[Outcome] = []
    night = START + DAY_MS
    for at, event in _events(world):
        while at >= night:
            policy.night(night)
            night += DAY_MS
        if isinstance(event, Visit):
            visitors[event.session] = event.visitor
            number = policy.show(event, at)
            if number is not None:
                dialled[event.session] = number
        else:
            outcomes.append(_take(policy, event, numbers, dialled, visitors))
    shared = policy.how["shared"] if isinstance(policy, Ctserver) else 0
    return Replay(policy_name, size, tuple(outcomes), len(dialled), len(world.visits), shared)


def _events(world: World) -> list[tuple[int, Visit | Call]]:
    events: list[tuple[int, Visit | Call]] = [(v.shown_at, v) for v in world.visits]
    events += [(c.at, c) for c in world.calls]
    return sorted(events, key=lambda event: event[0])


def _take(
    policy: Policy, call: Call, numbers: Sequence[str], dialled: dict[str, str], visitors: dict[str, str]
) -> Outcome:
    """Put the call to the policy without its truth, then compare. Who was shown no number of ours rings unseen."""
    number = dialled.get(call.session) if call.session else _at_place(numbers, call.place)
    named = policy.whose(CallFacts(number, call.at, call.caller, call.region)) if number else UNNAMED
    credited = visitors.get(named.session) if named.session else None
    return Outcome(call.at, named, bool(call.visitor) and credited == call.visitor)


def _at_place(numbers: Sequence[str], place: float) -> str | None:
    return numbers[int(place * len(numbers))] if numbers else None


def simulate(traffic: Traffic, policy: str, numbers: int, days: int, seed: int) -> Result:
    """One policy, one pool size. The same seed is the same traffic for every policy and size."""
    return replay(world_of.make(traffic, days, seed), policy, numbers).result()


def compare(
    visitors: float,
    numbers_list: Iterable[int],
    policies: Iterable[str],
    days: int,
    taps: float,
    seed: int,
    reveal: float | None = None,
) -> list[Result]:
    """Every policy with every pool size over one world; ordered by policy, then size."""
    return compare_traffic(Traffic(visitors=visitors, taps=taps, reveal=reveal), numbers_list, policies, days, seed)


def compare_traffic(
    traffic: Traffic, numbers_list: Iterable[int], policies: Iterable[str], days: int, seed: int
) -> list[Result]:
    """As `compare`, over traffic with any assumptions."""
    world = world_of.make(traffic, days, seed)
    sizes = tuple(numbers_list)
    return [replay(world, policy, size).result() for policy in policies for size in sizes]
