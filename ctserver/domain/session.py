"""Does this visit continue the session, or open a new one?"""

from __future__ import annotations

from ctserver.domain.model import DIRECT, Session, Source


def resumes(session: Session, source: Source, now: int, silence_ms: int) -> bool:
    """A visit continues the session unless it was silent for longer, or the visit brings another source of its own."""
    if now - session.last_seen_at > silence_ms:
        return False
    return source == DIRECT or source == session.source
