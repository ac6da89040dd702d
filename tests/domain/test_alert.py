"""Which facts are which occasions, and for which lines, sites and sources: one row each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ctserver.domain.alert import OCCASIONS, Conditions, occasion, quiet_until
from ctserver.domain.fact import Fact

CALL = {
    "line": "office",
    "site": "Shop",
    "source": "google",
    "medium": "cpc",
    "outcome": "answered",
    "reason": "answered",
}
MISSED = CALL | {"outcome": "missed", "reason": "no_answer"}


def fact(kind: str, **data: Any) -> Fact:
    call = "c1" if kind.startswith(("call.", "recording.ready")) else ""
    return Fact(kind, 0, call or "s", call=call, data=(CALL if call else {}) | data)


def end(**data: Any) -> list[Fact]:
    """Both facts of a call that nobody answered."""
    return [fact("call.ended", **(MISSED | data)), fact("call.missed", **(MISSED | data))]


@pytest.mark.parametrize(
    ("name", "kind", "is_one", "is_none"),
    [
        ("ringing", "call.ringing", {}, None),
        ("answered", "call.answered", {}, None),
        ("ended", "call.ended", {}, None),
        ("missed", "call.missed", {}, None),
        ("missed_out_of_hours", "call.missed", {"out_of_hours": True}, {"out_of_hours": False}),
        ("voicemail", "call.ended", {"voicemail": True}, {}),
        ("first_call", "call.ended", {"first_call": True}, {"first_call": False}),
        ("long_wait", "call.ended", {"waited_seconds": 60.0}, {"waited_seconds": 59.9}),
        ("broken", "call.ended", {"reason": "broken"}, {"reason": "no_answer"}),
        ("recording", "recording.ready", {}, None),
        ("pool_short", "pool_short", {}, None),
        ("pbx_unreachable", "pbx_unreachable", {}, None),
        ("recording_failing", "recording_failing", {}, None),
        ("disk", "disk", {}, None),
        ("delivery_failing", "delivery_failing", {}, None),
        ("daily", "digest.daily", {}, None),
        ("weekly", "digest.weekly", {}, None),
    ],
)
def test_each_occasion_is_its_fact_and_no_other(name: str, kind: str, is_one: dict[str, Any], is_none: Any) -> None:
    rule = Conditions([name])
    assert occasion(rule, fact(kind, **is_one)) == name
    assert is_none is None or occasion(rule, fact(kind, **is_none)) is None
    for other in set(OCCASIONS.values()) - {kind}:
        assert occasion(rule, fact(other, **is_one)) is None


def test_the_table_above_has_every_occasion() -> None:
    [mark] = test_each_occasion_is_its_fact_and_no_other.pytestmark
    assert [row[0] for row in mark.args[1]] == list(OCCASIONS)


@pytest.mark.parametrize(
    ("on", "data", "told"),
    [
        (["missed", "voicemail"], {"voicemail": True}, ["voicemail"]),
        (["voicemail", "missed"], {"voicemail": True}, ["voicemail"]),
        (["missed", "voicemail"], {}, ["missed"]),
        (["missed", "first_call"], {"first_call": True}, ["missed"]),
        (["first_call", "missed_out_of_hours"], {"first_call": True, "out_of_hours": True}, ["missed_out_of_hours"]),
        (["first_call", "missed_out_of_hours"], {"first_call": True}, ["first_call"]),
        (["ended", "missed", "missed_out_of_hours"], {"out_of_hours": True}, ["missed"]),
        (["ended", "long_wait"], {"waited_seconds": 90}, ["ended"]),
        (["answered"], {}, []),
    ],
)
def test_one_rule_tells_of_the_end_of_a_call_once(on: list[str], data: dict[str, Any], told: list[str]) -> None:
    rule = Conditions(on)
    assert [name for one in end(**data) if (name := occasion(rule, one))] == told


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"lines": ["office"]}, True),
        ({"lines": ["shop", "off*"]}, True),
        ({"lines": ["shop"]}, False),
        ({"sites": ["shop"]}, True),
        ({"sites": ["other"]}, False),
        ({"sources": ["google"]}, True),
        ({"sources": ["CPC"]}, True),
        ({"sources": ["google / *"]}, True),
        ({"sources": ["yandex"]}, False),
        ({"sources": ["google"], "lines": ["shop"]}, False),
    ],
)
def test_a_rule_may_be_for_some_lines_sites_and_sources_only(conditions: dict[str, Any], holds: bool) -> None:
    assert (occasion(Conditions(["missed"], **conditions), fact("call.missed")) == "missed") == holds
    assert occasion(Conditions(["disk"], **conditions), fact("disk")) == "disk", "trouble is about no call"


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("", "2026-11-21 23:00", None),
        ("22:00-08:00", "2026-11-21 21:59", None),
        ("22:00-08:00", "2026-11-21 22:00", "2026-11-22 08:00"),
        ("22:00-08:00", "2026-11-22 07:59", "2026-11-22 08:00"),
        ("22:00-08:00; Su 00:00-24:00", "2026-11-22 12:00", "2026-11-23 08:00"),
        ("22:00-08:00; Su 00:00-24:00", "2026-11-21 23:00", "2026-11-23 08:00"),
    ],
)
def test_quiet_hours_have_an_end(hours: str, now: str, until: str | None) -> None:
    assert quiet_until(hours, datetime.fromisoformat(now)) == (until and datetime.fromisoformat(until))
