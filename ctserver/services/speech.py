"""Spoken texts for whoever answers: made beforehand by a program of the settings, kept as files, never waited for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from pathlib import Path

from ctserver.config import Settings
from ctserver.domain import label
from ctserver.domain.model import Source

log = logging.getLogger(__name__)

MOST_WAITING = 200


class Speaker:
    """Names the sound of a text if it is there; otherwise asks for it, for the next time."""

    def __init__(self, settings: Settings) -> None:
        self._command = settings.speech.command
        self._seconds = settings.speech.timeout_seconds
        self._folder = settings.path(settings.speech.folder)
        self._wanted: dict[Path, str] = {}

    def sound(self, template: str, source: Source) -> str:
        """The sound as Asterisk names it (a path without ending), empty if there is none yet. `{source}` is filled in."""
        spoken = label.spoken(source)
        if not template or not self._command or not spoken:
            return ""
        text = template.replace("{source}", spoken)
        file = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.wav"
        if file.exists():
            return str(file.with_suffix(""))
        if len(self._wanted) < MOST_WAITING:
            self._wanted[file] = text
        return ""

    async def speak(self) -> None:
        """Make what was asked for since the last time. A text that cannot be spoken is told of and forgotten."""
        while self._wanted:
            file, text = self._wanted.popitem()
            try:
                await self._make(file, text)
            except (OSError, TimeoutError, ValueError) as error:
                log.warning("the speech program did not speak %r: %s", text, error)

    async def _make(self, file: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new.wav")
        values = {"{text}": text, "{file}": str(temporary)}
        command = [values.get(part, part) for part in self._command]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(), self._seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode or not temporary.exists():
            raise ValueError(said.decode(errors="replace")[-200:] or f"exit status {process.returncode}")
        temporary.replace(file)
