"""The laws of the call state machine, whatever a PBX tells in whatever order."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ctserver.domain import call as machine
from ctserver.domain.call import (
    Arrived,
    Call,
    CallerGaveUp,
    CallerHungUp,
    Closing,
    Event,
    LegDone,
    LegGaveUp,
    LegHungUp,
    LegNamed,
    LegRinging,
    LegStarted,
    PbxStopped,
    Routed,
    StageReached,
    Stepped,
    Vanished,
    advance,
)
from ctserver.domain.times import times
from ctserver.domain.verdict import REASONS

ID = "1700000000.1"
START = 1_700_000_000_000
AT = st.integers(1_700_000_000_000, 1_700_000_100_000)
LEG = st.sampled_from(["1700000000.2", "1700000000.3"])
STATUS = st.sampled_from(["ANSWER", "BUSY", "NOANSWER", "CANCEL", "CONGESTION", "CHANUNAVAIL", "", "ABORT"])
CAUSE = st.sampled_from([0, 1, 3, 16, 17, 19, 21, 26, 34, 38, 127, 999])
CHANNEL = st.sampled_from(["PJSIP/100-01", "Local/100@x-01;1"])
STEP = st.sampled_from(["queued", "hold", "unhold", "transfer", "attended", "pickup", "forward"])
EVENT = st.one_of(
    st.builds(Arrived, st.just(ID), AT, st.just(ID), st.just("PJSIP/t-1"), st.just("1"), st.just("2"), st.just("")),
    st.builds(Routed, st.just(ID), AT, st.just("1"), st.sampled_from(["", "office"]), st.just("ctserver")),
    st.builds(LegStarted, st.just(ID), AT, LEG, CHANNEL),
    st.builds(LegRinging, st.just(ID), AT, LEG),
    st.builds(LegDone, st.just(ID), AT, LEG, STATUS),
    st.builds(LegHungUp, st.just(ID), AT, LEG, CAUSE),
    st.builds(LegNamed, st.just(ID), AT, LEG, st.sampled_from(["", "Alice"])),
    st.builds(LegGaveUp, st.just(ID), AT, LEG),
    st.builds(Stepped, st.just(ID), AT, STEP, st.sampled_from(["", "102"]), LEG),
    st.builds(StageReached, st.just(ID), AT, st.sampled_from(["greeting", "menu", "hours", "voicemail", "blocked"])),
    st.builds(CallerGaveUp, st.just(ID), AT),
    st.builds(
        Closing,
        st.just(ID),
        AT,
        st.just("office"),
        STATUS,
        CAUSE,
        rang_at=st.none() | AT,
        answered_at=st.none() | AT,
        answered_by=CHANNEL,
        stage=st.sampled_from(["", "ring", "voicemail"]),
        closed=st.booleans(),
        blocked=st.booleans(),
        message_seconds=st.integers(0, 90),
        queue_status=st.sampled_from(["", "TIMEOUT", "FULL", "?"]),
    ),
    st.builds(CallerHungUp, st.just(ID), AT, CAUSE),
    st.builds(Vanished, st.just(ID), AT, spoken_ms=st.sampled_from([0, 2000])),
    st.builds(PbxStopped, st.just(ID), AT),
)
EVENTS = st.lists(EVENT, max_size=25)


def fresh() -> Call:
    arrived = Arrived(ID, 1_700_000_000_000, ID, "PJSIP/trunk-1", "+442079460101", "+447700900123", "")
    return machine.begin(arrived, id="c", pbx="pbx")


def run(*events: Event) -> Call:
    call = fresh()
    for event in events:
        call = advance(call, event)
    return call


@given(EVENTS)
def test_any_events_in_any_order_leave_a_whole_call(events: list[Event]) -> None:
    call = run(*events)
    assert call.state in (machine.ARRIVED, machine.RINGING, machine.TALKING, machine.ENDED)
    assert (call.state == machine.ENDED) == (call.ended_at is not None) == bool(call.outcome)
    if call.state == machine.ENDED:
        assert (call.outcome == machine.ANSWERED) == (call.answered_at is not None)
        assert call.outcome in REASONS[call.reason]
    assert (call.state == machine.TALKING) <= (call.answered_at is not None)
    assert (call.answered_at is not None) <= (call.ringing_at is not None)
    assert min(astuple(times(call, 1_700_000_300_000))) >= 0
    assert len({leg.uniqueid for leg in call.legs}) == len(call.legs)


@given(EVENTS, EVENT)
def test_an_event_told_twice_changes_nothing_the_second_time(events: list[Event], event: Event) -> None:
    once = advance(run(*events), event)
    assert advance(once, event) is once


@given(EVENTS, EVENTS)
def test_an_ended_call_keeps_its_outcome(before: list[Event], after: list[Event]) -> None:
    ended = run(*before, CallerHungUp(ID, 1_700_000_200_000, 16))
    later = ended
    for event in after:
        later = advance(later, event)
    told = {"legs": (), "reason": "", "hung_up_by": ""}
    assert replace(later, **told) == replace(ended, **told)  # type: ignore[arg-type]
    if later.reason != ended.reason:
        assert later.reason == "broken"
        if later.hung_up_by == "network":
            assert ended.reason == "completed"
        else:  # the PBX was stopped
            assert ended.hung_up_by == "system"


@given(EVENTS)
def test_a_call_once_answered_stays_answered(events: list[Event]) -> None:
    talking = run(LegStarted(ID, 1, "a", "PJSIP/100-01"), LegDone(ID, 2, "a", "ANSWER"))
    call = talking
    for event in events:
        call = advance(call, event)
    assert (call.answered_at, call.answered_by) == (2, "PJSIP/100-01")


def end(*events: Event) -> tuple[str, str]:
    call = run(*events, CallerHungUp(ID, 1_700_000_050_000, 16))
    return call.outcome, call.reason


def leg(name: str, status: str, cause: int, channel: str = "PJSIP/100-01", *, rang: bool = True) -> list[Event]:
    ringing: list[Event] = [LegRinging(ID, 2, name)] if rang else []
    return [LegStarted(ID, 1, name, channel), *ringing, LegDone(ID, 3, name, status), LegHungUp(ID, 4, name, cause)]


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        ("BUSY", 17, "busy"),
        ("NOANSWER", 0, "no_answer"),
        ("NOANSWER", 21, "rejected"),
        ("NOANSWER", 19, "no_answer"),
        ("NOANSWER", 1, "unreachable"),
        ("CONGESTION", 34, "congestion"),
        ("CHANUNAVAIL", 3, "unreachable"),
        ("CONGESTION", 38, "broken"),
    ],
)
def test_the_reason_follows_the_status_and_the_cause(status: str, cause: int, reason: str) -> None:
    assert end(*leg("a", status, cause)) == ("missed", reason)
    assert end(*leg("a", status, cause), Closing(ID, 5, "office", status, cause)) == ("missed", reason)


def test_the_caller_who_gives_up_after_it_rang_has_abandoned_the_call() -> None:
    assert end(CallerGaveUp(ID, 3), *leg("a", "CANCEL", 127)) == ("missed", "abandoned")


def test_the_caller_who_gives_up_before_it_rang_was_too_early() -> None:
    assert end(CallerGaveUp(ID, 3), *leg("a", "CANCEL", 127, rang=False)) == ("missed", "abandoned_early")


def test_a_leg_cancelled_by_a_timeout_around_it_is_not_a_caller_who_gave_up() -> None:
    inner = leg("b", "CANCEL", 0)
    outer = leg("a", "NOANSWER", 0, "Local/100@x-01;1")
    assert end(*outer, *inner, Closing(ID, 5, "office", "NOANSWER", 0)) == ("missed", "no_answer")
    assert end(*inner, *outer) == ("missed", "no_answer")


def test_one_phone_refuses_and_the_other_rings_out_is_no_answer() -> None:
    assert end(*leg("a", "NOANSWER", 21), *leg("b", "NOANSWER", 0)) == ("missed", "no_answer")


def test_all_phones_refuse_is_rejected() -> None:
    assert end(*leg("a", "NOANSWER", 21), *leg("b", "NOANSWER", 21)) == ("missed", "rejected")


def test_a_local_leg_never_hides_who_answered() -> None:
    outer, inner = LegStarted(ID, 1, "a", "Local/100@x-01;1"), LegStarted(ID, 1, "b", "PJSIP/100-01")
    answers = [LegDone(ID, 3, "a", "ANSWER"), LegDone(ID, 4, "b", "ANSWER")]
    assert run(outer, inner, *answers).answered_by == "PJSIP/100-01"
    assert run(outer, inner, *reversed(answers)).answered_by == "PJSIP/100-01"


def test_a_call_that_vanished_keeps_what_was_known() -> None:
    assert run(*leg("a", "ANSWER", 16), Vanished(ID, 9)).outcome == "answered"
    assert run(LegStarted(ID, 1, "a", "x"), Vanished(ID, 9)).outcome == "missed"


def test_a_recorded_talk_proves_that_somebody_answered() -> None:
    seen = run(LegStarted(ID, START + 10, "a", "x"), LegRinging(ID, START + 20, "a"), Vanished(ID, START + 9000, 4000))
    assert (seen.outcome, seen.reason) == ("answered", "unknown")
    assert (seen.ringing_at, seen.answered_at, seen.ended_at) == (START + 20, START + 5000, START + 9000)


def test_a_call_that_vanished_lived_at_least_until_the_last_thing_that_it_did() -> None:
    assert (
        run(LegStarted(ID, START, "a", "x"), LegHungUp(ID, START + 7000, "a", 16), Vanished(ID, 9)).ended_at
        == START + 7000
    )


@pytest.mark.parametrize(
    ("before", "later_ms", "reason"),
    [
        ([], 1100, "broken"),
        ([], 60_000, "completed"),
        ([CallerGaveUp(ID, START)], 1100, "completed"),
        ([LegGaveUp(ID, START, "a")], 1100, "completed"),
    ],
)
def test_a_talk_that_nobody_ended_just_before_the_pbx_stopped_was_cut_off(
    before: list[Event], later_ms: int, reason: str
) -> None:
    talk = [LegStarted(ID, 1, "a", "PJSIP/100-01"), LegDone(ID, 2, "a", "ANSWER"), *before]
    end = START + 5000
    assert run(*talk, CallerHungUp(ID, end, 16), PbxStopped(ID, end + later_ms)).reason == reason


def test_a_caller_who_never_asked_to_hang_up_before_the_pbx_stopped_has_not_given_up() -> None:
    rang = [*leg("a", "CANCEL", 0), Closing(ID, START + 5000, "office", "CANCEL", 0), CallerHungUp(ID, START + 5000, 0)]
    assert run(*rang).reason == "abandoned"
    assert run(*rang, PbxStopped(ID, START + 6000)).reason == "broken"
    assert run(CallerGaveUp(ID, START), *rang, PbxStopped(ID, START + 6000)).reason == "abandoned"


def test_a_call_that_is_there_when_the_pbx_stops_is_broken() -> None:
    call = run(LegStarted(ID, 1, "a", "PJSIP/100-01"), LegRinging(ID, 2, "a"), PbxStopped(ID, START + 9))
    assert (call.outcome, call.reason, call.hung_up_by, call.ended_at) == ("missed", "broken", "system", START + 9)


def test_of_two_ends_of_one_leg_the_first_counts() -> None:
    first, second = LegDone(ID, 3, "a", "NOANSWER"), LegDone(ID, 4, "a", "CANCEL")
    (leg_after,) = run(LegStarted(ID, 1, "a", "PJSIP/100-01"), first, second).legs
    assert (leg_after.status, leg_after.ended_at) == ("NOANSWER", 3)
