"""What `scripts/bench reports` asks for: every filter of the journal, every dimension of the reports, every page, each with
addresses that are rare, usual and frequent, and the bare SQL of the same question."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ctserver import ids
from ctserver.domain.report import DIMENSIONS

DAY_MS = 86_400_000
JOURNAL_MS, REPORT_MS, LIVE_MS = 60, 200, 30  # what is promised
PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "12m": 365}
COLUMNS = {
    "site": "site", "channel": "source_channel", "source": "source", "campaign": "campaign", "keyword": "term",
    "number": "did", "line": "line", "person": "person", "outcome": "outcome", "reason": "reason", "category": "category",
}  # fmt: skip
NEWEST = " ORDER BY id DESC LIMIT 51"
GROUPED = {"channel": "source_channel", "keyword": "term", "ad": "content", "number": "did", "person": "person"}
OF_SESSIONS = {"channel": "channel", "source": "source", "campaign": "campaign", "keyword": "term", "ad": "content",
               "landing": "landing_url", "region": "region", "device": "device"}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Pages of one kind: addresses, and (SQL, values) that answer the same on a bare connection."""

    name: str
    pages: list[str]
    bare: list[tuple[str, tuple[Any, ...]]]
    most_ms: int = 0  # 0: nothing is promised


def journal(connection: sqlite3.Connection, now: int) -> Iterator[Kind]:
    """One filter each."""
    yield Kind("no filter", ["/calls"], [(f"SELECT * FROM calls{NEWEST}", ())], JOURNAL_MS)
    yield _dates(now)
    for name, column in COLUMNS.items():
        values = _values(connection, column)
        bare = [(f"SELECT * FROM calls WHERE {column} = ?{NEWEST}", (value,)) for value in values]
        yield Kind(name, [_calls(**{name: value}) for value in values], bare, JOURNAL_MS)
    talk = "SELECT * FROM calls WHERE ended_at - answered_at {} ?" + NEWEST
    yield Kind(
        "duration",
        [_calls(talk_min="60"), _calls(talk_min="2300"), _calls(talk_max="8")],
        [(talk.format(">="), (60_000,)), (talk.format(">="), (2_300_000,)), (talk.format("<="), (8_000,))],
        JOURNAL_MS,
    )
    new = "SELECT * FROM call_measures WHERE {} = ?" + NEWEST
    yield Kind("first or repeat", [_calls(caller="new"), _calls(caller="repeat")], [(new.format("newcomer"), (1,)),
               (new.format("newcomer"), (0,))], JOURNAL_MS)  # fmt: skip
    yield Kind("target call", [_calls(target="yes"), _calls(target="no")], [(new.format("target"), (1,)),
               (new.format("target"), (0,))], JOURNAL_MS)  # fmt: skip
    tagged = f"SELECT c.* FROM call_tags t JOIN calls c ON c.id = t.call WHERE t.tag = ?{NEWEST.replace('id', 'c.id')}"
    tags = ["tag 0", "rare", "nobody's"]
    yield Kind("tag", [_calls(tag=tag) for tag in tags], [(tagged, (tag,)) for tag in tags], JOURNAL_MS)
    sure = "SELECT * FROM calls WHERE confidence {} ?" + NEWEST
    yield Kind("confidence", [_calls(sure="99"), _calls(unsure="2"), _calls(unsure="30")],
               [(sure.format(">="), (0.99,)), (sure.format("<="), (0.02,)), (sure.format("<="), (0.3,))], JOURNAL_MS)  # fmt: skip
    texts = ["900123", "Вавилов", "nobody of this name", "google"]
    like = (
        f"SELECT * FROM calls WHERE caller LIKE ?1 OR caller_name LIKE ?1 OR source LIKE ?1 OR campaign LIKE ?1{NEWEST}"
    )
    yield Kind("text", [_calls(q=text) for text in texts], [(like, (f"%{text}%",)) for text in texts], JOURNAL_MS)
    callers = [row[0] for row in connection.execute(f"SELECT caller FROM calls WHERE caller <> ''{NEWEST}")]
    bare = [(f"SELECT * FROM calls WHERE caller = ?{NEWEST}", (caller,)) for caller in callers]
    yield Kind("caller's number", [_calls(q=caller) for caller in callers], bare, JOURNAL_MS)


def _dates(now: int) -> Kind:
    pages, bare = [], []
    sql = "SELECT * FROM calls WHERE arrived_at >= ? AND arrived_at < ?" + NEWEST
    for back in (1, 30, 200, 340):
        at = now - back * DAY_MS
        day, midnight = time.strftime("%Y-%m-%d", time.gmtime(at / 1000)), at - at % DAY_MS
        pages += [_calls(**{"from": day}), _calls(to=day), _calls(**{"from": day, "to": day})]
        bare += [(sql, (midnight, now)), (sql, (0, midnight + DAY_MS)), (sql, (midnight, midnight + DAY_MS))]
    return Kind("date", pages, bare, JOURNAL_MS)


def _calls(**filters: str) -> str:
    return f"/calls?{urlencode(filters)}"


def _values(connection: sqlite3.Connection, column: str) -> list[str]:
    """The rarest, a middling and the most frequent."""
    rows = connection.execute(
        f"SELECT {column} FROM calls WHERE {column} <> '' GROUP BY 1 ORDER BY COUNT(*)"
    ).fetchall()
    return sorted({rows[place][0] for place in (0, len(rows) // 2, -1)})


def reports(now: int) -> Iterator[Kind]:
    """Each dimension over each span, alone and compared, and over days that somebody picks. Bare SQL of a year takes seconds: it
    is asked of one of them."""
    for by in (*DIMENSIONS, "time", "hours"):
        pages = [
            "/reports?" + urlencode({"by": by, "compare": compare, **span})
            for span in [*({"period": period} for period in PERIODS), *_picked(now)]
            for compare in ("", "previous")
        ]
        if by == "time":
            pages += [f"/reports?by=time&period=30d&unit={unit}" for unit in ("hour", "day", "week")]
        yield Kind(
            by,
            pages,
            [
                bare
                for days in ((1, 30, 365) if by == "source" else (1, 30))
                for bare in _grouped(by, now - days * DAY_MS)
            ],
            REPORT_MS,
        )


def _picked(now: int) -> Iterator[dict[str, str]]:
    """Days from the calendar: in the last weeks, over the turns of the clocks, most of the year."""
    for first, last in ((17, 3), (52, 29), (130, 75), (300, 18)):
        days = [time.strftime("%Y-%m-%d", time.gmtime(now / 1000 - back * 86_400)) for back in (first, last)]
        yield {"from": days[0], "to": days[1]}


def _grouped(by: str, since: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Calls and sessions since then, by a value; the two together answer a report. `+`: not by walking the value's index."""
    of_calls = (
        "arrived_at / 3600000"
        if by in ("time", "hours")
        else GROUPED.get(by, by if by not in OF_SESSIONS else "source")
    )
    of_sessions = OF_SESSIONS.get(by, "started_at / 3600000")
    yield (
        f"SELECT {of_calls}, COUNT(*), SUM(answered_at IS NOT NULL) FROM calls WHERE arrived_at >= ?1 GROUP BY +{of_calls}",
        (since,),
    )
    if by in OF_SESSIONS or by in ("time", "hours"):
        yield f"SELECT {of_sessions}, COUNT(*) FROM sessions WHERE id >= ?1 GROUP BY 1", (ids.first(since),)


def others(connection: sqlite3.Connection, now: int) -> Iterator[Kind]:
    """Every other page that reads what grows."""
    held = "SELECT * FROM numbers n JOIN sessions s ON s.id = n.session WHERE n.until > ?"
    open_calls = "SELECT * FROM calls WHERE state IN ('arrived', 'ringing', 'talking')"
    yield Kind("live", ["/live"], [(open_calls, ()), (held, (now,))], LIVE_MS)
    today = "SELECT source, COUNT(*) FROM calls WHERE arrived_at >= ? GROUP BY +source"
    yield Kind("overview", ["/"], [(today, (now - now % DAY_MS,))])
    missed = "SELECT * FROM calls WHERE outcome = 'missed' AND id >= ?"
    days = (1, 7, 30)
    yield Kind("missed", [f"/missed?days={day}&show={show}" for day in days for show in ("todo", "done")],
               [(missed, (ids.first(now - day * DAY_MS),)) for day in days])  # fmt: skip
    seen = "SELECT * FROM sessions ORDER BY id DESC LIMIT 51"
    visitors = ["/visitors", "/visitors?called=1", "/visitors?site=hire", "/visitors?q=google", "/visitors?q=nowhere"]
    yield Kind("visitors", visitors, [(seen, ())])
    path = "SELECT * FROM visits WHERE session = ? ORDER BY at"
    sessions = [
        row[0] for row in connection.execute("SELECT session FROM calls WHERE session <> '' ORDER BY id DESC LIMIT 30")
    ]
    yield Kind("a visitor", [f"/visitors/{id}" for id in sessions], [(path, (id,)) for id in sessions])
    calls = [row[0] for row in connection.execute("SELECT id FROM calls ORDER BY id DESC LIMIT 30 OFFSET 500")]
    yield Kind(
        "a call", [f"/calls/{id}" for id in calls], [("SELECT * FROM calls WHERE id = ?", (id,)) for id in calls]
    )
    queues = [f"/quality?queue={queue}" for queue in ("long", "short", "missed", "low", "rated", "models")]
    answered = f"SELECT * FROM calls WHERE outcome = 'answered' AND ended_at - answered_at > 300000{NEWEST}"
    yield Kind("quality", queues, [(answered, ())])
    shown = "SELECT shown_at / 3600000, COUNT(*) FROM leases WHERE pool = 'demo' AND shown_at > ? GROUP BY 1"
    yield Kind("pools", ["/pools"], [(shown, (now - DAY_MS,))])
    yield Kind("numbers", ["/numbers"], [(held, (now,))])
    waiting = "SELECT * FROM outbox WHERE state = 'failed' ORDER BY id DESC LIMIT 51"
    yield Kind("deliveries", ["/deliveries", "/deliveries?state=failed", "/deliveries?state=waiting"], [(waiting, ())])
    yield Kind("suggestions", ["/calls/suggest"], [])
    yield Kind("metrics", ["/metrics"], [])


def programs(connection: sqlite3.Connection) -> Iterator[Kind]:
    """Lists of the API."""
    newest = "SELECT * FROM calls ORDER BY arrived_at DESC, id DESC LIMIT 101"
    lists = ["/api/v1/calls", "/api/v1/calls?outcome=missed", "/api/v1/calls?updated_after=2020-01-01T00:00:00Z"]
    for name in ("did", "source", "campaign"):
        lists += [f"/api/v1/calls?{urlencode({name: value})}" for value in _values(connection, name)]
    yield Kind("calls", lists, [(newest, ())])
    yield Kind("sessions", ["/api/v1/sessions", "/api/v1/sessions?site=hire", "/api/v1/visitors", "/api/v1/tags"],
               [("SELECT * FROM sessions ORDER BY id DESC LIMIT 101", ())])  # fmt: skip


# Files: what counts is when the first of them arrives.
FILES = ["/calls/export.csv", "/calls/export.ndjson", "/calls/export.csv?outcome=missed", "/api/v1/feeds/calls.json",
         "/api/v1/feeds/calls.csv", "/odata/v4/Calls"]  # fmt: skip
