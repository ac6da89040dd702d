"""Whose call is it? One story a test; the laws are in test_attribution_laws.py."""

import pytest

from ctserver.domain.attribution import (
    NOBODY,
    Answer,
    CallerHistory,
    CallFacts,
    Candidate,
    EarlierCall,
    SignalAt,
    attribute,
)
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ctserver.domain.model import Signal, Source
from ctserver.domain.reasons import WORDS, Reason, explain, span

NUMBER = "+74951234567"
NOW = 1_770_000_000_000
ADS = Source(medium="cpc", source="google", campaign="spring")


def shown(session: str, ago: int, *, stayed: int | None = None, **more: object) -> Candidate:
    """A showing `ago` ms before the call; still on the page unless `stayed` is given."""
    at = NOW - ago
    left = None if stayed is None else at + stayed
    fields = {"last_seen_at": left or NOW - 5 * SECOND_MS, "left_at": left} | more
    return Candidate(session, NUMBER, at, **fields)  # type: ignore[arg-type]


def call(region: str = "", caller: str = "+79001112233") -> CallFacts:
    return CallFacts(NUMBER, NOW, caller, region)


def why(answer: Answer) -> str:
    return explain(answer.reason)


def test_a_number_nobody_was_shown_is_nobodys_call():
    answer = attribute(call(), [])
    assert (answer.kind, answer.session, answer.confidence) == ("none", None, 0.0)
    assert answer.probabilities == {NOBODY: 1.0}
    assert why(answer) == "nobody was shown this number"


def test_a_static_number_names_its_source_and_no_session():
    answer = attribute(CallFacts(NUMBER, NOW, "", static=ADS), [shown("a", MINUTE_MS)])
    assert (answer.kind, answer.session, answer.source, answer.confidence) == ("static", None, ADS, 1.0)
    assert answer.attribution().why == "this number belongs to one source"


def test_the_only_visitor_on_the_page_is_exact():
    answer = attribute(call(), [shown("a", 4 * MINUTE_MS, source=ADS)])
    assert (answer.kind, answer.session, answer.source) == ("exact", "a", ADS)
    assert answer.confidence > 0.9
    assert why(answer) == "nobody else had this number lately; shown 4 min before the call"


def test_a_tap_seconds_before_the_call_beats_a_newer_visitor():
    tapper = shown("a", 20 * MINUTE_MS, signals=(SignalAt("tapped", NOW - 9 * SECOND_MS),))
    answer = attribute(call(), [tapper, shown("b", 2 * MINUTE_MS)])
    assert (answer.kind, answer.session) == ("tapped", "a")
    assert answer.confidence > 0.98
    assert why(answer) == "tapped this number 9 s before the call"
    assert answer.runners_up[0][0] == "b"


def test_the_signals_of_the_journal_are_read_as_they_are():
    tapper = shown("a", 20 * MINUTE_MS, signals=(Signal("a", "tapped", NOW - 9 * SECOND_MS, NUMBER),))
    assert attribute(call(), [tapper, shown("b", 2 * MINUTE_MS)]).kind == "tapped"


def test_who_is_still_on_the_page_is_likelier_than_who_left():
    answer = attribute(call(), [shown("left", 5 * MINUTE_MS, stayed=MINUTE_MS), shown("there", 6 * MINUTE_MS)])
    assert (answer.kind, answer.session) == ("likely", "there")
    assert why(answer).startswith("was on the page at the time of the call")


def test_a_page_that_went_silent_counts_as_left():
    silent = shown("silent", 10 * MINUTE_MS, last_seen_at=NOW - 9 * MINUTE_MS, left_at=None)
    answer = attribute(call(), [silent, shown("there", 10 * MINUTE_MS)])
    assert answer.session == "there"


def test_a_recent_visitor_is_likelier_than_one_of_half_an_hour_ago():
    answer = attribute(
        call(), [shown("old", 25 * MINUTE_MS, stayed=MINUTE_MS), shown("new", 8 * MINUTE_MS, stayed=MINUTE_MS)]
    )
    assert answer.session == "new"
    assert why(answer) == "had been shown this number 8 min before the call, and had left the page"


def test_the_region_of_the_callers_number_tells_like_visitors_apart():
    pair = [shown("here", 4 * MINUTE_MS, region="R1"), shown("there", 4 * MINUTE_MS, region="R2")]
    assert attribute(call("R1"), pair).session == "here"
    assert attribute(call("R2"), pair).session == "there"


def test_two_alike_are_ambiguous_and_the_answer_says_so():
    answer = attribute(call(), [shown("a", 4 * MINUTE_MS), shown("b", 4 * MINUTE_MS)])
    assert answer.kind == "ambiguous"
    assert answer.probabilities["a"] == pytest.approx(answer.probabilities["b"])
    assert "best guess" in why(answer)


def test_a_session_whose_call_is_explained_is_less_likely_to_be_the_next():
    done = shown("done", 4 * MINUTE_MS, last_call_at=NOW - MINUTE_MS, last_call_confidence=0.99)
    answer = attribute(call(), [done, shown("other", 4 * MINUTE_MS)])
    assert answer.session == "other"
    unsure = shown("done", 4 * MINUTE_MS, last_call_at=NOW - MINUTE_MS, last_call_confidence=0.1)
    assert attribute(call(), [unsure, shown("other", 4 * MINUTE_MS)]).confidence < answer.confidence


def test_a_phone_page_hidden_seconds_before_is_a_hint_and_a_desktop_tab_is_not():
    hidden = (SignalAt("hidden", NOW - 12 * SECOND_MS),)
    phones = [shown("a", 4 * MINUTE_MS, device="phone", signals=hidden), shown("b", 4 * MINUTE_MS, device="phone")]
    answer = attribute(call(), phones)
    assert answer.session == "a"
    assert why(answer) == "left the browser for something else 12 s before the call, as people do to dial"
    desks = [shown("a", 4 * MINUTE_MS, device="desktop", signals=hidden), shown("b", 4 * MINUTE_MS, device="desktop")]
    assert attribute(call(), desks).confidence == pytest.approx(attribute(call(), desks[::-1]).confidence)
    assert attribute(call(), desks).probabilities["a"] == pytest.approx(attribute(call(), desks).probabilities["b"])


def test_a_repeat_call_without_a_new_visit_goes_to_the_earlier_session():
    history = CallerHistory((EarlierCall(NOW - 2 * DAY_MS, "earlier", 0.99, "v1", ADS),))
    answer = attribute(call(), [shown("other", 3 * MINUTE_MS)], history)
    assert (answer.kind, answer.session, answer.source) == ("repeat", "earlier", ADS)
    assert why(answer) == "the same caller rang 2 d before; no new visit since"


def test_a_repeat_caller_who_visited_again_is_the_new_session():
    history = CallerHistory((EarlierCall(NOW - 2 * DAY_MS, "earlier", 0.99, "v1"),))
    visits = [
        shown("again", 20 * MINUTE_MS, stayed=MINUTE_MS, visitor="v1"),
        shown("other", 3 * MINUTE_MS, visitor="v2"),
    ]
    answer = attribute(call(), visits, history)
    assert (answer.kind, answer.session) == ("likely", "again")
    assert why(answer) == "the same caller rang 2 d before and has visited again since"


def test_repeat_callers_may_be_left_unread():
    history = CallerHistory((EarlierCall(NOW - 2 * DAY_MS, "earlier", 0.99),))
    assert attribute(call(), [shown("other", 3 * MINUTE_MS)], history, repeats=False).session == "other"
    assert attribute(call(caller=""), [shown("other", 3 * MINUTE_MS)], history).session == "other"


def test_a_doubtful_history_weighs_little():
    history = CallerHistory((EarlierCall(NOW - 2 * DAY_MS, "earlier", 0.1),))
    assert attribute(call(), [shown("other", 3 * MINUTE_MS)], history).session == "other"


def test_after_months_it_is_nobody_we_know():
    answer = attribute(call(), [shown("ancient", 400 * DAY_MS, stayed=MINUTE_MS)])
    assert (answer.kind, answer.session, answer.confidence) == ("none", None, 0.0)
    assert why(answer).startswith("probably nobody we know")


def test_showings_after_the_call_do_not_count():
    later = Candidate("later", NUMBER, NOW + SECOND_MS, NOW + SECOND_MS)
    assert attribute(call(), [later]).kind == "none"


def test_a_session_shown_the_number_twice_is_one_session():
    answer = attribute(
        call(),
        [shown("a", 9 * MINUTE_MS, stayed=MINUTE_MS), shown("a", 3 * MINUTE_MS), shown("b", HOUR_MS, stayed=MINUTE_MS)],
    )
    assert set(answer.probabilities) == {"a", "b", NOBODY}
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("code", WORDS)
def test_every_reason_has_plain_words(code):
    text = explain(Reason(code, {"seconds": 90, "percent": 40}))
    assert text
    assert "{" not in text


def test_spans_have_one_unit():
    assert [span(s) for s in (0, 59, 60, 3599, 7200, 200_000)] == ["0 s", "59 s", "1 min", "59 min", "2 h", "2 d"]
