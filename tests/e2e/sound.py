"""What is on a recording: the strength of a tone on each channel."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def tone_share(file: Path, channel: int, hertz: float) -> float:
    """The share of the channel's energy that lies within 30 Hz of a tone, 0 to 1."""
    with wave.open(str(file), "rb") as sound:
        assert sound.getnchannels() == 2, "the recording is not stereo"
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").reshape(-1, 2)[:, channel]
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    near = np.abs(frequencies - hertz) < 30
    return float(power[near].sum() / max(power.sum(), 1e-9))


def seconds(file: Path) -> float:
    with wave.open(str(file), "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def loud_tenths(file: Path, channel: int) -> list[bool]:
    """Of each tenth of a second: is anything to be heard?"""
    with wave.open(str(file), "rb") as sound:
        step = sound.getframerate() // 10
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").reshape(-1, 2)[:, channel]
    return [bool(np.abs(samples[at : at + step].astype(int)).max() > 200) for at in range(0, len(samples) - step, step)]
