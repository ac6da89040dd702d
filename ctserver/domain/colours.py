"""The colour and the shape by which a source is known on every page: eight colours that colour-blind people can tell apart, each in
three shapes. Grey is for whatever is no source, and for sources beyond those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from ctserver.domain.model import DIRECT


class Dot(NamedTuple):
    """`colour` is the end of a custom property's name in app.css: --s0 to --s7, --sx for grey."""

    colour: str
    shape: str


COLOURS, SHAPES = "01234567", ("square", "ring", "diamond")
DOTS = [Dot(colour, shape) for shape, colour in product(SHAPES, COLOURS)]
UNKNOWN, OF_DIRECT, OTHER = Dot("x", "ring"), Dot("x", "square"), Dot("x", "diamond")
SALT = "1573 "  # with it the eight sources that most shops have are of eight colours. Ours.


def shared_out(labels: Sequence[str], before: Mapping[str, Dot]) -> dict[str, Dot]:
    """A dot of its own for each of the labels, the weightiest first, as far as there are dots; who had one before keeps it."""
    sources = [label for label in labels if label not in ("", DIRECT.source)][: len(DOTS)]
    found = {label: before[label] for label in sources if label in before}
    for label in sources:
        if label not in found:
            found[label] = _free(label, set(found.values()))
    return found


def _free(label: str, taken: set[Dot]) -> Dot:
    """Of the first shape that is left, the colour that the label has by its name, or the next one."""
    own = hashlib.sha256(f"{SALT}{label}".encode()).digest()[0] % len(COLOURS)
    left = [dot for dot in DOTS if dot not in taken]
    return min(left, key=lambda dot: (SHAPES.index(dot.shape), (int(dot.colour) - own) % len(COLOURS)))


def dot_of(label: str, shared: Mapping[str, Dot]) -> Dot:
    """What a source is drawn with; `label` is "" for one that is not known. One that is newer than `shared` has what it will have
    when they are shared out again, as long as there is a dot that nobody has."""
    if not label:
        return UNKNOWN
    if label == DIRECT.source:
        return OF_DIRECT
    taken = set(shared.values())
    return shared.get(label) or (OTHER if len(taken) == len(DOTS) else _free(label, taken))
