"""Bytes <-> messages."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from ctserver.asterisk.wire import MAX_MESSAGE, Splitter, parse, text, unescape

EVENT = b"Event: Hangup\r\nUniqueid: 1.2\r\n\r\n"


def feed(*pieces: bytes) -> list[object]:
    splitter = Splitter()
    return [message for piece in pieces for message in splitter.feed(piece)]


def test_the_banner_is_no_message() -> None:
    assert feed(b"Asterisk Call Manager/9.0.0\r\n" + EVENT) == [{"Event": "Hangup", "Uniqueid": "1.2"}]


def test_a_header_that_comes_several_times_has_a_list() -> None:
    assert parse(b"Output: a\nOutput: b\nOutput: c") == {"Output": ["a", "b", "c"]}


def test_a_value_may_hold_colons_and_be_empty() -> None:
    assert parse(b"AppData: sip:100@host:5060\nAccountCode: \nExten:") == {
        "AppData": "sip:100@host:5060", "AccountCode": "", "Exten": "",
    }  # fmt: skip


def test_a_cyrillic_name_survives_being_cut_at_every_byte() -> None:
    whole = "Event: Newchannel\r\nCallerIDName: Алексей Ёлкин\r\n\r\n".encode()
    for cut in range(len(whole)):
        (message,) = feed(whole[:cut], whole[cut:])
        assert message == {"Event": "Newchannel", "CallerIDName": "Алексей Ёлкин"}


def test_caller_names_are_unescaped_once() -> None:
    message = parse(rb'CallerIDName: "a\"b\\n\tc"')
    assert message["CallerIDName"] == '"a"b\\n\tc"'
    assert parse(rb"DID: a\tb")["DID"] == r"a\tb"


@given(st.text(alphabet=st.characters(blacklist_characters="\n\t\r\a\b\f\v\\", codec="utf-8")))
def test_text_without_backslashes_stays(name: str) -> None:
    assert unescape(name) == name


def test_a_backslash_at_the_end_harms_nothing() -> None:
    assert unescape("abc\\") == "abc"


def test_null_values_are_no_text() -> None:
    assert text({"A": "(null)", "B": "<unknown>", "C": ["x", "y"], "D": "z"}, "A", "B", "E", "C") == "y"
    assert text({}, "A") == ""


def test_a_megabyte_of_garbage_is_dropped_and_the_next_event_is_read() -> None:
    garbage = random.Random(1).randbytes(1 << 20)
    messages = feed(garbage, b"\r\n\r\n" + EVENT)
    assert messages[-1] == {"Event": "Hangup", "Uniqueid": "1.2"}


def test_a_message_over_the_limit_is_dropped_whole() -> None:
    huge = b"Event: Huge\r\n" + b"Variable: x=1\r\n" * (2 * MAX_MESSAGE // 15) + b"Uniqueid: 9.9\r\n\r\n"
    for size in (1 << 16, len(huge)):
        pieces = [huge[start : start + size] for start in range(0, len(huge), size)]
        assert feed(*pieces, EVENT) == [{"Event": "Hangup", "Uniqueid": "1.2"}]


def test_a_long_message_in_small_pieces_takes_no_quadratic_time() -> None:
    huge = b"Event: Long\r\n" + b"Variable: x=1\r\n" * 50_000
    splitter = Splitter()
    began = time.process_time()
    for start in range(0, len(huge), 100):
        assert not list(splitter.feed(huge[start : start + 100]))
    (message,) = splitter.feed(b"\r\n")
    assert time.process_time() - began < 2
    assert len(message["Variable"]) == 50_000


def test_what_is_left_at_the_end_is_read_too() -> None:
    splitter = Splitter()
    assert not list(splitter.feed(b"Event: Hangup\r\nUniqueid: 1.2"))
    assert list(splitter.end()) == [{"Event": "Hangup", "Uniqueid": "1.2"}]


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    feed(*pieces)


def test_an_answer_with_thousands_of_output_lines_is_read_in_linear_time() -> None:
    began = time.process_time()
    message = parse(b"Response: Success\n" + b"Output: a line\n" * 60_000)
    assert len(message["Output"]) == 60_000
    assert time.process_time() - began < 2
