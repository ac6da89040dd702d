"""Whom we may ring, and what follows an attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain import callback as rules
from ctserver.domain.callback import COMPANY_AWAY, LOST, NOT_PLACED, TALKED, VISITOR_AWAY, Patience, Refused, after
from ctserver.domain.calling import Recent
from ctserver.domain.clock import HOUR_MS

PATIENCE = Patience(company_attempts=3, visitor_attempts=2, retry_ms=300_000)
RESULTS = (TALKED, COMPANY_AWAY, VISITOR_AWAY, LOST)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+447400123456", ""),
        ("+442071234567", ""),
        ("+449098790000", "number"),  # premium
        ("+448431234567", "number"),  # shared cost
        ("+447700900123", "number"),  # assigned to nobody
        ("+33612345678", "country"),
        ("+442079460101", "ours"),
    ],
)
def test_whom_a_stranger_may_have_rung(number: str, why: str) -> None:
    assert refusal(number, stranger=True) == why


@pytest.mark.parametrize(
    ("number", "why"), [("+447700900123", ""), ("+449098790000", "number"), ("+33612345678", "country")]
)
def test_whom_the_company_may_ring(number: str, why: str) -> None:
    assert refusal(number, stranger=False) == why


def refusal(number: str, *, stranger: bool) -> str:
    try:
        rules.check_number(number, {"GB"}, {"+442079460101"}, stranger=stranger)
    except Refused as refused:
        return str(refused)
    return ""


def test_who_was_talked_to_is_not_rung_again() -> None:
    assert after(TALKED, [COMPANY_AWAY, TALKED], 0, 5, PATIENCE).state == rules.DONE


def test_the_company_is_tried_three_times_and_the_visitor_twice() -> None:
    assert after(COMPANY_AWAY, [COMPANY_AWAY] * 2, 0, 5, PATIENCE) == rules.Next(rules.WAITING, 300_005)
    assert after(COMPANY_AWAY, [COMPANY_AWAY] * 3, 0, 5, PATIENCE).state == rules.FAILED
    assert after(VISITOR_AWAY, [VISITOR_AWAY], 0, 5, PATIENCE).state == rules.WAITING
    assert after(VISITOR_AWAY, [VISITOR_AWAY, COMPANY_AWAY, VISITOR_AWAY], 0, 5, PATIENCE).state == rules.FAILED


def test_what_the_pbx_did_not_make_counts_for_nothing_but_a_click_is_not_repeated() -> None:
    assert after(NOT_PLACED, [NOT_PLACED] * 9, 0, 5, PATIENCE).state == rules.WAITING
    assert after(NOT_PLACED, [NOT_PLACED], 0, 5, Patience(1, 1, 0)).state == rules.FAILED


def test_nobody_is_rung_a_day_later() -> None:
    assert after(COMPANY_AWAY, [COMPANY_AWAY], 0, rules.LATEST_MS, PATIENCE).state == rules.FAILED


@given(st.lists(st.sampled_from(RESULTS), min_size=1, max_size=10), st.integers(0, 10**12))
def test_it_ends(results: list[str], now: int) -> None:
    """However attempts come out, there are no more of them than the settings allow."""
    tried = 0
    for number in range(1, len(results) + 1):
        tried = number
        if after(results[number - 1], results[:number], now, now, PATIENCE).state != rules.WAITING:
            break
    assert tried <= PATIENCE.company_attempts + PATIENCE.visitor_attempts


@given(st.lists(st.integers(0, 4 * HOUR_MS), max_size=60), st.integers(1, 5))
def test_a_caller_is_put_through_so_often_within_an_hour(moments: list[int], limit: int) -> None:
    recent, allowed = Recent(limit), []
    for now in sorted(moments):
        if recent.allow("+44", now):
            allowed.append(now)
    for now in allowed:
        assert sum(now - HOUR_MS < other <= now for other in allowed) <= limit


def test_without_a_limit_everybody_is_put_through() -> None:
    recent = Recent(0)
    assert all(recent.allow("+44", 0) for _ in range(1000))
