"""Which calls are recorded: not those of callers who never are, and none once the disk is nearly full. Asked from memory,
since a phone is about to ring; calls go on whatever the answer."""

from __future__ import annotations

import shutil
from pathlib import Path

from ctserver.config import Settings
from ctserver.domain import phone

ENOUGH_AGAIN = 1.2  # times stop_free_mb: recording that has stopped does not begin and stop with every call. Ours.


class Recorded:
    """`look` asks the disks; until it has been called there is room."""

    def __init__(self, settings: Settings) -> None:
        self._wanted = settings.recordings
        self._country = settings.server.country
        self._folders = {settings.path(settings.recordings.folder), *(settings.spool(pbx) for pbx in settings.asterisk)}
        never = settings.recordings.never_callers
        self._numbers = frozenset(phone.from_trunk(entry, self._country) for entry in never if not entry.endswith("*"))
        self._starts = tuple(phone.beginning(entry[:-1], self._country) for entry in never if entry.endswith("*"))
        self.disk = "ok"
        self.stopped = ""

    def allows(self, caller: str) -> bool:
        """May a call with this caller, as the trunk writes his number, be recorded?"""
        if self.stopped:
            return False
        number = phone.from_trunk(caller, self._country) if self._numbers or self._starts else ""
        return number not in self._numbers and not (self._starts and number.startswith(self._starts))

    def spellings(self) -> list[str]:
        """The digits of the callers who are never recorded, in each way that trunks write them; * behind a beginning."""
        whole = [digits for number in sorted(self._numbers) for digits in _digits(number)]
        return whole + [f"{digits}*" for start in self._starts for digits in phone.beginnings(start, self._country)]

    def look(self) -> None:
        """Is there room? `disk` is "ok", or how little is left; `stopped` why nothing is recorded, or empty."""
        try:
            free = min(_free_mb(folder) for folder in self._folders)
        except OSError as error:
            self.disk = error.strerror or str(error)
            return
        low, stop = self._wanted.min_free_mb, self._wanted.stop_free_mb
        self.disk = "ok" if free >= low else f"{free} MB free, less than the {low} MB of [recordings] min_free_mb"
        if free < stop * (ENOUGH_AGAIN if self.stopped else 1):
            self.stopped = (
                f"calls are not recorded any more: {free} MB free, less than the {stop} MB of [recordings] stop_free_mb"
            )
        else:
            self.stopped = ""


def _digits(number: str) -> list[str]:
    return phone.spellings(number) if number.startswith("+") else [number]


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 1_000_000
