"""What was used last is remembered, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctserver.recent import Recent


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 20), st.integers())))
def test_the_last_entries_are_remembered_as_they_were_last_put(most: int, puts: list[tuple[int, int]]) -> None:
    recent: Recent[int, int] = Recent(most)
    latest: dict[int, int] = {}
    for key, value in puts:
        recent.put(key, value)
        latest.pop(key, None)
        latest[key] = value
        kept = [key for key in latest if key in recent]
        assert len(kept) <= max(most, 2)
        assert all(recent.get(key) == latest[key] for key in kept)
        assert set(list(latest)[-max(most // 2, 1) :]) <= set(kept)
    assert all(recent.get(key) is None for key in range(21) if key not in recent)


def test_what_says_nothing_is_remembered_too() -> None:
    recent: Recent[str, bool] = Recent(4)
    recent.put("first", False)
    assert recent.get("first") is False
    assert recent.get("other") is None
