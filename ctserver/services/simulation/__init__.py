"""How many numbers does it take? Synthetic (or recorded) traffic through the very same domain functions as real calls."""

from ctserver.services.simulation.run import Replay, Result, compare, replay, simulate
from ctserver.services.simulation.traffic import Traffic, World, make

__all__ = ["Replay", "Result", "Traffic", "World", "compare", "make", "replay", "simulate"]
