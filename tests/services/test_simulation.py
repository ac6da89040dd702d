"""What the simulation promises: the same accuracy with a third of the numbers, an honest confidence, and no drift."""

import json
from xml.etree import ElementTree

import pytest

from ctserver.domain.clock import DAY_MS, MINUTE_MS, SECOND_MS
from ctserver.services.simulation import Traffic, compare, make, replay, simulate, svg, table, to_json
from ctserver.services.simulation.policies import Ctserver
from ctserver.services.simulation.run import Result, pool_of
from ctserver.services.simulation.sizing import (
    Recorded,
    exclusive_numbers,
    fit,
    peak_concurrency,
    pool_size,
    trade_rule,
)
from ctserver.services.simulation.traffic import START

SIZES = (6, 9, 12, 18, 24, 36)


@pytest.fixture(scope="module")
def half_tap() -> dict[tuple[str, int], Result]:
    results = compare(543, SIZES, ("pin", "steal", "ctserver"), 30, 0.5, 1) + compare(543, (60,), ("pin",), 30, 0.5, 1)
    return {(r.policy, r.numbers): r for r in results}


def test_a_third_of_the_numbers_names_as_many_callers_as_the_classic_pool(half_tap):
    assert half_tap["ctserver", 12].accuracy >= half_tap["pin", 36].accuracy - 0.01
    assert half_tap["ctserver", 12].accuracy >= half_tap["pin", 60].accuracy
    assert half_tap["ctserver", 6].accuracy >= 0.85


def test_never_below_handing_out_the_oldest(half_tap):
    for size in SIZES:
        assert half_tap["ctserver", size].accuracy >= half_tap["steal", size].accuracy


@pytest.mark.parametrize("seed", [1])
def test_never_below_it_without_taps_either(seed):
    results = {(r.policy, r.numbers): r.accuracy for r in compare(543, SIZES, ("steal", "ctserver"), 30, 0.0, seed)}
    for size in SIZES:
        assert results["ctserver", size] >= results["steal", size]


def test_confidence_is_honest_over_ten_thousand_calls():
    traffic = Traffic(visitors=2000, call_share=0.1)
    result = simulate(traffic, "ctserver", 24, 45, seed=3)
    assert result.calls >= 10_000
    assert result.calibration_error <= 0.03


@pytest.mark.parametrize("taps", [0.0, 0.5])
def test_learning_from_its_own_answers_does_not_drift(taps):
    """Sixty days of learning: the last twenty are no worse than the first, and no worse than without learning."""
    world = make(Traffic(taps=taps), 60, seed=4)
    learning = replay(world, "ctserver", 9)
    fixed = replay(world, "ctserver", 9, Ctserver(pool_of(9), world.heartbeat, learns=False))
    first, last = learning.accuracy(until=START + 20 * DAY_MS), learning.accuracy(since=START + 40 * DAY_MS)
    gained = last - fixed.accuracy(since=START + 40 * DAY_MS)
    drift = (last - fixed.accuracy(since=START + 40 * DAY_MS)) - (first - fixed.accuracy(until=START + 20 * DAY_MS))
    assert gained >= -0.01
    assert drift >= -0.02
    assert last >= first - 0.03  # three standard errors of some 550 calls each


def test_the_same_seed_is_the_same_result_and_another_is_not():
    once = simulate(Traffic(visitors=200), "ctserver", 6, 5, seed=1)
    assert once == simulate(Traffic(visitors=200), "ctserver", 6, 5, seed=1)
    assert make(Traffic(), 2, 1) == make(Traffic(), 2, 1)
    assert make(Traffic(), 2, 1) != make(Traffic(), 2, 2)


def test_callers_ring_when_the_published_figures_say():
    world = make(Traffic(calls_again=0.0, strangers=0.0), 120, seed=1)
    shown = {v.session: v.shown_at for v in world.visits}
    delays = [c.at - shown[c.session] for c in world.calls if c.at < START + 110 * DAY_MS]
    within = [sum(d <= minutes * MINUTE_MS for d in delays) / len(delays) for minutes in (12.5, 15, 30)]
    assert within[0] > 0.78
    assert 0.80 < within[1] < 0.88
    assert 0.89 < within[2] < 0.94
    assert max(delays) > DAY_MS


@pytest.mark.parametrize("taps", [0.0, 0.2, 0.5, 1.0])
def test_the_asked_share_of_callers_taps_and_calls(taps):
    world = make(Traffic(taps=taps, calls_again=0.0, strangers=0.0), 100, seed=2)
    visits = {v.session: v for v in world.visits}
    tapped = [
        any(kind == "tapped" and 0 <= c.at - at < MINUTE_MS for kind, at in visits[c.session].signals)
        for c in world.calls
    ]
    assert sum(tapped) / len(tapped) == pytest.approx(taps, abs=0.03)
    assert len(world.calls) / len(world.visits) == pytest.approx(0.05, abs=0.005)


def test_hiding_the_number_until_asked_shows_it_to_a_quarter():
    hidden, open_to_all = make(Traffic(reveal=0.225), 20, seed=1), make(Traffic(), 20, seed=1)
    assert len(hidden.visits) / len(open_to_all.visits) == pytest.approx(0.225, abs=0.02)
    assert all(any(kind == "revealed" for kind, _ in v.signals) for v in hidden.visits)
    few = compare(543, (4,), ("ctserver",), 10, 0.5, 1, reveal=0.225)[0]
    assert few.accuracy > 0.9


def test_results_as_json_table_and_picture():
    results = compare(100, (2, 4), ("pin", "ctserver"), 3, 0.5, 1)
    rows = json.loads(to_json(results))
    assert {"policy", "numbers", "calls", "accuracy", "coverage", "calibration_error"} <= set(rows[0])
    assert [(r["policy"], r["numbers"]) for r in rows] == [("pin", 2), ("pin", 4), ("ctserver", 2), ("ctserver", 4)]
    assert len(table(results).splitlines()) == 5
    picture = ElementTree.fromstring(svg(results))
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    ElementTree.fromstring(svg([]))


def test_the_trades_rule():
    assert trade_rule(1628) == 6
    assert trade_rule(0) == 1


def test_exclusive_numbers_against_published_tables():
    """Erlang's table: 5 erlangs on 10 lines lose 1.84 %; 1 erlang on 1 line loses half."""
    assert (exclusive_numbers(5.0, 0.9815), exclusive_numbers(5.0, 0.9817)) == (10, 11)
    assert (exclusive_numbers(1.0, 0.5), exclusive_numbers(1.0, 0.51)) == (1, 2)
    assert exclusive_numbers(0.0, 0.99) == 1


def test_the_peak_counts_those_there_at_once():
    assert peak_concurrency([(0, 10), (5, 15), (10, 20), (30, 40)]) == 2
    assert peak_concurrency([]) == 0


def test_a_pool_is_sized_from_the_sites_own_showings():
    showings = [
        Recorded(START + day * DAY_MS + i * 2 * MINUTE_MS, 90 * SECOND_MS, "phone" if i % 3 else "desktop", "R1")
        for day in range(5)
        for i in range(0, 720, 2)
    ]
    traffic = fit(showings, 5, calls=100, tapped=60)
    assert traffic.visitors == 360
    assert traffic.taps == 0.6
    assert traffic.stay_median == 90 * SECOND_MS or abs(traffic.stay_median - 90 * SECOND_MS) < 10
    assert traffic.phones == pytest.approx(2 / 3, abs=0.01)
    size = pool_size(showings, 5, 4, calls=100, tapped=60, sizes=(2, 8), simulated_days=5)
    assert size.rule_of_thumb == 4
    assert size.busiest_hour == 15
    assert size.peak == 8
    assert size.exclusive[0.9] < size.exclusive[0.95] < size.exclusive[0.99]
    assert [r.numbers for r in size.simulated] == [2, 4, 5, 8]
    assert size.one_more == size.simulated[2].accuracy - size.simulated[1].accuracy


def test_a_site_without_traffic_is_sized_too():
    empty = pool_size([], 0, 2, simulated_days=1)
    assert (empty.visitors_a_day, empty.peak, empty.rule_of_thumb) == (0.0, 0, 1)
