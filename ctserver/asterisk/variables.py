"""Every name that the dialplan and the Python code share, once. The dialplan's side is asterisk-conf/ct-inbound.conf."""

from __future__ import annotations

ROUTE_VARIABLE = "CT_ROUTE"
ROUTE_SCRIPT = "route"  # agi://host:port/route

EVENT_ROUTED = "CTRoute"
EVENT_ENDED = "CTEnd"
EVENT_STAGE = "CTStage"

CONTEXT_TESTCALL = "ct-testcall"
TEST_CALLER = "CT_TEST_CALLER"

CALLER_PART = "-caller.wav"
COMPANY_PART = "-company.wav"
