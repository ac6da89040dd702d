"""The laws of attribution, whatever the input: total, deterministic, sums to 1, monotone, deaf to other numbers."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctserver.domain.attribution import CallerHistory, CallFacts, Candidate, EarlierCall, SignalAt, attribute
from ctserver.domain.delay import PUBLISHED, SIGNAL_DELAYS

NOW = 1_770_000_000_000
A_YEAR = 365 * 86_400_000

moments = st.one_of(st.integers(NOW - 3_600_000, NOW + 60_000), st.integers(NOW - A_YEAR, NOW))
regions = st.sampled_from(["", "R1", "R2"])
signals = st.builds(SignalAt, st.sampled_from([*SIGNAL_DELAYS, "seen", "left", "?"]), moments)
candidates = st.lists(
    st.builds(
        Candidate,
        session=st.sampled_from([f"s{i}" for i in range(9)]),
        number=st.just("+1"),
        shown_at=moments,
        last_seen_at=moments,
        left_at=st.none() | moments,
        signals=st.lists(signals, max_size=3).map(tuple),
        region=regions,
        device=st.sampled_from(["", "desktop", "phone", "tablet", "fridge"]),
        last_call_at=st.none() | moments,
        last_call_confidence=st.floats(0, 1),
        visitor=st.sampled_from(["", "v1", "v2"]),
    ),
    max_size=12,
)
calls = st.builds(CallFacts, st.just("+1"), st.just(NOW), st.sampled_from(["", "+79"]), regions)
earlier = st.builds(
    EarlierCall, moments, st.sampled_from(["s0", "s1", "gone"]), st.floats(0, 1), st.sampled_from(["", "v1"])
)
histories = st.lists(earlier, max_size=3).map(lambda e: CallerHistory(tuple(e)))
KINDS = {"static", "exact", "tapped", "likely", "repeat", "ambiguous", "none"}


@settings(max_examples=200, deadline=None)
@given(calls, candidates, histories)
def test_there_is_always_one_answer_and_it_is_a_distribution(call, shown, history):
    answer = attribute(call, shown, history)
    assert answer.kind in KINDS
    assert 0.0 <= answer.confidence <= 1.0
    assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 <= p <= 1.0 + 1e-12 for p in answer.probabilities.values())
    assert (answer.session is None) == (answer.kind in ("none", "static"))
    if answer.session is not None:
        assert answer.confidence == pytest.approx(answer.probabilities[answer.session])
        assert all(p <= answer.confidence + 1e-12 for _, p in answer.runners_up)
    assert answer.attribution().why


@settings(max_examples=100, deadline=None)
@given(calls, candidates, histories)
def test_the_same_question_has_the_same_answer(call, shown, history):
    assert attribute(call, shown, history) == attribute(call, list(shown), history)


@settings(max_examples=200, deadline=None)
@given(
    calls, candidates, histories, st.integers(0, 11), st.sampled_from(["tapped", "copied"]), st.integers(-5000, 10**6)
)
def test_a_tap_never_lowers_its_candidate(call, shown, history, index, kind, ago):
    if not shown:
        return
    i = index % len(shown)
    before = attribute(call, shown, history).probabilities.get(shown[i].session, 0.0)
    tapped = [*shown]
    tapped[i] = replace(shown[i], signals=(*shown[i].signals, SignalAt(kind, NOW - ago)))
    after = attribute(call, tapped, history).probabilities.get(shown[i].session, 0.0)
    assert after >= before - 1e-12


@settings(max_examples=100, deadline=None)
@given(calls, candidates, histories, candidates)
def test_candidates_of_other_numbers_change_nothing(call, shown, history, others):
    elsewhere = [replace(c, number="+2", session=f"other-{c.session}") for c in others]
    assert attribute(call, [*elsewhere, *shown], history) == attribute(call, shown, history)


@settings(max_examples=100, deadline=None)
@given(calls, candidates, st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_no_probability(call, shown, random):
    mixed = [*shown]
    random.shuffle(mixed)
    one, two = attribute(call, shown).probabilities, attribute(call, mixed).probabilities
    assert one == pytest.approx(two)


def test_the_published_delays_say_what_was_published():
    assert 0.75 < PUBLISHED.share_within(15 * 60_000) < 0.9
    assert 0.85 < PUBLISHED.share_within(30 * 60_000) < 0.95
    assert PUBLISHED.share_within(30 * 86_400_000) > 0.99
