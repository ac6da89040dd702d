"""What people are told of, in words: kinds of facts and the occasions of alerts. English, for gettext."""

from __future__ import annotations

from ctserver.domain import fact
from ctserver.domain.words import N_

KINDS = {
    fact.RINGING: N_("Incoming call"),
    fact.ATTRIBUTED: N_("Call source found"),
    fact.ANSWERED: N_("Call answered"),
    fact.ENDED: N_("Call ended"),
    fact.MISSED: N_("Missed call"),
    fact.RECORDING: N_("Recording ready"),
    fact.TAGGED: N_("Call tags changed"),
    fact.POOL_SHORT: N_("Pool short of numbers"),
    fact.PBX: N_("PBX unreachable"),
    fact.RECORDING_FAILING: N_("Recording is failing"),
    fact.DISK: N_("The disk is nearly full"),
    fact.DELIVERY: N_("Deliveries are failing"),
    fact.DAILY: N_("Daily digest"),
    fact.WEEKLY: N_("Weekly digest"),
    fact.TEST: N_("Test message"),
    fact.LETTER: N_("E-mail to a user"),
}
OCCASIONS = {
    "ringing": KINDS[fact.RINGING],
    "answered": KINDS[fact.ANSWERED],
    "ended": KINDS[fact.ENDED],
    "missed": KINDS[fact.MISSED],
    "missed_out_of_hours": N_("Missed call out of hours"),
    "voicemail": N_("Voice message"),
    "first_call": N_("First call of a caller"),
    "long_wait": N_("Long wait"),
    "broken": N_("Call cut off"),
    "recording": KINDS[fact.RECORDING],
    "pool_short": KINDS[fact.POOL_SHORT],
    "pbx_unreachable": KINDS[fact.PBX],
    "recording_failing": KINDS[fact.RECORDING_FAILING],
    "disk": KINDS[fact.DISK],
    "delivery_failing": KINDS[fact.DELIVERY],
    "daily": KINDS[fact.DAILY],
    "weekly": KINDS[fact.WEEKLY],
}
