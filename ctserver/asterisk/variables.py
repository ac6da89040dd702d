"""Every name that the dialplan and the Python code share, once. The dialplan's side is asterisk-conf/ct-*.conf and what
asterisk/dialplan.py and asterisk/lines.py write."""

from __future__ import annotations

ROUTE_VARIABLE = "CT_ROUTE"
ROUTE_SCRIPT = "route"  # agi://host:port/route?pbx=ID
ASKED_BY = "?pbx="
CALLBACK_SCRIPT = "callback"  # agi://host:port/callback

EVENT_ROUTED = "CTRoute"
EVENT_ENDED = "CTEnd"
EVENT_STAGE = "CTStage"
EVENT_VISITOR = "CTVisitor"
EVENT_AFTER = "CTAfter"
EVENT_DOCTOR = "CTDoctor"
EVENT_OUTGOING = "CTOut"
EVENT_OUTGOING_ENDED = "CTOutEnd"

# The dialplan's variables -> what the event CTRoute calls them.
TOLD_BY = {"CT_DID": "DID", "CT_LINE": "Line", "CT_ASKED": "Asked", "CT_AT": "Arrived"}

# The values of `Stage` in CTStage (as the caller comes to it) and CTEnd (where he was at the end). A line that does
# nothing but ring sends no CTStage.
STAGE_BLOCKED = "blocked"  # the caller is not wanted: black list, anonymous, too many calls
STAGE_HOURS = "hours"  # out of hours: the announcement
STAGE_GREETING = "greeting"
STAGE_MENU = "menu"
STAGE_RING = "ring"  # phones ring
STAGE_QUEUE = "queue"
STAGE_PBX = "pbx"  # handed over to an extension of the PBX's own dialplan
STAGE_VOICEMAIL = "voicemail"
STAGE_VISITOR = "visitor"  # of a callback: the company has answered, the visitor is rung

CONTEXT_TESTCALL = "ct-testcall"
TEST_CALLER = "CT_TEST_CALLER"
CONTEXT_DOCTOR = "ct-doctor"
CONTEXT_CALLBACK = "ct-callback"
CONTEXT_VISITOR = "ct-callback-visitor"

CALLER_PART = "-caller.wav"
COMPANY_PART = "-company.wav"


def line_context(line: str) -> str:
    """The context of a line in ct-settings.conf."""
    return f"ct-line-{line}"


def ask_context(site: str) -> str:
    """The context of ct-settings.conf that says how whoever answered a call to this site is asked what it was about."""
    return f"ct-ask-{site}"


def hours_variable(line: str) -> str:
    """Set to `open` or `closed` when ctserver has looked at the line's hours; empty: the dialplan looks itself."""
    return f"CT_HOURS_{line}"
