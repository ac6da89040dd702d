"""How many numbers does it take? Synthetic traffic, or traffic like a site's own, through the same domain functions as
real calls. No input or output, no clock; randomness comes from the seed alone."""

from ctserver.services.simulation.report import svg, table, to_json
from ctserver.services.simulation.run import Replay, Result, compare, replay, simulate
from ctserver.services.simulation.sizing import PoolSize, Recorded, fit, pool_size
from ctserver.services.simulation.traffic import Traffic, World, make

__all__ = [
    "PoolSize",
    "Recorded",
    "Replay",
    "Result",
    "Traffic",
    "World",
    "compare",
    "fit",
    "make",
    "pool_size",
    "replay",
    "simulate",
    "svg",
    "table",
    "to_json",
]
