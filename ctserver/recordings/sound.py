"""What a recording sounds like to the machine: the player's wave form, and the same sound in fewer bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import wave
from pathlib import Path

PEAKS_A_SECOND = 20
TYPES = {"wav": "audio/wav", "opus": "audio/ogg", "mp3": "audio/mpeg"}
ONE_OF = 4
_UPPER = 1 if sys.byteorder == "little" else 0  # the byte of a 16-bit sample that tells how loud it is
_LOUDNESS = bytes(2 * min(byte, 255 - byte) for byte in range(256))  # of that byte, which has the sign: 0 to 254
_CODECS = {  # two voices at 8 kHz: beyond this nobody hears a difference
    "opus": ["-c:a", "libopus", "-b:a", "32k", "-application", "voip", "-mapping_family", "0", "-f", "ogg"],
    "mp3": ["-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"],
}
SLOWEST = 20  # seconds of sound that the slowest machine converts in one
LEAST_SECONDS = 60.0
TOLERANCE = 1.0  # seconds that the copy may be shorter or longer: coders pad


class ConvertError(Exception):
    """Why there is no copy in another format, in ffmpeg's words."""


def peaks(file: Path) -> dict[str, object]:
    """What the player draws: the length in seconds, and for each party how loud (0 to 254) the loudest sample of every 50 ms
    is. One sample of four is looked at: voices swing more slowly than that, and nobody sees a difference."""
    with wave.open(str(file), "rb") as sound:
        rate, frames = sound.getframerate(), sound.getnframes()
        samples = sound.readframes(frames)
    step = max(1, rate // PEAKS_A_SECOND // ONE_OF)
    caller, company = (_loudest(samples[_UPPER + 2 * channel :: 4 * ONE_OF], step) for channel in (0, 1))
    return {"seconds": round(frames / rate, 3), "caller": caller, "company": company}


def _loudest(upper: bytes, step: int) -> list[int]:
    loud = upper.translate(_LOUDNESS)
    return [max(loud[start : start + step]) for start in range(0, len(loud), step)]


def peaks_file(recording: Path) -> Path:
    """Where the peaks of a recording are kept, whatever its format."""
    return recording.with_name(f"{stem(recording)}.peaks.json")


def stem(recording: Path) -> str:
    """The name of a recording without any of its suffixes."""
    return recording.name.partition(".")[0]


def peaks_json(recording: Path) -> str:
    return json.dumps(peaks(recording), separators=(",", ":"))


def write_peaks(recording: Path) -> None:
    temporary = peaks_file(recording).with_suffix(".new")
    temporary.write_text(peaks_json(recording), encoding="utf-8")
    temporary.replace(peaks_file(recording))


def problem(format: str) -> str:
    """Why recordings cannot be kept in this format here; "" if they can."""
    if format == "wav" or (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        return ""
    return f"ffmpeg is not installed: recordings stay WAV instead of {format}"


async def convert(source: Path, target: Path, format: str, millis: int) -> None:
    """Write `source` (WAV of so many milliseconds) as `target`; it is there only when it was proved to be whole. Raises
    ConvertError."""
    temporary = target.with_suffix(".new")
    seconds = max(LEAST_SECONDS, millis / 1000 / SLOWEST)
    quiet = ["-nostdin", "-hide_banner", "-v", "error"]
    try:
        await _run(["ffmpeg", *quiet, "-y", "-i", str(source), *_CODECS[format], str(temporary)], seconds)
        asked = ["-show_entries", "format=duration", "-of", "default=nw=1:nk=1", str(temporary)]
        length = await _run(["ffprobe", "-v", "error", *asked], LEAST_SECONDS)
        if abs(float(length or 0) - millis / 1000) > TOLERANCE:
            raise ConvertError(f"the copy lasts {length.strip() or '?'} s instead of {millis / 1000} s")
        await _run(["ffmpeg", *quiet, "-xerror", "-i", str(temporary), "-f", "null", "-"], seconds)
        await asyncio.to_thread(_keep, temporary, target)
    except (OSError, ValueError) as error:
        raise ConvertError(str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _keep(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)


async def _run(command: list[str], seconds: float) -> str:
    """What it printed. At the lowest priority: calls come first. Raises ConvertError, OSError."""
    process = await asyncio.create_subprocess_exec(
        "nice", "-n", "19", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, told = await asyncio.wait_for(process.communicate(), seconds)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise ConvertError(f"{command[0]} did not end within {seconds:.0f} s") from None
    if process.returncode:
        words = told.decode("utf-8", "replace").strip().splitlines()
        raise ConvertError(words[-1][:300] if words else f"{command[0]} ended with {process.returncode}")
    return out.decode("ascii", "replace")
