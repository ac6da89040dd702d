"""The rivals are honest: `pin` and `steal` against cases computed by hand; and no policy sees what is still to come."""

from ctserver.domain.attribution import CallFacts
from ctserver.domain.clock import MINUTE_MS, SECOND_MS
from ctserver.services.simulation.policies import Ctserver, Pin, Sighting, Steal
from ctserver.services.simulation.run import replay
from ctserver.services.simulation.traffic import START, Call, Visit, World

NINE = START + 9 * 60 * MINUTE_MS


def visit(name: str, minute: float, stay: float = 3, *signals: tuple[str, float], device: str = "phone") -> Visit:
    """Times in minutes after nine."""
    at = NINE + int(minute * MINUTE_MS)
    marks = tuple((kind, NINE + int(m * MINUTE_MS)) for kind, m in signals)
    return Visit(f"s-{name}", name, "", device, at, ((at, at + int(stay * MINUTE_MS)),), True, marks)


def call(name: str, minute: float, caller: str = "") -> Call:
    return Call(NINE + int(minute * MINUTE_MS), caller or f"+7900{name}", "", f"s-{name}", name)


def world(visits: list[Visit], calls: list[Call]) -> World:
    return World(tuple(visits), tuple(calls), 1, 30 * SECOND_MS)


DAY_OF_FOUR = world(
    [visit("ann", 0), visit("bob", 5), visit("cid", 10), visit("dan", 35)],
    [call("ann", 4), call("cid", 12), call("bob", 20), call("ann", 33), call("dan", 38), call("bob", 40)],
)
"""Two numbers. ann, bob and cid come within half an hour, dan five minutes after ann's half hour is over."""


def test_pin_by_hand():
    """ann holds 1, bob 2, cid finds none; at 35 ann's hold is over and dan gets 1; ann and bob ring again.

    ann 4 right; cid 12 unseen; bob 20 right; ann 33 known, right; dan 38 holds 1, right; bob 40 known, right.
    """
    outcome = replay(DAY_OF_FOUR, "pin", 2)
    assert [o.right for o in outcome.outcomes] == [True, False, True, True, True, True]
    result = outcome.result()
    assert (result.calls, result.coverage, result.overflowed) == (6, round(5 / 6, 6), 0.25)


def test_pin_credits_the_last_holder_after_the_hold():
    late = world([visit("ann", 0), visit("bob", 40)], [call("ann", 35), call("ann", 60, "+7")])
    assert [o.right for o in replay(late, "pin", 1).outcomes] == [True, False]


def test_pin_holds_on_for_those_still_on_the_page():
    staying = world([visit("ann", 0, 50), visit("bob", 40)], [call("ann", 45)])
    outcome = replay(staying, "pin", 1)
    assert outcome.outcomes[0].right
    assert outcome.result().overflowed == 0.5


def test_steal_by_hand():
    """ann 1, bob 2, then cid takes 1 from ann, dan takes 2 from bob.

    ann 4 right; cid 12 right (1); bob 20 right (2); ann 33 known caller, right; dan 38 right (2); bob 40 known, right.
    """
    assert all(o.right for o in replay(DAY_OF_FOUR, "steal", 2).outcomes)
    one_number = replay(DAY_OF_FOUR, "steal", 1)
    # ann 4 right; cid 12 right; bob 20 -> cid wrong; ann 33 known; dan 38 right; bob 40 as before: wrong
    assert [o.right for o in one_number.outcomes] == [True, True, False, True, True, False]
    assert one_number.result().coverage == 1.0


def test_steal_reads_taps_of_the_last_minute():
    tapped = world([visit("ann", 0, 9, ("tapped", 7.9)), visit("bob", 5)], [call("ann", 8)])
    assert replay(tapped, "steal", 1).outcomes[0].right
    too_old = world([visit("ann", 0, 9, ("tapped", 6)), visit("bob", 5)], [call("ann", 8)])
    assert not replay(too_old, "steal", 1).outcomes[0].right


def test_a_sighting_never_tells_the_future():
    whole = visit("ann", 0, 10, ("hidden", 4), ("tapped", 8))
    early = Sighting(whole, "+1", 30 * SECOND_MS).at(NINE + 5 * MINUTE_MS)
    assert [s.kind for s in early.signals] == ["hidden"]
    assert early.left_at is None
    assert early.last_seen_at <= NINE + 5 * MINUTE_MS
    after = Sighting(whole, "+1", 30 * SECOND_MS).at(NINE + 11 * MINUTE_MS)
    assert [s.kind for s in after.signals] == ["hidden", "tapped"]
    assert after.left_at == NINE + 10 * MINUTE_MS


def test_changing_the_future_changes_no_answer():
    """Two worlds alike until 9:20 give the same answers until then, for every policy."""
    visits = [visit("ann", 0, 12), visit("bob", 2, 6), visit("cid", 8)]
    calls = [call("ann", 9), call("bob", 11)]
    one = world([*visits, visit("dan", 25)], [*calls, call("dan", 26)])
    longer = [visit("ann", 0, 12), visit("bob", 2, 6), visit("cid", 8, 300, ("tapped", 22))]
    other = world(longer, [*calls, call("cid", 22.1)])
    for policy in ("pin", "steal", "ctserver"):
        first = [o.named for o in replay(one, policy, 2).outcomes[:2]]
        # cid, still there at 9:11, is all that differs afterwards
        second = [o.named for o in replay(other, policy, 2).outcomes[:2]]
        assert [n.session for n in first] == [n.session for n in second]


def test_the_truth_of_a_call_is_not_part_of_what_policies_are_asked():
    assert set(CallFacts.__dataclass_fields__) == {"number", "at", "caller", "region", "static"}
    lied_to = world(
        list(DAY_OF_FOUR.visits), [Call(c.at, c.caller, c.region, c.session, "someone else") for c in DAY_OF_FOUR.calls]
    )
    for policy in ("pin", "steal", "ctserver"):
        honest, lied = replay(DAY_OF_FOUR, policy, 2), replay(lied_to, policy, 2)
        assert [o.named for o in honest.outcomes] == [o.named for o in lied.outcomes]
        assert not any(o.right for o in lied.outcomes)


def test_every_policy_can_be_built_alone():
    for policy in (Pin, Steal, Ctserver):
        assert policy(("+1",), 30 * SECOND_MS).show(visit("ann", 0), NINE) == "+1"
