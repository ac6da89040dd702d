"""Token buckets: what is promised holds for every row of requests."""

from hypothesis import given
from hypothesis import strategies as st

from ctserver.http.limits import Limiter, bucket_of

NOW = 1_700_000_000_000

rates = st.integers(1, 6000)
bursts = st.integers(1, 50)
waits = st.lists(st.integers(0, 5000), max_size=80)


def test_a_burst_is_served_then_the_rate() -> None:
    limiter = Limiter(per_minute=60, burst=3)
    assert [limiter.allow("a", NOW) for _ in range(4)] == [True, True, True, False]
    assert not limiter.allow("a", NOW + 999)
    assert limiter.allow("a", NOW + 1000)
    assert not limiter.allow("a", NOW + 1000)
    assert [limiter.allow("a", NOW + 60_000) for _ in range(4)] == [True, True, True, False]


def test_one_does_not_pay_for_another() -> None:
    limiter = Limiter(per_minute=1, burst=1)
    assert limiter.allow("a", NOW)
    assert not limiter.allow("a", NOW)
    assert limiter.allow("b", NOW)


def test_zero_is_no_limit_and_remembers_nobody() -> None:
    limiter = Limiter(per_minute=0, burst=1)
    assert all(limiter.allow("a", NOW) for _ in range(1000))
    assert len(limiter) == 0


def test_an_ipv6_network_is_one_visitor() -> None:
    limiter = Limiter(per_minute=1, burst=1)
    assert limiter.allow("2a02:6b8:1:2::1", NOW)
    assert not limiter.allow("2a02:6b8:1:2:ffff::9", NOW)
    assert limiter.allow("2a02:6b8:1:3::1", NOW)


def test_keys_that_are_no_addresses_are_themselves() -> None:
    assert bucket_of("shop") == "shop"
    assert bucket_of("site:shop") == "site:shop"
    assert bucket_of("5.8.1.2") == "5.8.1.2"
    assert bucket_of("::ffff:5.8.1.2") == "5.8.1.2"
    assert bucket_of("2a02:6b8:0:7::1") == "2a02:6b8:0:7::"


@given(rates, bursts, waits)
def test_no_stretch_of_time_serves_more_than_burst_and_rate(rate: int, burst: int, gaps: list[int]) -> None:
    limiter, now, served = Limiter(rate, burst), NOW, []
    for gap in gaps:
        now += gap
        if limiter.allow("a", now):
            served.append(now)
    for first, start in enumerate(served):
        for last in range(first, len(served)):
            assert (last - first + 1) * 60_000 <= burst * 60_000 + (served[last] - start) * rate


@given(rates, bursts, waits)
def test_who_keeps_to_the_rate_is_never_refused(rate: int, burst: int, gaps: list[int]) -> None:
    limiter, now = Limiter(rate, burst), NOW
    for gap in gaps:
        now += gap + -(-60_000 // rate)
        assert limiter.allow("a", now)


@given(rates, bursts, waits, st.integers(0, 10**9))
def test_strangers_change_nothing(rate: int, burst: int, gaps: list[int], seed: int) -> None:
    alone, among, now = Limiter(rate, burst), Limiter(rate, burst), NOW
    for number, gap in enumerate(gaps):
        now += gap
        among.allow(f"stranger {(seed + number) % 7}", now)
        assert alone.allow("a", now) == among.allow("a", now)


@given(rates, bursts, st.lists(st.tuples(st.integers(0, 40), st.integers(-5000, 5000)), max_size=200))
def test_memory_is_bounded_whatever_the_clock_does(rate: int, burst: int, steps: list[tuple[int, int]]) -> None:
    limiter, now = Limiter(rate, burst, max_keys=10), NOW
    for key, step in steps:
        now += step
        limiter.allow(str(key), now)
        assert len(limiter) <= 10


def test_what_is_full_again_is_forgotten() -> None:
    limiter = Limiter(per_minute=60, burst=10)
    for number in range(1000):
        limiter.allow(f"early {number}", NOW)
    for number in range(600):
        limiter.allow("late", NOW + 60_000 + number)
    assert len(limiter) == 1


def test_a_clock_set_back_by_a_day_starts_anew() -> None:
    limiter = Limiter(per_minute=60, burst=5)
    for _ in range(5):
        limiter.allow("a", NOW)
    earlier = NOW - 86_400_000
    assert [limiter.allow("a", earlier) for _ in range(6)] == [True] * 5 + [False]
    assert limiter.allow("a", earlier + 1000)
