"""The delay model: published figures at first, the site's own in time; sure calls count whole, doubtful ones spread."""

from dataclasses import asdict

import pytest

from ctserver.domain.attribution import CallFacts, Candidate, SignalAt
from ctserver.domain.calibration import calibrate
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ctserver.domain.delay import PUBLISHED, Counts, DelayModel, bin_of, bin_start, bin_width
from ctserver.domain.learning import KnownCall, Seen, Shown, learn, seen_between

NOW = 1_770_000_000_000


def known(delay: int, session: str = "a", truth: str | None = None) -> KnownCall:
    shown = Candidate(session, "+1", NOW - delay, NOW, device="phone", region="R1")
    return KnownCall(CallFacts("+1", NOW, "+7", "R1"), [shown], truth=truth)


def test_bins_cover_every_age_without_gaps():
    assert bin_of(0) == bin_of(1000)
    for b in range(21, 80):
        assert bin_of(int(bin_start(b)) + 1) == b
        assert bin_start(b) + bin_width(b) == pytest.approx(bin_start(b + 1))


def test_few_calls_leave_the_published_delays_nearly_as_they_are():
    model = learn(PUBLISHED, [known(2 * HOUR_MS)] * 2)
    assert abs(model.share_within(30 * MINUTE_MS) - PUBLISHED.share_within(30 * MINUTE_MS)) < 0.05


def test_many_calls_replace_them():
    slow = learn(PUBLISHED, [known(2 * HOUR_MS, truth="a")] * 1000)
    assert slow.share_within(30 * MINUTE_MS) < 0.1
    assert slow.share_within(4 * HOUR_MS) > 0.9


def test_a_doubtful_call_is_spread_over_its_candidates():
    pair = [Candidate(s, "+1", NOW - 4 * MINUTE_MS, NOW, device="phone") for s in ("a", "b")]
    counts = learn(PUBLISHED, [KnownCall(CallFacts("+1", NOW, "+7"), pair)]).counts
    assert sum(counts.delays) + counts.nobody == pytest.approx(1.0)
    assert counts.calls == 1


def test_a_truth_from_elsewhere_overrules_attribution():
    pair = [
        Candidate("a", "+1", NOW - 4 * MINUTE_MS, NOW, signals=(SignalAt("tapped", NOW - 9 * SECOND_MS),)),
        Candidate("b", "+1", NOW - 3 * HOUR_MS, NOW - 3 * HOUR_MS),
    ]
    counts = learn(PUBLISHED, [KnownCall(CallFacts("+1", NOW, "+7"), pair, truth="b")]).counts
    assert counts.delays[bin_of(3 * HOUR_MS)] == pytest.approx(1.0)
    stranger = learn(PUBLISHED, [KnownCall(CallFacts("+1", NOW, "+7"), pair, truth="")]).counts
    assert stranger.nobody == pytest.approx(1.0)


def test_a_tap_is_learnt_as_a_tap_and_not_as_a_delay_from_arrival():
    tapper = Candidate("a", "+1", NOW - HOUR_MS, NOW, signals=(SignalAt("tapped", NOW - 9 * SECOND_MS),))
    counts = learn(PUBLISHED, [KnownCall(CallFacts("+1", NOW, "+7"), [tapper])]).counts
    assert sum(counts.signal_delays["tapped"]) > 0.95
    assert sum(counts.delays) < 0.05


def test_taps_that_lead_nowhere_make_taps_worth_less():
    tapper = Candidate("a", "+1", NOW - HOUR_MS, NOW, signals=(SignalAt("tapped", NOW - 9 * SECOND_MS),))
    calls = [KnownCall(CallFacts("+1", NOW, "+7"), [tapper])] * 10
    good = learn(PUBLISHED, calls, Seen((Shown(MINUTE_MS),) * 100, {"tapped": 10}, 10))
    poor = learn(PUBLISHED, calls, Seen((Shown(MINUTE_MS),) * 100, {"tapped": 1000}, 10))
    assert good.signal["tapped"][bin_of(9 * SECOND_MS)] > 5 * poor.signal["tapped"][bin_of(9 * SECOND_MS)]


def test_what_was_seen_is_counted_from_the_showings_themselves():
    since = NOW - DAY_MS
    rows = [
        Candidate(
            "a",
            "+1",
            NOW - HOUR_MS,
            NOW - 50 * MINUTE_MS,
            NOW - 50 * MINUTE_MS,
            (SignalAt("tapped", NOW - 55 * MINUTE_MS),),
            "",
            "phone",
        ),
        Candidate(
            "b",
            "+1",
            NOW - HOUR_MS,
            NOW - 50 * MINUTE_MS,
            NOW - 50 * MINUTE_MS,
            (SignalAt("hidden", NOW - 50 * MINUTE_MS),),
            "",
            "phone",
        ),
        Candidate("c", "+2", NOW - 3 * DAY_MS, NOW - 3 * DAY_MS, None, (SignalAt("tapped", NOW - 3 * DAY_MS),)),
    ]
    seen = seen_between(rows, since, NOW, numbers=2)
    assert seen.showings == (Shown(10 * MINUTE_MS, "phone"),) * 2
    assert seen.signals == {"tapped": 1}
    assert seen.number_days == 2.0


def test_what_was_learnt_fades_when_asked_to():
    model = learn(PUBLISHED, [known(HOUR_MS, truth="a")] * 100)
    assert learn(model, [], fade=0.5).counts.calls == pytest.approx(50)
    assert learn(model, []) == model


def test_a_model_can_be_stored_as_plain_counts():
    model = learn(PUBLISHED, [known(HOUR_MS)] * 5, Seen((Shown(MINUTE_MS, "phone"),), {"tapped": 1}, 1))
    assert DelayModel(Counts(**asdict(model.counts))).log_on == model.log_on


def test_calibration_compares_what_was_said_with_what_was_so():
    report = calibrate([(0.95, True)] * 95 + [(0.95, False)] * 5 + [(0.25, True)] * 50 + [(0.25, False)] * 50)
    assert report.calls == 200
    assert [(b.low, b.calls, b.observed) for b in report.bins] == [(0.2, 100, 0.5), (0.9, 100, 0.95)]
    assert report.error == pytest.approx(0.125)
    assert calibrate([]).error == 0.0
    assert calibrate([(1.0, True)]).error == 0.0
