"""What became of a call: each piece of evidence, and which is the stronger."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from ctserver.domain.call import Call, Leg, Step
from ctserver.domain.times import Times, times
from ctserver.domain.verdict import NETWORK_CAUSES, QUEUE_STATUSES, REASONS, judge

START = 1_700_000_000_000


def call(**own: object) -> Call:
    return Call("c", "pbx", "1.1", "1.1", "PJSIP/t-1", "+442079460101", "+447700900123", "", START, **own)  # type: ignore[arg-type]


def leg(name: str = "a", **own: object) -> Leg:
    at = {"started_at": START, "ringing_at": START + 100}
    return Leg(name, f"PJSIP/{name}-1", **{**at, **own})  # type: ignore[arg-type]


TALKED = leg(answered_at=START + 1000, ended_at=START + 9000, status="ANSWER", cause=16)
SENT_ON = Step(START + 5000, "transfer", "102", "a")
NEXT = leg("b", started_at=START + 5100, ringing_at=START + 5200, ended_at=START + 9000, status="CANCEL")

CASES: list[tuple[Call, str]] = [
    (call(answered_at=START, legs=(TALKED,)), "completed"),
    *((call(answered_at=START, hangup_cause=cause), "broken") for cause in sorted(NETWORK_CAUSES)),
    (call(answered_at=START, hangup_cause=44, hung_up_by="caller"), "completed"),
    (call(answered_at=START, legs=(TALKED, NEXT), steps=(SENT_ON,)), "lost_in_transfer"),
    (call(answered_at=START, legs=(TALKED,), steps=(SENT_ON,)), "completed"),
    (call(stage="blocked"), "blocked"),
    (call(blocked=True, message_seconds=10), "blocked"),
    (call(message_seconds=2, closed=True, stage="voicemail"), "voicemail"),
    (call(message_seconds=1, stage="voicemail", caller_gave_up=True, dial_status="BUSY"), "busy"),
    (call(closed=True, caller_gave_up=True), "out_of_hours"),
    (call(stage="visitor"), "visitor_away"),
    (call(caller_gave_up=True, stage="menu"), "abandoned_ivr"),
    (call(caller_gave_up=True, stage="greeting"), "abandoned_ivr"),
    (call(caller_gave_up=True, ringing_at=START, stage="menu"), "abandoned"),
    (call(caller_gave_up=True, queue="sales"), "abandoned"),
    (call(caller_gave_up=True), "abandoned_early"),
    (call(dial_status="CANCEL", ringing_at=START), "abandoned"),
    *((call(queue_status=status), reason) for status, reason in QUEUE_STATUSES.items()),
    (call(dial_status="BUSY"), "busy"),
    (call(dial_status="CHANUNAVAIL"), "unreachable"),
    (call(dial_status="CHANUNAVAIL", legs=(leg(status="NOANSWER", cause=21),)), "rejected"),
    (call(dial_status="CONGESTION"), "congestion"),
    (call(dial_status="CONGESTION", hangup_cause=38), "broken"),
    (call(dial_status="NOANSWER", legs=(leg(status="NOANSWER", cause=0),)), "no_answer"),
    (call(dial_status="NOANSWER", legs=(leg(status="NOANSWER", cause=58),)), "failed"),
    (call(dial_status="ANSWER", legs=(leg(status="NOANSWER", cause=0),)), "no_answer"),
    (call(), "abandoned_early"),
]


@pytest.mark.parametrize(("ended", "reason"), CASES)
def test_the_evidence_gives_the_reason(ended: Call, reason: str) -> None:
    outcome, found = judge(ended)
    assert found == reason
    assert outcome in REASONS[reason]


def test_every_reason_has_its_case() -> None:
    assert {reason for _, reason in CASES} == set(REASONS) - {"unknown"}


def test_times_of_a_call_from_hand_to_hand() -> None:
    alice = leg(answered_at=START + 4000, ended_at=START + 20_000, status="ANSWER")
    both = leg("x", ringing_at=START + 2000, ended_at=START + 4000, status="CANCEL")
    bob = leg("b", started_at=START + 25_000, ringing_at=START + 26_000, answered_at=START + 30_000, status="ANSWER")
    steps = (Step(START, "greeting"), Step(START + 1500, "ring"), Step(START + 10_000, "hold", "", "a"))
    steps += (Step(START + 13_000, "unhold", "", "a"), Step(START + 20_000, "transfer", "102", "a"))
    talked = call(
        answered_at=START + 4000, ended_at=START + 50_000, legs=(leg(**{**_of(alice), "ringing_at": START + 1600}), both, bob),
        steps=steps,
    )  # fmt: skip
    assert times(talked, 0) == Times(wait=4000, ring=2400, ivr=1500, talk=16_000 - 3000 + 20_000, hold=3000)


def _of(party: Leg) -> dict[str, object]:
    return {"answered_at": party.answered_at, "ended_at": party.ended_at, "status": party.status}


def test_times_of_a_call_whose_legs_nobody_saw() -> None:
    seen = call(ringing_at=START + 1000, answered_at=START + 3000, ended_at=START + 10_000)
    assert times(seen, 0) == Times(wait=3000, ring=2000, talk=7000)


def test_a_hold_that_nobody_ends_ends_with_its_party() -> None:
    alice = leg(answered_at=START + 1000, ended_at=START + 6000, status="ANSWER")
    bob = leg("b", answered_at=START + 6000, status="ANSWER")
    held = call(
        answered_at=START + 1000,
        ended_at=START + 20_000,
        legs=(alice, bob),
        steps=(Step(START + 4000, "hold", "", "a"),),
    )
    assert (times(held, 0).hold, times(held, 0).talk) == (2000, 17_000)


def test_clocks_that_step_back_make_no_negative_times() -> None:
    odd = leg(ringing_at=START - 50_000, answered_at=START - 40_000, ended_at=START - 60_000, status="ANSWER")
    steps = (Step(START - 1, "hold", "", "a"), Step(START - 90_000, "unhold", "", "a"), Step(START + 9, "menu"))
    assert (
        min(astuple(times(call(answered_at=START - 40_000, ended_at=START - 70_000, legs=(odd,), steps=steps), 0))) >= 0
    )
