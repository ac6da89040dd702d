"""What a call was about: the categories of the trade, and what a call was worth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ctserver.domain.words import N_

CATEGORIES: Mapping[str, str] = {
    "order": N_("Order"),
    "consulted_order": N_("Consultation, then order"),
    "consultation": N_("Consultation"),
    "out_of_stock": N_("Out of stock"),
    "wrong_number": N_("Wrong number"),
    "not_a_customer": N_("Not a customer"),
    "broken": N_("Cut off"),
    "lost": N_("Not put through"),
}
"""Code -> English name. A site's own categories have their name as code."""

_SUM = re.compile(r"([0-9]{1,3}(?:[.,][0-9]{3})+|[0-9]{1,12})(?:[.,]([0-9]{1,2}))?")
MOST = 10**12  # hundredths; whatever is above is a slip of the keyboard


def of_site(own: Sequence[str]) -> Mapping[str, str]:
    """The categories of a site, in the order of their keys: its own, or those of the trade if it has none."""
    return {name: name for name in own} if own else CATEGORIES


def name_of(code: str) -> str:
    """The English name of a category; a site's own is its own name."""
    return CATEGORIES.get(code, code)


def value(text: str) -> int | None:
    """A sum as a person types it ("1250", "1 250,50", "1,250.50") in hundredths; None for no text. Raises ValueError."""
    digits = "".join(text.split())
    if not digits:
        return None
    found = _SUM.fullmatch(digits)
    if found is None:
        raise ValueError(f"{text!r} is not a sum of money")
    whole, part = found[1].replace(",", "").replace(".", ""), found[2] or ""
    hundredths = int(whole) * 100 + int(part.ljust(2, "0"))
    if hundredths > MOST:
        raise ValueError(f"{text!r} is too much")
    return hundredths
