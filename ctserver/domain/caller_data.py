"""A telephone number as people and programs write it down."""

from __future__ import annotations

import re
from functools import cached_property

from ctserver.domain import phone

_BETWEEN = r"(?:[\s().\-/+]|%20|%28|%29|%2D|&nbsp;)*"  # in addresses a + is a space
_LEAST = 6  # digits: fewer are found in other numbers too often


class Written:
    """All ways to write one E.164 number: +44 7700 900123, 0044-7700-900123, 07700 900123, %2B447700900123."""

    def __init__(self, number: str) -> None:
        self.number = number

    @cached_property
    def _digits(self) -> str:
        """Those of the number inside its country; "" for what is no number of a country."""
        found = phone.parts(self.number)[2] if self.number.startswith("+") else ""
        return found if len(found) >= _LEAST else ""

    @property
    def like(self) -> str:
        """What a text with the number fits (SQL's LIKE) once all between its digits is taken out; "": nothing is looked for."""
        return f"%{self._digits}%" if self._digits else ""

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not self._digits:
            return None
        country, prefix, _ = phone.parts(self.number)
        abroad = rf"(?:(?:\+|%2B|00){_BETWEEN})?{_BETWEEN.join(country)}{_BETWEEN}(?:{prefix}{_BETWEEN})?"
        at_home = rf"{prefix}{_BETWEEN}"
        return re.compile(rf"(?<![0-9])(?:{abroad}|{at_home})?{_BETWEEN.join(self._digits)}(?![0-9])", re.IGNORECASE)

    def stands_in(self, *texts: str) -> bool:
        return self._pattern is not None and any(self._pattern.search(text) for text in texts)

    def replaced(self, text: str, by: str) -> str:
        """The text with `by` wherever the number stood."""
        return self._pattern.sub(by, text) if self._pattern else text
