"""The work list of missed calls."""

from __future__ import annotations

from collections.abc import Iterable

from ctserver.domain.missed import MissedCall
from ctserver.domain.rights import Scope
from ctserver.storage.db import Row, Transaction

MOST = 5_000


def since(tx: Transaction, scope: Scope, at: int) -> list[Row]:
    """The missed calls since then that are in the scope, the newest first: id, caller, site, line, arrived_at, the work on them, and
    `rang_again_at`, the caller's next call to this site that was answered, and `called_back_at`, when a call of ours to him was."""
    return tx.fetch(_SINCE, (*scope.values, at, MOST))


def of_caller(tx: Transaction, caller: str, site: str, at: int) -> list[Row]:
    """His missed calls to this site since then, as `since` tells them."""
    return tx.fetch(
        """
        SELECT l.id, l.caller, l.site, l.line, l.arrived_at, w.assignee, w.state AS work_state, w.at AS work_at,
               (SELECT MIN(t.arrived_at) FROM calls t
                WHERE t.caller = l.caller AND t.site = l.site AND t.arrived_at > l.arrived_at AND t.answered_at IS NOT NULL
                  AND t.routed_by <> 'callback') AS rang_again_at,
               (SELECT MIN(o.answered_at) FROM outgoing o WHERE o.number = l.caller AND o.began_at > l.arrived_at) AS called_back_at
        FROM calls l LEFT JOIN missed_work w ON w.call = l.id
        WHERE l.caller = $1 AND l.site = $2 AND l.arrived_at >= $3 AND l.outcome = 'missed'
        ORDER BY l.arrived_at LIMIT 100
        """,
        (caller, site, at),
    )


# The missed calls and the talks after them have an index each that holds all of them and no more (written as there: || '');
# || '' of the caller keeps out the index by which each caller would be looked for where nobody has looked lately.
_SINCE = """
    WITH lost AS MATERIALIZED (
        SELECT c.id, c.caller, c.site, c.line, c.arrived_at FROM calls c
        WHERE c.arrived_at >= $3 AND c.outcome || '' = 'missed' AND ($1 = '' OR REPLACE($1, ' ' || c.site || ' ', '') <> $1)
          AND ($2 = '' OR REPLACE($2, ' ' || c.line || ' ', '') <> $2)
        ORDER BY c.arrived_at DESC, c.id DESC LIMIT $4
    ), talks AS MATERIALIZED (
        SELECT t.caller, t.site, t.arrived_at FROM calls t
        WHERE t.arrived_at > (SELECT MIN(l.arrived_at) FROM lost l) AND t.answered_at IS NOT NULL AND t.routed_by <> 'callback'
          AND t.caller || '' IN (SELECT l.caller FROM lost l WHERE l.caller <> '')
    )
    SELECT l.id, l.caller, l.site, l.line, l.arrived_at, w.assignee, w.state AS work_state, w.at AS work_at,
           (SELECT MIN(t.arrived_at) FROM talks t
            WHERE t.caller = l.caller AND t.site = l.site AND t.arrived_at > l.arrived_at) AS rang_again_at,
           CASE WHEN l.caller = '' THEN NULL ELSE (
               SELECT MIN(o.answered_at) FROM outgoing o WHERE o.number = l.caller AND o.began_at > l.arrived_at) END AS called_back_at
    FROM lost l LEFT JOIN missed_work w ON w.call = l.id ORDER BY l.arrived_at DESC, l.id DESC
"""


def rows(tx: Transaction, calls: Iterable[str]) -> dict[str, Row]:
    """These calls, as rows of the journal, by their ids."""
    sql = "SELECT c.*, '' AS recording FROM calls c WHERE c.id = $1"
    return {call: row for call in calls if (row := tx.one(sql, (call,)))}


def missed_call(row: Row) -> MissedCall:
    """A row of `since` in the terms of the domain."""
    return MissedCall(
        id=row["id"],
        caller=row["caller"],
        site=row["site"],
        at=row["arrived_at"],
        called_back_at=row["called_back_at"],
        rang_again_at=row["rang_again_at"],
        state=row["work_state"] or "",
        state_at=row["work_at"] or 0,
        assignee=row["assignee"] or "",
    )


def assign(tx: Transaction, call: str, assignee: str, login: str, now: int) -> None:
    """Whose job it is; "": nobody's."""
    tx.execute(
        """
        INSERT INTO missed_work (call, assignee, state, login, at) VALUES ($1, $2, '', $3, $4)
        ON CONFLICT (call) DO UPDATE SET assignee = $2
        """,
        (call, assignee, login, now),
    )


def settle(tx: Transaction, call: str, state: str, login: str, now: int) -> None:
    """called_back or given_up, by a person; "" takes it back."""
    tx.execute(
        """
        INSERT INTO missed_work (call, assignee, state, login, at) VALUES ($1, $3, $2, $3, $4)
        ON CONFLICT (call) DO UPDATE SET state = $2, login = $3, at = $4
        """,
        (call, state, login, now),
    )


def with_later(tx: Transaction, call: str) -> list[str]:
    """This missed call, and those of the same caller to the same site since: together they are one case."""
    rows = tx.fetch(
        """
        SELECT o.id FROM calls c JOIN calls o ON o.caller = c.caller AND o.site = c.site AND o.arrived_at > c.arrived_at
        WHERE c.id = $1 AND c.caller <> '' AND o.outcome = 'missed'
        """,
        (call,),
    )
    return [call, *(row["id"] for row in rows)]


def settled_by(tx: Transaction, call: str) -> str:
    """Who has said that this is done; "" while nobody has."""
    row = tx.one("SELECT login FROM missed_work WHERE call = $1 AND state <> ''", (call,))
    return str(row["login"]) if row else ""
