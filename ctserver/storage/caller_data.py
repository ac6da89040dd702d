"""Everything that is stored of one caller, by his number: found, and forgotten.

Of a forgotten caller stays what reports and lists of work count: that somebody called, when, where to, by which source, what
came of it. An `alias`, made at random for the purpose, stands where his number stood, the same in all his rows: so first and
repeated calls, and calls back, are counted as before, and nobody can tell whose they were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ctserver.domain.caller_data import Written
from ctserver.storage.calls import touch
from ctserver.storage.db import Row, Transaction

CERTAIN = 0.8  # of an attribution: a session with less may be somebody else's
GONE = "erased"
ID = 26  # characters of an id


# ---- found


def calls(tx: Transaction, number: str) -> list[Row]:
    """His calls, with state, file and place of their recordings."""
    return tx.fetch(
        """
        SELECT c.*, r.state AS recording, r.file, r.place FROM calls c LEFT JOIN recordings r ON r.call = c.id
        WHERE c.caller = $1 ORDER BY c.arrived_at, c.id
        """,
        (number,),
    )


def sessions(tx: Transaction, number: str, written: Written) -> list[Row]:
    """The sessions of the browsers that are his: by a call whose attribution is certain, by a callback that he asked for, or by
    what the website told of him."""
    visitors = {
        (row["site"], row["visitor"])
        for row in tx.fetch(
            """
            SELECT s.site, s.visitor FROM calls c JOIN sessions s ON s.id = c.session
            WHERE c.caller = $1 AND c.confidence >= $2
            UNION SELECT s.site, s.visitor FROM callbacks b JOIN sessions s ON s.id = b.session WHERE b.number = $1
            """,
            (number, CERTAIN),
        )
    }
    told = tx.fetch(
        """
        SELECT site, visitor, properties, ids FROM sessions
        WHERE (properties <> '{}' OR ids <> '{}') AND REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
              properties || ' ' || ids, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
        """,
        (written.like,),
    )
    visitors |= {(row["site"], row["visitor"]) for row in told if written.stands_in(row["properties"], row["ids"])}
    return [
        row
        for site, visitor in sorted(visitors)
        for row in tx.fetch("SELECT * FROM sessions WHERE visitor = $1 AND site = $2 ORDER BY id", (visitor, site))
    ]


def of_call(tx: Transaction, call: str) -> dict[str, list[Row]]:
    """What hangs on a call, by table."""
    return {
        name: tx.fetch(sql, (call,))
        for name, sql in (
            ("legs", "SELECT * FROM legs WHERE call = $1 ORDER BY started_at"),
            ("steps", "SELECT * FROM steps WHERE call = $1 ORDER BY at"),
            ("sound", "SELECT state, format, bytes, millis, sha256 FROM recordings WHERE call = $1"),
            ("pauses", "SELECT * FROM pauses WHERE call = $1 ORDER BY began_at"),
            ("tags", "SELECT tag, at FROM call_tags WHERE call = $1 ORDER BY at"),
            ("notes", "SELECT text, at FROM call_notes WHERE call = $1"),
            ("ratings", "SELECT criterion, score, at FROM call_scores WHERE call = $1 ORDER BY criterion"),
            ("model_call", "SELECT why, at FROM model_calls WHERE call = $1"),
            ("missed_work", "SELECT state, at FROM missed_work WHERE call = $1"),
            ("shared", "SELECT at, expires_at FROM shares WHERE call = $1"),
            ("facts", "SELECT id, at, kind, detail, data FROM facts WHERE call = $1 ORDER BY at"),
            (
                "told",
                """
                SELECT o.id, o.fact, o.sink, o.via, o.addressee, o.state, o.written_at, o.settled_at, o.said, o.answer
                FROM outbox o JOIN facts f ON f.id = o.fact WHERE f.call = $1 ORDER BY o.id
                """,
            ),
            ("audit", "SELECT at, via, action, detail FROM audit WHERE subject = $1 ORDER BY id"),
        )
    }


def of_session(tx: Transaction, session: str) -> dict[str, list[Row]]:
    """What hangs on a session, by table."""
    return {
        name: tx.fetch(sql, (session,))
        for name, sql in (
            ("visits", "SELECT at, url, title, referrer FROM visits WHERE session = $1 ORDER BY at"),
            ("signals", "SELECT at, kind, number FROM signals WHERE session = $1 ORDER BY at"),
            ("shown", "SELECT number, pool, how, shown_at, until FROM leases WHERE session = $1 ORDER BY shown_at"),
        )
    }


def of_number(tx: Transaction, number: str) -> dict[str, list[Row]]:
    """What hangs on the number itself, by table."""
    return {
        name: tx.fetch(sql, (number,))
        for name, sql in (
            ("callbacks", "SELECT * FROM callbacks WHERE number = $1 ORDER BY asked_at"),
            ("calls_to_him", "SELECT * FROM outgoing WHERE number = $1 ORDER BY began_at"),
            ("black_list", "SELECT why, at FROM blocked_callers WHERE number = $1"),
        )
    }


_TEXTS = {  # rows in which his number may have been written down: (key, texts ...), of those that hold its last digits somehow
    "audit": """
        SELECT id, subject, detail FROM audit
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(subject || ' ' || detail, '+', ''), ' ', ''), '-', ''), '(', ''),
              ')', ''), '.', '') LIKE $1
    """,
    "saved_views": """
        SELECT id, name, query FROM saved_views
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(name || ' ' || query, '+', ''), ' ', ''), '-', ''), '(', ''),
              ')', ''), '.', '') LIKE $1
    """,
    "call_notes": """
        SELECT call, text FROM call_notes
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(text, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "call_tags": """
        SELECT call || ' ' || tag AS id, tag FROM call_tags
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(tag, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "model_calls": """
        SELECT call, why FROM model_calls
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(why, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "tokens": """
        SELECT id, name FROM tokens
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(name, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "facts": """
        SELECT id, detail, data FROM facts
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(detail || ' ' || data, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '')
              LIKE $1
    """,
    "outbox": """
        SELECT id, addressee, lane, topic, said, answer FROM outbox
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(addressee || ' ' || lane || ' ' || topic || ' ' || said || ' ' || answer,
              ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "tries": """
        SELECT outbox || ' ' || at AS id, answer FROM tries
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(answer, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    "vias": """
        SELECT via, problem FROM vias
        WHERE REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(problem, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') LIKE $1
    """,
    # There may be millions of them. Addresses hold a number in one piece.
    "sessions": "SELECT id, landing_url, referrer FROM sessions WHERE landing_url LIKE $1 OR referrer LIKE $1",
    "visits": "SELECT id, url, title, referrer FROM visits WHERE url LIKE $1 OR title LIKE $1 OR referrer LIKE $1",
    "callbacks": "SELECT id, page FROM callbacks WHERE page LIKE $1",
}
_PUT = {
    "audit": "UPDATE audit SET subject = $2, detail = $3 WHERE id = $1",
    "saved_views": "UPDATE saved_views SET name = $2, query = $3 WHERE id = $1",
    "call_notes": "UPDATE call_notes SET text = $2 WHERE call = $1",
    "call_tags": "DELETE FROM call_tags WHERE call = SUBSTR($1, 1, 26) AND tag = SUBSTR($1, 28) AND tag <> $2",
    "model_calls": "UPDATE model_calls SET why = $2 WHERE call = $1",
    "tokens": "UPDATE tokens SET name = $2 WHERE id = $1",
    "facts": "UPDATE facts SET detail = $2, data = $3 WHERE id = $1",
    "vias": "UPDATE vias SET problem = $2 WHERE via = $1",
    "outbox": "UPDATE outbox SET addressee = $2, lane = $3, topic = $4, said = $5, answer = $6 WHERE id = $1",
    "tries": "UPDATE tries SET answer = $2 WHERE outbox = SUBSTR($1, 1, 26) AND outbox || ' ' || at = $1",
    "sessions": "UPDATE sessions SET landing_url = $2, referrer = $3 WHERE id = $1",
    "visits": "UPDATE visits SET url = $2, title = $3, referrer = $4 WHERE id = $1",
    "callbacks": "UPDATE callbacks SET page = $2 WHERE id = $1",
}


def texts(tx: Transaction, written: Written) -> dict[str, list[tuple[str, ...]]]:
    """table -> (key, texts ...) of the rows in which his number stands, however it is written."""
    if not written.like:
        return {}
    found = {table: [tuple(row) for row in tx.fetch(sql, (written.like,))] for table, sql in _TEXTS.items()}
    return {table: [row for row in rows if written.stands_in(*row[1:])] for table, rows in found.items() if rows}


# ---- forgotten


def forget_calls(tx: Transaction, ids: Sequence[str], number: str, alias: str, now: int) -> None:
    """These calls are an unknown's: no name, no keys pressed, no words of others about him, nothing told to others. Who
    fetches changes sees them again as they are now."""
    for call in ids:
        tx.execute(
            "UPDATE calls SET caller = $2, caller_name = '', keys = '', click_ids = '{}' WHERE id = $1", (call, alias)
        )
        for sql in (
            "DELETE FROM call_tags WHERE call = $1",
            "DELETE FROM call_notes WHERE call = $1",
            "DELETE FROM model_calls WHERE call = $1",
            "DELETE FROM shares WHERE call = $1",
            "UPDATE recordings SET state = 'expired', file = '', bytes = 0, sha256 = '' WHERE call = $1 AND state <> 'missing'",
            "UPDATE tries SET answer = '' WHERE outbox IN (SELECT o.id FROM outbox o JOIN facts f ON f.id = o.fact WHERE f.call = $1)",
            "UPDATE outbox SET said = '', answer = '' WHERE fact IN (SELECT id FROM facts WHERE call = $1)",
        ):
            tx.execute(sql, (call,))
        tx.execute(
            """
            UPDATE outbox SET state = 'dropped', settled_at = $2, answer = $3, claim = ''
            WHERE state IN ('waiting', 'sending') AND fact IN (SELECT id FROM facts WHERE call = $1)
            """,
            (call, now, GONE),
        )
        tx.execute(
            """
            UPDATE outbox SET addressee = CASE WHEN addressee = $2 THEN $3 ELSE addressee END,
                              lane = CASE WHEN lane = $2 THEN $3 ELSE lane END,
                              topic = CASE WHEN topic = $2 THEN $3 ELSE topic END
            WHERE fact IN (SELECT id FROM facts WHERE call = $1)
            """,
            (call, number, alias),
        )
        for row in tx.fetch("SELECT id, data FROM facts WHERE call = $1", (call,)):
            tx.execute("UPDATE facts SET detail = '', data = $2 WHERE id = $1", (row["id"], _bare(row["data"], alias)))
        _forget_names(tx, call, Written(number), alias)
        touch(tx, call)


_NAMES = (  # a channel's may be made of the number that it comes from or leads to
    ("SELECT channel AS name FROM calls WHERE id = $1", "UPDATE calls SET channel = $3 WHERE id = $1 AND channel = $2"),
    (
        "SELECT channel AS name FROM legs WHERE call = $1",
        "UPDATE legs SET channel = $3 WHERE call = $1 AND channel = $2",
    ),
    ("SELECT name FROM legs WHERE call = $1", "UPDATE legs SET name = $3 WHERE call = $1 AND name = $2"),
    (
        "SELECT detail AS name FROM steps WHERE call = $1",
        "UPDATE steps SET detail = $3 WHERE call = $1 AND detail = $2",
    ),
)


def _forget_names(tx: Transaction, call: str, written: Written, alias: str) -> None:
    for select, put in _NAMES:
        for name in {row["name"] for row in tx.fetch(select, (call,))}:
            if written.stands_in(name):
                tx.execute(put, (call, name, written.replaced(name, alias)))


def _bare(data: str, alias: str) -> str:
    """What a fact told of a call, without the one who called. The fact stays: what was told once is not told again."""
    told: dict[str, Any] = json.loads(data)
    hidden = {"caller": alias, "caller_name": "", "click_ids": {}}
    return json.dumps(told | {key: value for key, value in hidden.items() if key in told}, ensure_ascii=False)


def forget_number(tx: Transaction, number: str, alias: str) -> None:
    """Callbacks and calls to him are an unknown's; what still waited for him is not done."""
    tx.execute("UPDATE callbacks SET state = 'failed' WHERE number = $1 AND state = 'waiting'", (number,))
    tx.execute("UPDATE callbacks SET number = $2, address = '', page = '' WHERE number = $1", (number, alias))
    tx.execute("UPDATE outgoing SET number = $2 WHERE number = $1", (number, alias))


def put_text(tx: Transaction, table: str, row: Sequence[str]) -> None:
    """Write the texts of a row, as `texts` gave them, anew; a tag goes. What stood with a call is a change of that call."""
    tx.execute(_PUT[table], tuple(row))
    if table in ("call_notes", "call_tags"):
        touch(tx, row[0][:ID])
    tx.memory.clear()  # it may know the session
