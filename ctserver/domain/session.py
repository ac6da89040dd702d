"""Does this visit continue the session, or open a new one?"""

from __future__ import annotations

from ctserver.domain.model import DIRECT, Session, Source

SILENCE_MS = 30 * 60 * 1000  # Google Analytics' default session timeout


def resumes(session: Session, source: Source, now: int) -> bool:
    """A visit continues the session unless 30 minutes were silent or it brings another source of its own."""
    if now - session.last_seen_at > SILENCE_MS:
        return False
    return source == DIRECT or source == session.source
