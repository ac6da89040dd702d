"""Categories set by keys on the phone: Asterisk has noted which key was pressed after which call, the settings of the call's site say
what it means."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ctserver.config import Settings
from ctserver.services.callers import endpoint_of_channel
from ctserver.storage import audit, calls, marks
from ctserver.storage.db import Transaction

log = logging.getLogger(__name__)

PHONE = "phone"  # `via` in the audit log; `login` is the phone: PJSIP/101


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key pressed after the call `linkedid`, at epoch milliseconds `at`, on this channel."""

    linkedid: str
    at: int
    key: str
    channel: str


def categorize(tx: Transaction, settings: Settings, pbx: str, pressed: Pressed) -> None:
    """What somebody has said of the call in the dashboard meanwhile stays."""
    call = calls.by_key(tx, pbx, pressed.linkedid)
    site = settings.sites.get(call.site) if call else None
    category = site.after_call.keys.get(pressed.key, "") if site else ""
    if call is None or not category:
        log.info("key %s after call %s of PBX %s means nothing here", pressed.key, pressed.linkedid, pbx)
    elif marks.set_category_once(tx, call.id, category):
        calls.touch(tx, call.id)
        phone = endpoint_of_channel(pressed.channel)
        said = f"category={category} key={pressed.key}"
        audit.add(tx, audit.Entry(pressed.at, phone, PHONE, "call changed", call.id, said))
