"""A source in a few safe characters: before a caller's name, in a SIP header, spoken to whoever answers.

Campaign links are written by strangers: what comes out holds letters, digits and a few marks, nothing else.
"""

from __future__ import annotations

import re

from ctserver.domain.model import Source

NAME_LENGTH = 20  # of the prefix: phones show some 30 characters. Ours.
HEADER_LENGTH = 120
SPOKEN_LENGTH = 60
_MARKS = " .-"


def short(source: Source) -> str:
    """For a caller's name: "Google", "newsletter.example", "Direct". Empty when nothing can be said."""
    text = _clean(source.source, _MARKS).strip()
    return (text[:1].upper() + text[1:])[:NAME_LENGTH].strip()  # a capital may be two letters, as that of "ß" is


def header(source: Source) -> str:
    """For a SIP header: "google / cpc / spring-tune-up", ASCII."""
    parts = [_clean(part, _MARKS + "_").encode("ascii", "ignore").decode() for part in _parts(source)]
    return " / ".join(part.strip() for part in parts if part.strip())[:HEADER_LENGTH]


def spoken(source: Source) -> str:
    """For a text to speech program: "google, spring tune up"."""
    parts = [_clean(part, " .").strip() for part in (source.source, source.campaign)]
    return ", ".join(part for part in parts if part)[:SPOKEN_LENGTH]


def _parts(source: Source) -> tuple[str, str, str]:
    return source.source, source.medium, source.campaign


def _clean(text: str, marks: str) -> str:
    """Letters, digits and these marks; whatever else stands for a gap."""
    kept = "".join(character if character.isalnum() or character in marks else " " for character in text)
    return re.sub(r" +", " ", kept).strip()
