"""Sessions, and what visitors did in them: visits and signals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice

from msgspec.json import encode
from msgspec.structs import replace

from ctserver.domain.model import Session, Source, Visit, VisitorFacts
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.present import present

MAX_PROPERTIES = 20  # of one session: every signal may bring others


def latest_session(tx: Transaction, site: str, visitor: str) -> Session | None:
    """The visitor's last session on this site."""
    known = present(tx).sessions
    if found := known.get((site, visitor)):
        return found
    row = tx.one(
        "SELECT * FROM sessions WHERE visitor = $1 AND site = $2 ORDER BY started_at DESC LIMIT 1", (visitor, site)
    )
    if row is None:
        return None
    known.put((site, visitor), latest := session_of(row))
    return latest


def session_by_id(tx: Transaction, id: str) -> Session | None:
    row = tx.one("SELECT * FROM sessions WHERE id = $1", (id,))
    return session_of(row) if row else None


def add_session(tx: Transaction, session: Session) -> None:
    """The visitor's latest session."""
    present(tx).sessions.put((session.site, session.visitor), session)
    _save_session(tx, session)


def see_session(tx: Transaction, session: Session) -> None:
    """The visitor's latest session, seen again."""
    present(tx).sessions.put((session.site, session.visitor), session)
    _move_session(tx, session)


def _move_session(tx: Transaction, session: Session) -> None:
    tx.later(
        """
        UPDATE sessions SET last_seen_at = seen.column2
        FROM (VALUES ($1, CAST($2 AS BIGINT))) AS seen WHERE id = seen.column1
        """,
        session.id,
        (session.id, session.last_seen_at),
        rank=2,
    )


def _save_session(tx: Transaction, session: Session) -> None:
    source, facts = session.source, session.visitor_facts
    tx.later(
        """
        INSERT INTO sessions (id, site, visitor, started_at, last_seen_at, landing_url, referrer,
                              medium, source, campaign, term, content, click_ids, channel,
                              country, region, city, device, browser, os, ip, ids, properties)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
        ON CONFLICT (id) DO UPDATE
        SET last_seen_at = excluded.last_seen_at, ids = excluded.ids, properties = excluded.properties
        """,
        session.id,
        (
            session.id,
            session.site,
            session.visitor,
            session.started_at,
            session.last_seen_at,
            session.landing_url,
            session.referrer,
            *source_values(source),
            facts.channel,
            facts.country,
            facts.region,
            facts.city,
            facts.device,
            facts.browser,
            facts.os,
            facts.ip,
            texts_column(facts.ids),
            texts_column(facts.properties),
        ),
        rank=0,
    )


def see_again(tx: Transaction, session: Session) -> None:
    """The same of any session: an earlier one of the visitor stays an earlier one."""
    _remember(tx, session)
    _move_session(tx, session)


def learn_facts(tx: Transaction, session: Session, ids: Mapping[str, str], properties: Mapping[str, str]) -> Session:
    """The session with analytics ids and properties that were not known when it was opened; of properties the first
    MAX_PROPERTIES."""
    known = session.visitor_facts
    all_ids, all_properties = (
        {**ids, **known.ids},
        dict(islice({**known.properties, **properties}.items(), MAX_PROPERTIES)),
    )
    if (all_ids, all_properties) == (known.ids, known.properties):
        return session
    session = replace(session, visitor_facts=replace(known, ids=all_ids, properties=all_properties))
    _remember(tx, session)
    _save_session(tx, session)
    return session


def _remember(tx: Transaction, session: Session) -> None:
    """As it is now, if it is the visitor's latest."""
    sessions, key = present(tx).sessions, (session.site, session.visitor)
    latest = sessions.get(key)
    if latest is not None and latest.id == session.id:
        sessions.put(key, session)


def add_visit(tx: Transaction, visit: Visit) -> None:
    tx.later(
        "INSERT INTO visits (id, session, at, url, title, referrer) VALUES ($1, $2, $3, $4, $5, $6)",
        visit.id,
        (visit.id, visit.session, visit.at, visit.url, visit.title, visit.referrer),
    )


def add_signal(tx: Transaction, id: str, session: str, number: str, kind: str, now: int) -> None:
    tx.later(
        "INSERT INTO signals (id, session, number, kind, at) VALUES ($1, $2, $3, $4, $5)",
        id,
        (id, session, number, kind, now),
    )


async def session_path(db: Database, session: str) -> tuple[Session | None, list[Visit], list[Row]]:
    """A session with its visits and signals, oldest first."""
    row = await db.one("SELECT * FROM sessions WHERE id = $1", (session,))
    visits = await db.fetch("SELECT * FROM visits WHERE session = $1 ORDER BY at, id LIMIT 200", (session,))
    signals = await db.fetch("SELECT * FROM signals WHERE session = $1 ORDER BY at, id LIMIT 200", (session,))
    return (session_of(row) if row else None), [visit_of(visit) for visit in visits], signals


def session_of(row: Row) -> Session:
    return Session(
        id=row["id"],
        site=row["site"],
        visitor=row["visitor"],
        started_at=row["started_at"],
        last_seen_at=row["last_seen_at"],
        landing_url=row["landing_url"],
        referrer=row["referrer"],
        source=source_of(row),
        visitor_facts=VisitorFacts(
            channel=row["channel"],
            country=row["country"],
            region=row["region"],
            city=row["city"],
            device=row["device"],
            browser=row["browser"],
            os=row["os"],
            ip=row["ip"],
            ids=texts(row["ids"]),
            properties=texts(row["properties"]),
        ),
    )


def visit_of(row: Row) -> Visit:
    return Visit(row["id"], row["session"], row["at"], row["url"], row["title"], row["referrer"])


def source_of(row: Row) -> Source:
    return Source(
        row["medium"],
        row["source"],
        row["campaign"],
        row["term"],
        row["content"],
        texts(row["click_ids"]),
    )


def source_values(source: Source) -> tuple[str, ...]:
    """A source as the columns medium, source, campaign, term, content, click_ids hold it."""
    clicks = texts_column(source.click_ids)
    return (source.medium, source.source, source.campaign, source.term, source.content, clicks)


def texts_column(values: dict[str, str]) -> str:
    """A few named texts as a column holds them: a JSON object."""
    return encode(values).decode() if values else "{}"


def bare_address(url: str) -> str:
    """A page's address without what stands after ? and #: of one page, every visitor's address is another."""
    return url.partition("?")[0].partition("#")[0]


def texts(column: str) -> dict[str, str]:
    return json.loads(column) if column not in ("", "{}") else {}
