"""Marks a text of the core for the translators; the text itself stays what it is."""

from __future__ import annotations


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """`text` as it is. Who shows it to a person translates it then (`ctserver.language.gettext`)."""
    return text
