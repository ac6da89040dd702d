"""Lists of what grows read the index that holds them in their order, and as far as they show."""

from __future__ import annotations

import re

import pytest

from ctserver.storage import feed, journal, marks, missed, outbox, quality, search
from ctserver.storage.sqlite import Sqlite

FOUND_BY = {
    "missed calls": (missed._SINCE, "c USING COVERING INDEX calls_missed (arrived_at>?)"),
    "talks after them": (missed._SINCE, "t USING COVERING INDEX calls_talked (arrived_at>?)"),
    "deliveries": (outbox._PAGE, "o USING INDEX sqlite_autoindex_outbox_1 (id>? AND id<?)"),
    "deliveries in a state": (outbox._PAGE_IN_STATE, "o USING INDEX outbox_state (state=? AND id>? AND id<?)"),
    "how far back, in a state": (outbox._FLOOR_IN_STATE, "outbox USING INDEX outbox_state (state=? AND id<?)"),
    "rated calls": (quality._RATED, "m USING INDEX sqlite_autoindex_call_scores_1 (call>? AND call<?)"),
    "notes": (quality._NOTES, "call_notes USING INDEX sqlite_autoindex_call_notes_1 (call>? AND call<?)"),
    "known tags": (marks._KNOWN_TAGS, "call_tags USING COVERING INDEX sqlite_autoindex_call_tags_1"),
    "suggestions": (search._COMMON, "rollups USING PRIMARY KEY (dimension=? AND span=? AND start>?)"),
    "a day's figures": (journal._COUNTS, "c USING COVERING INDEX calls_arrived (arrived_at>? AND arrived_at<?)"),
    "numbers lately": (journal._BY_NUMBER, "calls USING COVERING INDEX calls_arrived (arrived_at>?)"),
    "a caller's earlier calls": (journal._EARLIER, "c USING INDEX calls_caller (caller=? AND (arrived_at,id)<(?,?))"),
    "a site's sessions": (feed._SESSIONS, "sessions USING INDEX sqlite_autoindex_sessions_1 (id>? AND id<?)"),
    "a site's visitors": (feed._NEWEST_VISITORS, "sessions USING INDEX sessions_visitor (visitor>? AND visitor<?)"),
}  # fmt: skip
IN_ORDER = ["deliveries", "deliveries in a state", "how far back, in a state", "notes", "a caller's earlier calls", "a site's sessions",
            "a site's visitors"]  # fmt: skip


@pytest.mark.parametrize("name", FOUND_BY)
async def test_a_list_is_read_from_its_index(db: Sqlite, name: str) -> None:
    sql, found_by = FOUND_BY[name]
    rows = await db.fetch("EXPLAIN QUERY PLAN " + sql, (None,) * len(set(re.findall(r"\$\d+", sql))))
    plan = " ".join(row["detail"] for row in rows)
    assert found_by in plan, plan
    assert name not in IN_ORDER or "TEMP B-TREE" not in plan, plan


async def test_the_newest_cards_are_rated_one_by_one(db: Sqlite) -> None:
    """Not all of them first: what is put into order is what is shown."""
    rows = await db.fetch("EXPLAIN QUERY PLAN " + quality._RATED, (None,) * 8)
    inner = " ".join(row["detail"] for row in rows).split("SCAN s")[0]
    assert "CO-ROUTINE s" in inner
    assert "TEMP B-TREE" not in inner, inner
