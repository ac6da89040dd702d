"""What a source is known by: its colour and shape."""

from __future__ import annotations

from ctserver.domain.colours import DOTS, OF_DIRECT, OTHER, UNKNOWN, dot_of, shared_out

LABELS = [f"source {number}" for number in range(30)]


def test_as_many_sources_as_there_are_dots_differ_and_the_rest_is_grey() -> None:
    shared = shared_out(LABELS, {})
    assert sorted(shared) == sorted(LABELS[:24])
    assert len(set(shared.values())) == 24
    assert dot_of(LABELS[29], shared) == OTHER
    assert len({OTHER, UNKNOWN, OF_DIRECT}) == 3


def test_the_weightiest_eight_differ_by_colour() -> None:
    assert len({dot.colour for dot in list(shared_out(LABELS, {}).values())[:8]}) == 8


def test_a_source_keeps_its_dot_while_it_is_among_the_first() -> None:
    before = shared_out(LABELS[:12], {})
    after = shared_out(["a newcomer", *reversed(LABELS[:12])], before)
    assert {label: after[label] for label in LABELS[:12]} == before
    assert after["a newcomer"] not in before.values()


def test_a_source_that_brings_no_more_calls_leaves_its_dot_to_others() -> None:
    full = shared_out(LABELS[:24], {})
    after = shared_out(["a newcomer", *LABELS[1:24]], full)
    assert after["a newcomer"] == full[LABELS[0]]
    assert set(after.values()) == set(DOTS)


def test_a_source_that_has_just_come_has_at_once_the_dot_that_it_will_keep() -> None:
    before = shared_out(LABELS[:12], {})
    dot = dot_of("a newcomer", before)
    assert dot not in before.values()
    assert shared_out([*LABELS[:12], "a newcomer"], before)["a newcomer"] == dot


def test_neither_direct_visitors_nor_unknown_sources_take_a_dot() -> None:
    assert shared_out(["", "(direct)"], {}) == {}
    assert (dot_of("", {}), dot_of("(direct)", {})) == (UNKNOWN, OF_DIRECT)
