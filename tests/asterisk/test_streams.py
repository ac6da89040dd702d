"""Recorded AMI streams, by story: the calls in each are written beside it."""

from __future__ import annotations

import json
import re
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctserver.asterisk import replay, translate
from ctserver.asterisk.wire import Message, Splitter
from ctserver.domain import call as machine
from ctserver.domain.times import times
from ctserver.domain.verdict import REASONS

STREAMS = Path(__file__).parent / "streams"
STORIES = sorted(file.parent.name for file in STREAMS.glob("*/stream.txt"))
CONTEXTS = ["ct-inbound"]
BANNER = "Asterisk Call Manager"
ENDING = [story for story in STORIES if story not in ("still_talking", "not_inbound")]
WAYS = (
    "answered", "busy", "no_answer", "abandoned", "rejected", "unreachable", "ring_group", "sequence", "queue_answered",
    "queue_abandoned", "blind_transfer", "attended_transfer", "pick_up", "forward", "voicemail", "menu_key", "menu_wrong_key",
    "menu_abandoned", "out_of_hours", "callback", "click_to_call", "two_calls_at_once", "cyrillic_name", "asked_after_the_call",
)  # fmt: skip
TIMES = ("started", "answered", "ended")


def stream(story: str) -> bytes:
    return (STREAMS / story / "stream.txt").read_bytes()


def calls(data: bytes) -> list[dict[str, object]]:
    return [replay.summary(call) for call in replay.calls(replay.read(data), CONTEXTS)]


def expected(story: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((STREAMS / story / "expected.json").read_text(encoding="utf-8"))
    return found


def test_every_way_that_a_call_can_go_has_its_story() -> None:
    """Recorded from a real Asterisk 22 with PJSIP by tests/stories, and with calls in it."""
    for story in WAYS:
        assert b"Channel: PJSIP/" in stream(story), story
        assert expected(story), story
    assert {call["outcome"] for story in WAYS for call in expected(story)} >= {"answered", "missed"}


@pytest.mark.parametrize("story", STORIES)
def test_a_stream_tells_its_calls(story: str) -> None:
    assert calls(stream(story)) == expected(story)


@pytest.mark.parametrize("story", STORIES)
def test_the_banner_and_the_login_do_not_matter(story: str) -> None:
    first_event = stream(story).index(b"Event: New")
    assert calls(stream(story)[first_event:]) == expected(story)


@pytest.mark.parametrize("story", STORIES)
def test_plain_line_feeds_do_as_well(story: str) -> None:
    assert calls(stream(story).replace(b"\r\n", b"\n")) == expected(story)


@pytest.mark.parametrize("story", STORIES)
def test_without_timestamps_only_the_times_differ(story: str) -> None:
    undated = calls(re.sub(rb"Timestamp: [0-9.]+\r\n", b"", stream(story)))
    told = ("linkedid", "did", "caller", "line", "outcome", "reason", "answered_by", "hung_up_by", "queue")
    for found, wanted in zip(undated, expected(story), strict=True):
        assert {name: found[name] for name in told} == {name: wanted[name] for name in told}
        assert {name: found[name] is None for name in TIMES} == {name: wanted[name] is None for name in TIMES}
        assert found["started"] == pytest.approx(wanted["started"], abs=1.1)


@pytest.mark.parametrize("story", STORIES)
def test_a_stream_may_be_met_at_any_message(story: str) -> None:
    messages = list(replay.read(stream(story)))
    for start in range(len(messages)):
        for call in replay.calls(messages[start:], CONTEXTS):
            assert call.did


@pytest.mark.parametrize("story", STORIES)
def test_every_event_may_come_twice(story: str) -> None:
    twice = [message for message in replay.read(stream(story)) for _ in (1, 2)]
    assert [replay.summary(call) for call in replay.calls(twice, CONTEXTS)] == expected(story)


@pytest.mark.parametrize("story", STORIES)
def test_a_stream_may_be_cut_off_at_any_byte(story: str) -> None:
    data = stream(story)
    whole = len(expected(story))
    for end in range(len(BANNER), len(data), 97):
        assert len(calls(data[:end])) <= whole


@given(story=st.sampled_from(STORIES), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_cutting_of_the_bytes_gives_the_same_messages(story: str, data: st.DataObject) -> None:
    whole = stream(story)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=40)))
    splitter = Splitter()
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert [message for piece in pieces for message in splitter.feed(piece)] == list(replay.read(whole))


def test_byte_by_byte_gives_the_same_messages() -> None:
    whole = stream("cyrillic_name")
    splitter = Splitter()
    messages = [message for byte in whole for message in splitter.feed(bytes([byte]))]
    assert messages == list(replay.read(whole))
    assert messages[1]["CallerIDName"] == r"Алексей \"Ёж\" Ёлкин \\"  # SIP's own escapes, as PJSIP leaves them


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("story", STORIES)
def test_a_json_list_of_the_same_events_tells_the_same_calls(story: str, lower: bool) -> None:
    events = [
        {(name.lower() if lower else name): value for name, value in message.items()}
        for message in replay.read(stream(story))
    ]
    assert calls(json.dumps(events).encode()) == expected(story)
    assert calls("\n".join(json.dumps(event) for event in events).encode()) == expected(story)


def test_a_json_list_may_begin_with_a_byte_order_mark() -> None:
    events = list(replay.read(stream("busy")))
    assert calls(b"\xef\xbb\xbf" + json.dumps(events).encode()) == expected("busy")


def test_numbers_in_json_need_no_quotes() -> None:
    events: list[dict[str, Any]] = [dict(message) for message in replay.read(stream("rejected"))]
    for event in events:
        for name in ("Cause", "ChannelState", "Timestamp", "HangupCause"):
            if name in event:
                event[name] = float(event[name]) if name == "Timestamp" else int(event[name])
    assert calls(json.dumps(events).encode()) == expected("rejected")


@pytest.mark.parametrize("text", ["[1, 2]", "{", '[{"Event": ', '{"Event": "Hangup"}\nrubbish', "[" * 100_000])
def test_json_that_is_no_list_of_events_is_refused_in_words(text: str) -> None:
    with pytest.raises(replay.NotAStream, match=r"JSON"):
        list(replay.read(text.encode()))


def spoilt(data: st.DataObject) -> list[Message]:
    """Messages of up to three stories as a bad day leaves them: out of order, some lost, some twice, clocks stepping."""
    stories = data.draw(st.lists(st.sampled_from(STORIES), min_size=1, max_size=3))
    messages = [message for story in stories for message in replay.read(stream(story))]
    places = data.draw(st.lists(st.integers(0, len(messages) - 1), max_size=2 * len(messages)))
    if data.draw(st.booleans()):  # only a little: the order stays, few are lost
        places = [place for place in range(len(messages)) if place not in places[:5]] + places[:3]
    steps = data.draw(st.lists(st.integers(-7200, 7200), min_size=1, max_size=4))
    return [_stepped(messages[place], steps[place % len(steps)]) for place in places]


def _stepped(message: Message, seconds: int) -> Message:
    stamp = message.get("Timestamp")
    return {**message, "Timestamp": f"{float(stamp) + seconds:.6f}"} if isinstance(stamp, str) else message


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_happens_to_the_events_the_calls_stay_whole(data: st.DataObject) -> None:
    messages = spoilt(data)
    for call in replay.calls(messages, CONTEXTS):
        assert (call.state == machine.ENDED) == (call.ended_at is not None) == bool(call.outcome)
        if call.outcome:
            assert call.outcome in REASONS[call.reason]
        assert call.ended_at is None or call.ended_at >= max(call.arrived_at, call.answered_at or 0)
        assert min(astuple(times(call, call.arrived_at + 9_000))) >= 0
        json.dumps(replay.summary(call))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_call_that_has_ended_stays_as_it_is_whatever_is_told_later(data: st.DataObject) -> None:
    story = data.draw(st.sampled_from(ENDING))
    messages = list(replay.read(stream(story)))
    late = [message for message in messages if message.get("Event") not in ("Newchannel", "UserEvent")]
    again = data.draw(st.lists(st.sampled_from(late), max_size=30))
    ended = [replay.summary(call) | {"legs": []} for call in replay.calls(messages, CONTEXTS)]
    assert [replay.summary(call) | {"legs": []} for call in replay.calls([*messages, *again], CONTEXTS)] == ended


def _one_thread(first: Message, second: Message) -> bool:
    return first.get("Uniqueid") == second.get("Uniqueid") and second.get("Event") == "Hangup"


@pytest.mark.parametrize("story", [story for story in ENDING if not story.startswith("old_style")])
def test_messages_that_overtake_each_other_change_no_outcome(story: str) -> None:
    """Asterisk's threads may overtake each other by a message or two; the dialplan of a channel and its end are one thread."""
    messages = list(replay.read(stream(story)))
    for place in range(len(messages) - 2):
        for other in (place + 1, place + 2):
            if _one_thread(messages[place], messages[other]):
                continue
            swapped = list(messages)
            swapped[place], swapped[other] = swapped[other], swapped[place]
            found = {call.linkedid: call.outcome for call in replay.calls(swapped, CONTEXTS)}
            assert found == {wanted["linkedid"]: wanted["outcome"] for wanted in expected(story)}


VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "4",
            "1700000000.1",
            "1700000000.2",
            "ct-inbound",
            "RINGING",
            "ANSWER",
            "CTEnd",
            "CTRoute",
            "CTStage",
            "Up",
            "Success",
            "Link",
            "Ring",
            "Local/1@x-1;1",
            "Local/1@x-1;2",
            "x<MASQ>",
            "+442079460101",
        ]
    ),
    st.text(max_size=12),
    st.lists(st.text(max_size=5), max_size=3),
)
EVENTS = st.sampled_from([*translate._HANDLERS, "?"])
HEADERS = st.sampled_from(list(replay._NAMES))


@given(
    st.lists(
        st.builds(lambda event, rest: {**rest, "Event": event}, EVENTS, st.dictionaries(HEADERS, VALUES)), max_size=20
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_headers_a_pbx_invents_nothing_raises(messages: list[Message]) -> None:
    for call in replay.calls(messages, CONTEXTS):
        json.dumps(replay.summary(call))


@pytest.mark.parametrize("cause", ["²", "9" * 5000, "-1", "1e3", "16 "])
def test_a_strange_hangup_cause_is_no_cause(cause: str) -> None:
    messages = list(replay.read(stream("busy")))
    for message in messages:
        if "Cause" in message:
            message["Cause"] = cause
    (call,) = replay.calls(messages, CONTEXTS)
    assert call.outcome == "missed"
    assert all(leg.cause in (0, None) for leg in call.legs)


def test_a_timestamp_no_database_could_hold_is_no_timestamp() -> None:
    messages = list(replay.read(stream("busy")))
    for message in messages:
        message["Timestamp"] = "1e300"
    (call,) = replay.calls(messages, CONTEXTS)
    assert call.ended_at == call.arrived_at // 1000 * 1000  # its channels were made in that second
