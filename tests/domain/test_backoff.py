"""When to try again, and how often to ask whoever has failed for long."""

from __future__ import annotations

import random

import pytest

from ctserver.domain import backoff


def _minutes_until_taken(messages: int, fails: float, dice: random.Random) -> float:
    """One after another to a receiver that fails by chance, each try a hundredth of a second long."""
    seconds, failures, since = 0.0, 0, 0.0
    while messages:
        seconds += 0.01
        if dice.random() < fails:
            since = since if failures else seconds
            failures += 1
            seconds += backoff.gap(failures, seconds - since)
        else:
            messages, failures = messages - 1, 0
    return seconds / 60


@pytest.mark.parametrize("seed", range(20))
def test_a_receiver_that_fails_half_of_the_time_is_not_left_waiting(seed: int) -> None:
    assert _minutes_until_taken(1000, 0.5, random.Random(seed)) < 1


def test_a_dead_receiver_is_asked_ever_more_seldom() -> None:
    seconds, tries = 0.0, 0
    while seconds < 86_400:
        tries += 1
        seconds += 0.01 + backoff.gap(tries, seconds)
    assert tries < 3000
    assert backoff.gap(100, 86_400) == backoff.SLOWEST_SECONDS


def test_a_few_failures_slow_nothing_and_a_clock_set_back_breaks_nothing() -> None:
    assert backoff.gap(backoff.SLOW_FROM - 1, 3600) == 0
    assert backoff.gap(backoff.SLOW_FROM, -3600) == backoff.FASTEST_SECONDS


def test_tries_follow_the_schedule_and_end() -> None:
    schedule = (5.0, 60.0)
    assert backoff.wait(1, schedule, 0.5) == pytest.approx(5.0)
    assert backoff.wait(2, schedule, 0.5, asked=600) == pytest.approx(660)
    assert backoff.wait(3, schedule, 0.5) is None


def test_no_more_go_a_minute_than_may() -> None:
    bucket = backoff.Bucket(per_minute=60, burst=5)
    gone = sum(bucket.take(tenth / 10) == 0 for tenth in range(1, 601))
    assert 60 <= gone <= 65
