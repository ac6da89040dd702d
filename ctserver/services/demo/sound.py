"""A pretended conversation: two voices that hum in turn, the caller on the left, as a WAV file."""

from __future__ import annotations

import array
import io
import math
import random
import wave
from functools import lru_cache

RATE = 8000
KINDS = 12  # of syllables


def conversation(seconds: float, seed: int) -> bytes:
    """16 bits, two channels, 8 kHz."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    samples = int(seconds * RATE)
    both = array.array("h", bytes(4 * samples))
    at, speaker = 0, 1
    while at < samples:
        turn = min(samples, at + int(RATE * dice.uniform(1.2, 6)))
        while at < turn:
            hum = _syllable(dice.randrange(KINDS), speaker)
            length = min(len(hum), turn - at)
            both[2 * at + speaker : 2 * (at + length) + speaker : 2] = hum[:length]
            at += length
        at, speaker = turn + int(RATE * dice.choice((0.2, 0.4, 0.7, 2.5))), 1 - speaker
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, RATE, 0, "NONE", ""))
        out.writeframes(both.tobytes())
    return file.getvalue()


@lru_cache(maxsize=2 * KINDS)
def _syllable(kind: int, speaker: int) -> array.array[int]:
    """A fifth of a second that swells and fades: one of some kinds, each with its loudness and pitch."""
    length = RATE // 5
    loud, pitch = 2500 + 6500 * kind / KINDS, (100 if speaker else 165) * (1 + kind % 4 / 20)
    step = 2 * math.pi * pitch / RATE
    return array.array(
        "h",
        (
            int(loud * math.sin(math.pi * i / length) * (math.sin(step * i) + 0.4 * math.sin(3 * step * i)) / 1.4)
            for i in range(length)
        ),
    )
