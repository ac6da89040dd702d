"""Missed calls as work: who waits, since when, and how well callers were reached."""

from __future__ import annotations

from typing import Any

from ctserver.domain.missed import CALLED_BACK, GIVEN_UP, NEW, RANG_AGAIN, MissedCall, cases, merit

MINUTE = 60_000
ALICE, BOB = "+447700900001", "+447700900002"


def missed(id: str, at: int, caller: str = ALICE, **more: Any) -> MissedCall:
    return MissedCall(id, caller, "shop", at * MINUTE, **more)


def test_a_caller_waits_from_his_first_missed_call() -> None:
    [case] = cases([missed("a", 0), missed("b", 5), missed("c", 9)])
    assert (case.id, case.first_at, case.last_at, case.state) == ("c", 0, 9 * MINUTE, NEW)
    assert case.calls == ("a", "b", "c")
    assert case.waited_ms is None


def test_a_talk_between_makes_two_cases_of_it() -> None:
    later, first = cases([missed("a", 0, called_back_at=3 * MINUTE), missed("b", 60)])
    assert (later.id, later.state) == ("b", NEW)
    assert (first.state, first.waited_ms) == (CALLED_BACK, 3 * MINUTE)


def test_what_came_first_settled_it() -> None:
    [case] = cases([missed("a", 0, called_back_at=9 * MINUTE, rang_again_at=4 * MINUTE)])
    assert (case.state, case.waited_ms) == (RANG_AGAIN, 4 * MINUTE)


def test_one_who_was_called_back_by_hand_and_rings_in_vain_again_waits_again() -> None:
    later, _ = cases([missed("a", 0, state=CALLED_BACK, state_at=5 * MINUTE), missed("b", 7)])
    assert later.state == NEW


def test_his_case_stays_with_whom_it_was_given_to() -> None:
    [case] = cases([missed("a", 0, assignee="bob"), missed("b", 5)])
    assert case.assignee == "bob"


def test_callers_without_a_number_are_nobodys_work() -> None:
    [case] = cases([missed("a", 0, caller=""), missed("b", 1), missed("c", 2, caller="", state=GIVEN_UP)])
    assert (case.id, merit([case]).callers) == ("b", 1)


def test_without_a_missed_caller_there_is_no_share() -> None:
    assert (merit([]).callers, merit([]).soon) == (0, 0)


def test_the_same_caller_of_two_sites_waits_twice() -> None:
    assert len(cases([MissedCall("a", ALICE, "shop", 0), MissedCall("b", ALICE, "hire", 1)])) == 2


def test_the_figures() -> None:
    found = cases(
        [
            missed("a", 0, called_back_at=6 * MINUTE),
            missed("b", 0, caller=BOB, called_back_at=30 * MINUTE),
            missed("c", 0, caller="+447700900003", rang_again_at=2 * MINUTE),
            missed("d", 0, caller="+447700900004", state=GIVEN_UP, state_at=MINUTE),
            missed("e", 0, caller="+447700900005"),
        ]
    )
    figures = merit(found)
    assert (figures.callers, figures.waiting, figures.called_back, figures.rang_again, figures.given_up) == (
        5,
        1,
        2,
        1,
        1,
    )
    assert figures.median_ms == 18 * MINUTE
    assert figures.soon == 1
