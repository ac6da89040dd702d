"""Rows of the storage as the API's resources."""

from __future__ import annotations

from collections.abc import Sequence

from ctserver.domain import phone
from ctserver.domain.rights import Scope
from ctserver.http.api import models
from ctserver.storage import sessions
from ctserver.storage.db import Row


def call(row: Row, scope: Scope, tags: Sequence[str]) -> models.Call:
    """`row` is one of storage.feed."""
    source = sessions.source_of(row)
    rang_until, talked_until = row["answered_at"] or row["ended_at"], row["ended_at"]
    return models.Call(
        id=row["id"],
        site=row["site"],
        did=row["did"],
        caller=row["caller"] if scope.callers else phone.masked(row["caller"]),
        caller_name=row["caller_name"] if scope.callers else "",
        line=row["line"],
        state=row["state"],
        outcome=row["outcome"],
        reason=row["reason"],
        arrived_at=row["arrived_at"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        ring_seconds=_seconds(row["ringing_at"], rang_until),
        talk_seconds=_seconds(row["answered_at"], talked_until),
        answered_by=row["answered_by"],
        person=row["person"],
        hangup_cause=row["hangup_cause"],
        attribution=row["attribution"],
        confidence=row["confidence"],
        session=row["session"],
        channel=row["source_channel"],
        medium=source.medium,
        source=source.source,
        campaign=source.campaign,
        term=source.term,
        content=source.content,
        click_ids=source.click_ids,
        category=row["category"],
        value=row["value"],
        tags=list(tags),
        note=row["note"] or "",
        recording=scope.recordings and row["recording"] == "ready",
        pbx=row["pbx"],
        linkedid=row["linkedid"],
        updated_at=row["updated_at"],
    )


def leg(row: Row, scope: Scope) -> models.Leg:
    """A leg's channel may hold the number that it was dialled to."""
    return models.Leg(
        channel=row["channel"] if scope.callers else phone.masked(row["channel"]),
        started_at=row["started_at"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        status=row["status"],
        cause=row["cause"],
    )


def session(row: Row) -> models.Session:
    found = sessions.session_of(row)
    facts, source = found.visitor_facts, found.source
    return models.Session(
        id=found.id,
        site=found.site,
        visitor=found.visitor,
        started_at=found.started_at,
        last_seen_at=found.last_seen_at,
        landing_url=found.landing_url,
        referrer=found.referrer,
        channel=facts.channel,
        medium=source.medium,
        source=source.source,
        campaign=source.campaign,
        term=source.term,
        content=source.content,
        click_ids=source.click_ids,
        country=facts.country,
        region=facts.region,
        city=facts.city,
        device=facts.device,
        browser=facts.browser,
        os=facts.os,
    )


def visitor(row: Row) -> models.Visitor:
    return models.Visitor(
        id=row["visitor"],
        first_seen_at=row["first_seen_at"],
        last_seen_at=row["last_seen_at"],
        sessions=row["sessions"],
    )


def _seconds(since: int | None, until: int | None) -> int:
    return max(0, until - since) // 1000 if since is not None and until is not None else 0
