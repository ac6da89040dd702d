"""A row of the journal as the templates need it."""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.config import Settings
from ctserver.domain import call as machine
from ctserver.domain import phone
from ctserver.domain.model import DIRECT, Source
from ctserver.domain.rights import Scope
from ctserver.domain.words import N_
from ctserver.language import gettext as _
from ctserver.storage.db import Row


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call in a list. `records`: a recording of it is being made, as far as the settings tell; `answerer`: the channel
    `answered_by` as people call the phone."""

    id: str
    arrived_at: int
    ringing_at: int | None
    answered_at: int | None
    ended_at: int | None
    caller: str
    caller_name: str
    did: str
    site_name: str
    line_name: str
    dial: str
    state: str
    outcome: str | None
    reason: str
    ring_seconds: int | None
    talk_seconds: int | None
    source_label: str
    campaign: str
    attribution_kind: str
    confidence: float
    has_recording: bool
    records: bool
    hangup_cause: int | None
    hangup_text: str
    answered_by: str
    answerer: str
    linkedid: str
    pbx: str


def call_row(row: Row, settings: Settings, now: int, scope: Scope) -> CallRow:
    """`row` is a row of calls with the column `recording`; the caller is masked where the scope does not show him."""
    site, line = settings.sites.get(row["site"]), settings.lines.get(row["line"])
    rang_until = row["answered_at"] or row["ended_at"] or now
    talk_until = row["ended_at"] or now
    return CallRow(
        id=row["id"],
        arrived_at=row["arrived_at"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        caller=row["caller"] if scope.callers else phone.masked(row["caller"]),
        caller_name=row["caller_name"] if scope.callers else "",
        did=row["did"],
        site_name=(site.name or row["site"]) if site else row["site"],
        line_name=(line.name or row["line"]) if line else row["line"],
        dial=line.rings if line else "",
        state=machine.RINGING if row["state"] == machine.ARRIVED else row["state"],
        outcome=row["outcome"] or None,
        reason=row["reason"],
        ring_seconds=max(0, rang_until - row["ringing_at"]) // 1000 if row["ringing_at"] is not None else None,
        talk_seconds=max(0, talk_until - row["answered_at"]) // 1000 if row["answered_at"] is not None else None,
        source_label=source_label(row["source"], row["medium"]),
        campaign=row["campaign"],
        attribution_kind=row["attribution"],
        confidence=row["confidence"],
        records=row["state"] == machine.TALKING and (line is None or line.record),
        has_recording=scope.recordings and row["recording"] == "ready",
        hangup_cause=row["hangup_cause"],
        hangup_text=_(HANGUP.get(row["hangup_cause"] or 0, "")),
        answered_by=row["answered_by"],
        answerer=row["person"],
        linkedid=row["linkedid"],
        pbx=row["pbx"],
    )


def source_label(source: str, medium: str) -> str:
    """google / cpc; a source without a medium stands alone."""
    return f"{source} / {medium}" if source and medium and medium != "(none)" else source


def source_name(label: str) -> str:
    """A label as a person reads it."""
    return _("(direct)") if label == DIRECT.source else label


def label_of(source: Source) -> str:
    return source_label(source.source, source.medium)


HANGUP = {  # Q.850 causes in plain words
    1: N_("Unallocated number"),
    3: N_("No route to destination"),
    16: N_("Normal clearing"),
    17: N_("User busy"),
    18: N_("No user responding"),
    19: N_("No answer"),
    20: N_("Subscriber absent"),
    21: N_("Call rejected"),
    22: N_("Number changed"),
    26: N_("Answered elsewhere"),
    27: N_("Destination out of order"),
    28: N_("Invalid number format"),
    31: N_("Normal, unspecified"),
    34: N_("No circuit available"),
    38: N_("Network out of order"),
    41: N_("Temporary failure"),
    42: N_("Switching equipment congestion"),
    44: N_("Requested channel not available"),
    58: N_("Bearer capability not available"),
    88: N_("Incompatible destination"),
    102: N_("Recovery on timer expiry"),
    127: N_("Interworking, unspecified"),
}
