"""The way of a call on its page, made of recorded calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctserver.asterisk import replay
from ctserver.asterisk.translate import Translator
from ctserver.http.dashboard import timeline
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal

STREAMS = Path(__file__).parents[1] / "asterisk" / "streams"
STORIES = sorted(folder.name for folder in STREAMS.iterdir())


def told(story: str) -> list[str]:
    (call,) = replay.calls(replay.read((STREAMS / story / "stream.txt").read_bytes()), ["ct-inbound"])
    return [moment.text for moment in timeline.moments(call, "")]


SAID = {
    "answered": ["The call arrived", "Alice Adams rang", "Alice Adams answered", "The caller hung up"],
    "abandoned": ["The call arrived", "Alice Adams rang", "The caller gave up"],
    "rejected": ["The call arrived", "Alice Adams rang", "Alice Adams declined the call", "The call ended"],
    "busy": ["The call arrived", "Alice Adams was busy", "The call ended"],
    "hold": [
        "The call arrived", "Alice Adams rang", "Alice Adams answered", "Alice Adams put the caller on hold",
        "Alice Adams took the caller back", "The caller hung up",
    ],
    "blind_transfer": [
        "The call arrived", "Alice Adams rang", "Alice Adams answered", "Alice Adams forwarded the caller to 102",
        "Bob Brown rang", "Bob Brown answered", "The caller hung up",
    ],
    "forward": [
        "The call arrived", "Alice Adams forwards calls to 102", "Bob Brown rang", "Bob Brown answered", "The caller hung up",
    ],
    "queue_timeout": [
        "The call arrived", "The caller joined the queue sales", "Alice Adams rang, 2 times in all",
        "Bob Brown rang, 2 times in all", "Alice Adams did not answer", "Bob Brown did not answer", "The call ended",
    ],
    "broken_by_the_network": ["The call arrived", "Alice Adams rang", "Alice Adams answered", "The connection was lost"],
}  # fmt: skip


@pytest.mark.parametrize("story", SAID)
def test_a_story_is_told_in_words(story: str) -> None:
    assert told(story) == SAID[story]


def test_a_pick_up_names_both() -> None:
    assert set(told("pick_up")) == {
        "The call arrived", "Alice Adams rang", "Carol Clark answered",
        "Carol Clark took the call that rang at Alice Adams", "The caller hung up",
    }  # fmt: skip


def test_an_attended_transfer_names_both() -> None:
    assert told("attended_transfer")[-3:] == [
        "Bob Brown answered", "Alice Adams put the caller through to Bob Brown", "The caller hung up",
    ]  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_no_bar_leaves_its_place(story: str) -> None:
    for call in replay.calls(replay.read((STREAMS / story / "stream.txt").read_bytes()), ["ct-inbound"]):
        for bar in timeline.bars(call, call.arrived_at + 5_000):
            assert all(0 <= piece.start <= 100 and 0 < piece.width <= 100 for piece in bar.pieces)


def test_each_party_has_a_bar() -> None:
    (call,) = replay.calls(replay.read((STREAMS / "attended_transfer" / "stream.txt").read_bytes()), ["ct-inbound"])
    assert [(bar.party, [piece.what for piece in bar.pieces]) for bar in timeline.bars(call, 0)] == [
        ("", ["waited", "talked", "held", "talked"]),
        ("Alice Adams", ["rang", "talked", "held"]),
        ("Bob Brown", ["rang", "talked"]),
    ]


async def test_the_page_shows_the_way(alice: Any) -> None:
    journal = Journal(alice.db, alice.settings, Attributor(alice.settings, {}), "pbx")
    translator = Translator(["ct-inbound"])
    for message in replay.read((STREAMS / "attended_transfer" / "stream.txt").read_bytes()):
        await journal.apply(list(translator.events(message, 0)))
    row = await alice.db.one("SELECT id FROM calls")
    html = await alice.page(f"/calls/{row['id']}")
    assert '<th scope="row">Bob Brown</th>' in html
    assert "Alice Adams put the caller on hold" in html
    assert "On hold" in html
