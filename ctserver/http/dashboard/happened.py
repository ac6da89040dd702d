"""What people are told of, in words: kinds of facts and the occasions of alerts. English, for gettext."""

from __future__ import annotations

from ctserver.domain import fact
from ctserver.domain.words import N_

KINDS = {
    fact.RINGING: N_("A call is ringing"),
    fact.ATTRIBUTED: N_("A call's source is known"),
    fact.ANSWERED: N_("A call is answered"),
    fact.ENDED: N_("A call has ended"),
    fact.MISSED: N_("A call is missed"),
    fact.RECORDING: N_("A recording is ready"),
    fact.TAGGED: N_("A call's tags have changed"),
    fact.POOL_SHORT: N_("A pool is short of numbers"),
    fact.PBX: N_("The PBX cannot be reached"),
    fact.RECORDING_FAILING: N_("Recording is failing"),
    fact.DISK: N_("The disk is nearly full"),
    fact.DELIVERY: N_("Deliveries are failing"),
    fact.DAILY: N_("The digest of a day"),
    fact.WEEKLY: N_("The digest of a week"),
    fact.TEST: N_("A test"),
    fact.LETTER: N_("E-mail to a user"),
}
OCCASIONS = {
    "ringing": KINDS[fact.RINGING],
    "answered": KINDS[fact.ANSWERED],
    "ended": KINDS[fact.ENDED],
    "missed": KINDS[fact.MISSED],
    "missed_out_of_hours": N_("A call is missed out of hours"),
    "voicemail": N_("A caller has left a message"),
    "first_call": N_("Somebody has called for the first time"),
    "long_wait": N_("A caller has been waiting a long time"),
    "broken": N_("A call was cut off"),
    "recording": KINDS[fact.RECORDING],
    "pool_short": KINDS[fact.POOL_SHORT],
    "pbx_unreachable": KINDS[fact.PBX],
    "recording_failing": KINDS[fact.RECORDING_FAILING],
    "disk": KINDS[fact.DISK],
    "delivery_failing": KINDS[fact.DELIVERY],
    "daily": KINDS[fact.DAILY],
    "weekly": KINDS[fact.WEEKLY],
}
